"""The cue map's loss (InstructFLIP Eq. 7)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flipjax.core.numeric import masked_mean

BETA = 0.01


def cue_loss(
    cue_map: Float[Array, "b g g c"],
    is_attack: Bool[Array, "b"],
    mask: Bool[Array, "b"],
    *,
    quadratic: float = 0.5,
) -> Float[Array, ""]:
    """Returns the smooth L1 distance of every cell to 1 (attack) or 0 (bona fide), mean over cells and real rows.

    With d = |p - y|: quadratic * d^2 / 0.01 where d < 0.01, else d - 0.005. The code's `quadratic` is 0.5; the paper's
    equation has 1, which leaves a step at d = 0.01.
    """
    distance = jnp.abs(cue_map - is_attack.astype(jnp.float32)[:, None, None, None])
    cells = jnp.where(distance < BETA, quadratic * jnp.square(distance) / BETA, distance - 0.5 * BETA)
    return masked_mean(jnp.mean(cells, axis=(1, 2, 3)), mask)
