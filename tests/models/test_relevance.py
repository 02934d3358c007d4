"""Heat maps of an image tower against plain NumPy: products of whole matrices, gradients by finite differences; their laws.

The plain statement of the relevance carries the full matrix R block after block, as the paper writes it; ours carries a row.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.models import relevance as maps
from flipjax.models.clip import ClipSize, ImageTower
from golden_cases import assert_within

SIZE = ClipSize(image_size=16, patch=8, width=16, layers=3, heads=2, embed=4)
ROWS, N = 2, 5
IMAGES = np.random.default_rng(0).normal(size=(ROWS, 16, 16, 3)).astype(np.float32)
# What a linear classifier on the embedding reads, columns (attack, bona fide).
READ = np.random.default_rng(1).normal(size=(SIZE.embed, 2)).astype(np.float32)


def plain_logits(params: Any, images: np.ndarray, nudges: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits [b 2] and attention of every block, with nudges [l b h n n] added to the weights that mix the values."""
    k = SIZE.width // SIZE.heads
    x = plain.patches(params["patch_embed"]["kernel"], images)
    first = np.broadcast_to(params["class_embedding"], (len(images), 1, SIZE.width))
    x = plain.layer_norm(params["ln_pre"], np.concatenate([first, x], axis=1) + params["position_embedding"])
    every = []
    for i, nudge in enumerate(nudges):
        block = params[f"blocks_{i}"]
        normed = plain.layer_norm(block["ln_1"], x)
        query, key, value = (
            plain.dense(block["attn"][name], normed).reshape(len(x), N, SIZE.heads, k)
            for name in ("query", "key", "value")
        )
        weights = plain.softmax(np.einsum("bqhk,bmhk->bhqm", query, key) / np.sqrt(k))
        mixed = np.einsum("bhqm,bmhk->bqhk", weights + nudge, value).reshape(len(x), N, SIZE.width)
        x = x + plain.dense(block["attn"]["out"], mixed)
        hidden = plain.quick_gelu(plain.dense(block["mlp"]["fc1"], plain.layer_norm(block["ln_2"], x)))
        x = x + plain.dense(block["mlp"]["fc2"], hidden)
        every.append(weights)
    return plain.layer_norm(params["ln_post"], x[:, 0]) @ params["proj"] @ READ, every


def plain_relevance(attention: list[np.ndarray], gradients: np.ndarray) -> np.ndarray:
    """R [b n n] by Chefer et al.: R <- R + mean over heads of max(gradient * attention, 0) times R."""
    found = []
    for row in range(ROWS):
        total = np.eye(N)
        for weights, gradient in zip(attention, gradients, strict=True):
            step = np.maximum(gradient[row] * weights[row], 0).mean(axis=0)
            total = total + step @ total
        found.append(total)
    return np.stack(found)


def plain_rollout(attention: list[np.ndarray]) -> np.ndarray:
    """Rollout [b n n] by Abnar and Zuidema: heads averaged, identity added, rows normalised, blocks multiplied."""
    found = []
    for row in range(ROWS):
        total = np.eye(N)
        for weights in attention:
            step = weights[row].mean(axis=0) + np.eye(N)
            total = (step / step.sum(axis=1, keepdims=True)) @ total
        found.append(total)
    return np.stack(found)


@jax.jit
def explained(params: Any, images: Any, read: Any) -> Any:
    def classify(nudges: Any) -> Any:
        out = ImageTower(SIZE).apply({"params": params}, images, nudges)
        return out.embed @ read, out.attention

    return maps.heat_maps(classify, SIZE, len(images))


def shown_by(params: Any, images: np.ndarray, read: np.ndarray = READ) -> dict[str, np.ndarray]:
    """The heat maps of a tower under a linear classifier."""
    return {name: np.asarray(values) for name, values in explained(params, images, read).items()}


@pytest.fixture(scope="module")
def params() -> Any:
    images = jnp.zeros((1, 16, 16, 3))
    return plain.scrambled(jax.eval_shape(ImageTower(SIZE).init, jax.random.key(0), images)["params"])


