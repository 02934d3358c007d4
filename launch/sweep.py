"""Runs a sweep: many configs one after the other, resumable, with one report over all.

    python launch/sweep.py --sweep=configs/sweeps/quickstart.py --out=runs/quickstart [--jobs=N]

The sweep file defines get_sweep() -> [{name, config, overrides}]. Each run lives in OUT/NAME, and its output in OUT/NAME.log;
a finished run is not repeated, a stopped one goes on. OUT/metrics.json and OUT/report.html cover all finished runs.
Exit code 1 when a run failed; the others are still run and reported.
"""

import importlib.util
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags, logging

from flipjax.core import command
from flipjax.core.config_path import resolve_file
from flipjax.core.errors import ConfigError
from flipjax.evaluation import protocol as evaluation
from flipjax.evaluation.report import write_report
from flipjax.evaluation.score_files import read_scores


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep; overrides are dotted config keys to values."""

    name: str
    config: str
    overrides: dict[str, Any]

    def command(self, workdir: Path) -> list[str]:
        """Returns the command line that trains it."""
        words = [f"--config.{key}={value}" for key, value in self.overrides.items()]
        config = f"--config={resolve_file(self.config)}"
        return [sys.executable, "-m", "flipjax.main", config, f"--workdir={workdir}", *words]


def read_sweep(text: str) -> list[SweepRun]:
    """Returns the runs of a sweep file.

    Raises:
      ConfigError: no such file, no get_sweep(), no run, a name used twice, or a malformed entry.
    """
    path = Path(resolve_file(text))
    if not path.is_file():
        raise ConfigError(f"sweep file '{text}' does not exist; look into configs/sweeps")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_sweep"):
        raise ConfigError(f"sweep file '{path}' has no get_sweep(); it must return a list of name, config, overrides")
    try:
        runs = [SweepRun(**entry) for entry in module.get_sweep()]
    except TypeError as error:
        raise ConfigError(f"sweep file '{path}': {error}; an entry holds name, config and overrides") from error
    names = [run.name for run in runs]
    if not runs or len(set(names)) < len(names):
        raise ConfigError(f"sweep file '{path}' must name at least one run, each name once; it has {names}")
    return runs


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
        workdir = out / run.name
        metrics = json.loads((workdir / "metrics.json").read_text(encoding="utf-8"))
        config = json.loads((workdir / "config.json").read_text(encoding="utf-8"))
        finished.append(evaluation.Run(run.name, config["seed"], metrics))
        tables |= {name: read_scores(workdir / "scores" / f"{name}.csv") for name in metrics["targets"]}
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


def main(argv: list[str]) -> int:
    """Runs, aggregates, and says what came out."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    out = Path(given.out)
    runs = read_sweep(given.sweep)
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=given.jobs) as pool:
        done = list(pool.map(lambda run: execute(run, out), runs))
    finished = [run for run, ok in zip(runs, done, strict=True) if ok]
    if not finished:
        raise ConfigError(f"no run of the sweep finished; see the logs in '{out}'")
    mean = aggregate(finished, out)["mean"]
    sys.stdout.write(f"{len(finished)} of {len(runs)} runs: mean HTER {mean['hter']:.2f} %, AUC {mean['auc']:.2f} %\n")
    return 0 if all(done) else 1


if __name__ == "__main__":
    flags.DEFINE_string("sweep", None, "file with get_sweep()", required=True)
    flags.DEFINE_string("out", None, "folder of the sweep", required=True)
    flags.DEFINE_integer("jobs", 1, "runs at a time", lower_bound=1)
    command.run(main)
