"""Dropout with one key per row: its masks belong to key and path, its values to the rate."""

import zlib
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.models.layers import Dropout
from flipjax.training.sharding import make_mesh

ROWS = 16
X = jnp.asarray(np.random.default_rng(0).normal(size=(ROWS, 5, 40)).astype(np.float32))
KEYS = jax.random.key_data(jax.random.split(jax.random.key(0), ROWS))


class Pair(nn.Module):
    """Two dropouts that a same key reaches, one of them in a module of its own."""

    @nn.compact
    def __call__(self, x: Any, keys: Any) -> tuple[Any, Any]:
        return Dropout(0.5, name="one")(x, keys), Dropout(0.5, name="two")(x, keys)


@partial(jax.jit, static_argnums=2)
def dropped(x: Any, keys: Any, rate: float = 0.25) -> Any:
    return Dropout(rate).apply({}, x, keys)


def test_values_are_zero_or_scaled_up_at_the_rate() -> None:
    found = np.asarray(dropped(X, KEYS))
    kept = found != 0
    np.testing.assert_array_equal(found[kept], np.asarray(X / 0.75)[kept])
    assert abs(kept.mean() - 0.75) < 4 * (0.75 * 0.25 / kept.size) ** 0.5
    assert abs(found.mean() - float(X.mean())) < 0.05


@pytest.mark.parametrize(("rate", "keys"), [(0.25, None), (0.0, KEYS), (0.0, None)])
def test_no_keys_or_no_rate_switch_it_off(rate: float, keys: Any) -> None:
    np.testing.assert_array_equal(dropped(X, keys, rate), X)


def test_a_row_has_the_mask_of_its_key_whatever_stands_beside_it() -> None:
    found = np.asarray(dropped(X, KEYS))
    assert len({row.tobytes() for row in found != 0}) == ROWS, "every key has a mask of its own"
    np.testing.assert_array_equal(dropped(X[::-1], KEYS[::-1])[::-1], found)
    np.testing.assert_array_equal(dropped(X[:3], KEYS[:3]), found[:3])
    padded = dropped(jnp.concatenate([X, X[:8]]), jnp.concatenate([KEYS, KEYS[:8]]))
    np.testing.assert_array_equal(padded[:ROWS], found)


def test_the_mesh_changes_no_mask() -> None:
    rows = jax.sharding.NamedSharding(make_mesh(data=8, model=1), jax.sharding.PartitionSpec("data"))
    np.testing.assert_array_equal(dropped(*jax.device_put((X, KEYS), rows)), dropped(X, KEYS))


def test_modules_draw_from_streams_named_by_their_paths() -> None:
    one, two = jax.jit(lambda x, keys: Pair().apply({}, x, keys))(X, KEYS)
    assert np.mean((one != 0) == (two != 0)) == pytest.approx(0.5, abs=0.05), "masks are unrelated"
    for found, name in ((one, "one"), (two, "two")):
        key = jax.random.fold_in(jax.random.wrap_key_data(KEYS[3]), zlib.crc32(name.encode()))
        np.testing.assert_array_equal(found[3] != 0, jax.random.bernoulli(key, 0.5, X.shape[1:]))


def test_dropped_values_have_no_gradient() -> None:
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(Dropout(0.25).apply({}, x, KEYS))))(X)
    np.testing.assert_array_equal(gradient, np.where(dropped(X, KEYS) != 0, np.float32(1 / 0.75), 0))
