"""The view consistency term: by hand, against plain NumPy, gradients, padding, symmetries, extremes, devices."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

import plain_numpy as plain
from flipjax.losses.consistency import view_consistency
from flipjax.training.sharding import make_mesh
from golden_cases import assert_within

ROWS, WIDTH = 8, 4
RNG = np.random.default_rng(0)
IMAGES, TEXTS = RNG.normal(size=(2, ROWS, 2, WIDTH)).astype(np.float32)
ALL = np.ones(ROWS, bool)
SOME = np.array([True, False, True, True, False, True, False, True])
compute = jax.jit(view_consistency)
differentiate = jax.jit(jax.grad(view_consistency, argnums=(0, 1)))


def test_by_hand() -> None:
    # Cosines 1 and 0 in the first sample, 0.6 and -1 in the second: (1^2 + 1.6^2) / 2.
    images = np.array([[[2, 0], [0, 1]], [[1, 0], [0, 5]]], np.float32)
    texts = np.array([[[7, 0], [3, 0]], [[3, 4], [0, -2]]], np.float32)
    assert float(compute(images, texts, np.ones(2, bool))) == pytest.approx((1 + 1.6**2) / 2, rel=1e-6)


def test_value_and_gradients_against_numpy() -> None:
    images, texts = IMAGES.astype(np.float64), TEXTS.astype(np.float64)
    assert_within(compute(IMAGES, TEXTS, ALL), plain.view_consistency(images, texts), 1e-6)
    gradients = differentiate(IMAGES, TEXTS, ALL)
    for gradient, expected in (
        (gradients[0], plain.numerical_gradient(lambda x: plain.view_consistency(x, texts), images)),
        (gradients[1], plain.numerical_gradient(lambda x: plain.view_consistency(images, x), texts)),
    ):
        assert_within(gradient, expected, 1e-4)


@pytest.mark.parametrize("padding", [0.0, 50.0])
def test_mask_equals_removal(padding) -> None:
    images = np.where(SOME[:, None, None], IMAGES, padding).astype(np.float32)
    expected = plain.view_consistency(IMAGES[SOME].astype(np.float64), TEXTS[SOME].astype(np.float64))
    assert_within(compute(images, TEXTS, SOME), expected, 1e-6)
    for gradient in differentiate(images, TEXTS, SOME):
        assert not np.asarray(gradient)[~SOME].any() and np.isfinite(gradient).all()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.permutations(range(ROWS)), st.floats(0.01, 100))
def test_order_views_and_lengths_do_not_matter(order, factor) -> None:
    order = np.array(order)
    value = compute(IMAGES, TEXTS, SOME)
    assert_within(compute(IMAGES[order], TEXTS[order], SOME[order]), value, 1e-6, "order")
    assert_within(compute(IMAGES[:, ::-1], TEXTS[:, ::-1], SOME), value, 1e-6, "views swapped")
    assert_within(compute(IMAGES * np.float32(factor), TEXTS, SOME), value, 1e-5, "length")


def test_equal_views_cost_nothing() -> None:
    same = np.repeat(IMAGES[:, :1], 2, axis=1), np.repeat(TEXTS[:, :1], 2, axis=1)
    assert float(compute(*same, ALL)) == 0.0


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
def test_extreme_rows_stay_finite(scale) -> None:
    images, texts = IMAGES * np.float32(scale), TEXTS
    assert 0 <= float(compute(images, texts, ALL)) <= 4
    assert all(np.isfinite(gradient).all() for gradient in differentiate(images, texts, ALL))


def test_jit_equals_eager() -> None:
    eager = view_consistency(jnp.asarray(IMAGES), jnp.asarray(TEXTS), jnp.asarray(SOME))
    assert_within(compute(IMAGES, TEXTS, SOME), eager, 1e-6)


def test_one_and_eight_devices_agree() -> None:
    place = NamedSharding(make_mesh(8, 1), PartitionSpec("data"))
    inputs: Any = [jax.device_put(value, place) for value in (IMAGES, TEXTS, SOME)]
    assert len(inputs[0].sharding.device_set) == 8
    assert_within(compute(*inputs), compute(IMAGES, TEXTS, SOME), 1e-6)
    jax.tree.map(partial(assert_within, tolerance=1e-5), differentiate(*inputs), differentiate(IMAGES, TEXTS, SOME))
