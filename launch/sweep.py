"""Runs a sweep: many configs one after the other, resumable, with one report over all.

    python launch/sweep.py --sweep=configs/sweeps/quickstart.py --out=runs/quickstart [--jobs=N]

The sweep file defines get_sweep() -> [{name, config, overrides}]. Each run lives in OUT/NAME, and its output in OUT/NAME.log;
a finished run is not repeated, a stopped one goes on. OUT/metrics.json and OUT/report.html cover all finished runs.
A file with `TABLE`, a paper's table, gives each run the `row` that it fills; OUT/table.html, .md, .csv and .tex then show the
printed figures beside ours. Such files take an argument, as in flip_table2.py:tiny, see configs/sweeps/common.py.
Exit code 1 when a run failed; the others are still run and reported.
"""

import importlib.util
import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags, logging

from flipjax.core import command
from flipjax.core.config_path import resolve_file
from flipjax.core.errors import ConfigError
from flipjax.data.protocols import META_DOMAIN, get_protocol
from flipjax.evaluation import protocol as evaluation
from flipjax.evaluation.paper_tables import write_paper_table
from flipjax.evaluation.papers.printed import load_table, row_of
from flipjax.evaluation.papers.results import Result
from flipjax.evaluation.report import write_report
from flipjax.evaluation.score_files import read_scores


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep; overrides are dotted config keys to values, `row` is its place in the sweep's table."""

    name: str
    config: str
    overrides: dict[str, Any]
    row: str = ""

    def command(self, workdir: Path) -> list[str]:
        """Returns the command line that trains it."""
        words = [f"--config.{key}={value}" for key, value in self.overrides.items()]
        config = f"--config={resolve_file(self.config)}"
        return [sys.executable, "-m", "flipjax.main", config, f"--workdir={workdir}", *words]


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep file and the paper's table that they fill (empty: none)."""

    runs: list[SweepRun]
    table: str = ""

    @property
    def rows(self) -> list[str]:
        """The rows of the table that the runs fill, each once."""
        return list(dict.fromkeys(run.row for run in self.runs)) if self.table else []


def read_sweep(text: str) -> Sweep:
    """Returns what the sweep file of `text` = path[:arg] holds; `arg` goes to its get_sweep.

    Raises:
      ConfigError: no such file, no get_sweep, an argument that it does not take, no run, a name used twice, a malformed
        entry, or a table or row that does not exist.
    """
    name, _, arg = resolve_file(text).partition(":")
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"sweep file '{name}' does not exist; look into configs/sweeps")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_sweep"):
        raise ConfigError(f"sweep file '{path}' has no get_sweep(); it must return a list of name, config, overrides")
    try:
        runs = [SweepRun(**entry) for entry in _entries(module.get_sweep, text, arg)]
    except TypeError as error:
        raise ConfigError(f"sweep file '{path}': {error}; an entry holds name, config and overrides") from error
    names = [run.name for run in runs]
    if not runs or len(set(names)) < len(names):
        raise ConfigError(f"sweep file '{path}' must name at least one run, each name once; it has {names}")
    sweep = Sweep(runs, getattr(module, "TABLE", ""))
    for row in sweep.rows:
        row_of(load_table(sweep.table), row)
    return sweep


def _entries(get_sweep: Callable[..., list[dict[str, Any]]], text: str, arg: str) -> list[dict[str, Any]]:
    if arg and not inspect.signature(get_sweep).parameters:
        raise ConfigError(f"sweep '{text}' takes no argument; leave ':{arg}' out")
    try:
        return get_sweep(*([arg] if arg else []))
    except ValueError as error:
        raise ConfigError(f"sweep '{text}': {error}") from error


def execute(run: SweepRun, out: Path) -> bool:
    """Trains one run unless it is finished; True when it is finished now."""
    workdir, log = out / run.name, out / f"{run.name}.log"
    if (workdir / "metrics.json").exists():
        logging.info("%s: finished before", run.name)
        return True
    started = time.monotonic()
    logging.info("%s: training, see %s", run.name, log)
    with log.open("a", encoding="utf-8") as file:
        code = subprocess.run(run.command(workdir), stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    seconds = time.monotonic() - started
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        logging.error("%s: failed with exit code %d after %.0f s: %s", run.name, code, seconds, "".join(last))
        return False
    mean = json.loads((workdir / "metrics.json").read_text(encoding="utf-8"))["mean"]
    logging.info("%s: HTER %.2f %%, AUC %.2f %% at test_eer, in %.0f s", run.name, mean["hter"], mean["auc"], seconds)
    return True


def aggregate(runs: list[SweepRun], out: Path) -> dict[str, Any]:
    """Writes OUT/metrics.json and OUT/report.html over the finished runs; returns the metrics."""
    finished, tables, configs = [], {}, {}
    for run in runs:
        metrics, config = (_read(out, run, name) for name in ("metrics", "config"))
        finished.append(evaluation.Run(run.name, config["seed"], metrics))
        tables |= {name: read_scores(out / run.name / "scores" / f"{name}.csv") for name in metrics["targets"]}
        configs[run.name] = run.config + "".join(f" {key}={value}" for key, value in run.overrides.items())
    merged = evaluation.merge_runs(finished)
    write_report(
        out / "report.html",
        title=f"Sweep {out.name}",
        metrics=merged,
        tables=tables,
        context={"command": "python " + " ".join(sys.argv), "config": configs},
    )
    evaluation.write_json(out / "metrics.json", merged)
    return merged


def result_of(run: SweepRun, out: Path) -> Result:
    """Returns a finished run as the table of its sweep needs it."""
    config = _read(out, run, "config")
    data = config["data"]
    sources = get_protocol(config["protocol"], with_ca=data["with_ca"], shots=data["shots"]).sources
    return Result(
        row=run.row,
        protocol=config["protocol"],
        seed=config["seed"],
        shots=data["shots"],
        with_ca=META_DOMAIN in sources and len(sources) > 1,
        recipe=f"profile {config['profile']}, selection {config['eval']['selection']}",
        targets=_read(out, run, "metrics")["targets"],
    )


def _read(out: Path, run: SweepRun, name: str) -> dict[str, Any]:
    return json.loads((out / run.name / f"{name}.json").read_text(encoding="utf-8"))


def run_sweep(sweep: Sweep, out: Path, jobs: int) -> int:
    """Runs, aggregates, and says what came out; returns the exit code.

    Raises:
      ConfigError: no run finished.
    """
    runs = sweep.runs
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        done = list(pool.map(lambda run: execute(run, out), runs))
    finished = [run for run, ok in zip(runs, done, strict=True) if ok]
    if not finished:
        raise ConfigError(f"no run of the sweep finished; see the logs in '{out}'")
    mean = aggregate(finished, out)["mean"]
    if sweep.table:
        write_paper_table(out, sweep.table, sweep.rows, [result_of(run, out) for run in finished])
    sys.stdout.write(f"{len(finished)} of {len(runs)} runs: mean HTER {mean['hter']:.2f} %, AUC {mean['auc']:.2f} %\n")
    return 0 if all(done) else 1


def main(argv: list[str]) -> int:
    """Reads the flags and runs the sweep."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    return run_sweep(read_sweep(given.sweep), Path(given.out), given.jobs)


if __name__ == "__main__":
    flags.DEFINE_string("sweep", None, "file with get_sweep(), and an argument behind a colon", required=True)
    flags.DEFINE_string("out", None, "folder of the sweep", required=True)
    flags.DEFINE_integer("jobs", 1, "runs at a time", lower_bound=1)
    command.run(main)
