"""Agreement between views."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flipjax.core.numeric import masked_mean, unit


def view_consistency(
    images: Float[Array, "b 2 e"], texts: Float[Array, "b 2 e"], mask: Bool[Array, "b"]
) -> Float[Array, ""]:
    """Returns FLIP's L_mse: mean squared difference of cos(image view 1, text view 1) and cos(image view 2, text view 2).

    Cosines are raw (no logit scale); lengths are clamped at 1e-8.
    """
    cosine = jnp.sum(unit(images, 1e-8) * unit(texts, 1e-8), axis=-1)
    return masked_mean(jnp.square(cosine[:, 0] - cosine[:, 1]), mask)
