"""Optimizers from their numbers: FLIP's Adam with coupled L2, and AdamW under a one-cycle schedule."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from flipjax.core.errors import ConfigError
from flipjax.core.method import OptimizerSpec, Stage


def build(stage: Stage) -> optax.GradientTransformation:
    """Returns the optimizer of a stage.

    "adam_l2" is the paper's: the decay joins the gradient before the moments, unlike AdamW.

    Raises:
      ConfigError: an unknown kind.
    """
    spec = stage.optimizer
    if spec.kind == "adam_l2":
        return optax.chain(
            optax.add_decayed_weights(spec.weight_decay),
            optax.scale_by_adam(spec.b1, spec.b2, spec.eps),
            optax.scale(-spec.lr),
        )
    if spec.kind == "adamw_one_cycle":
        b1 = one_cycle(*spec.cycle_b1, spec.cycle_b1[0], spec, stage.steps) if spec.cycle_b1 else spec.b1
        adamw = optax.inject_hyperparams(optax.adamw)
        return adamw(learning_rate(stage), b1=b1, b2=spec.b2, eps=spec.eps, weight_decay=spec.weight_decay)
    raise ConfigError(f"optim.kind '{spec.kind}' unknown; expected adam_l2 or adamw_one_cycle")


def learning_rate(stage: Stage) -> Callable:
    """Returns step of the stage -> rate."""
    spec = stage.optimizer
    if spec.kind == "adam_l2":
        return optax.constant_schedule(spec.lr)
    start = spec.lr / spec.start_divisor
    return one_cycle(start, spec.lr, start / spec.final_divisor, spec, stage.steps)


def one_cycle(start: float, peak: float, end: float, spec: OptimizerSpec, steps: int) -> Callable:
    """Returns the cosine schedule start -> peak -> end of PyTorch's OneCycleLR.

    The peak is reached at step warmup_fraction * steps - 1 and the end at steps - 1.
    """
    turn = max(spec.warmup_fraction * steps - 1, 0.0)
    fall = max(steps - 1 - turn, 1.0)

    def schedule(step: jax.Array | int) -> jax.Array:
        rising = jnp.clip(step / turn, 0.0, 1.0) if turn > 0 else 1.0
        falling = jnp.clip((step - turn) / fall, 0.0, 1.0)
        up = peak + (start - peak) / 2 * (1 + jnp.cos(math.pi * rising))
        down = end + (peak - end) / 2 * (1 + jnp.cos(math.pi * falling))
        return jnp.where(step < turn, up, down)

    return schedule