@pytest.fixture(scope="module")
def still(params: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Plain attention, and the gradient of attack minus bona fide with respect to it, by finite differences.

    A nudge at one place of all rows serves every row, since rows do not see each other.
    """
    gradients, step = np.zeros((SIZE.layers, ROWS, SIZE.heads, N, N)), 1e-6
    double = plain.double(params)

    def margins(nudges: np.ndarray) -> np.ndarray:
        logits, _ = plain_logits(double, IMAGES, nudges)
        return logits[:, 0] - logits[:, 1]

    for layer, *place in np.ndindex(SIZE.layers, SIZE.heads, N, N):
        nudges = np.zeros_like(gradients)
        nudges[(layer, slice(None), *place)] = step
        gradients[(layer, slice(None), *place)] = (margins(nudges) - margins(-nudges)) / (2 * step)
    return plain_logits(double, IMAGES, np.zeros_like(gradients))[1], gradients


@pytest.fixture(scope="module")
def shown(params: Any) -> dict[str, np.ndarray]:
    return shown_by(params, IMAGES)


def as_grid(row: np.ndarray) -> np.ndarray:
    """The patches of a class row over their maximum."""
    return (row[:, 1:] / row[:, 1:].max(axis=1, keepdims=True)).reshape(ROWS, 2, 2)


def test_relevance_of_both_classes_is_the_plain_product_with_numerical_gradients(shown, still) -> None:
    attention, gradients = still
    attack, bona_fide = (plain_relevance(attention, sign * gradients)[:, 0] for sign in (1, -1))
    assert_within(shown["attack_relevance"], as_grid(attack), 1e-5, "attack")
    assert_within(shown["bona_fide_relevance"], as_grid(bona_fide), 1e-5, "bona fide")
    assert np.abs(shown["attack_relevance"] - shown["bona_fide_relevance"]).max() > 0.1


def test_rollout_is_the_plain_product_and_a_share(shown, still) -> None:
    attention, _ = still
    expected = plain_rollout(attention)
    np.testing.assert_allclose(expected.sum(axis=-1), 1)
    weights = [jnp.asarray(values, jnp.float32) for values in attention]
    row = np.asarray(maps.rollout(weights))
    assert_within(row, expected[:, 0], 1e-5)
    assert_within(row.sum(axis=1), np.ones(ROWS), 1e-6)
    assert_within(shown["rollout"], as_grid(expected[:, 0]), 1e-5)


def test_attention_is_the_mean_of_heads_in_grid_order(shown, still) -> None:
    assert_within(shown["attention"], as_grid(still[0][-1][:, :, 0].mean(axis=1)), 1e-5)
    weights = np.zeros((1, 2, N, N), np.float32)
    weights[0, 0, 0] = [0.4, 0.1, 0.2, 0.3, 0.0]
    weights[0, 1, 0] = [0.0, 0.1, 0.0, 0.5, 0.4]
    tokens = maps.class_attention(jnp.asarray(weights))
    assert_within(maps.on_grid(tokens), np.array([[[0.25, 0.25], [1.0, 0.5]]]), 1e-6)


def test_most_telling_map_comes_first_and_values_are_shares_of_the_largest(params, shown) -> None:
    def named(images: Any) -> Any:
        tower = ImageTower(SIZE).apply({"params": params}, images)
        found = maps.heat_maps(lambda nudges: (tower.embed @ READ, tower.attention), SIZE, ROWS)
        assert list(found) == ["attack_relevance", "bona_fide_relevance", "rollout", "attention"]
        return found

    jax.eval_shape(named, IMAGES)
    for name, values in shown.items():
        assert values.min() >= 0, name
        assert_within(values.max(axis=(1, 2)), np.ones(ROWS), 1e-6, name)


def test_classes_that_trade_places_trade_maps(params, shown) -> None:
    swapped = shown_by(params, IMAGES, READ[:, ::-1].copy())
    assert_within(swapped["attack_relevance"], shown["bona_fide_relevance"], 1e-5)
    assert_within(swapped["bona_fide_relevance"], shown["attack_relevance"], 1e-5)
    assert_within(swapped["rollout"], shown["rollout"], 1e-6)


def test_a_classifier_that_ignores_the_tower_has_no_relevance_and_no_bad_number(params, shown) -> None:
    found = shown_by(params, IMAGES, np.zeros_like(READ))
    assert not found["attack_relevance"].any() and not found["bona_fide_relevance"].any()
    assert_within(found["rollout"], shown["rollout"], 1e-6)


def test_rows_do_not_depend_on_each_other(params, shown) -> None:
    mixed = IMAGES.copy()
    mixed[1] = 50.0
    for name, values in shown_by(params, mixed).items():
        assert_within(values[0], shown[name][0], 1e-5, name)
        assert np.abs(values[1] - shown[name][1]).max() > 1e-3, name
