"""Names of CLIP in the Hugging Face format: torch-style (safetensors, bin) and Flax (msgpack) as two weight tables.

The torch-style files store every linear weight [out, in], the two projections included; the Flax ones store kernels
[in, out] and norm weights as `scale`. `pre_layrnorm` is spelt so in both.
"""

import re
from collections.abc import Callable

from flipjax.weights.openai_clip import optional_parts
from flipjax.weights.rules import Reason, Rule, Table
from flipjax.weights.transforms import Transform, convolution, position_table, same, token_table, transposed

_LINEARS = {
    "self_attn.q_proj": "attn/query",
    "self_attn.k_proj": "attn/key",
    "self_attn.v_proj": "attn/value",
    "self_attn.out_proj": "attn/out",
    "mlp.fc1": "mlp/fc1",
    "mlp.fc2": "mlp/fc2",
}
_NORMS = {"layer_norm1": "ln_1", "layer_norm2": "ln_2"}
_TOWER_NORMS = {
    "vision_model.pre_layrnorm": "image/ln_pre",
    "vision_model.post_layernorm": "image/ln_post",
    "text_model.final_layer_norm": "text/ln_final",
}
# Dotted names without the last part -> target and how its last parts differ: linears, norms and tables below.
_PROJECTIONS = {"visual_projection": "image/proj", "text_projection": "text/proj"}
_TABLES: dict[str, tuple[str, Transform]] = {
    "vision_model.embeddings.position_embedding": ("image/position_embedding", position_table),
    "text_model.embeddings.position_embedding": ("text/position_embedding", same),
    "text_model.embeddings.token_embedding": ("text/token_embedding", token_table),
}


def _rules(
    *, separator: str, norm: str, kernel: str, embedding: str, to_kernel: Transform, to_patches: Transform
) -> tuple[Rule, ...]:
    """The table of one flavour: `separator` between names, the last names of arrays, and the layouts of its kernels."""

    def name(*parts: str) -> str:
        return re.escape(separator.join(parts).replace(".", separator))

    rules = [
        Rule(name("vision_model.embeddings.class_embedding"), ("image/class_embedding",)),
        Rule(name("vision_model.embeddings.patch_embedding", kernel), ("image/patch_embed/kernel",), to_patches),
        Rule("logit_scale", ("logit_scale",)),
    ]
    rules += [Rule(name(part, embedding), (path,), change) for part, (path, change) in _TABLES.items()]
    rules += [Rule(name(part, kernel), (path,), to_kernel) for part, path in _PROJECTIONS.items()]
    for part, path in _TOWER_NORMS.items():
        rules += [Rule(name(part, norm), (f"{path}/scale",)), Rule(name(part, "bias"), (f"{path}/bias",))]
    for tower, ours in (("vision_model", "image"), ("text_model", "text")):
        block = name(tower, "encoder", "layers", "")
        rules += _block_rules(
            block + r"(\d+)" + re.escape(separator), rf"{ours}/blocks_\1", name, norm, kernel, to_kernel
        )
    return tuple(rules)


def _block_rules(
    block: str, target: str, name: Callable[..., str], norm: str, kernel: str, to_kernel: Transform
) -> list[Rule]:
    rules = []
    for part, path in _LINEARS.items():
        rules.append(Rule(block + name(part, kernel), (f"{target}/{path}/kernel",), to_kernel))
        rules.append(Rule(block + name(part, "bias"), (f"{target}/{path}/bias",)))
    for part, path in _NORMS.items():
        rules.append(Rule(block + name(part, norm), (f"{target}/{path}/scale",)))
        rules.append(Rule(block + name(part, "bias"), (f"{target}/{path}/bias",)))
    return rules


TABLES: tuple[Table, ...] = (
    Table(
        name="Hugging Face CLIP (torch names)",
        signature=("vision_model.embeddings.class_embedding",),
        rules=_rules(
            separator=".",
            norm="weight",
            kernel="weight",
            embedding="weight",
            to_kernel=transposed,
            to_patches=convolution,
        ),
        dropped=(Reason(r".*\.position_ids", "a running index"),),
        optional=optional_parts(),
    ),
    Table(
        name="Hugging Face CLIP (Flax names)",
        signature=("vision_model/embeddings/class_embedding",),
        rules=_rules(
            separator="/", norm="scale", kernel="kernel", embedding="embedding", to_kernel=same, to_patches=same
        ),
        optional=optional_parts(),
    ),
)
