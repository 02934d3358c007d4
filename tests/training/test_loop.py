"""The loop with the toy method: schedule, stages, resuming, broken losses, what is logged and saved when."""

import dataclasses
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import toy_method as toy
from flipjax.core.errors import CheckpointError, TrainingError
from flipjax.core.method import Method, OptimizerSpec, Stage
from flipjax.training import optim
from flipjax.training.checkpoints import abstract_like, open_checkpoints
from flipjax.training.loop import Hooks, Schedule, fit
from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import TrainState, init_state, stage_at
from flipjax.training.telemetry import open_telemetry
from golden_cases import assert_within

MESH = partial(make_mesh, 1, 1)
EVERY_STEP = Schedule(seed=0, accumulate=1, checkpoint_every=2, log_every=1, evaluate_every=0, total=4)


@dataclasses.dataclass
class Run:
    """One run of `fit` in a folder, resumable like a real one; what the hooks saw is kept."""

    folder: Path
    method: Method
    schedule: Schedule = EVERY_STEP
    poison_at: int | None = None
    evaluate: Callable[[int], float] = float
    evaluated: list[int] = dataclasses.field(default_factory=list)
    started: list[int] = dataclasses.field(default_factory=list)
    before_save: Callable[[Any], None] = lambda checkpoints: None

    def fit(self) -> TrainState:
        mesh = MESH(jax.devices()[:1])
        checkpoints = open_checkpoints(self.folder / "checkpoints")
        latest = checkpoints.latest() or 0
        stage = self.method.stages[stage_at(self.method.stages, max(latest - 1, 0))[0]]
        staged = dataclasses.replace(self.method, stages=(stage,))
        state = init_state(staged, jax.random.key(0), optim.build(stage))
        if latest:
            state = checkpoints.restore(latest, abstract_like(state, tree_shardings(state, mesh)))
        telemetry = open_telemetry(
            self.folder, start_step=latest, total_steps=self.schedule.total, images_per_step=8, tensorboard=False
        )
        self.before_save(checkpoints)
        try:
            return fit(
                self.method,
                state,
                mesh=mesh,
                schedule=self.schedule,
                hooks=Hooks(self.batches, self.selection, lambda step: [f"sample_{step}_{i}" for i in range(2)]),
                checkpoints=checkpoints,
                telemetry=telemetry,
                config={"seed": 0},
            )
        finally:
            checkpoints.close()

    def batches(self, start: int) -> Any:
        self.started.append(start)
        return toy.batches(start, self.poison_at)

    def selection(self, state: TrainState) -> float:
        self.evaluated.append(int(state.step))
        return self.evaluate(int(state.step))

    @property
    def saved(self) -> list[int]:
        return sorted(int(path.name) for path in (self.folder / "checkpoints").iterdir())

    @property
    def rows(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "train.jsonl").read_text().splitlines()]


def schedule(**changes: Any) -> Schedule:
    return dataclasses.replace(EVERY_STEP, **changes)


@pytest.mark.parametrize(
    "every,total,expected", [(3, 7, [3, 6]), (3, 6, [3, 6]), (10, 7, [7]), (7, 7, [7]), (0, 7, [])]
)
def test_evaluations_are_on_schedule_and_a_short_run_gets_one(every, total, expected) -> None:
    plan = schedule(evaluate_every=every, total=total)
    assert [step for step in range(1, total + 1) if plan.evaluates(step)] == expected


def test_saves_and_logs_are_on_schedule_and_at_the_end() -> None:
    plan = schedule(checkpoint_every=3, log_every=4, total=7)
    assert [step for step in range(1, 8) if plan.saves(step)] == [3, 6, 7]
    assert [step for step in range(1, 8) if plan.logs(step)] == [1, 4, 7]


def test_every_row_belongs_to_its_step(tmp_path) -> None:
    run = Run(tmp_path, toy.make())
    state = run.fit()
    assert int(state.step) == 4 and run.started == [0] and run.saved == [4]
    assert [row["step"] for row in run.rows] == [1, 2, 3, 4]
    # The noise of update n depends on (seed, n) alone, so a row that is one step late would show.
    key = jax.random.fold_in(toy.stream(jax.random.key(0), "train"), 2)
    expected = toy.draws(jax.random.fold_in(key, 0), {})["noise"]
    assert run.rows[2]["terms"]["noise"] == pytest.approx(float(expected), rel=1e-6)
    assert run.rows[0]["loss"] == pytest.approx(run.rows[0]["terms"]["square"]) and run.rows[0]["lr"] == 0.1
    assert "grad_norm" in run.rows[0]["terms"]


