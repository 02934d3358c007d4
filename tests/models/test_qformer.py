"""The Q-Former: begun once for all images, blind to padding, its last text layer unread, its dropout reproducible."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.core.errors import ConfigError
from flipjax.models.qformer import Begun, QFormer, QFormerSize
from flipjax.weights.rules import flatten
from golden_cases import assert_within

B, T, M, IMAGE_WIDTH = 3, 6, 5, 12
RNG = np.random.default_rng(0)
IDS = jnp.asarray(RNG.integers(1, 20, size=(B, T)).astype(np.int32))
MASK = jnp.asarray(np.arange(T) < np.array([[6], [4], [3]]))
IMAGE = jnp.asarray(RNG.normal(size=(B, M, IMAGE_WIDTH)).astype(np.float32))
KEYS = jax.random.key_data(jax.random.split(jax.random.key(0), B))


def qformer(layers: int = 2, **changes: Any) -> QFormer:
    sizes = {"width": 16, "heads": 4, "hidden": 24, "queries": 4, "context": 9, "vocab": 20}
    return QFormer(QFormerSize(layers=layers, **sizes), **changes)


def params_of(module: QFormer) -> Any:
    return plain.scrambled(jax.eval_shape(module.init, jax.random.key(0), IDS, MASK, IMAGE)["params"])


@pytest.fixture(scope="module")
def params() -> Any:
    return params_of(qformer())


@partial(jax.jit, static_argnums=0)
def applied(module: QFormer, params: Any, *inputs: Any) -> Any:
    return module.apply({"params": params}, *inputs)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_a_question_begun_once_serves_every_image(layers: int) -> None:
    module = qformer(layers)
    variables = {"params": params_of(module)}

    @jax.jit
    def both(image: Any) -> tuple[Any, Begun, Any]:
        begun = module.apply(variables, IDS[1:2], MASK[1:2], method="begin")
        whole = module.apply(variables, jnp.repeat(IDS[1:2], B, 0), jnp.repeat(MASK[1:2], B, 0), image)
        return whole, begun, module.apply(variables, begun, image, method="finish")

    whole, begun, finished = both(IMAGE)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(begun)} == {1}
    assert_within(finished, whole, 1e-6, "queries")
    assert np.ptp(np.asarray(finished), axis=0).max() > 0.1, "images must matter"


@pytest.fixture(scope="module")
def gradients(params: Any) -> Any:
    module = qformer()
    return jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(module.apply({"params": p}, IDS, MASK, IMAGE)))))(params)


def test_the_last_text_layer_exists_and_is_never_read(gradients: Any) -> None:
    leaves = flatten(gradients)
    unread = [path for path in leaves if path.startswith("layers_1/text_mlp/")]
    assert len(unread) == 6 and not any(np.any(leaves[path]) for path in unread)
    # A bias of the keys shifts every logit of a row alike.
    read = [path for path in leaves if path not in unread and not path.endswith("key/bias")]
    assert all(np.abs(leaves[path]).max() > 1e-6 for path in read)
    assert "layers_0/cross/query/kernel" in leaves and "layers_1/cross/query/kernel" not in leaves


def test_only_the_rows_that_are_read_have_a_gradient(gradients: Any) -> None:
    words, positions = (
        np.asarray(gradients["embed"][f"{name}_embedding"]).any(axis=1) for name in ("word", "position")
    )
    assert set(np.flatnonzero(words)) == set(np.asarray(IDS)[np.asarray(MASK)].tolist())
    np.testing.assert_array_equal(positions, np.arange(9) < T)


def test_padding_changes_nothing(params: Any) -> None:
    module = qformer()
    found = applied(module, params, IDS, MASK, IMAGE)
    np.testing.assert_array_equal(applied(module, params, jnp.where(MASK, IDS, 19), MASK, IMAGE), found)
    longer = jnp.pad(IDS, ((0, 0), (0, 3)), constant_values=7), jnp.pad(MASK, ((0, 0), (0, 3)))
    rows = [jnp.concatenate([x, x[:1]]) for x in (*longer, IMAGE)]
    assert_within(applied(module, params, *rows)[:B], found, 1e-6, "longer text, more rows")


def test_words_and_their_order_matter(params: Any) -> None:
    module, everywhere = qformer(), jnp.ones_like(MASK)
    found = np.asarray(applied(module, params, IDS, everywhere, IMAGE))
    turned = np.asarray(applied(module, params, IDS[:, ::-1], everywhere, IMAGE))
    assert np.abs(turned - found).max() > 0.01
    assert np.abs(np.asarray(applied(module, params, IDS, MASK, IMAGE)) - found)[1:].max() > 0.01, (
        "the mask must matter"
    )


def test_without_positions_the_order_would_not_matter(params: Any) -> None:
    module, everywhere = qformer(), jnp.ones_like(MASK)
    embed = {**params["embed"], "position_embedding": np.zeros((9, 16), np.float32)}
    found, turned = (applied(module, {**params, "embed": embed}, i, everywhere, IMAGE) for i in (IDS, IDS[:, ::-1]))
    assert_within(turned, found, 1e-5, "turned text")


def test_image_tokens_are_a_set(params: Any) -> None:
    found, turned = (applied(qformer(), params, IDS, MASK, image) for image in (IMAGE, IMAGE[:, ::-1]))
    assert_within(turned, found, 1e-5, "turned image tokens")


def test_dropout_is_reproducible_and_belongs_to_the_row(params: Any) -> None:
    module = qformer()
    plain_run, found = applied(module, params, IDS, MASK, IMAGE), applied(module, params, IDS, MASK, IMAGE, KEYS)
    np.testing.assert_array_equal(applied(module, params, IDS, MASK, IMAGE, KEYS), found)
    assert np.abs(np.asarray(found - plain_run)).max(axis=(1, 2)).min() > 0.01, "every row is touched"
    other = applied(module, params, IDS, MASK, IMAGE, KEYS.at[0].set(KEYS[1]))
    assert np.abs(np.asarray(other - found))[0].max() > 0.01
    np.testing.assert_array_equal(other[1:], found[1:])


def test_dropout_reaches_every_place_with_a_stream_of_its_own(params: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from flipjax.models import layers

    named: list[str] = []

    def spied(key: Any, name: str) -> Any:
        named.append(name)
        return key

    monkeypatch.setattr(layers, "stream", spied)
    module = qformer(3)
    variables = {"params": params_of(module)}
    jax.eval_shape(lambda: module.apply(variables, IDS, MASK, IMAGE, KEYS))
    expected = {"embed/drop", "layers_2/query_mlp/drop"}
    expected |= {f"layers_{i}/attn/drop_{what}" for i in range(3) for what in ("weights", "out")}
    expected |= {f"layers_{i}/cross/drop_{what}" for i in (0, 2) for what in ("weights", "out")}
    expected |= {f"layers_{i}/{role}_mlp/drop" for i in (0, 1) for role in ("query", "text")}
    assert set(named) == expected
    assert len(named) == len(expected), "no stream is drawn from twice"


def test_bfloat16_is_near_and_returns_float32(params: Any) -> None:
    low = applied(qformer(dtype=jnp.bfloat16), params, IDS, MASK, IMAGE)
    assert low.dtype == jnp.float32
    assert_within(low, applied(qformer(), params, IDS, MASK, IMAGE), 0.05)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"layers": 0}, "a Q-Former of 0 layers does not exist"),
        ({"heads": 7}, "width 768 of the Q-Former does not divide by heads 7"),
        ({"heads": 0}, "does not divide by heads 0"),
    ],
)
def test_impossible_sizes(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QFormerSize(**sizes)
