"""Checkpoints in the names of the released InstructFLIP code: strict, class rows turned, the language model optional."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from configs import instruct_flip as config_file
from flipjax.core.errors import WeightError
from flipjax.methods import instruct_flip
from flipjax.weights.instruct_flip_official import TABLES
from flipjax.weights.load import load
from flipjax.weights.rules import apply, choose

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "instruct_flip.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def tensors(golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key.removeprefix("params/"): value for key, value in golden.items() if key.startswith("params/")}


@pytest.fixture(scope="module")
def target(golden: dict[str, np.ndarray], tensors: dict[str, np.ndarray]) -> Any:
    """Shapes of the method's variables in the sizes of the golden case."""
    size = {key.removeprefix("dims/"): int(value) for key, value in golden.items() if key.startswith("dims/")}
    config: Any = config_file.get_config()
    method, width = config.method, size["W"]
    method.clip.update(image_size=size["res"], patch=size["patch"], width=width, layers=size["vl"], heads=width // 64)
    method.qformer.update(layers=size["ql"], heads=size["qh"], hidden=2 * width, queries=size["nq"])
    method.qformer.context = len(tensors["content_Qformer.bert.embeddings.position_embeddings.weight"])
    method.fusion.update(heads=size["fh"], hidden=96)
    method.llm = "custom"
    names = {"width": "t5d", "heads": "t5h", "head_width": "t5kv", "hidden": "t5ff", "layers": "t5l"}
    method.t5 = {ours: size[theirs] for ours, theirs in names.items()}
    flip = instruct_flip.settings(config)
    vocab = len(tensors["content_Qformer.bert.embeddings.word_embeddings.weight"])
    qformers = {
        name: dataclasses.replace(module, size=dataclasses.replace(module.size, vocab=vocab))
        for name, module in flip.net.qformers.items()
    }
    assert flip.llm is not None
    t5_size = dataclasses.replace(flip.llm.size, vocab=len(tensors["t5_model.shared.weight"]))
    small = dataclasses.replace(
        flip,
        net=dataclasses.replace(flip.net, qformers=qformers),
        llm=dataclasses.replace(flip.llm, size=t5_size),
    )
    shapes = jax.eval_shape(partial(instruct_flip.init, small), jax.random.key(0))
    return {"params": shapes["params"], "frozen": shapes["frozen"]}


def test_everything_finds_its_place(tensors: dict[str, np.ndarray], target: Any) -> None:
    tree = apply(choose(TABLES, tensors), tensors, target)
    assert jax.tree.structure(tree) == jax.tree.structure(target)
    params = tree["params"]
    for branch in ("content", "style"):
        queries = params[branch]["embed"]["queries"]
        np.testing.assert_array_equal(queries[None], tensors[f"{branch}_query_tokens"])
    np.testing.assert_array_equal(
        params["cue"]["conv1"]["kernel"][0, 2], tensors["cue_generator.conv1.weight"][:, :, 0, 2].T
    )
    fused = tensors["fusion_modulator.blocks.0.mha.Wqkv.weight"]
    for name, part in zip(("query", "key", "value"), np.split(fused, 3), strict=True):
        np.testing.assert_array_equal(params["fusion"]["attn"][name]["kernel"], part.T)
    key, value = np.split(tensors["fusion_modulator.blocks.0.ca.to_kv.weight"], 2)
    np.testing.assert_array_equal(params["fusion"]["cross"]["key"]["kernel"], key.T)
    np.testing.assert_array_equal(params["fusion"]["cross"]["value"]["kernel"], value.T)
    np.testing.assert_array_equal(params["fusion"]["cross"]["null_kv"], tensors["fusion_modulator.blocks.0.ca.null_kv"])


def test_class_rows_are_turned(tensors: dict[str, np.ndarray], target: Any) -> None:
    """Row 1 is attack upstream, column 0 here."""
    classifier = apply(TABLES[0], tensors, target)["params"]["classifier"]
    np.testing.assert_array_equal(classifier["kernel"][:, 0], tensors["cls_layer.layer.weight"][1])
    np.testing.assert_array_equal(classifier["kernel"][:, 1], tensors["cls_layer.layer.weight"][0])
    np.testing.assert_array_equal(classifier["bias"], tensors["cls_layer.layer.bias"][::-1])


@pytest.mark.parametrize(
    "key",
    ["fusion_modulator.blocks.1.mha.q_ln.weight", "content_Qformer.bert.pooler.dense.weight", "cue_generator.x", "w"],
)
def test_another_key_is_an_error(tensors: dict[str, np.ndarray], target: Any, key: str) -> None:
    with pytest.raises(WeightError, match=rf"\(1 problem\): '{key}' is not part of the format$"):
        apply(TABLES[0], {**tensors, key: np.ones(1, np.float32)}, target)


def test_a_layer_more_has_no_place(tensors: dict[str, np.ndarray], target: Any) -> None:
    """Unlike a BERT, a trained Q-Former is not cut."""
    more = {
        key.replace("layer.1.", "layer.7."): value
        for key, value in tensors.items()
        if key.startswith("style_Qformer.bert.encoder.layer.1.")
    }
    with pytest.raises(WeightError, match=rf"\({len(more)} problems\): 'style_Qformer.*layer\.7.*has no place"):
        apply(TABLES[0], {**tensors, **more}, target)


@pytest.mark.parametrize(
    "key", ["content_query_tokens", "t5_proj.bias", "fusion_modulator.blocks.0.ca.null_kv", "t5_model.lm_head.weight"]
)
def test_a_missing_key_is_an_error(tensors: dict[str, np.ndarray], target: Any, key: str) -> None:
    with pytest.raises(WeightError, match=r"\(1 problem\): '.*' of the model is not in the file$"):
        apply(TABLES[0], {name: value for name, value in tensors.items() if name != key}, target)


def test_scoring_needs_no_language_model(tensors: dict[str, np.ndarray], target: Any) -> None:
    assert any(key.startswith("t5_model.") for key in tensors)
    whole = apply(TABLES[0], tensors, target)
    part = apply(TABLES[0], tensors, {"params": target["params"]})
    assert set(part) == {"params"}
    jax.tree.map(np.testing.assert_array_equal, part["params"], whole["params"])


def test_half_a_language_model_is_an_error(tensors: dict[str, np.ndarray], target: Any) -> None:
    half = {"t5": {"encoder": target["frozen"]["t5"]["encoder"]}}
    with pytest.raises(WeightError, match="has no place in the model"):
        apply(TABLES[0], tensors, {"params": target["params"], "frozen": half})


def test_what_the_release_never_reads_is_left_out(tensors: dict[str, np.ndarray], target: Any) -> None:
    width = len(tensors["cls_layer.layer.weight"].T)
    more = {
        "visual_encoder.model.proj": np.zeros((width, 8), np.float32),
        "ssl_mlp.layer1.weight": np.zeros((4, width), np.float32),
        "ssl_mlp.bn1.num_batches_tracked": np.array(3),
        "content_Qformer.bert.embeddings.position_ids": np.arange(512)[None],
        "t5_model.encoder.embed_tokens.weight": tensors["t5_model.shared.weight"],
    }
    plain, found = (apply(TABLES[0], tensors | extra, target) for extra in ({}, more))
    jax.tree.map(np.testing.assert_array_equal, found, plain)


def test_a_language_model_in_four_bits_scores_and_does_not_answer(tensors: dict[str, np.ndarray], target: Any) -> None:
    key = "t5_model.encoder.block.0.layer.0.SelfAttention.q.weight"
    parts = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", "quant_state.bitsandbytes__fp4")
    packed = {**tensors, key: np.zeros((32, 1), np.uint8), **{f"{key}.{part}": np.zeros(3, np.uint8) for part in parts}}
    assert set(apply(TABLES[0], packed, {"params": target["params"]})) == {"params"}
    with pytest.raises(
        WeightError, match=r"\(1 problem\): 't5_model.*q\.weight': holds uint8 values where floating-point"
    ):
        apply(TABLES[0], packed, target)


def test_a_training_checkpoint_of_the_release(tmp_path: Path, tensors: dict[str, np.ndarray], target: Any) -> None:
    """Its names lie below `model` in a dict `state_dict`, beside what training needs."""
    torch = pytest.importorskip("torch", reason="writing a checkpoint needs torch (pip install '.[parity]')")
    named = {f"model.{key}": torch.from_numpy(value.copy()) for key, value in tensors.items()}
    named["model.style_Qformer.bert.embeddings.position_ids"] = torch.arange(512)[None]
    torch.save({"epoch": 3, "state_dict": named, "lr_schedulers": [{"last_epoch": 2}]}, tmp_path / "last.ckpt")
    found = load(tmp_path / "last.ckpt", target, ("flip_official", "instruct_flip_official"))
    jax.tree.map(np.testing.assert_array_equal, found, apply(TABLES[0], tensors, target))


def test_a_file_without_the_outer_name(tmp_path: Path, tensors: dict[str, np.ndarray], target: Any) -> None:
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, tmp_path / "model.safetensors")
    found = load(tmp_path, target, ("flip_official", "instruct_flip_official"))
    jax.tree.map(np.testing.assert_array_equal, found, apply(TABLES[0], tensors, target))
