"""Classification losses."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flipjax.core.numeric import masked_mean


def cross_entropy(
    logits: Float[Array, "b 2"], is_bona_fide: Bool[Array, "b"], mask: Bool[Array, "b"]
) -> Float[Array, ""]:
    """Returns the mean cross-entropy of (attack, bona fide) logits over real rows, in nats."""
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    own = jnp.where(is_bona_fide, log_probabilities[:, 1], log_probabilities[:, 0])
    return -masked_mean(own, mask)
