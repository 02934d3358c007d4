"""InstructFLIP's style tokens, which features its parts read, and the number that an image's pixels give."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.methods import instruct_flip
from flipjax.models import instructed_clip as network
from flipjax.models.layers import Dropout
from flipjax.models.qformer import QFormer
from golden_cases import assert_within
from tiny_methods import config_of, variables_of

ROWS = 3
RNG = np.random.default_rng(0)


def normal(*shape: int) -> jax.Array:
    return jnp.asarray(RNG.normal(size=shape).astype(np.float32))


# Style tokens


def test_style_tokens_are_mean_and_unbiased_deviation_of_every_block() -> None:
    blocks = tuple(normal(ROWS, 5, 4) * 3 + 1 for _ in range(3))
    found = jax.jit(network.style_tokens)(blocks)
    expected = [part for x in blocks for part in (np.mean(x, axis=1), np.std(x, axis=1, ddof=1))]
    assert_within(found, np.stack(expected, axis=1), 1e-6, "style tokens")


def test_style_tokens_by_hand() -> None:
    block = jnp.array([[[1.0], [2.0], [6.0]]])
    np.testing.assert_allclose(network.style_tokens((block,)), [[[3.0], [7**0.5]]], rtol=1e-6)


def test_style_tokens_of_large_features_keep_their_deviation() -> None:
    x = normal(1, 197, 4)
    shifted = network.style_tokens((x + 1000.0,))[:, 1]
    assert_within(shifted, network.style_tokens((x,))[:, 1], 1e-3, "deviation")


# The number of an image


@pytest.mark.parametrize("size", [16, 224])
def test_image_number_is_the_sum_of_the_pixels(size: int) -> None:
    images = RNG.integers(0, 256, (8, size, size, 3), np.uint8)
    images[0] = 255
    expected = images.sum(axis=(1, 2, 3), dtype=np.int64) % 9973
    np.testing.assert_array_equal(jax.jit(network.image_number)(jnp.asarray(images)), expected)
    assert len(set(expected.tolist())) == 8


def test_image_number_of_normalised_images_is_no_less_than_zero() -> None:
    numbers = np.asarray(network.image_number(normal(20, 8, 8, 3) * 50 - 10))
    assert numbers.min() >= 0 and numbers.max() < 9973 and len(set(numbers.tolist())) > 15


# Which features the parts read


def net_of(**changes: Any) -> network.InstructedClip:
    return instruct_flip.settings(config_of("instruct_flip", **changes)).net


def params_of(**changes: Any) -> Any:
    return variables_of(instruct_flip.make(config_of("instruct_flip", **changes)))["params"]


def visual_of(net: network.InstructedClip) -> network.Visual:
    n, d = 1 + net.tower.size.grid**2, net.tower.size.width
    content = normal(ROWS, n, d)
    return network.Visual(content, normal(ROWS, 2, d), content[:, 0], (normal(ROWS, 2, n, n),))


@pytest.fixture(scope="module")
def plain() -> SimpleNamespace:
    net = net_of()
    return SimpleNamespace(net=net, params=params_of(), visual=visual_of(net))


def queries_of(net: network.InstructedClip) -> dict[str, jax.Array]:
    return {name: normal(ROWS, 4, net.tower.size.width) for name in net.qformers}


def test_branches_read_content_and_style(plain: SimpleNamespace) -> None:
    assert list(plain.net.qformers) == ["content", "style"]
    assert network.context_of(plain.visual, "content") is plain.visual.content
    assert network.context_of(plain.visual, "style") is plain.visual.style


def test_the_content_tokens_ask_unless_the_queries_are_learned(plain: SimpleNamespace) -> None:
    learned, queries = net_of(method__attention="learned"), queries_of(plain.net)
    params, visual = plain.params, plain.visual
    joined = jnp.concatenate([queries["content"], queries["style"]], axis=1)

    @jax.jit
    def all_of(params: Any) -> list[Any]:
        fusion = lambda *pair: plain.net.fusion.apply({"params": params["fusion"]}, *pair)  # noqa: E731
        found = [network.fuse(net, params, visual, queries) for net in (plain.net, learned)]
        return [*found, fusion(visual.content, joined), fusion(joined, visual.content)]

    released, paper, content_asks, queries_ask = all_of(params)
    np.testing.assert_array_equal(released, content_asks)
    np.testing.assert_array_equal(paper, queries_ask)
    assert released.shape[1] == visual.content.shape[1] and paper.shape[1] == 8
    np.testing.assert_array_equal(network.cue_patches(plain.net, visual, released), released[:, 1:])
    np.testing.assert_array_equal(network.cue_patches(learned, visual, paper), visual.content[:, 1:])


def test_without_branches_the_content_tokens_are_classified() -> None:
    changes = {"method__branches": (), "method__cue": False}
    net, params = net_of(**changes), params_of(**changes)
    assert set(params) == {"clip", "classifier"}
    visual = visual_of(net)
    assert network.fuse(net, params, visual, {}) is visual.content
    np.testing.assert_array_equal(network.fuse(net, params, visual, {}, first_only=True), visual.content[:, :1])


@pytest.mark.parametrize("answers", ["queries", "features"])
def test_linear_heads_read_the_first_query_or_the_plain_features(answers: str) -> None:
    changes = {"method__answers": answers, "method__cue": False}
    net, params = net_of(**changes), params_of(**changes)
    visual, queries = visual_of(net), queries_of(net)
    features = {"content": visual.class_token, "style": visual.style[:, 0]}
    features |= {name: rows[:, 0] for name, rows in queries.items()}
    assert bool(queries) == (answers == "queries")
    for name, feature in features.items():
        head = params[f"{name}_head"]
        found = network.head_logits(net, params, name, visual, queries)
        assert_within(found, np.asarray(feature) @ head["kernel"] + head["bias"], 1e-5, name)
        assert found.shape == (ROWS, 11)


class Echo(QFormer):
    """Drops half of its context, nothing else."""

    def setup(self) -> None:
        self.drop = Dropout(0.5)

    def __call__(self, ids: Any, mask: Any, context: Any, keys: Any = None) -> Any:
        return self.drop(context, keys)


def test_two_branches_with_the_same_keys_drop_different_things(plain: SimpleNamespace) -> None:
    """Content and style are alike inside; only the stream of the branch sets their masks apart."""
    net = network.InstructedClip(
        **{**vars(plain.net), "qformers": dict.fromkeys(plain.net.qformers, Echo(plain.net.qformers["content"].size))}
    )
    x = jnp.ones((ROWS, 5, 32))
    visual = network.Visual(x, x, x[:, 0], plain.visual.attention)
    texts = dict.fromkeys(net.qformers, (jnp.ones((ROWS, 3), jnp.int32), jnp.ones((ROWS, 3), bool)))
    keys = jax.random.key_data(jax.random.split(jax.random.key(0), ROWS))
    params = {key: {} for key in net.qformers}
    noisy = jax.jit(lambda keys: network.ask(net, params, visual, texts, keys))(keys)
    assert np.mean((noisy["content"] != 0) == (noisy["style"] != 0)) == pytest.approx(0.5, abs=0.1)
    quiet = network.ask(net, params, visual, texts, None)
    np.testing.assert_array_equal(quiet["content"], x)
