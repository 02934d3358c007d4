"""InstructFLIP's fusion of content features and Q-Former queries (section 3.4), with the rules of the released code.

x <- x + MHA(x) without a norm before; x <- x + LN(CA(LN x, LN context)) with one learned null key and value; the result
is FFN(LN x) without a residual. Which of the two inputs asks and which is the context is the caller's choice.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from flipjax.core.errors import ConfigError
from flipjax.models.layers import Dropout, Keys, LayerNorm, attend, split_heads, torch_dense

DROPOUT = 0.1


@dataclass(frozen=True)
class FusionSize:
    """Dimensions of the fusion; cross-attention heads have a width of their own.

    Raises:
      ConfigError: heads that do not divide the width.
    """

    width: int = 768
    heads: int = 16
    cross_head_width: int = 64
    hidden: int = 2048
    is_causal: bool = True

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % self.heads:
            raise ConfigError(f"width {self.width} of the fusion does not divide by heads {self.heads}; change one")


class FusionSelfAttention(nn.Module):
    """Self-attention whose queries and keys are normalised over all channels before they are cut into heads.

    With `first_only` just token 0 asks; under the causal rule it sees only itself.
    """

    size: FusionSize
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], *, first_only: bool) -> Float[Array, "b q d"]:
        size = self.size
        query, key, value = (
            torch_dense(size.width, size.width, name, self.dtype) for name in ("query", "key", "value")
        )
        asking = x[:, :1] if first_only else x
        seen = asking if size.is_causal else x
        asked = LayerNorm(name="ln_query")(query(asking))
        offered = LayerNorm(name="ln_key")(key(seen))
        scale = (size.width // size.heads) ** -0.5
        causal = jnp.tril(jnp.ones((asked.shape[1], offered.shape[1]), bool)) if size.is_causal else None
        mixed, _ = attend(
            split_heads(asked * scale, size.heads).astype(self.dtype),
            split_heads(offered, size.heads).astype(self.dtype),
            split_heads(value(seen), size.heads),
            mask=causal,
            dtype=self.dtype,
        )
        return torch_dense(size.width, size.width, "out", self.dtype)(mixed)


class FusionCrossAttention(nn.Module):
    """Cross-attention with norms on both inputs, a null key and value in front, and a norm behind the output."""

    size: FusionSize
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], context: Float[Array, "b m d"]) -> Float[Array, "b n d"]:
        size, width = self.size, self.size.width
        inner = size.heads * size.cross_head_width
        null = self.param("null_kv", nn.initializers.normal(1.0), (2, size.cross_head_width), jnp.float32)
        context = LayerNorm(name="ln_context")(context)

        def heads_of(name: str, rows: Float[Array, "b r d"]) -> Float[Array, "b h r k"]:
            return split_heads(torch_dense(inner, width, name, self.dtype, use_bias=False)(rows), size.heads)

        def with_null(row: Float[Array, "k"], rows: Float[Array, "b h m k"]) -> Float[Array, "b h p k"]:
            first = jnp.broadcast_to(row.astype(rows.dtype), (*rows.shape[:2], 1, rows.shape[3]))
            return jnp.concatenate([first, rows], axis=2)

        asked = heads_of("query", LayerNorm(name="ln")(x))
        key, value = with_null(null[0], heads_of("key", context)), with_null(null[1], heads_of("value", context))
        scale = size.cross_head_width**-0.25
        mixed, _ = attend(asked * scale, key * scale, value, dtype=self.dtype)
        out = torch_dense(width, inner, "out", self.dtype, use_bias=False)(mixed)
        return LayerNorm(name="ln_out")(out)


class Fusion(nn.Module):
    """Fused tokens [b n d], or the first one alone [b 1 d] where only it is asked for."""

    size: FusionSize
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b n d"],
        context: Float[Array, "b m d"],
        keys: Keys = None,
        first_only: bool = False,
    ) -> Float[Array, "b q d"]:
        size = self.size
        asking = x[:, :1] if first_only else x
        x = asking + FusionSelfAttention(size, self.dtype, name="attn")(x, first_only=first_only)
        x = x + FusionCrossAttention(size, self.dtype, name="cross")(x, context)
        h = torch_dense(size.hidden, size.width, "fc1", self.dtype)(LayerNorm(name="ln")(x))
        h = torch_dense(size.width, size.hidden, "fc2", self.dtype)(jax.nn.gelu(h, approximate=False))
        return Dropout(DROPOUT, name="drop")(h, keys).astype(jnp.float32)
