"""Two small array operations that models and losses share."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def unit(x: Float[Array, "*s d"], eps: float = 1e-12) -> Float[Array, "*s d"]:
    """Returns rows of Euclidean length 1; lengths are clamped at `eps`, also in the gradient."""
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, eps * eps))


def masked_mean(values: Float[Array, "b"], mask: Bool[Array, "b"]) -> Float[Array, ""]:
    """Returns the mean over real rows; padding counts for nothing, and no real row at all gives 0."""
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(jnp.sum(mask), 1)
