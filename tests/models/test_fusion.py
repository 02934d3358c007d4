"""The fusion against a plain NumPy statement of its three steps, and what each of them alone must show."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.core.errors import ConfigError
from flipjax.models.fusion import Fusion, FusionSize
from golden_cases import assert_within

B, N, M = 2, 5, 3
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(B, N, 12)).astype(np.float32))
QUERIES = jnp.asarray(RNG.normal(size=(B, M, 12)).astype(np.float32))
KEYS = jax.random.key_data(jax.random.split(jax.random.key(0), B))


def fusion(**changes: Any) -> Fusion:
    sizes = {"width": 12, "heads": 3, "cross_head_width": 6, "hidden": 20, "is_causal": True}
    return Fusion(FusionSize(**{**sizes, **changes}))


@pytest.fixture(scope="module")
def params() -> Any:
    return plain.scrambled(jax.eval_shape(fusion().init, jax.random.key(0), X, QUERIES)["params"])


@partial(jax.jit, static_argnums=(0, 5))
def applied(module: Fusion, params: Any, x: Any, queries: Any, keys: Any = None, first_only: bool = False) -> Any:
    return module.apply({"params": params}, x, queries, keys, first_only)


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def heads_attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, scale: float, is_causal: bool) -> np.ndarray:
    """Attention of head-wise arrays [h rows k], one head after the other; heads side by side in the result."""
    mixed = []
    for q, k, v in zip(query, key, value, strict=True):
        logits = scale * q @ k.T
        if is_causal:
            logits[np.triu_indices(len(q), 1)] = -np.inf
        mixed.append(plain.softmax(logits) @ v)
    return np.concatenate(mixed, axis=1)


def heads_of(rows: np.ndarray, heads: int) -> np.ndarray:
    return np.stack(np.split(rows, heads, axis=1))


def plain_fusion(params: Any, x: np.ndarray, queries: np.ndarray, size: FusionSize) -> np.ndarray:
    """One sample: x [n d] and queries [m d]."""
    own, cross, norm = params["attn"], params["cross"], plain.layer_norm
    asked, offered = (norm(own[f"ln_{name}"], plain.dense(own[name], x)) for name in ("query", "key"))
    triple = [heads_of(rows, size.heads) for rows in (asked, offered, plain.dense(own["value"], x))]
    x = x + plain.dense(own["out"], heads_attention(*triple, (size.width / size.heads) ** -0.5, size.is_causal))

    context = norm(cross["ln_context"], queries)
    asked = heads_of(norm(cross["ln"], x) @ cross["query"]["kernel"], size.heads)
    key, value = (heads_of(context @ cross[name]["kernel"], size.heads) for name in ("key", "value"))
    key, value = (
        np.concatenate([np.broadcast_to(null, (size.heads, 1, size.cross_head_width)), rows], axis=1)
        for null, rows in zip(cross["null_kv"], (key, value), strict=True)
    )
    mixed = heads_attention(asked, key, value, size.cross_head_width**-0.5, False)
    x = x + norm(cross["ln_out"], mixed @ cross["out"]["kernel"])
    return plain.dense(params["fc2"], gelu(plain.dense(params["fc1"], norm(params["ln"], x))))


@pytest.mark.parametrize("is_causal", [True, False])
def test_against_numpy(params: Any, is_causal: bool) -> None:
    module, own = fusion(is_causal=is_causal), plain.double(params)
    pairs = zip(np.asarray(X, np.float64), np.asarray(QUERIES, np.float64), strict=True)
    expected = np.stack([plain_fusion(own, *pair, module.size) for pair in pairs])
    found = applied(module, params, X, QUERIES)
    assert_within(found, expected, 1e-5, "tokens")
    assert_within(applied(module, params, X, QUERIES, None, True), found[:, :1], 1e-6, "the first token alone")


def test_the_roles_may_be_exchanged(params: Any) -> None:
    module = fusion()
    expected = plain_fusion(plain.double(params), *(np.asarray(x[0], np.float64) for x in (QUERIES, X)), module.size)
    assert_within(applied(module, params, QUERIES, X)[0], expected, 1e-5, "queries ask")


@pytest.mark.parametrize(("is_causal", "touched"), [(True, [2, 3, 4]), (False, [0, 1, 2, 3, 4])])
def test_a_token_is_seen_by_itself_and_those_behind_it(params: Any, is_causal: bool, touched: list[int]) -> None:
    module = fusion(is_causal=is_causal)
    change = applied(module, params, X.at[:, 2].add(1.0), QUERIES) - applied(module, params, X, QUERIES)
    assert np.flatnonzero(np.abs(np.asarray(change)).max(axis=(0, 2)) > 1e-4).tolist() == touched


def test_no_residual_goes_around_the_last_layers(params: Any) -> None:
    bias = np.arange(12, dtype=np.float32)
    silent = {**params, "fc2": {"kernel": np.zeros((20, 12), np.float32), "bias": bias}}
    np.testing.assert_array_equal(applied(fusion(), silent, X, QUERIES), np.broadcast_to(bias, (B, N, 12)))


def test_the_null_row_is_one_more_key_and_value(params: Any) -> None:
    """Queries of zero attend to all rows alike: the mean of M + 1 values, one of them the null value."""
    flat = {**params["cross"], "query": {"kernel": np.zeros((12, 18), np.float32)}}
    quiet = {**params, "cross": flat}
    expected = plain.double(quiet)
    value = plain.layer_norm(expected["cross"]["ln_context"], np.asarray(QUERIES[0], np.float64))
    rows = [*(value @ expected["cross"]["value"]["kernel"]), np.tile(expected["cross"]["null_kv"][1], 3)]
    added = plain.layer_norm(expected["cross"]["ln_out"], np.mean(rows, axis=0) @ expected["cross"]["out"]["kernel"])
    x = np.asarray(X[0, :1], np.float64)
    x = x + plain.dense(expected["attn"]["out"], plain.dense(expected["attn"]["value"], x)) + added
    hidden = gelu(plain.dense(expected["fc1"], plain.layer_norm(expected["ln"], x)))
    assert_within(applied(fusion(), quiet, X, QUERIES)[0, :1], plain.dense(expected["fc2"], hidden), 1e-5, "token 0")
    for row in range(2):
        null = params["cross"]["null_kv"].copy()
        null[row] += 1.0
        moved = {**params, "cross": {**params["cross"], "null_kv": null}}
        assert (
            np.abs(np.asarray(applied(fusion(), moved, X, QUERIES) - applied(fusion(), params, X, QUERIES))).max()
            > 0.01
        )


def test_dropout_is_on_the_output_and_reproducible(params: Any) -> None:
    module = fusion()
    plain_run, found = (np.asarray(applied(module, params, X, QUERIES, keys)) for keys in (None, KEYS))
    kept = found != 0
    assert_within(found[kept], plain_run[kept] / 0.9, 1e-6, "kept values")
    assert 0.75 < kept.mean() < 1
    np.testing.assert_array_equal(applied(module, params, X, QUERIES, KEYS), found)
    assert ((np.asarray(applied(module, params, X, QUERIES, KEYS[::-1])) != 0) != kept).any()


def test_fresh_weights_are_those_of_torch() -> None:
    module = Fusion(FusionSize(width=64, heads=4, cross_head_width=32, hidden=256))
    fresh = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 2, 64)), jnp.zeros((1, 2, 64)))["params"]
    fans = {"attn/query": 64, "attn/out": 64, "cross/key": 64, "cross/out": 128, "fc1": 64, "fc2": 256}
    for path, fan_in in fans.items():
        dense = fresh
        for name in path.split("/"):
            dense = dense[name]
        assert ("bias" in dense) == (not path.startswith("cross"))
        for leaf in dense.values():
            largest = float(np.abs(leaf).max())
            assert 0.9 * fan_in**-0.5 < largest <= fan_in**-0.5, path
    assert float(np.std(fresh["cross"]["null_kv"])) == pytest.approx(1.0, abs=0.3)


def test_bfloat16_is_near_and_returns_float32(params: Any) -> None:
    low = applied(Fusion(fusion().size, jnp.bfloat16), params, X, QUERIES)
    assert low.dtype == jnp.float32
    assert_within(low, applied(fusion(), params, X, QUERIES), 0.05)


@pytest.mark.parametrize("heads", [0, 5])
def test_impossible_heads(heads: int) -> None:
    with pytest.raises(ConfigError, match=f"width 768 of the fusion does not divide by heads {heads}; change one"):
        FusionSize(heads=heads)
