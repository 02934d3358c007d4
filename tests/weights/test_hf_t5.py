"""Tables of T5 in both Hugging Face flavours, on files written here."""

from typing import Any

import jax
import numpy as np
import pytest
from flax import serialization
from safetensors.numpy import save_file

from flipjax.core.errors import WeightError
from flipjax.weights import hf_t5, rules
from flipjax.weights.load import load
from plain_numpy import scrambled

D, INNER, HIDDEN, VOCAB, LAYERS = 6, 8, 10, 11, 2
THEIRS = {"query": "q", "key": "k", "value": "v", "out": "o", "gate": "wi_0", "fc1": "wi_1", "fc2": "wo"}
MODULES = {"attn": "SelfAttention", "cross": "EncDecAttention", "mlp": "DenseReluDense"}
PLACES = {"encoder": ["attn", "mlp"], "decoder": ["attn", "cross", "mlp"]}
NORMS = {"attn": "ln_1", "cross": "ln_cross", "mlp": "ln_2"}


def tree(d: int = D) -> dict[str, Any]:
    """Our layout with random values, built by hand."""

    def array(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, np.float32)

    def attention() -> dict[str, Any]:
        projections = {name: {"kernel": array(d, INNER)} for name in ("query", "key", "value")}
        return projections | {"out": {"kernel": array(INNER, d)}}

    def stack(parts: list[str]) -> dict[str, Any]:
        mlp = {name: {"kernel": array(d, HIDDEN)} for name in ("gate", "fc1")} | {"fc2": {"kernel": array(HIDDEN, d)}}
        block: dict[str, Any] = {part: mlp if part == "mlp" else attention() for part in parts}
        block |= {NORMS[part]: {"scale": array(d)} for part in parts}
        ends = {"relative_bias": array(32, 2), "ln_final": {"scale": array(d)}}
        return ends | {f"blocks_{i}": block for i in range(LAYERS)}

    stacks = {name: stack(parts) for name, parts in PLACES.items()}
    return scrambled({"shared": array(VOCAB, d), "lm_head": {"kernel": array(d, VOCAB)}} | stacks)


def huggingface(ours: dict[str, Any], *, flax: bool) -> dict[str, np.ndarray]:
    """The same arrays under the names of Hugging Face."""
    kernel, embedding, turn = ("kernel", "embedding", lambda x: x) if flax else ("weight", "weight", np.transpose)
    named = {
        f"shared.{embedding}": ours["shared"],
        f"lm_head.{kernel}": turn(ours["lm_head"]["kernel"]),
    }
    for stack, parts in PLACES.items():
        own = ours[stack]
        named[f"{stack}.final_layer_norm.weight"] = own["ln_final"]["scale"]
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.{embedding}"
        named[bias] = own["relative_bias"]
        for i in range(LAYERS):
            for j, part in enumerate(parts):
                layer, block = f"{stack}.block.{i}.layer.{j}", own[f"blocks_{i}"]
                named[f"{layer}.layer_norm.weight"] = block[NORMS[part]]["scale"]
                for name, leaf in block[part].items():
                    named[f"{layer}.{MODULES[part]}.{THEIRS[name]}.{kernel}"] = turn(leaf["kernel"])
    if flax:
        return {name.replace(".", "/"): x for name, x in named.items()}
    again = {f"{stack}.embed_tokens.weight": ours["shared"] for stack in PLACES}
    return {name: np.ascontiguousarray(x) for name, x in (named | again).items()}


def nested(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for path, x in flat.items():
        *parents, name = path.split("/")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = x
    return result


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


@pytest.mark.parametrize("flax", [False, True])
def test_every_array_finds_its_place(tmp_path, flax) -> None:
    ours = tree()
    file = tmp_path / ("flax_model.msgpack" if flax else "model.safetensors")
    if flax:
        file.write_bytes(serialization.msgpack_serialize(nested(huggingface(ours, flax=True))))
    else:
        save_file(huggingface(ours, flax=False), file)
    assert_same(load(file, ours, ("openai_clip", "hf_t5")), ours)


def test_prefixed_names_of_a_larger_model() -> None:
    ours = tree()
    prefixed = {f"t5_model.{name}": x for name, x in huggingface(ours, flax=False).items()}
    table = rules.Table(
        name="a model with a T5 in it",
        signature=("t5_model.shared.weight",),
        rules=rules.under(hf_t5.TORCH_RULES, source="t5_model.", target="t5/"),
        dropped=tuple(rules.Reason(r"t5_model\." + item.pattern, item.reason) for item in hf_t5.TORCH_DROPPED),
    )
    assert_same(rules.apply(table, prefixed, {"t5": ours}), {"t5": ours})


def test_checkpoint_of_another_size_is_refused_in_one_line(tmp_path) -> None:
    save_file(huggingface(tree(), flax=False), tmp_path / "model.safetensors")
    message = (
        r"model\.safetensors, read as Hugging Face T5 \(torch names\), does not fit the model \(\d+ problems\): .*shape"
    )
    with pytest.raises(WeightError, match=message) as caught:
        load(tmp_path / "model.safetensors", tree(d=D + 2), ("hf_t5",))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    with pytest.raises(
        WeightError, match=r"'decoder.block.1.layer.0.SelfAttention.k.weight' has no place in the model"
    ):
        shallow = tree()
        del shallow["encoder"]["blocks_1"], shallow["decoder"]["blocks_1"]
        tensors = {name: x for name, x in huggingface(tree(), flax=False).items() if "decoder" in name}
        rules.apply(hf_t5.TABLES[0], dict(sorted(tensors.items(), key=lambda item: "block.1" not in item[0])), shallow)


def test_first_t5_with_its_plain_mlp_is_named(tmp_path) -> None:
    tensors = huggingface(tree(), flax=False)
    for name in [name for name in tensors if "wi_" in name]:
        tensors[name.replace("wi_0", "wi").replace("wi_1", "wi")] = tensors.pop(name)
    with pytest.raises(WeightError, match=r"DenseReluDense\.wi\.weight' is not part of the format"):
        rules.apply(hf_t5.TABLES[0], tensors, tree())
