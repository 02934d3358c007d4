"""NT-Xent: golden numbers, plain NumPy, gradients, padding, symmetries, extremes, devices."""

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
from flipjax.losses.contrastive import nt_xent
from flipjax.training.sharding import make_mesh
from golden_cases import assert_within

ROWS, WIDTH = 8, 5
RNG = np.random.default_rng(0)
H1, H2 = RNG.normal(size=(2, ROWS, WIDTH)).astype(np.float32)
ALL = np.ones(ROWS, bool)
SOME = np.array([True, False, True, True, False, True, False, True])
compute = jax.jit(nt_xent, static_argnames="temperature")
differentiate = jax.jit(jax.grad(nt_xent, argnums=(0, 1)))


def golden_views() -> tuple[np.ndarray, np.ndarray]:
    index = 8 * np.arange(4)[:, None] + np.arange(8)[None]
    return np.sin(1 + index).astype(np.float32), np.cos(0.5 + 0.7 * index).astype(np.float32)


def test_golden_values() -> None:
    # NumPy float64 evaluation of the formula, temperature 0.1, 2026-11.
    h1, h2 = golden_views()
    mask = np.ones(4, bool)
    assert float(compute(h1, h2, mask)) == pytest.approx(5.061285775650505, rel=1e-6)
    # Terms of size 10 cancel here, so float32 leaves about 1e-6.
    assert float(compute(h1, h1, mask)) == pytest.approx(0.0033542574450229345, abs=2e-6)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_value_against_numpy(temperature) -> None:
    expected = plain.nt_xent(H1.astype(np.float64), H2.astype(np.float64), temperature)
    assert_within(compute(H1, H2, ALL, temperature=temperature), expected, 1e-6)


def test_gradients_against_differences() -> None:
    first, second = H1.astype(np.float64), H2.astype(np.float64)
    gradients = differentiate(H1, H2, ALL)
    assert_within(gradients[0], plain.numerical_gradient(lambda x: plain.nt_xent(x, second), first), 1e-4)
    assert_within(gradients[1], plain.numerical_gradient(lambda x: plain.nt_xent(first, x), second), 1e-4)


@pytest.mark.parametrize("padding", [0.0, 50.0])
def test_padding_is_neither_row_nor_negative(padding) -> None:
    views = [np.where(SOME[:, None], h, padding).astype(np.float32) for h in (H1, H2)]
    expected = plain.nt_xent(*(h[SOME].astype(np.float64) for h in (H1, H2)))
    assert_within(compute(*views, SOME), expected, 1e-6)
    for gradient in differentiate(*views, SOME):
        assert not np.asarray(gradient)[~SOME].any() and np.isfinite(gradient).all()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.permutations(range(ROWS)), st.floats(0.01, 100))
def test_order_views_and_lengths_do_not_matter(order, factor) -> None:
    order = np.array(order)
    plain_value = compute(H1, H2, SOME)
    assert_within(compute(H1[order], H2[order], SOME[order]), plain_value, 1e-6, "order")
    assert_within(compute(H2, H1, SOME), plain_value, 1e-6, "views swapped")
    assert_within(compute(H1 * np.float32(factor), H2, SOME), plain_value, 1e-5, "length")


def test_pairs_matter() -> None:
    assert abs(float(compute(H1, np.roll(H2, 1, axis=0), ALL)) - float(compute(H1, H2, ALL))) > 0.01


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
def test_extreme_rows_stay_finite(scale) -> None:
    h1, h2 = H1 * np.float32(scale), H2 * np.float32(scale)
    assert np.isfinite(compute(h1, h2, ALL))
    assert all(np.isfinite(gradient).all() for gradient in differentiate(h1, h2, ALL))


def test_a_single_pair_costs_nothing() -> None:
    # With one image the partner is the only other row.
    assert float(compute(H1, H2, np.arange(ROWS) == 3)) == pytest.approx(0.0, abs=1e-6)


def test_half_precision_rows_are_compared_in_float32() -> None:
    low = [jnp.asarray(h, jnp.bfloat16) for h in (H1, H2)]
    loss = compute(*low, ALL)
    assert loss.dtype == jnp.float32
    assert_within(loss, plain.nt_xent(*(np.asarray(h, np.float64) for h in low)), 1e-5)


def test_jit_equals_eager() -> None:
    eager = nt_xent(jnp.asarray(H1), jnp.asarray(H2), jnp.asarray(SOME))
    assert_within(compute(H1, H2, SOME), eager, 1e-6)


def test_negatives_come_from_every_device() -> None:
    place = NamedSharding(make_mesh(8, 1), PartitionSpec("data"))
    inputs: Any = [jax.device_put(value, place) for value in (H1, H2, SOME)]
    assert len(inputs[0].sharding.device_set) == 8
    assert_within(compute(*inputs), compute(H1, H2, SOME), 1e-6)
    jax.tree.map(partial(assert_within, tolerance=1e-5), differentiate(*inputs), differentiate(H1, H2, SOME))
