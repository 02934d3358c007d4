"""Contrastive losses over the global batch."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flipjax.core.numeric import masked_mean, unit


def nt_xent(
    h1: Float[Array, "b d"], h2: Float[Array, "b d"], mask: Bool[Array, "b"], *, temperature: float = 0.1
) -> Float[Array, ""]:
    """Returns SimCLR's NT-Xent of two views (FLIP's L_simCLR), mean over the 2b real rows, in nats.

    Row i's positive is the other view of the same image; every other real row of either view is a negative, whatever its
    class or domain. Rows are normalised here. Padding is neither a row nor a negative.

    Source: Chen et al. 2020, eq. 1; temperature 0.1 as in the FLIP code.
    """
    b = h1.shape[0]
    z = unit(jnp.concatenate([h1, h2]).astype(jnp.float32))
    real = jnp.concatenate([mask, mask])
    similarity = z @ z.T / temperature
    others = real[None, :] & ~jnp.eye(2 * b, dtype=bool)
    log_normalizer = jax.nn.logsumexp(jnp.where(others, similarity, -jnp.inf), axis=1)
    positive = jnp.sum(z[:b] * z[b:], axis=1) / temperature
    return masked_mean(log_normalizer - jnp.concatenate([positive, positive]), real)
