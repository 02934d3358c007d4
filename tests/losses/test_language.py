"""The token mean of the language losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.losses.language import token_cross_entropy

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(RNG.normal(size=(3, 4, 7)).astype(np.float32))
IDS = jnp.asarray(RNG.integers(0, 7, size=(3, 4)))
MASK = jnp.asarray(np.arange(4) < np.array([[4], [1], [0]]))


def test_by_hand_longer_answers_weigh_more() -> None:
    # Row 0: three tokens of probability 1/2; row 1: one of probability 1/4. Mean of four tokens, not of two rows.
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25]] * 3, [[0.5, 0.25, 0.25]] * 3]))
    ids, mask = jnp.array([[0, 0, 0], [1, 0, 0]]), jnp.array([[1, 1, 1], [1, 0, 0]], bool)
    np.testing.assert_allclose(token_cross_entropy(logits, ids, mask), (3 * np.log(2) + np.log(4)) / 4, rtol=1e-6)


def test_equals_a_plain_sum_over_real_tokens() -> None:
    x = np.asarray(LOGITS, np.float64)
    log_probability = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    picked = [log_probability[i, j, IDS[i, j]] for i in range(3) for j in range(4) if MASK[i, j]]
    expected = -np.mean(picked)
    np.testing.assert_allclose(token_cross_entropy(LOGITS, IDS, MASK), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(token_cross_entropy)(LOGITS, IDS, MASK), expected, rtol=1e-6)


def test_gradient_is_softmax_less_one_hot() -> None:
    gradient = jax.grad(token_cross_entropy)(LOGITS, IDS, MASK)
    expected = (jax.nn.softmax(LOGITS) - jax.nn.one_hot(IDS, 7)) * MASK[..., None] / 5
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


def test_masked_tokens_count_for_nothing() -> None:
    other = jnp.where(MASK[..., None], LOGITS, 1e4), jnp.where(MASK, IDS, 6)
    np.testing.assert_array_equal(token_cross_entropy(*other, MASK), token_cross_entropy(LOGITS, IDS, MASK))


def test_nothing_left_is_exactly_zero() -> None:
    value, gradient = jax.value_and_grad(token_cross_entropy)(LOGITS, IDS, jnp.zeros_like(MASK))
    assert value == 0 and not gradient.any()


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_extreme_logits_stay_finite(scale) -> None:
    value, gradient = jax.value_and_grad(token_cross_entropy)(LOGITS * scale, IDS, MASK)
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_bfloat16_logits_are_summed_in_float32() -> None:
    low = LOGITS.astype(jnp.bfloat16)
    value = token_cross_entropy(low, IDS, MASK)
    assert value.dtype == jnp.float32
    np.testing.assert_array_equal(value, token_cross_entropy(low.astype(jnp.float32), IDS, MASK))