def test_resumed_run_equals_the_uninterrupted_one(tmp_path) -> None:
    cut = 2
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = Run(tmp_path / "whole", toy.make(), schedule(checkpoint_every=1))
    expected = whole.fit()
    Run(tmp_path / "parts", toy.make(), schedule(checkpoint_every=1, total=cut)).fit()
    with (tmp_path / "parts" / "train.jsonl").open("a") as file:
        file.write(json.dumps({"step": cut + 1, "loss": 9.0}) + '\n{"step": 4, "lo')
    second = Run(tmp_path / "parts", toy.make(), schedule(checkpoint_every=1))
    state = second.fit()
    assert second.started == [cut]
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    kept = [
        [{name: row[name] for name in ("step", "loss", "terms", "lr")} for row in run.rows] for run in (whole, second)
    ]
    assert kept[0] == kept[1]


def test_first_stage_trains_a_then_the_second_trains_b_with_fresh_moments(tmp_path) -> None:
    slow, fast = toy.adam(lr=0.1), toy.adam(lr=0.3)
    method = toy.make(Stage(2, toy.ONLY_A, slow), Stage(1, toy.ONLY_B, fast))
    start = method.init(jax.random.key(0))["params"]
    runs = {}
    for total in (2, 3):
        (tmp_path / str(total)).mkdir()
        run = Run(tmp_path / str(total), method, schedule(checkpoint_every=1, total=total))
        runs[total] = jax.device_get(run.fit())
    assert [row["lr"] for row in run.rows] == pytest.approx([0.1, 0.1, 0.3])
    np.testing.assert_array_equal(runs[2].params["b"]["w"], start["b"]["w"])
    assert np.all(runs[2].params["a"]["w"] != start["a"]["w"])
    np.testing.assert_array_equal(runs[3].params["a"]["w"], runs[2].params["a"]["w"])
    # A fresh Adam moves every weight by exactly its rate in its first update.
    moved = np.abs(runs[3].params["b"]["w"] - start["b"]["w"])
    assert_within(moved, np.full(toy.WIDTH, 0.3), 1e-4)
    (count,) = (leaf for leaf in jax.tree.leaves(runs[3].opt_state) if np.issubdtype(leaf.dtype, np.integer))
    assert int(count) == 1 and int(runs[3].step) == 3


def test_logged_rate_is_that_of_the_update_within_its_stage(tmp_path) -> None:
    cycle = OptimizerSpec("adamw_one_cycle", lr=0.1, weight_decay=0.0, warmup_fraction=0.75, start_divisor=4.0)
    stages = Stage(1, toy.EVERYTHING, toy.adam(0.3)), Stage(4, toy.EVERYTHING, cycle)
    run = Run(tmp_path, toy.make(*stages), schedule(total=5, checkpoint_every=5))
    state = run.fit()
    # Start 0.025, half way up, the peak at the third of four updates, and down to the start again.
    assert [row["lr"] for row in run.rows] == pytest.approx([0.3, 0.025, 0.0625, 0.1, 0.025], rel=1e-4)
    assert float(state.opt_state.hyperparams["learning_rate"]) == pytest.approx(run.rows[-1]["lr"], rel=1e-4)


@pytest.fixture(scope="module")
def two_stages(tmp_path_factory) -> tuple[Method, TrainState]:
    """A method with two stages of two updates, and its state after an uninterrupted run."""
    method = toy.make(Stage(2, toy.ONLY_A, toy.adam()), Stage(2, toy.ONLY_B, toy.adam(0.3)))
    return method, Run(tmp_path_factory.mktemp("whole"), method, schedule(checkpoint_every=4)).fit()


