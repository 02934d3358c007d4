"""Cross-entropy: by hand, against plain NumPy, gradients, padding, order, extremes, devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

import plain_numpy as plain
from flipjax.losses.classification import cross_entropy
from flipjax.training.sharding import make_mesh
from golden_cases import assert_within

ROWS = 8
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (ROWS, 2)).astype(np.float32)
LABELS = RNG.random(ROWS) < 0.4
ALL = np.ones(ROWS, bool)
compute = jax.jit(cross_entropy)
differentiate = jax.jit(jax.grad(cross_entropy))


def test_by_hand() -> None:
    # Equal logits: ln 2. Logits (0, ln 3): P(bona fide) = 3/4.
    logits = np.array([[5.0, 5.0], [0.0, np.log(3)], [0.0, np.log(3)]], np.float32)
    for row, is_bona_fide, expected in ((0, True, np.log(2)), (1, True, -np.log(0.75)), (2, False, -np.log(0.25))):
        loss = compute(logits[row : row + 1], np.array([is_bona_fide]), np.ones(1, bool))
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_value_and_gradient_against_numpy() -> None:
    assert_within(compute(LOGITS, LABELS, ALL), plain.cross_entropy(LOGITS.astype(np.float64), LABELS), 1e-6)
    expected = plain.numerical_gradient(lambda x: plain.cross_entropy(x, LABELS), LOGITS.astype(np.float64))
    assert_within(differentiate(LOGITS, LABELS, ALL), expected, 1e-4)


@pytest.mark.parametrize("padding", [0.0, 1e4])
def test_mask_equals_removal(padding) -> None:
    mask = np.array([True, False, True, True, False, False, True, True])
    logits = np.where(mask[:, None], LOGITS, padding).astype(np.float32)
    assert_within(
        compute(logits, LABELS, mask), plain.cross_entropy(LOGITS[mask].astype(np.float64), LABELS[mask]), 1e-6
    )
    gradient = np.asarray(differentiate(logits, LABELS, mask))
    assert not gradient[~mask].any() and gradient[mask].all()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.permutations(range(ROWS)))
def test_order_of_the_batch_does_not_matter(order) -> None:
    order = np.array(order)
    assert_within(compute(LOGITS[order], LABELS[order], ALL), compute(LOGITS, LABELS, ALL), 1e-6)


def test_extreme_logits_stay_finite() -> None:
    logits = np.array([[1e30, -1e30], [-1e4, 1e4], [0, 0], [100, 100]] * 2, np.float32)
    gradient = np.asarray(differentiate(logits, LABELS, ALL))
    assert np.isfinite(compute(logits, LABELS, ALL)) and np.isfinite(gradient).all()


def test_half_precision_logits_are_summed_in_float32() -> None:
    low = jnp.asarray(LOGITS, jnp.bfloat16)
    loss = compute(low, LABELS, ALL)
    assert loss.dtype == jnp.float32
    assert_within(loss, plain.cross_entropy(np.asarray(low, np.float64), LABELS), 1e-6)


def test_jit_equals_eager() -> None:
    eager = cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS), jnp.asarray(ALL))
    assert_within(compute(LOGITS, LABELS, ALL), eager, 1e-6)


def test_one_and_eight_devices_agree() -> None:
    mask = np.arange(ROWS) < 5
    place = NamedSharding(make_mesh(8, 1), PartitionSpec("data"))
    inputs: Any = [jax.device_put(value, place) for value in (LOGITS, LABELS, mask)]
    assert len(inputs[0].sharding.device_set) == 8
    assert_within(compute(*inputs), compute(LOGITS, LABELS, mask), 1e-6)
    assert_within(differentiate(*inputs), differentiate(LOGITS, LABELS, mask), 1e-6)
