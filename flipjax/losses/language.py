"""Language modelling loss (InstructFLIP's content and style terms)."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int


def token_cross_entropy(
    logits: Float[Array, "b t v"], ids: Int[Array, "b t"], mask: Bool[Array, "b t"]
) -> Float[Array, ""]:
    """Returns the mean cross-entropy over all real tokens of the whole batch, in nats.

    Every token weighs the same, so longer answers weigh more. A row without an answer has an all-False mask and drops
    out; with no token left the loss is 0 and so is its gradient.

    Source: the token mean of the T5 that the InstructFLIP code calls; its label -100 is our mask.
    """
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), ids)
    return jnp.sum(jnp.where(mask, losses, 0.0)) / jnp.maximum(jnp.sum(mask), 1)
