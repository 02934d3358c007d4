"""The cue map's loss: both formulas by hand, masks, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.losses.cue import cue_loss

RNG = np.random.default_rng(0)
MAPS = jnp.asarray(RNG.normal(0.5, 0.7, size=(4, 3, 3, 3)).astype(np.float32))
IS_ATTACK = jnp.array([True, False, True, False])
MASK = jnp.array([True, True, True, False])
compute = jax.jit(jax.value_and_grad(cue_loss), static_argnames="quadratic")


def one_cell(distance: float, is_attack: bool, quadratic: float) -> float:
    cell = 1.0 - distance if is_attack else distance
    everywhere = jnp.full((1, 2, 2, 3), cell, jnp.float32)
    return float(compute(everywhere, jnp.array([is_attack]), jnp.array([True]), quadratic=quadratic)[0])


@pytest.mark.parametrize("is_attack", [True, False])
@pytest.mark.parametrize(
    ("distance", "quadratic", "expected"),
    [
        (0.0, 0.5, 0.0),
        (0.004, 0.5, 0.0008),  # 0.5 * 0.004^2 / 0.01
        (0.004, 1.0, 0.0016),  # 0.004^2 / 0.01
        (0.0099, 0.5, 0.0049005),
        (0.0099, 1.0, 0.009801),
        (0.0101, 0.5, 0.0051),  # d - 0.005 above 0.01: smooth in the code, a step in the paper
        (0.0101, 1.0, 0.0051),
        (0.75, 0.5, 0.745),
        (-3.0, 0.5, 2.995),  # beyond the target
        (2.0, 1.0, 1.995),
    ],
)
def test_by_hand(distance: float, quadratic: float, expected: float, is_attack: bool) -> None:
    assert one_cell(distance, is_attack, quadratic) == pytest.approx(expected, abs=1e-6, rel=1e-3)


@pytest.mark.parametrize("quadratic", [0.5, 1.0])
def test_mean_over_cells_channels_and_real_rows(quadratic: float) -> None:
    near = MAPS.at[0, 0].set(1.003)  # some cells within beta
    rows = []
    for cells, is_attack in zip(np.asarray(near, np.float64)[:3], (1.0, 0.0, 1.0), strict=True):
        d = np.abs(cells - is_attack).ravel()
        rows.append(np.mean([quadratic * x * x / 0.01 if x < 0.01 else x - 0.005 for x in d]))
    eager, compiled = (f(near, IS_ATTACK, MASK, quadratic=quadratic) for f in (cue_loss, compute))
    np.testing.assert_allclose([eager, compiled[0]], np.mean(rows), rtol=1e-5)


def test_the_released_formula_is_the_default_and_equals_torch() -> None:
    torch = pytest.importorskip("torch")
    target = np.broadcast_to(np.asarray(IS_ATTACK, np.float32)[:, None, None, None], MAPS.shape).copy()
    theirs = torch.nn.SmoothL1Loss(beta=0.01)(torch.from_numpy(np.array(MAPS)), torch.from_numpy(target))
    np.testing.assert_allclose(cue_loss(MAPS, IS_ATTACK, jnp.ones(4, bool)), theirs.item(), rtol=1e-6)


def test_padding_counts_for_nothing() -> None:
    value, gradient = compute(MAPS, IS_ATTACK, MASK)
    np.testing.assert_array_equal(compute(MAPS.at[3].set(1e6), IS_ATTACK, MASK)[0], value)
    np.testing.assert_allclose(cue_loss(MAPS[:3], IS_ATTACK[:3], MASK[:3]), value, rtol=1e-6)
    assert not np.asarray(gradient)[3].any()
    value, gradient = compute(MAPS, IS_ATTACK, jnp.zeros(4, bool))
    assert value == 0 and not np.asarray(gradient).any()


@pytest.mark.parametrize("quadratic", [0.5, 1.0])
def test_gradient(quadratic: float) -> None:
    near = MAPS.at[0, 0].set(1.003)
    _, gradient = compute(near, IS_ATTACK, MASK, quadratic=quadratic)
    error = np.asarray(near, np.float64) - np.array([1, 0, 1, 0])[:, None, None, None]
    slope = np.where(np.abs(error) < 0.01, 2 * quadratic * error / 0.01, np.sign(error))
    np.testing.assert_allclose(gradient, slope * np.asarray(MASK)[:, None, None, None] / (3 * 27), atol=1e-6)


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_extreme_maps_stay_finite(scale: float) -> None:
    value, gradient = compute(MAPS * scale, IS_ATTACK, MASK)
    assert np.isfinite(value) and np.isfinite(gradient).all()
