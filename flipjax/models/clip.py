"""CLIP's image and text towers (Radford et al. 2021, OpenAI release) for any size given by dimensions.

Intermediate results (every block's tokens and attention, the class token before and after the projection) come back with
one forward; under jit those that nobody reads cost nothing. Attention is causal in the text tower and only the
end-of-text position is read, so prompts run at the length of the longest one in use with the same result as at 77.
"""

from dataclasses import dataclass

import flax.linen as nn
import flax.struct
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

from flipjax.core.errors import ConfigError
from flipjax.models.layers import LayerNorm, Nudges, StackOutput, run_blocks

COLOUR_FILTER_EVERY = 8
UNTRAINED_LOGIT_SCALE = 2.6592600  # ln(1 / 0.07), OpenAI CLIP


@dataclass(frozen=True)
class ClipSize:
    """Dimensions of both towers; the defaults are ViT-B/16. `vocab` counts the rows kept in the token table.

    Raises:
      ConfigError: patches or heads that do not divide what they cut.
    """

    image_size: int = 224
    patch: int = 16
    width: int = 768
    layers: int = 12
    heads: int = 12
    embed: int = 512
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    context: int = 77
    vocab: int = 49408

    def __post_init__(self) -> None:
        for whole, part in (("image_size", "patch"), ("width", "heads"), ("text_width", "text_heads")):
            size, divisor = getattr(self, whole), getattr(self, part)
            if divisor < 1 or size % divisor:
                raise ConfigError(f"{whole} {size} of CLIP does not divide by {part} {divisor}; change one of them")

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch


@flax.struct.dataclass
class ImageOutput:
    """What the image tower knows after one forward; n = 1 + patches, class token first.

    `tokens` are the last block's, `content` the same after ln_post, `class_token` is content[:, 0] and `embed` its
    projection into the joint space (None in a tower without projection).
    """

    tokens: Float[Array, "b n d"]
    content: Float[Array, "b n d"]
    class_token: Float[Array, "b d"]
    embed: Float[Array, "b e"] | None
    blocks: tuple[Float[Array, "b n d"], ...]
    attention: tuple[Float[Array, "b h n n"], ...]


class ImageTower(nn.Module):
    """Vision transformer of CLIP; `project` adds the bare matrix into the joint space.

    `nudges`, one per block, are added to the attention weights, so that a gradient with respect to them can be taken.
    """

    size: ClipSize
    project: bool = True
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "b h w 3"], nudges: Nudges = None) -> ImageOutput:
        size, std = self.size, self.size.width**-0.5
        patches = PatchEmbed(size.width, size.patch, self.dtype, name="patch_embed")(images)
        class_embedding = self.param("class_embedding", nn.initializers.normal(std), (size.width,), jnp.float32)
        positions = self.param(
            "position_embedding", nn.initializers.normal(std), (1 + size.grid**2, size.width), jnp.float32
        )
        first = jnp.broadcast_to(class_embedding, (patches.shape[0], 1, size.width))
        x = LayerNorm(name="ln_pre")(jnp.concatenate([first, patches], axis=1) + positions)
        stack = run_blocks(x, layers=size.layers, heads=size.heads, dtype=self.dtype, remat=self.remat, nudges=nudges)
        ln_post = LayerNorm(name="ln_post")
        class_token = ln_post(stack.tokens[:, 0])
        embed = None
        if self.project:
            proj = self.param("proj", nn.initializers.normal(std), (size.width, size.embed), jnp.float32)
            embed = jnp.dot(class_token.astype(self.dtype), proj.astype(self.dtype), preferred_element_type=jnp.float32)
        return ImageOutput(
            tokens=stack.tokens,
            content=ln_post(stack.tokens),
            class_token=class_token,
            embed=embed,
            blocks=stack.blocks,
            attention=stack.attention,
        )


def texture_filters(key: Key[Array, ""], shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "p q c d"]:
    """Initialises patch filters: every eighth sees the patch's mean colour alone, the others have no constant part.

    Brightness otherwise drowns texture from the start of a small tower.
    """
    filters = nn.initializers.lecun_normal()(key, shape, dtype)
    mean = jnp.mean(filters, axis=(0, 1), keepdims=True)
    is_colour = jnp.arange(shape[-1]) % COLOUR_FILTER_EVERY == 0
    return jnp.where(is_colour, mean, 3.0 * (filters - mean))


class PatchEmbed(nn.Module):
    """Convolution with stride = kernel = patch and no bias, as one matrix product; kernel [patch patch 3 width]."""

    width: int
    patch: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "b h w 3"]) -> Float[Array, "b p d"]:
        shape = (self.patch, self.patch, 3, self.width)
        kernel = self.param("kernel", texture_filters, shape, jnp.float32)
        rows = rearrange(images, "b (gh p) (gw q) c -> b (gh gw) (p q c)", p=self.patch, q=self.patch)
        flat = kernel.reshape(-1, self.width).astype(self.dtype)
        return jnp.dot(rows.astype(self.dtype), flat, preferred_element_type=jnp.float32)


class TextTower(nn.Module):
    """Causal text transformer of CLIP; returns the projected feature at the end-of-text position (the largest id)."""

    size: ClipSize
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, ids: Int[Array, "b t"]) -> tuple[Float[Array, "b e"], StackOutput]:
        size, t = self.size, ids.shape[-1]
        table = self.param("token_embedding", nn.initializers.normal(0.02), (size.vocab, size.text_width), jnp.float32)
        positions = self.param(
            "position_embedding", nn.initializers.normal(0.01), (size.context, size.text_width), jnp.float32
        )
        causal = jnp.tril(jnp.ones((t, t), bool))
        x = jnp.take(table, ids, axis=0) + positions[:t]
        stack = run_blocks(
            x, layers=size.text_layers, heads=size.text_heads, mask=causal, dtype=self.dtype, remat=self.remat
        )
        end = jnp.take_along_axis(stack.tokens, jnp.argmax(ids, axis=-1)[:, None, None], axis=1)[:, 0]
        end = LayerNorm(name="ln_final")(end)
        proj = self.param(
            "proj", nn.initializers.normal(size.text_width**-0.5), (size.text_width, size.embed), jnp.float32
        )
        embed = jnp.dot(end.astype(self.dtype), proj.astype(self.dtype), preferred_element_type=jnp.float32)
        return embed, stack


class Clip(nn.Module):
    """Both towers and the logit scale; `encode_image` and `encode_text` are the two entries."""

    size: ClipSize
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        self.image = ImageTower(self.size, dtype=self.dtype, remat=self.remat)
        self.text = TextTower(self.size, dtype=self.dtype, remat=self.remat)
        scale = nn.initializers.constant(UNTRAINED_LOGIT_SCALE)
        self.logit_scale = self.param("logit_scale", scale, (), jnp.float32)

    def __call__(
        self, images: Float[Array, "b h w 3"], ids: Int[Array, "k t"]
    ) -> tuple[ImageOutput, Float[Array, "k e"]]:
        return self.encode_image(images), self.encode_text(ids)

    def encode_image(self, images: Float[Array, "b h w 3"], nudges: Nudges = None) -> ImageOutput:
        return self.image(images, nudges)

    def encode_text(self, ids: Int[Array, "k t"]) -> Float[Array, "k e"]:
        return self.text(ids)[0]

    def scale(self) -> Float[Array, ""]:
        return jnp.exp(self.logit_scale)
