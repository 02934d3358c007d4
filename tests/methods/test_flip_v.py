"""FLIP-V: head and tower put together, dropout, the unit columns through training, its switches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
import tiny_methods as tiny
from flipjax.models.layers import CLIP_MEAN_STD, IMAGENET_MEAN_STD
from golden_cases import assert_within

ROWS = 5
BATCH = {name: value for name, value in tiny.batch_of(ROWS).items() if name != "ssl_views"}


@pytest.fixture(scope="module")
def case():
    method = tiny.make("flip_v")
    variables = tiny.variables_of(method)
    return method, variables, jax.jit(method.score)


def normalised(constants=IMAGENET_MEAN_STD) -> np.ndarray:
    mean, std = np.array(constants)
    return (np.asarray(BATCH["image"]) / 255.0 - mean) / std


def reference_logits(params, images: np.ndarray, *, feature: str = "class_token", keep=None) -> np.ndarray:
    params = plain.double(params)
    image = params["clip"]["image"] | {"proj": params["clip"]["image"].get("proj", np.zeros((32, 1)))}
    return plain.unit_column_head(params["head"], plain.image_tower(image, images, heads=2)[feature], keep)


def test_score_is_the_softmax_of_head_on_class_token_without_dropout(case) -> None:
    method, variables, score = case
    expected = plain.softmax(reference_logits(variables["params"], normalised()))[:, 1]
    assert_within(score(method.prepare(variables["params"], {}, {}), BATCH), expected, 1e-5)


def test_loss_is_cross_entropy_under_the_drawn_dropout(case) -> None:
    method, variables, _ = case
    draws = jax.jit(method.draws)(jax.random.key(1), BATCH)
    loss, aux = jax.jit(method.loss)(variables["params"], {}, {}, BATCH, draws)
    logits = reference_logits(variables["params"], normalised(), keep=np.asarray(draws["keep"]))
    assert_within(loss, plain.cross_entropy(logits, np.asarray(BATCH["is_bona_fide"])), 1e-5)
    assert set(aux.terms) == {"ce"} and float(aux.terms["ce"]) == float(loss)


def test_draws_depend_on_key_and_slot_alone(case) -> None:
    method = case[0]
    draw = jax.jit(method.draws)
    long = draw(jax.random.key(1), {"mask": jnp.zeros(64, bool)})["keep"]
    short = draw(jax.random.key(1), {"mask": jnp.ones(3, bool)})["keep"]
    np.testing.assert_array_equal(long[:3], short)
    assert len(np.unique(np.asarray(long), axis=0)) == 64, "slots share a mask"
    assert np.any(long != draw(jax.random.key(2), {"mask": jnp.zeros(64, bool)})["keep"])
    assert float(long.mean()) == pytest.approx(0.5, abs=0.04)


def test_columns_are_unit_at_the_start_and_after_steps(case) -> None:
    method, variables, _ = case
    before, after = tiny.after_steps(method, BATCH, 2, variables["params"])
    kernels = [np.asarray(state.params["head"]["classifier"]["kernel"]) for state in (before, after)]
    for kernel in kernels:
        assert_within(np.linalg.norm(kernel, axis=1), np.ones(len(kernel)), 1e-6)
    assert np.abs(kernels[1] - kernels[0]).max() > 1e-3, "the classifier does not train"
    start = np.asarray(variables["params"]["head"]["classifier"]["kernel"])
    assert_within(kernels[0], start / np.linalg.norm(start, axis=1, keepdims=True), 1e-6)


def test_projected_feature_switch(case) -> None:
    method = tiny.make("flip_v", method__feature="projected")
    variables = tiny.variables_of(method)
    assert variables["params"]["clip"]["image"]["proj"].shape == (32, 16)
    assert variables["params"]["head"]["fc"]["kernel"].shape == (16, 32)
    assert "proj" not in case[1]["params"]["clip"]["image"]
    expected = plain.softmax(reference_logits(variables["params"], normalised(), feature="embed"))[:, 1]
    assert_within(jax.jit(method.score)(variables["params"], BATCH), expected, 1e-5)


def test_normalization_switch(case) -> None:
    _, variables, score = case
    clip = tiny.make("flip_v", data__normalization="clip")
    scores = jax.jit(clip.score)(variables["params"], BATCH)
    expected = plain.softmax(reference_logits(variables["params"], normalised(CLIP_MEAN_STD)))[:, 1]
    assert_within(scores, expected, 1e-5)
    assert np.abs(scores - score(variables["params"], BATCH)).max() > 1e-5
