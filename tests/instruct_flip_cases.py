"""InstructFLIP's variants at tiny sizes: methods and variables made once per variant, batches, draws, terms."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tiny_methods
from flipjax.core.method import Method
from flipjax.methods import instruct_flip
from tiny_methods import SIZE, batch_of, config_of

ROWS = 6


def settings(**changes: Any) -> instruct_flip.InstructFlip:
    """Returns the typed settings of a variant; `changes` as in `config_of`."""
    return instruct_flip.settings(config_of("instruct_flip", **changes))


@cache
def make(**changes: Any) -> Method:
    """Returns one method per variant, so that tests of the same variant compile its functions once."""
    return instruct_flip.make(config_of("instruct_flip", **changes))


variables_of = cache(tiny_methods.variables_of)


def batch(rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    """Returns random pictures with every label known; row 0 is bona fide."""
    made = dict(batch_of(rows, seed))
    rng = np.random.default_rng(seed)
    made["is_bona_fide"] = jnp.arange(rows) % 2 == 0
    made["attack_instrument"] = jnp.where(made["is_bona_fide"], 0, 7).astype(jnp.int32)
    for name, count in (("illumination", 4), ("environment", 2), ("camera_quality", 3)):
        made[name] = jnp.asarray(rng.integers(0, count, rows).astype(np.int32))
    return made


def draws_of(rows: int = ROWS, noise: float = 0.0) -> dict[str, Any]:
    """Returns draws without dropout: style questions in turn, constant noise."""
    shape = (rows, (SIZE // 8) ** 2, 32)
    return {"style_question": jnp.arange(rows) % 3, "cue_noise": jnp.full(shape, noise, jnp.float32)}


def loss_of(method: Method, variables: Any, given: Any, draws: Any) -> tuple[float, dict[str, float]]:
    """Returns the loss and its unweighted terms, compiled once per method and form of batch and draws."""
    loss, aux = jax.jit(method.loss)(*(variables[k] for k in ("params", "frozen", "model_state")), given, draws)
    return float(loss), {name: float(value) for name, value in aux.terms.items()}


def gradients_of_term(method: Method, name: str, variables: Any, given: Any, draws: Any) -> Any:
    """Returns the gradients of one unweighted term; the rest of the network is not even compiled."""

    def term(params: Any) -> jax.Array:
        return method.loss(params, variables["frozen"], variables["model_state"], given, draws)[1].terms[name]

    return jax.jit(jax.grad(term))(variables["params"])


def largest(tree: Any) -> float:
    """Returns the largest absolute value of a tree."""
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
