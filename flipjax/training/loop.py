"""The one training loop: dispatch update n, read the terms of update n - 1, evaluate and save on schedule."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from absl import logging
from jax.sharding import Mesh

from flipjax.core.errors import TrainingError
from flipjax.core.method import Method
from flipjax.training import optim
from flipjax.training.checkpoints import Checkpoints
from flipjax.training.sharding import put_batch, tree_shardings
from flipjax.training.state import TrainState, partition, stage_at
from flipjax.training.step import StepFn, compile_step
from flipjax.training.telemetry import Telemetry


@dataclass(frozen=True)
class Schedule:
    """When things happen, in updates; `evaluate_every` 0 never evaluates."""

    seed: int
    accumulate: int
    checkpoint_every: int
    log_every: int
    evaluate_every: int
    total: int

    def evaluates(self, step: int) -> bool:
        """True after update `step` on schedule; a run shorter than the interval is evaluated at its end."""
        if not self.evaluate_every:
            return False
        return step % self.evaluate_every == 0 or (step == self.total < self.evaluate_every)

    def saves(self, step: int) -> bool:
        """True after update `step` on schedule and at the end."""
        return step % self.checkpoint_every == 0 or step == self.total

    def logs(self, step: int) -> bool:
        """True after the first update, on schedule and at the end."""
        return step == 1 or step % self.log_every == 0 or step == self.total


@dataclass(frozen=True)
class Hooks:
    """What the loop asks of the layers around it.

    batches(start) yields host batches from update `start` on; evaluate(state) returns the selection value, smaller is
    better; sample_ids(step) names the samples of update `step` (from 0), for error messages.
    """

    batches: Callable[[int], Iterator[dict[str, np.ndarray]]]
    evaluate: Callable[[TrainState], float]
    sample_ids: Callable[[int], list[str]]


def fit(
    method: Method,
    state: TrainState,
    *,
    mesh: Mesh,
    schedule: Schedule,
    hooks: Hooks,
    checkpoints: Checkpoints,
    telemetry: Telemetry,
    config: dict[str, Any],
) -> TrainState:
    """Returns the state after the last update, going on from `state.step`.

    Raises:
      TrainingError: a term that is not a number; names the step, the term and the samples.
      CheckpointError: a save failed.
    """
    start = int(state.step)
    stage_index, step_fn = -1, None
    best = _best_so_far(checkpoints)
    pending: tuple[int, dict[str, jax.Array]] | None = None
    batches = hooks.batches(start)
    for step in range(start + 1, schedule.total + 1):
        index, first = stage_at(method.stages, step - 1)
        if index != stage_index:
            state, step_fn = enter_stage(
                method, state, index, restart=step - 1 == first > 0, mesh=mesh, schedule=schedule
            )
            stage_index = index
        assert step_fn is not None
        batch = put_batch(next(batches), mesh, micro=schedule.accumulate > 1)
        state, terms = step_fn(state, batch)
        if pending is not None:
            _read_terms(*pending, method=method, schedule=schedule, hooks=hooks, telemetry=telemetry)
        pending = (step, terms)
        if schedule.evaluates(step) or schedule.saves(step):
            _read_terms(*pending, method=method, schedule=schedule, hooks=hooks, telemetry=telemetry)
            pending = None
            value = hooks.evaluate(state) if schedule.evaluates(step) else None
            if value is not None:
                logging.info("step %d: selection value %.4f (best so far %.4f)", step, value, min(best, value))
            if schedule.saves(step) or (value is not None and value <= best):
                checkpoints.save(step, state, config, value)
            best = min(best, math.inf if value is None else value)
    checkpoints.wait()
    return state


def enter_stage(
    method: Method, state: TrainState, index: int, *, restart: bool, mesh: Mesh, schedule: Schedule
) -> tuple[TrainState, StepFn]:
    """Returns the state with a fresh optimizer where a stage begins, and the stage's compiled step."""
    stage = method.stages[index]
    tx = optim.build(stage)
    if restart:
        state = fresh_optimizer(state, tx, method, index, mesh)
    shardings = tree_shardings(state, mesh)
    step_fn = compile_step(
        method,
        rules=stage.trainable,
        tx=tx,
        seed=schedule.seed,
        accumulate=schedule.accumulate,
        shardings=shardings,
        mesh=mesh,
    )
    return state, step_fn


def fresh_optimizer(
    state: TrainState, tx: optax.GradientTransformation, method: Method, index: int, mesh: Mesh
) -> TrainState:
    """Returns the state with the optimizer state of stage `index` before its first update."""

    def restart(state: TrainState) -> TrainState:
        trained, _ = partition(state.params, method.stages[index].trainable)
        return dataclasses.replace(state, opt_state=tx.init(dict(trained)))

    return jax.jit(restart, out_shardings=tree_shardings(jax.eval_shape(restart, state), mesh))(state)


def _best_so_far(checkpoints: Checkpoints) -> float:
    step = checkpoints.best()
    return math.inf if step is None else checkpoints.selection(step)


def _read_terms(
    step: int,
    terms: dict[str, jax.Array],
    *,
    method: Method,
    schedule: Schedule,
    hooks: Hooks,
    telemetry: Telemetry,
) -> None:
    values = {name: float(value) for name, value in jax.device_get(terms).items()}
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        ids = ", ".join(hooks.sample_ids(step - 1))
        raise TrainingError(
            f"step {step}: {', '.join(broken)} is not a finite number; lower optim.lr or look at the samples {ids}; "
            "the last checkpoint is from before this step"
        )
    if schedule.logs(step):
        index, first = stage_at(method.stages, step - 1)
        telemetry.log(step, values, float(optim.learning_rate(method.stages[index])(step - 1 - first)))
