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
from flipjax.core.errors import ConfigError
from flipjax.core.method import Method
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.papers.printed import load_table
from flipjax.evaluation.protocol import evaluate, write_json
from flipjax.evaluation.score_files import write_scores
from flipjax.experiment import assemble
from flipjax.experiment.workdir import as_json, flat
from flipjax.training import optim
from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import TrainState, partition
from flipjax.training.step import StepFn, compile_step
from launch.sweep import Sweep, SweepRun, read_sweep, result_of, run_sweep
from tiny_methods import variables_of

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = ("__init__", "common")
FILES = sorted(file.stem for file in (REPOSITORY / "configs" / "sweeps").glob("*.py") if file.stem not in SHARED)
TABLES = [name for name in FILES if "_table" in name]
SWEEPS = [*FILES, *(f"{name}:tiny" for name in TABLES)]
STEPS = 2
INSTRUMENTS = (3, 8)  # photo on A4, tablet: among those that the smallest run of any sweep keeps


def sweep_of(name: str) -> Sweep:
    """Returns the sweep called `name` or, with its argument, `name:arg`."""
    file, colon, arg = name.partition(":")
    return read_sweep(f"configs/sweeps/{file}.py{colon}{arg}")


def runs_of(name: str) -> list[SweepRun]:
    return sweep_of(name).runs


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


@pytest.mark.parametrize("name", SWEEPS)
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


@pytest.mark.parametrize("name", TABLES)
def test_runs_of_a_table_fill_its_rows_and_columns_and_tiny_ones_stay_out_of_them(name: str):
    sweep, tiny = sweep_of(name), sweep_of(f"{name}:tiny")
    table = load_table(sweep.table)
    assert sweep.table == tiny.table == name
    assert {run.row for run in sweep.runs} <= {row.id for row in table.rows}
    protocols = {column.protocol for column in table.columns}
    seeds = range(table.runs or 5)
    expected = {(row, protocol, seed) for row in sweep.rows for protocol in protocols for seed in seeds}
    assert {(run.row, run.overrides["protocol"], run.overrides["seed"]) for run in sweep.runs} == expected
    assert all("profile=released" in run.config for run in sweep.runs)
    assert set(tiny.rows) <= set(sweep.rows) and tiny.rows
    assert len({run.overrides["protocol"] for run in tiny.runs}) == len(protocols)
    assert all(run.overrides["protocol"].startswith("syn_") and ":tiny" in run.config for run in tiny.runs)


@pytest.mark.parametrize(
    ("arg", "count", "config"),
    [
        ("", 60, "configs/flip_v.py:profile=released"),
        (":seeds=2,profile=default", 24, "configs/flip_v.py:profile=default"),
        (":tiny", 12, "configs/flip_v.py:tiny"),
        (":tiny,seeds=3,profile=paper", 36, "configs/flip_v.py:tiny,profile=paper"),
    ],
)
def test_argument_of_a_table_sweep(arg: str, count: int, config: str):
    runs = runs_of(f"flip_table2{arg}")
    assert len(runs) == count and runs[0].config == config


@pytest.mark.parametrize("arg", ["seeds=0", "seeds=x", "profile=mine", "small"])
def test_unknown_argument_of_a_table_sweep_is_refused(arg: str):
    with pytest.raises(ConfigError, match=f"'{arg}' unknown; expected tiny"):
        runs_of(f"flip_table2:{arg}")


def test_a_sweep_that_takes_no_argument_says_so():
    with pytest.raises(ConfigError, match="takes no argument; leave ':tiny' out"):
        runs_of("quickstart:tiny")


def test_a_row_that_the_table_does_not_have_is_refused_before_anything_runs(tmp_path: Path):
    file = tmp_path / "sweep.py"
    entry = '{"name": "a", "config": "configs/flip_v.py", "overrides": {}, "row": "flip_x"}'
    file.write_text(f'TABLE = "flip_table2"\ndef get_sweep():\n    return [{entry}]\n')
    with pytest.raises(ConfigError, match="'flip_x' unknown"):
        read_sweep(str(file))


def write_finished(workdir: Path, *, protocol: str, seed: int, target: str) -> dict[str, Any]:
    """Writes what a finished run leaves for the sweep, with eight scores in favour of bona fide; returns its metrics."""
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.15, 0.3, 0.75])
    ids, people = (np.array([f"{prefix}{row}" for row in range(8)], dtype=object) for prefix in "vp")
    is_bona_fide = np.arange(8) < 4
    kinds = np.where(is_bona_fide, "", "photo").astype(object)
    frames = ScoreTable(ids, ids, people, np.full(8, target, dtype=object), is_bona_fide, kinds, scores)
    metrics = evaluate({target: frames}, None, resamples=0)
    config = {"protocol": protocol, "seed": seed, "profile": "released", "data": {"with_ca": True, "shots": 0}}
    (workdir / "scores").mkdir(parents=True)
    write_scores(workdir / "scores" / f"{target}.csv", frames)
    write_json(workdir / "config.json", {**config, "eval": {"selection": "target"}})
    write_json(workdir / "metrics.json", metrics)
    return metrics["targets"][target]


@pytest.mark.parametrize(
    ("protocol", "target", "with_ca"),
    [("oci_to_m", "M", True), ("ca_to_all", "M", False), ("syn_a_to_b", "syn_b", False)],
)
def test_a_finished_run_says_where_it_belongs(tmp_path: Path, protocol: str, target: str, with_ca: bool):
    found = write_finished(tmp_path / "r", protocol=protocol, seed=3, target=target)
    result = result_of(SweepRun("r", "configs/flip_v.py", {}, "flip_v"), tmp_path)
    assert (result.row, result.protocol, result.seed, result.shots) == ("flip_v", protocol, 3, 0)
    assert result.with_ca is with_ca and result.recipe == "profile released, selection target"
    assert result.targets[target]["hter"] == found["hter"]


def test_a_sweep_of_a_table_writes_it_beside_the_report(tmp_path: Path):
    sweep = sweep_of("flip_table2:seeds=2")
    runs = [run for run in sweep.runs if run.overrides["protocol"] == "oci_to_m" and run.row == "flip_it"]
    for run in runs:
        found = write_finished(tmp_path / run.name, protocol="oci_to_m", seed=run.overrides["seed"], target="M")
    assert run_sweep(Sweep(runs, sweep.table), tmp_path, jobs=1) == 0
    assert {f"table.{suffix}" for suffix in ("html", "md", "csv", "tex")} < {path.name for path in tmp_path.iterdir()}
    (line,) = (line for line in (tmp_path / "table.md").read_text(encoding="utf-8").splitlines() if "ours" in line[:40])
    cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
    assert cells[:6] == [
        "FLIP-IT",
        "ours",
        "0-shot, + CA",
        "2 runs",
        f"{found['hter']:.2f} ± 0.00",
        f"{found['auc']:.2f} ± 0.00",
    ]


def test_a_sweep_without_a_table_writes_none(tmp_path: Path):
    write_finished(tmp_path / "a", protocol="oci_to_m", seed=0, target="M")
    assert run_sweep(Sweep([SweepRun("a", "configs/flip_v.py", {})]), tmp_path, jobs=1) == 0
    assert (tmp_path / "report.html").is_file() and not list(tmp_path.glob("table.*"))


@pytest.mark.parametrize("name", SWEEPS)
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
