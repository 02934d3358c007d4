"""Names of T5 v1.1 and FLAN-T5 in the Hugging Face format: torch-style (safetensors, bin) and Flax (msgpack).

The torch-style files store linear weights [out, in]; the Flax ones kernels [in, out]. A norm's only array is called
`weight` in both. Layers of a block are numbered: self-attention, in the decoder cross-attention, MLP.
"""

import re

from flipjax.weights.rules import Reason, Rule, Table
from flipjax.weights.transforms import Transform, same, transposed

_ATTENTION = {"q": "query", "k": "key", "v": "value", "o": "out"}
_MLP = {"wi_0": "gate", "wi_1": "fc1", "wo": "fc2"}
# Stack -> its layers: upstream module, our module, our norm before it, its linear layers.
_LAYERS: dict[str, tuple[tuple[str, str, str, dict[str, str]], ...]] = {
    "encoder": (("SelfAttention", "attn", "ln_1", _ATTENTION), ("DenseReluDense", "mlp", "ln_2", _MLP)),
    "decoder": (
        ("SelfAttention", "attn", "ln_1", _ATTENTION),
        ("EncDecAttention", "cross", "ln_cross", _ATTENTION),
        ("DenseReluDense", "mlp", "ln_2", _MLP),
    ),
}


def _rules(separator: str, *, kernel: str, embedding: str, to_kernel: Transform) -> tuple[Rule, ...]:
    """The table of one flavour: what stands between names, the last names of arrays, and the layout of its kernels."""

    def name(dotted: str) -> str:
        return re.escape(dotted.replace(".", separator))

    rules = [
        Rule(name(f"shared.{embedding}"), ("shared",)),
        Rule(name(f"lm_head.{kernel}"), ("lm_head/kernel",), to_kernel),
    ]
    for stack, layers in _LAYERS.items():
        position = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.{embedding}"
        rules.append(Rule(name(position), (f"{stack}/relative_bias",)))
        rules.append(Rule(name(f"{stack}.final_layer_norm.weight"), (f"{stack}/ln_final/scale",)))
        block = name(f"{stack}.block.") + r"(\d+)"
        for i, (theirs, ours, norm, linears) in enumerate(layers):
            layer, target = block + name(f".layer.{i}."), rf"{stack}/blocks_\1"
            rules.append(Rule(layer + name("layer_norm.weight"), (f"{target}/{norm}/scale",)))
            for linear, path in linears.items():
                source = layer + name(f"{theirs}.{linear}.{kernel}")
                rules.append(Rule(source, (f"{target}/{ours}/{path}/kernel",), to_kernel))
    return tuple(rules)


# Targets are relative to the root of a T5, so that files which hold one below a prefix can use them with `under`.
TORCH_RULES: tuple[Rule, ...] = _rules(".", kernel="weight", embedding="weight", to_kernel=transposed)
TORCH_DROPPED: tuple[Reason, ...] = (
    Reason(r"(?:encoder|decoder)\.embed_tokens\.weight", "the shared token table once more"),
    Reason(r"decoder\..*\.EncDecAttention\.relative_attention_bias\.weight", "cross-attention has no position bias"),
)

TABLES: tuple[Table, ...] = (
    Table(
        name="Hugging Face T5 (torch names)",
        signature=("shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight"),
        rules=TORCH_RULES,
        dropped=TORCH_DROPPED,
    ),
    Table(
        name="Hugging Face T5 (Flax names)",
        signature=("shared/embedding", "encoder/block/0/layer/0/SelfAttention/q/kernel"),
        rules=_rules("/", kernel="kernel", embedding="embedding", to_kernel=same),
    ),
)
