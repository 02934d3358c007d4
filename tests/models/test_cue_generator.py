"""The cue generator against convolutions written as loops, and the noise that attacks alone get."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.models.cue_generator import CueGenerator, add_cue_noise
from golden_cases import assert_within

GRID, WIDTH = 4, 10
PATCHES = jnp.asarray(np.random.default_rng(0).normal(size=(2, GRID**2, WIDTH)).astype(np.float32))


@pytest.fixture(scope="module")
def params() -> Any:
    return plain.scrambled(jax.eval_shape(CueGenerator(GRID).init, jax.random.key(0), PATCHES)["params"])


def convolved(params: Any, image: np.ndarray) -> np.ndarray:
    """Every cell sums its 3 x 3 neighbours; what lies outside is zero."""
    g = len(image)
    found = np.zeros((g, g, len(params["bias"])))
    for y in range(g):
        for x in range(g):
            found[y, x] = params["bias"]
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if 0 <= y + dy < g and 0 <= x + dx < g:
                        found[y, x] += image[y + dy, x + dx] @ params["kernel"][dy + 1, dx + 1]
    return found


@partial(jax.jit, static_argnums=2)
def applied(params: Any, patches: Any, dtype: Any = jnp.float32) -> Any:
    return CueGenerator(GRID, dtype).apply({"params": params}, patches)


def test_against_numpy(params: Any) -> None:
    own, images = plain.double(params), np.asarray(PATCHES, np.float64).reshape(2, GRID, GRID, WIDTH)
    expected = [convolved(own["conv2"], np.maximum(convolved(own["conv1"], image), 0)) for image in images]
    found = applied(params, PATCHES)
    assert found.shape == (2, GRID, GRID, 3) and float(found.min()) < 0 and float(found.max()) > 1, "nothing at the end"
    assert_within(found, np.stack(expected), 1e-5, "map")


def test_patches_are_read_row_by_row(params: Any) -> None:
    change = np.abs(np.asarray(applied(params, PATCHES.at[:, 3].add(1.0)) - applied(params, PATCHES))).max(axis=(0, 3))
    assert change[0, 3] > 1e-3
    # Two convolutions reach two cells, and token 3 is the last of row 0.
    np.testing.assert_array_equal(change > 0, np.pad(np.ones((3, 3), bool), ((0, 1), (1, 0))))


def test_sizes_and_fresh_weights_are_those_of_torch() -> None:
    fresh = jax.jit(CueGenerator(2).init)(jax.random.key(0), jnp.zeros((1, 4, 64)))["params"]
    assert fresh["conv1"]["kernel"].shape == (3, 3, 64, 32) and fresh["conv2"]["kernel"].shape == (3, 3, 32, 3)
    for name, fan_in in (("conv1", 9 * 64), ("conv2", 9 * 32)):
        kernel, bias = (float(np.abs(fresh[name][leaf]).max()) for leaf in ("kernel", "bias"))
        assert 0.98 * fan_in**-0.5 < kernel <= fan_in**-0.5
        assert 0 < bias <= fan_in**-0.5


def test_bfloat16_is_near_and_returns_float32(params: Any) -> None:
    low = applied(params, PATCHES, jnp.bfloat16)
    assert low.dtype == jnp.float32
    assert_within(low, applied(params, PATCHES), 0.03)


def test_noise_goes_to_attacks_alone() -> None:
    noise = jnp.asarray(np.random.default_rng(1).normal(size=PATCHES.shape).astype(np.float32))
    found = add_cue_noise(PATCHES, noise, jnp.array([True, False]), 0.5)
    np.testing.assert_array_equal(found[1], PATCHES[1])
    np.testing.assert_allclose(found[0], np.asarray(PATCHES)[0] + 0.5 * np.asarray(noise)[0], rtol=1e-6)
    np.testing.assert_array_equal(add_cue_noise(PATCHES, noise, jnp.array([True, True]), 0.0), PATCHES)