@pytest.mark.parametrize("cut", [2, 3])
def test_resuming_at_and_after_a_stage_boundary(tmp_path, two_stages, cut) -> None:
    method, expected = two_stages
    Run(tmp_path, method, schedule(checkpoint_every=4, total=cut)).fit()
    state = Run(tmp_path, method, schedule(checkpoint_every=4)).fit()
    jax.tree.map(np.testing.assert_array_equal, state, expected)


@pytest.mark.parametrize("checkpoint_every", [1, 10])
def test_a_loss_that_is_not_a_number_names_step_term_and_samples_and_saves_nothing(tmp_path, checkpoint_every) -> None:
    run = Run(tmp_path, toy.make(), schedule(checkpoint_every=checkpoint_every, total=6), poison_at=2)
    with pytest.raises(TrainingError) as error:
        run.fit()
    message = str(error.value)
    assert "\n" not in message
    for part in ("step 3: ", "loss", "square", "sample_2_0, sample_2_1"):
        assert part in message, message
    assert "noise" not in message, "a finite term is not named"
    assert run.saved == ([2] if checkpoint_every < 3 else [])
    assert [row["step"] for row in run.rows] == [1, 2]


def test_infinite_gradients_are_caught_too(tmp_path) -> None:
    run = Run(tmp_path, toy.make(), schedule(total=2))
    run.batches = lambda start: iter([{**toy.batch_at(0), "x": np.full((toy.ROWS, toy.WIDTH), 1e30, np.float32)}] * 2)
    with pytest.raises(TrainingError, match=r"step 1: .*grad_norm"):
        run.fit()


def test_evaluations_select_and_better_ones_are_saved_off_schedule(tmp_path) -> None:
    values = {1: 50.0, 2: 20.0, 3: 30.0, 4: 20.0, 5: 40.0}
    run = Run(
        tmp_path, toy.make(), schedule(evaluate_every=1, checkpoint_every=5, total=5), evaluate=values.__getitem__
    )
    run.fit()
    assert run.evaluated == [1, 2, 3, 4, 5]
    assert run.saved == [4, 5], "the later of two equals, and the newest"
    checkpoints = open_checkpoints(tmp_path / "checkpoints")
    assert checkpoints.resolve("best") == 4 and checkpoints.selection(4) == 20.0
    checkpoints.close()


def test_resumed_run_keeps_the_best_of_the_first_part_and_measures_against_it(tmp_path) -> None:
    values = {1: 10.0, 2: 50.0, 3: 30.0, 4: 40.0}
    saves: list[int] = []

    def watch(checkpoints: Any) -> None:
        save = checkpoints.manager.save
        checkpoints.manager.save = lambda step, **kwargs: (saves.append(step), save(step, **kwargs))

    plan = partial(schedule, evaluate_every=1, checkpoint_every=2)
    Run(tmp_path, toy.make(), plan(total=2), evaluate=values.__getitem__).fit()
    second = Run(tmp_path, toy.make(), plan(total=4), evaluate=values.__getitem__, before_save=watch)
    second.fit()
    assert saves == [4], "update 3 is no better than update 1"
    assert second.saved == [1, 4]


def test_failing_evaluation_of_a_finished_update_does_not_hide_broken_terms(tmp_path) -> None:
    # Update 3 breaks and is evaluated: its terms are read first.
    run = Run(tmp_path, toy.make(), schedule(evaluate_every=3, total=6), poison_at=2, evaluate=lambda step: math.nan)
    with pytest.raises(TrainingError, match="step 3"):
        run.fit()
    assert run.evaluated == []


def test_failed_save_stops_the_run(tmp_path) -> None:
    def full_disk(checkpoints: Any) -> None:
        def save(*args: Any, **kwargs: Any) -> None:
            raise OSError(28, "No space left on device")

        checkpoints.manager.save = save

    run = Run(tmp_path, toy.make(), before_save=full_disk)
    with pytest.raises(CheckpointError, match="step 2 could not be saved"):
        run.fit()


def test_accumulated_batches_are_split_over_micro_batches(tmp_path) -> None:
    run = Run(tmp_path, toy.make(), schedule(accumulate=2, total=1))
    pairs = {name: np.stack([value, value]) for name, value in toy.batch_at(0).items()}
    run.batches = lambda start: iter([pairs])
    state = run.fit()
    assert int(state.step) == 1 and int(state.model_state["updates"]) == 2
