"""Every sweep file, found by listing configs/sweeps: its runs are commands that main accepts, and its first one trains."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags
from tiny_runs import shrink, write_data

from flipjax.core.config_path import resolve
from flipjax.core.method import Method
from flipjax.experiment import assemble
from flipjax.experiment.workdir import as_json, flat
from flipjax.training import optim
from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import TrainState, partition
from flipjax.training.step import StepFn, compile_step
from launch.sweep import SweepRun, read_sweep
from tiny_methods import variables_of

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted(file.stem for file in (REPOSITORY / "configs" / "sweeps").glob("*.py") if file.stem != "__init__")
STEPS = 2
INSTRUMENTS = (3, 8)  # photo on A4, tablet: among those that the smallest run of any sweep keeps


def runs_of(name: str) -> list[SweepRun]:
    return read_sweep(f"configs/sweeps/{name}.py")


def parsed(run: SweepRun, workdir: Path) -> Any:
    """Returns the config that the command of a run ends up with, read as main reads it."""
    _, module, program, *words = run.command(workdir)
    assert (module, program) == ("-m", "flipjax.main")
    values, words = flags.FlagValues(), resolve(["main", *words])
    config_flags.DEFINE_config_file("config", None, "config file", lock_config=True, flag_values=values)
    flags.DEFINE_string("workdir", None, "folder", flag_values=values)
    with mock.patch.object(sys, "argv", words):  # where ml_collections looks for overrides
        assert values(words) == ["main"], "a word that is no flag"
    assert values["workdir"].value == str(workdir)
    return values["config"].value


@pytest.mark.parametrize("name", FILES)
def test_runs_are_named_once_and_become_the_configs_that_they_describe(name: str, tmp_path: Path):
    runs = runs_of(name)
    known = {f"configs/{file.name}" for file in (REPOSITORY / "configs").glob("*.py")}
    assert len({run.name for run in runs}) == len(runs)
    seen = set()
    for run in runs:
        assert run.name == Path(run.name).name and run.name.strip(), "the name is a folder"
        assert run.config.partition(":")[0] in known
        config = parsed(run, tmp_path)
        values = flat(as_json(config))
        for key, value in run.overrides.items():
            expected = list(value) if isinstance(value, tuple) else value
            assert values[key] == expected and type(values[key]) is type(expected), f"{run.name}: {key}"
        assert assemble.method_of(config).name == config.method.name, run.name
        assert config.train.steps * config.train.accumulate > 0
        seen.add(json.dumps(values, sort_keys=True, default=str))
    assert len(seen) == len(runs), "two runs are the same"


@pytest.mark.parametrize("name", FILES)
def test_every_run_builds_a_small_method(name: str, tmp_path: Path):
    for run in runs_of(name):
        config = shrink(parsed(run, tmp_path))
        method = assemble.method_of(config)
        assert set(method.inputs) >= {"image"} and method.stages[0].steps == config.train.steps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), INSTRUMENTS)


def build(config: Any) -> tuple[Method, TrainState, StepFn]:
    """Returns the method of a config, its first state and its compiled step, on one device."""
    mesh = make_mesh(1, 1, jax.devices()[:1])
    method = assemble.method_of(config)
    stage = method.stages[0]
    tx, variables = optim.build(stage), variables_of(method)
    trained, _ = partition(variables["params"], stage.trainable)
    rest = (variables["frozen"], variables["model_state"], tx.init(dict(trained)))
    state = TrainState(jnp.zeros((), jnp.int32), variables["params"], *rest)
    step = compile_step(
        method,
        rules=stage.trainable,
        tx=tx,
        seed=0,
        accumulate=config.train.accumulate,
        shardings=tree_shardings(state, mesh),
        mesh=mesh,
    )
    return method, state, step


@pytest.fixture(scope="module")
def compiled() -> Callable[[Any], tuple[Method, TrainState, StepFn]]:
    """`build`, once for configs that differ in their data alone."""
    built: dict[str, tuple[Method, TrainState, StepFn]] = {}

    def once(config: Any) -> tuple[Method, TrainState, StepFn]:
        key = json.dumps({name: as_json(config)[name] for name in ("text", "method", "weights", "optim", "train")})
        if key not in built:
            built[key] = build(config)
        return built[key]

    return once


# The full network compiles for several seconds a variant.
QUICK = ("instruct_flip_components", "quickstart")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FILES]
)
def test_first_run_trains(name: str, tmp_path: Path, data: Path, compiled: Callable[[Any], Any]):
    config = shrink(parsed(runs_of(name)[0], tmp_path).copy_and_resolve_references())
    config.protocol, config.data.dir, config.data.threads = "syn_bcd_to_a", str(data), 0
    config.weights.clip = ""
    config.train.update(steps=STEPS, batch_size=6, accumulate=min(config.train.accumulate, 2), checkpoint_every=STEPS)
    if "used_rows_only" in config.text:
        config.text.used_rows_only = True
    method, state, step = compiled(config)
    stream = assemble.train_data(config, assemble.select(config).train, method, make_mesh(1, 1, jax.devices()[:1]))
    before = jax.tree.map(np.array, state.params)
    state, losses = jax.tree.map(jnp.copy, state), []  # the step donates it
    for batch in stream.batches(0):
        state, terms = step(state, batch)
        losses.append(float(terms["loss"]))
    assert len(losses) == STEPS and np.all(np.isfinite(losses)) and losses[0] != losses[1]
    moved = jax.tree.map(lambda old, new: bool(np.any(old != np.asarray(new))), before, state.params)
    assert any(jax.tree.leaves(moved)) and int(state.step) == STEPS
