"""FLIP-V's head and FLIP-MCL's projector: golden numbers, plain NumPy, dropout, initial values, gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.models.heads import Projector, UnitColumnHead, project_unit_columns
from golden_cases import assert_within

WIDTH, EMBED = 6, 8


def small_head() -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, WIDTH)).astype(np.float32)
    return plain.scrambled(jax.eval_shape(UnitColumnHead(EMBED).init, jax.random.key(0), jnp.asarray(x))["params"]), x


@jax.jit
def run(params: Any, x: Any, keep: Any = None) -> Any:
    return UnitColumnHead(params["fc"]["bias"].shape[0]).apply({"params": params}, x, keep)


def golden_head() -> tuple[Any, np.ndarray]:
    """Inputs and weights of the published check (NumPy float64 evaluation of the head's formulas, 2026-11)."""
    k, o, i, c = np.arange(768), np.arange(512), np.arange(2), np.arange(2)
    x = np.sin(0.01 * (k[None] + 1) * (i[:, None] + 1))
    w1 = 0.005 * np.cos(0.003 * (768 * o[:, None] + k[None]))
    w2 = 0.01 * np.sin(0.02 * (512 * c[:, None] + o[None]) + 0.3)
    kernel = jax.jit(project_unit_columns)(jnp.asarray(w2.T, jnp.float32))
    params = {
        "fc": {"kernel": w1.T.astype(np.float32), "bias": np.full(512, 0.1, np.float32)},
        "classifier": {"kernel": kernel, "bias": np.zeros(2, np.float32)},
    }
    return params, x.astype(np.float32)


def test_golden_logits() -> None:
    params, x = golden_head()
    assert_within(run(params, x), np.array([[4.32357061, 0.63532511], [3.33479853, 0.49750123]]), 1e-5)


def test_golden_lengths() -> None:
    # With a classifier row along f itself the logit is the length of g = sqrt(||f|| / 2).
    params, x = golden_head()
    f = np.maximum(x @ params["fc"]["kernel"] + params["fc"]["bias"], 0)
    lengths = np.linalg.norm(f, axis=1)
    assert_within(lengths, np.array([7.39548662, 3.69723617]), 1e-5)
    along = {"kernel": (f / lengths[:, None]).T, "bias": np.zeros(2, np.float32)}
    logits = run({**params, "classifier": along}, x)
    assert_within(np.diag(logits), np.array([1.92295172, 1.35963895]), 1e-5)


def test_unit_columns_are_pairs_of_class_weights() -> None:
    kernel = np.random.default_rng(1).normal(0, 0.01, (512, 2)).astype(np.float32)
    projected = jax.jit(project_unit_columns)(kernel)
    assert_within(np.linalg.norm(projected, axis=1), np.ones(512), 1e-6)
    assert_within(projected[7], kernel[7] / np.hypot(*kernel[7]), 1e-6)
    assert_within(jax.jit(project_unit_columns)(projected), projected, 1e-6, "twice")


@pytest.mark.parametrize("dropout", [False, True])
def test_head_against_numpy(dropout) -> None:
    params, x = small_head()
    keep = np.arange(3 * EMBED).reshape(3, EMBED) % 3 > 0 if dropout else None
    expected = plain.unit_column_head(plain.double(params), x.astype(np.float64), keep)
    assert_within(run(params, x, keep), expected, 1e-5)


def test_norm_is_differentiated() -> None:
    params, x = small_head()
    weights = np.array([[1.0, -0.5], [0.3, 0.8], [-1.0, 0.2]])

    def reference(x: np.ndarray) -> float:
        return float(np.sum(weights * plain.unit_column_head(plain.double(params), x)))

    gradient = jax.jit(jax.grad(lambda x: jnp.sum(weights * run(params, x))))(x)
    assert_within(gradient, plain.numerical_gradient(reference, x.astype(np.float64)), 1e-4)


def test_a_row_without_active_units_is_finite() -> None:
    params, x = small_head()
    params["fc"]["bias"] = np.full(EMBED, -1e3, np.float32)
    logits, gradient = jax.jit(jax.value_and_grad(lambda p: run(p, x).sum()))(params)
    assert float(logits) == pytest.approx(3 * float(params["classifier"]["bias"].sum()), rel=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_initial_values_are_the_released_ones() -> None:
    params = jax.jit(UnitColumnHead().init)(jax.random.key(0, impl="rbg"), jnp.zeros((1, 768)))["params"]
    fc, classifier = params["fc"], params["classifier"]
    assert float(fc["kernel"].std()) == pytest.approx(0.005, rel=0.02)
    assert float(classifier["kernel"].std()) == pytest.approx(0.01, rel=0.1)
    np.testing.assert_array_equal(fc["bias"], np.full(512, np.float32(0.1)))
    np.testing.assert_array_equal(classifier["bias"], np.zeros(2))


def test_projector_against_numpy() -> None:
    x = np.random.default_rng(2).normal(size=(5, 2, WIDTH)).astype(np.float32)
    x[:, 1] = 3 * x[:, 1] + 5
    module, mask = Projector(hidden=7, out=4), np.ones(5, bool)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(x), jnp.asarray(mask))
    params = plain.scrambled(shapes["params"])
    stats = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes["batch_stats"])
    variables = {"params": params, "batch_stats": stats}
    apply = jax.jit(lambda x, mask: module.apply(variables, x, mask, mutable=["batch_stats"]))
    out, updated = apply(x, mask)
    expected = plain.projector(plain.double(params), x.astype(np.float64))
    assert_within(out, expected, 1e-5)
    assert set(updated["batch_stats"]) == {"bn1", "bn2"} and np.any(updated["batch_stats"]["bn2"]["mean"] != 0)
    padded, _ = apply(np.concatenate([x, 50 * x[:3]]), np.arange(8) < 5)
    assert_within(padded[:5], expected, 1e-5, "with padding")


def test_projector_starts_as_torch_does() -> None:
    module = Projector(hidden=32, out=16)
    params = jax.jit(module.init)(jax.random.key(0, impl="rbg"), jnp.zeros((2, 2, 64)), jnp.ones(2, bool))["params"]
    for name, fan_in in (("fc1", 64), ("fc2", 32), ("fc3", 32)):
        for leaf in (params[name]["kernel"], params[name]["bias"]):
            assert 0.8 * fan_in**-0.5 < float(jnp.abs(leaf).max()) <= fan_in**-0.5, name
    for name in ("bn1", "bn2"):
        np.testing.assert_array_equal(params[name]["scale"], np.ones(32))
        np.testing.assert_array_equal(params[name]["bias"], np.zeros(32))
