"""Every block of the parameter table at ViT-B/16, counted on shapes alone."""

import importlib
import math
from typing import Any

import jax
import pytest

FLIP_MCL_BLOCKS = {
    "clip/image/patch_embed": 589_824,
    "clip/image/class_embedding": 768,
    "clip/image/position_embedding": 151_296,
    "clip/image/ln_pre": 1_536,
    **{f"clip/image/blocks_{i}": 7_087_872 for i in range(12)},
    "clip/image/ln_post": 1_536,
    "clip/image/proj": 393_216,
    "clip/image": 86_192_640,
    "clip/text/token_embedding": 25_296_896,
    "clip/text": 63_428_096,
    "clip/logit_scale": 1,
    "clip": 149_620_737,
    "projector": 19_947_776,
    "": 169_568_513,
}
FLIP_V_BLOCKS = {"head/fc": 393_728, "head/classifier": 1_026, "head": 394_754}
FLIP_V_PUBLISHED, UNREAD_PROJECTION = 86_587_394, 393_216


def shapes(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"flipjax.methods.{name}")
    config = importlib.import_module(f"configs.{name}").get_config()
    return jax.eval_shape(module.make(config).init, jax.random.key(0))


def count(tree: Any, path: str = "") -> int:
    for name in filter(None, path.split("/")):
        tree = tree[name]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def flip_mcl() -> dict[str, Any]:
    return shapes("flip_mcl")


def test_flip_mcl_block_by_block(flip_mcl) -> None:
    counted = {path: count(flip_mcl["params"], path) for path in FLIP_MCL_BLOCKS}
    assert counted == FLIP_MCL_BLOCKS
    assert count(flip_mcl["params"]["clip"]["text"]) - counted["clip/text/token_embedding"] == 38_131_200


def test_batch_norm_buffers(flip_mcl) -> None:
    # PyTorch's BatchNorm1d(4096), twice: running mean and variance.
    assert count(flip_mcl["model_state"]) == 16_384


def test_flip_it_is_clip(flip_mcl) -> None:
    params = shapes("flip_it")["params"]
    assert set(params) == {"clip"}
    assert jax.tree.structure(params["clip"]) == jax.tree.structure(flip_mcl["params"]["clip"])
    assert count(params) == 149_620_737


def test_flip_v_leaves_out_the_projection_that_nothing_reads() -> None:
    params = shapes("flip_v")["params"]
    assert {path: count(params, path) for path in FLIP_V_BLOCKS} == FLIP_V_BLOCKS
    assert "proj" not in params["clip"]["image"] and set(params["clip"]) == {"image"}
    assert count(params) == FLIP_V_PUBLISHED - UNREAD_PROJECTION == 86_194_178
