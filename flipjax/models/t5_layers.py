"""Layers of T5 v1.1 (Raffel et al. 2020, section 2.1; Shazeer 2020): sizes, RMS norm, attention, gated MLP, block, stack.

Encoder and decoder are made of one block type. Attention has no scale and no bias terms; a relative position bias is
shared by the blocks of a stack. Parameters may be stored in bfloat16 and are cast where they are used; the residual stream,
norms and softmax are float32. Letters: b batch, m keys, q queries, h heads, k head width, d width.
"""

import math
from dataclasses import dataclass

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from flipjax.core.errors import ConfigError, check_choice
from flipjax.models.layers import Dense

GELU_FORMS = {"exact": False, "tanh": True}


@dataclass(frozen=True)
class T5Size:
    """Dimensions of both stacks; `layers` blocks each, `hidden` units in an MLP, `gelu` is "exact" or "tanh".

    Raises:
      ConfigError: an unknown form of GELU, or position buckets that leave no room for logarithmic ones.
    """

    width: int
    heads: int
    head_width: int
    hidden: int
    layers: int
    vocab: int = 32128
    buckets: int = 32
    max_distance: int = 128
    gelu: str = "exact"
    eps: float = 1e-6

    def __post_init__(self) -> None:
        check_choice("GELU form", self.gelu, tuple(GELU_FORMS))
        if self.buckets < 4 or self.buckets % 4 or self.max_distance <= self.buckets // 2:
            raise ConfigError(
                f"{self.buckets} position buckets up to distance {self.max_distance} do not fit T5; "
                f"use a multiple of 4 and a distance above half of it"
            )


T5_SIZES = {
    "small": T5Size(width=512, heads=6, head_width=64, hidden=1024, layers=8),
    "base": T5Size(width=768, heads=12, head_width=64, hidden=2048, layers=12),
    "large": T5Size(width=1024, heads=16, head_width=64, hidden=2816, layers=24),
    "xl": T5Size(width=2048, heads=32, head_width=64, hidden=5120, layers=24),
}


@flax.struct.dataclass
class Memory:
    """What attention reads: keys and values of every position and head."""

    keys: Float[Array, "b m h k"]
    values: Float[Array, "b m h k"]


