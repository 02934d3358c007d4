"""CLIP's towers against plain NumPy, what one forward gives, sizes, compute types, and that unread outputs are free."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.models.clip import Clip, ClipSize, ImageOutput, ImageTower, PatchEmbed, TextTower
from flipjax.models.layers import Block, LayerNorm
from golden_cases import assert_within

TINY = ClipSize(
    image_size=16,
    patch=8,
    width=16,
    layers=2,
    heads=2,
    embed=6,
    text_width=8,
    text_layers=2,
    text_heads=2,
    context=77,
    vocab=30,
)
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 16, 16, 3)), jnp.float32)
# Two prompts of 5 and 7 tokens; 29 is the end token, the largest id.
IDS = np.array([[28, 3, 9, 4, 29, 0, 0], [28, 5, 6, 7, 8, 2, 29]], np.int32)


def image_params(size: ClipSize = TINY, **fields: Any) -> Any:
    images = jnp.zeros((1, size.image_size, size.image_size, 3))
    return plain.scrambled(jax.eval_shape(ImageTower(size, **fields).init, jax.random.key(0), images)["params"])


def text_params() -> Any:
    return plain.scrambled(jax.eval_shape(TextTower(TINY).init, jax.random.key(0), jnp.asarray(IDS))["params"])


def forward(module: ImageTower, params: Any, images: jax.Array = IMAGES) -> ImageOutput:
    return jax.jit(lambda params, images: module.apply({"params": params}, images))(params, images)


@pytest.fixture(scope="module")
def image() -> tuple[Any, ImageOutput]:
    params = image_params()
    return params, forward(ImageTower(TINY), params)


@pytest.fixture(scope="module")
def text() -> tuple[Any, Any]:
    """Parameters and a compiled text tower."""
    return text_params(), jax.jit(lambda params, ids: TextTower(TINY).apply({"params": params}, ids)[0])


def test_image_tower_against_numpy(image) -> None:
    params, out = image
    expected = plain.image_tower(plain.double(params), np.asarray(IMAGES, np.float64), heads=2)
    for name in ("tokens", "content", "class_token", "embed"):
        assert_within(getattr(out, name), expected[name], 1e-5, name)
    for i in range(TINY.layers):
        assert_within(out.blocks[i], expected["blocks"][i], 1e-5, f"block {i}")
        assert_within(out.attention[i], expected["attention"][i], 1e-5, f"attention {i}")


def test_one_forward_gives_consistent_intermediates(image) -> None:
    params, out = image
    n = 1 + TINY.grid**2
    assert len(out.blocks) == len(out.attention) == TINY.layers
    assert out.attention[0].shape == (2, TINY.heads, n, n) and out.content.shape == (2, n, TINY.width)
    np.testing.assert_array_equal(out.blocks[-1], out.tokens)
    for weights in out.attention:
        assert_within(weights.sum(axis=-1), np.ones((2, TINY.heads, n)), 1e-6)
    assert_within(out.content[:, 0], out.class_token, 1e-6)
    assert_within(out.embed, np.asarray(out.class_token) @ params["proj"], 1e-5)


def test_tower_without_projection_has_neither_matrix_nor_embedding(image) -> None:
    params, out = image
    kept = {name: value for name, value in params.items() if name != "proj"}
    assert set(image_params(project=False)) == set(kept)
    bare = forward(ImageTower(TINY, project=False), kept)
    assert bare.embed is None
    assert_within(bare.class_token, out.class_token, 1e-6)


def test_text_tower_against_numpy(text) -> None:
    params, encode = text
    assert_within(encode(params, IDS), plain.text_tower(plain.double(params), IDS, heads=2), 1e-5)


def test_text_at_its_own_length_equals_77_and_ignores_what_follows_the_end(text) -> None:
    params, encode = text
    long = np.zeros((2, 77), np.int32)
    long[:, : IDS.shape[1]] = IDS
    short = encode(params, IDS)
    assert_within(encode(params, long), short, 1e-6, "77 positions")
    long[0, 5:], long[1, 7:] = 11, 12
    assert_within(encode(params, long), short, 1e-6, "other tokens behind the end")
    long[0, 2] = 10
    assert np.abs(np.asarray(encode(params, long))[0] - np.asarray(short)[0]).max() > 1e-2, "a token before the end"


@pytest.mark.parametrize("patch,side", [(8, 24), (14, 28), (16, 16)])
def test_other_sizes(patch, side) -> None:
    size = dataclasses.replace(TINY, image_size=side, patch=patch, layers=1)
    images = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype(np.float32)
    kernel = np.random.default_rng(2).normal(size=(patch, patch, 3, 4)).astype(np.float32)
    rows = jax.jit(lambda k, x: PatchEmbed(4, patch).apply({"params": {"kernel": k}}, x))(kernel, images)
    assert_within(rows, plain.patches(kernel.astype(np.float64), images.astype(np.float64)), 1e-5, "patches")
    tower = ImageTower(size)

    def outputs(key: jax.Array, images: jax.Array) -> Any:
        out = tower.init_with_output(key, images)[0]
        return out.tokens, out.embed

    tokens, embed = jax.eval_shape(outputs, jax.random.key(0), images)
    assert tokens.shape == (2, 1 + (side // patch) ** 2, size.width)
    assert embed.shape == (2, size.embed)


def test_towers_rematerialise_every_block_when_asked(image, text) -> None:
    for remat in (False, True):
        towers = ((ImageTower(TINY, remat=remat), image[0], IMAGES), (TextTower(TINY, remat=remat), text[0], IDS))
        for tower, params, inputs in towers:
            jaxpr = jax.make_jaxpr(lambda p, x, tower=tower: tower.apply({"params": p}, x))(params, inputs).jaxpr
            found = [equation.primitive.name for equation in jaxpr.eqns]
            assert sum("remat" in name or "checkpoint" in name for name in found) == (2 if remat else 0)


def test_bfloat16_compute_is_close_and_leaves_parameters_float32(image) -> None:
    params, high = image
    low = forward(ImageTower(TINY, dtype=jnp.bfloat16), params)
    assert low.embed is not None and high.embed is not None
    assert low.embed.dtype == low.tokens.dtype == jnp.float32
    assert_within(low.embed, high.embed, 0.05)
    assert np.abs(np.asarray(low.embed) - np.asarray(high.embed)).max() > 1e-4, "bfloat16 was not used"
    shapes = jax.eval_shape(Clip(TINY, dtype=jnp.bfloat16).init, jax.random.key(0), IMAGES, jnp.asarray(IDS))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.float32)}


def flops_and_bytes(function: Any, *inputs: Any) -> tuple[float, float]:
    cost = jax.jit(function).lower(*inputs).compile().cost_analysis()
    return cost["flops"], cost["bytes accessed"]


def test_unread_outputs_cost_nothing_under_jit(image) -> None:
    params, _ = image

    def bare(params: Any, images: Any) -> Any:
        """The same blocks with nothing kept but the class token."""
        x = PatchEmbed(TINY.width, TINY.patch).apply({"params": params["patch_embed"]}, images)
        first = jnp.broadcast_to(params["class_embedding"], (len(images), 1, TINY.width))
        x = jnp.concatenate([first, x], axis=1) + params["position_embedding"]
        x = LayerNorm().apply({"params": params["ln_pre"]}, x)
        for i in range(TINY.layers):
            x, _ = Block(TINY.heads, TINY.layers).apply({"params": params[f"blocks_{i}"]}, x)
        return LayerNorm().apply({"params": params["ln_post"]}, x[:, 0]) @ params["proj"]

    def everything(params: Any, images: Any) -> ImageOutput:
        return ImageTower(TINY).apply({"params": params}, images)

    def embed(params: Any, images: Any) -> Any:
        return everything(params, images).embed

    least, read, full = (flops_and_bytes(function, params, IMAGES) for function in (bare, embed, everything))
    assert read[0] <= least[0] * 1.001 and read[1] <= least[1] * 1.001
    assert read[0] < full[0] and read[1] < full[1]


def test_clip_encodes_both_sides_with_its_towers(image, text) -> None:
    params, out = image
    texts, encode = text
    clip = {"image": params, "text": texts, "logit_scale": np.float32(np.log(50.0))}
    module = Clip(TINY)
    image_output, text_embeds = jax.jit(lambda clip, ids: module.apply({"params": clip}, IMAGES, ids))(clip, IDS)
    scale = module.apply({"params": clip}, method="scale")
    assert_within(image_output.embed, out.embed, 1e-6)
    assert_within(text_embeds, encode(texts, IDS), 1e-6)
    assert float(scale) == pytest.approx(50.0, rel=1e-5)
