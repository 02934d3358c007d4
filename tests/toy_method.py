"""A method small enough to compute by hand: two weight vectors, a squared error, one draw, one counter.

loss = mean over real rows of (x . a + 2 (x . b) + noise - y)^2, noise drawn per step; the batch field `poison` is added to
the term `square`, so that a test can break one step.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flipjax.core.method import Aux, Method, OptimizerSpec, Stage
from flipjax.core.rng import stream

WIDTH, ROWS = 4, 8
A, B = "^a/", "^b/"
EVERYTHING = ((".*", True),)
ONLY_A = ((A, True), (B, False))
ONLY_B = ((A, False), (B, True))


def adam(lr: float = 0.1, weight_decay: float = 0.0) -> OptimizerSpec:
    """Returns FLIP's optimizer at a rate that shows."""
    return OptimizerSpec("adam_l2", lr=lr, weight_decay=weight_decay)


def init(rng: jax.Array) -> dict[str, Any]:
    """Returns variables that depend on `rng`."""
    a, b = (jax.random.normal(stream(rng, name), (WIDTH,)) for name in ("a", "b"))
    return {
        "params": {"a": {"w": a}, "b": {"w": b}},
        "frozen": {"scale": jnp.float32(2.0)},
        "model_state": {"updates": jnp.zeros((), jnp.int32)},
    }


def draws(rng: jax.Array, batch: Any) -> dict[str, jax.Array]:
    """Returns one number for the whole step."""
    return {"noise": 0.1 * jax.random.normal(stream(rng, "noise"))}


def loss(params: Any, frozen: Any, model_state: Any, batch: Any, draws: Any) -> tuple[jax.Array, Aux]:
    """Returns the squared error; also reports the draw and a count of forward passes."""
    output = batch["x"] @ params["a"]["w"] + frozen["scale"] * (batch["x"] @ params["b"]["w"]) + draws["noise"]
    errors = jnp.where(batch["mask"], jnp.square(output - batch["y"]), 0.0)
    square = jnp.sum(errors) / jnp.sum(batch["mask"]) + jnp.sum(batch["poison"])
    state = {"updates": model_state["updates"] + 1}
    return square, Aux(terms={"square": square, "noise": draws["noise"]}, model_state=state)


def make(*stages: Stage, project: Any = None) -> Method:
    """Returns the method with these stages (default: four updates of everything)."""
    return Method(
        name="toy",
        inputs=("x", "y", "poison"),
        init=init,
        draws=draws,
        loss=loss,
        prepare=lambda params, frozen, model_state: params,
        score=lambda prepared, batch: jax.nn.sigmoid(batch["x"] @ prepared["a"]["w"]),
        stages=stages or (Stage(4, EVERYTHING, adam()),),
        project=project,
    )


def batch_at(step: int, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Returns the batch of update `step` (from 0)."""
    rng = np.random.default_rng(step)
    return {
        "x": rng.normal(size=(rows, WIDTH)).astype(np.float32),
        "y": rng.normal(size=rows).astype(np.float32),
        "poison": np.zeros(rows, np.float32),
        "mask": np.ones(rows, bool),
    }


def batches(start: int, poison_at: int | None = None) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches from update `start` (from 0) on; the one of `poison_at` holds a value that is not a number."""
    step = start
    while True:
        batch = batch_at(step)
        if step == poison_at:
            batch["poison"] = np.full(ROWS, np.nan, np.float32)
        yield batch
        step += 1