class RmsNorm(nn.Module):
    """x / sqrt(mean x^2 + eps) * scale over the last axis, in float32."""

    eps: float

    @nn.compact
    def __call__(self, x: Float[Array, "*s d"]) -> Float[Array, "*s d"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(mean_square + self.eps) * scale.astype(jnp.float32)


class T5Attention(nn.Module):
    """Multi-head attention; logits are not divided by sqrt(head width), which the initial scale of `query` makes up for."""

    size: T5Size
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        width, inner = self.size.width, self.size.heads * self.size.head_width
        self.query = self._linear(inner, (width * self.size.head_width) ** -0.5)
        self.key = self._linear(inner, width**-0.5)
        self.value = self._linear(inner, width**-0.5)
        self.out = self._linear(width, inner**-0.5)

    def _linear(self, features: int, std: float) -> Dense:
        return Dense(features, use_bias=False, dtype=self.dtype, kernel_init=nn.initializers.normal(std))

    def _heads(self, x: Float[Array, "b m i"]) -> Float[Array, "b m h k"]:
        return x.reshape(*x.shape[:2], self.size.heads, self.size.head_width)

    def memory(self, x: Float[Array, "b m d"]) -> Memory:
        """Returns the keys and values of `x`."""
        return Memory(keys=self._heads(self.key(x)), values=self._heads(self.value(x)))

    def __call__(
        self,
        x: Float[Array, "#b q d"],
        memory: Memory,
        mask: Bool[Array, "#b #q m"],
        bias: Float[Array, "h q m"] | None = None,
    ) -> Float[Array, "b q d"]:
        query = self._heads(self.query(x))
        logits = jnp.einsum("bqhk,bmhk->bhqm", query, memory.keys, preferred_element_type=jnp.float32)
        if bias is not None:
            logits = logits + bias
        logits = jnp.where(
            mask[:, None], logits, jnp.finfo(jnp.float32).min
        )  # finite: a row with no key stays a number
        weights = jax.nn.softmax(logits, axis=-1).astype(self.dtype)
        mixed = jnp.einsum("bhqm,bmhk->bqhk", weights, memory.values, preferred_element_type=jnp.float32)
        return self.out(mixed.reshape(*mixed.shape[:2], -1))


class GatedMlp(nn.Module):
    """fc2(gelu(gate x) * fc1 x)."""

    size: T5Size
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b q d"]) -> Float[Array, "b q d"]:
        def linear(name: str, inputs: int, outputs: int) -> Dense:
            init = nn.initializers.normal(inputs**-0.5)
            return Dense(outputs, use_bias=False, dtype=self.dtype, kernel_init=init, name=name)

        width, hidden = self.size.width, self.size.hidden
        gate = linear("gate", width, hidden)(x).astype(jnp.float32)
        gate = jax.nn.gelu(gate, approximate=GELU_FORMS[self.size.gelu]).astype(self.dtype)
        return linear("fc2", hidden, width)(gate * linear("fc1", width, hidden)(x))


class T5Block(nn.Module):
    """x += attention(ln_1 x); with `has_cross` x += cross(ln_cross x); x += mlp(ln_2 x).

    `cross` is what cross-attention reads, with its mask. Returns x and the self-attention memory: of x alone, or with
    `cache` (a longer memory, a position) that memory with the keys and values of x written from the position on.
    """

    size: T5Size
    has_cross: bool
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.ln_1, self.ln_2 = RmsNorm(self.size.eps), RmsNorm(self.size.eps)
        self.attn = T5Attention(self.size, dtype=self.dtype)
        self.mlp = GatedMlp(self.size, dtype=self.dtype)
        if self.has_cross:
            self.ln_cross = RmsNorm(self.size.eps)
            self.cross = T5Attention(self.size, dtype=self.dtype)

    def __call__(
        self,
        x: Float[Array, "#b q d"],
        mask: Bool[Array, "#b #q m"],
        bias: Float[Array, "h q m"],
        cross: tuple[Memory, Bool[Array, "#b 1 n"]] | None = None,
        cache: tuple[Memory, Int[Array, ""]] | None = None,
    ) -> tuple[Float[Array, "b q d"], Memory]:
        y = self.ln_1(x)
        memory = self.attn.memory(y)
        if cache is not None:
            memory = _written(cache[0], memory, cache[1])
        x = x + self.attn(y, memory, mask, bias)
        if cross is not None:
            x = x + self.cross(self.ln_cross(x), *cross)
        return x + self.mlp(self.ln_2(x)), memory

    def cross_memory(self, encoded: Float[Array, "b n d"]) -> Memory:
        """Returns the keys and values of `encoded` for cross-attention."""
        return self.cross.memory(encoded)


class T5Stack(nn.Module):
    """Blocks named blocks_0 ..., a final norm, and the position bias that all of them share.

    With `has_cross` it is the decoder, whose buckets look backwards only.
    """

    size: T5Size
    has_cross: bool
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        size = self.size
        shape = (size.buckets, size.heads)
        self.relative_bias = self.param("relative_bias", nn.initializers.normal(size.width**-0.5), shape, jnp.float32)
        block_type = nn.remat(T5Block) if self.remat else T5Block
        self.blocks = [block_type(size, self.has_cross, dtype=self.dtype) for _ in range(size.layers)]
        self.ln_final = RmsNorm(size.eps)

    def bias(self, queries: Int[np.ndarray, "q"], keys: Int[np.ndarray, "m"]) -> Float[Array, "h q m"]:
        """Returns the bias between positions, which are known when tracing."""
        buckets = position_buckets(
            keys[None, :] - queries[:, None],
            is_bidirectional=not self.has_cross,
            buckets=self.size.buckets,
            max_distance=self.size.max_distance,
        )
        return self.relative_bias.astype(jnp.float32)[buckets].transpose(2, 0, 1)

    def cross_memories(self, encoded: Float[Array, "b n d"]) -> tuple[Memory, ...]:
        """Returns every block's keys and values of `encoded`."""
        return tuple(block.cross_memory(encoded) for block in self.blocks)

    def __call__(
        self,
        x: Float[Array, "#b q d"],
        mask: Bool[Array, "#b #q m"],
        bias: Float[Array, "h q m"],
        cross: tuple[tuple[Memory, ...], Bool[Array, "#b 1 n"]] | None = None,
        cache: tuple[tuple[Memory, ...], Int[Array, ""]] | None = None,
    ) -> tuple[Float[Array, "b q d"], tuple[Memory, ...]]:
        """Returns x after the final norm, and every block's self-attention memory; see T5Block."""
        memories = []
        for i, block in enumerate(self.blocks):
            own_cross = (cross[0][i], cross[1]) if cross else None
            own_cache = (cache[0][i], cache[1]) if cache else None
            x, memory = block(x, mask, bias, own_cross, own_cache)
            memories.append(memory)
        return self.ln_final(x), tuple(memories)


def _written(cache: Memory, new: Memory, index: Int[Array, ""]) -> Memory:
    return jax.tree.map(lambda old, x: jax.lax.dynamic_update_slice_in_dim(old, x, index, axis=1), cache, new)


def position_buckets(
    distance: Int[np.ndarray, "q m"], *, is_bidirectional: bool, buckets: int, max_distance: int
) -> Int[np.ndarray, "q m"]:
    """Returns the bucket of every key position minus query position.

    Half of the buckets of a direction hold one distance each, the others grow logarithmically up to `max_distance`.
    """
    first = 0
    if is_bidirectional:
        buckets //= 2
        first = (distance > 0) * buckets
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = buckets // 2
    growth = np.log(np.maximum(distance, exact) / exact) / math.log(max_distance / exact)
    coarse = np.minimum(exact + np.floor(growth * (buckets - exact)).astype(distance.dtype), buckets - 1)
    return first + np.where(distance < exact, distance, coarse)
