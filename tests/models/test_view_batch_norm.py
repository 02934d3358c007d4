"""Masked batch norm per view: a plain statement, padding, running statistics, several devices, gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import plain_numpy as plain
from flipjax.models.layers import ViewBatchNorm
from flipjax.training.sharding import make_mesh
from golden_cases import assert_within

ROWS, VIEWS, WIDTH, MOMENTUM = 5, 2, 3, 0.1
RNG = np.random.default_rng(0)
# Views with clearly different means and spreads, so that statistics over both at once would show.
X = (RNG.normal(size=(ROWS, VIEWS, WIDTH)) * [[1.0], [4.0]] + [[0.0], [7.0]]).astype(np.float32)
PARAMS = {"scale": np.array([1.5, -0.5, 2.0], np.float32), "bias": np.array([0.3, 0.0, -1.0], np.float32)}
STATS = {"mean": np.array([1.0, -2.0, 0.5], np.float32), "var": np.array([0.5, 2.0, 3.0], np.float32)}


@jax.jit
def run(x: Any, mask: Any) -> Any:
    variables = {"params": PARAMS, "batch_stats": STATS}
    return ViewBatchNorm().apply(variables, x, mask, mutable=["batch_stats"])


def padded(x: np.ndarray, value: float) -> tuple[np.ndarray, np.ndarray]:
    """Scatters the rows of `x` among rows of `value`."""
    mask = np.array([True, False, True, True, False, True, True, False])
    out = np.full((8, *x.shape[1:]), value, np.float32)
    out[mask] = x
    return out, mask


def expected_statistics(x: np.ndarray) -> dict[str, np.ndarray]:
    """Two PyTorch calls, one per view: running variance takes the unbiased one."""
    mean, var = STATS["mean"].astype(np.float64), STATS["var"].astype(np.float64)
    for view in range(x.shape[1]):
        rows = x[:, view].astype(np.float64)
        mean = (1 - MOMENTUM) * mean + MOMENTUM * rows.mean(axis=0)
        var = (1 - MOMENTUM) * var + MOMENTUM * rows.var(axis=0, ddof=1)
    return {"mean": mean, "var": var}


def test_values_view_by_view() -> None:
    out, _ = run(X, np.ones(ROWS, bool))
    for view in range(VIEWS):
        expected = plain.batch_norm(plain.double(PARAMS), X[:, view].astype(np.float64))
        assert_within(out[:, view], expected, 1e-5, f"view {view}")


def test_running_statistics_take_the_unbiased_variance_view_after_view() -> None:
    _, updated = run(X, np.ones(ROWS, bool))
    expected = expected_statistics(X)
    for name in ("mean", "var"):
        assert_within(updated["batch_stats"][name], expected[name], 1e-6, name)


@pytest.mark.parametrize("value", [0.0, -1e6])
def test_padding_counts_for_nothing(value) -> None:
    x, mask = padded(X, value)
    out, updated = run(x, mask)
    alone, updated_alone = run(X, np.ones(ROWS, bool))
    assert_within(out[mask], alone, 1e-6, "values")
    for name in ("mean", "var"):
        assert_within(updated["batch_stats"][name], updated_alone["batch_stats"][name], 1e-6, name)


def test_a_single_real_row_stays_finite() -> None:
    out, updated = run(X, np.arange(ROWS) == 0)
    assert_within(out[0], np.broadcast_to(PARAMS["bias"], (VIEWS, WIDTH)), 1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((out, updated)))


def test_initialising_leaves_the_statistics_at_zero_and_one() -> None:
    stats = jax.jit(ViewBatchNorm().init)(jax.random.key(0), X, np.ones(ROWS, bool))["batch_stats"]
    np.testing.assert_array_equal(stats["mean"], np.zeros(WIDTH))
    np.testing.assert_array_equal(stats["var"], np.ones(WIDTH))


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_statistics_are_those_of_the_global_batch(devices) -> None:
    mesh = make_mesh(-1, 1, jax.devices()[:devices])
    x, mask = padded(X, 9.0)
    place = NamedSharding(mesh, PartitionSpec("data"))
    out, updated = run(jax.device_put(x, place), jax.device_put(mask, place))
    alone, updated_alone = run(X, np.ones(ROWS, bool))
    assert_within(np.asarray(out)[mask], alone, 1e-6, "values")
    jax.tree.map(lambda a, b: assert_within(a, b, 1e-6), updated, updated_alone)


def test_gradient_against_differences_and_none_for_padding() -> None:
    x, mask = padded(X, 2.0)
    weights = np.random.default_rng(1).normal(size=x.shape)

    def scalar(x: Any) -> Any:
        return jnp.sum(jnp.where(mask[:, None, None], run(x, mask)[0], 0) * weights)

    def reference(rows: np.ndarray) -> float:
        normed = [plain.batch_norm(plain.double(PARAMS), rows[:, view]) for view in range(VIEWS)]
        return float(np.sum(np.stack(normed, axis=1) * weights[mask]))

    gradient = np.asarray(jax.jit(jax.grad(scalar))(x))
    assert_within(gradient[mask], plain.numerical_gradient(reference, X.astype(np.float64)), 1e-4)
    assert not gradient[~mask].any()
