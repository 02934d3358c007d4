"""Classification losses."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flipjax.core.numeric import masked_mean


def cross_entropy(
    logits: Float[Array, "b 2"], is_bona_fide: Bool[Array, "b"], mask: Bool[Array, "b"]
) -> Float[Array, ""]:
    """Returns the mean cross-entropy of (attack, bona fide) logits over real rows, in nats."""
    return class_cross_entropy(logits, is_bona_fide.astype(jnp.int32), mask)


def class_cross_entropy(
    logits: Float[Array, "b c"], labels: Int[Array, "b"], mask: Bool[Array, "b"]
) -> Float[Array, ""]:
    """Returns the mean cross-entropy over rows with mask True, in nats; their labels index the columns."""
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    own = jnp.take_along_axis(log_probabilities, jnp.maximum(labels, 0)[:, None], axis=-1)[:, 0]
    return -masked_mean(own, mask)
