"""Scores targets with a trained workdir and writes scores, metrics and a report below it.

    python -m flipjax.evaluate --workdir=runs/mine [--protocol=NAME | --records=DIR] [--checkpoint=best|last|N]
                               [--robustness[=margin,blur] [--robustness_frames=N]]

Results go to WORKDIR/evaluations/NAME_stepN; the run's own results stay as they are. `--robustness` sweeps corruptions of
the crops instead, all of them where none is named, and writes robustness.json and robustness.html.
"""

import sys
from pathlib import Path
from typing import Any

from absl import flags

from flipjax.core import command
from flipjax.core.errors import ConfigError

ALL = "all"


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("workdir", None, "folder of a trained run", required=True)
    flags.DEFINE_string("protocol", "", "protocol whose targets are scored; default: the run's own")
    flags.DEFINE_string("records", "", "a domain's folder, or a folder of domains, to score instead")
    flags.DEFINE_string("checkpoint", "best", "best, last or a step number")
    flags.DEFINE_string("data_dir", "", "where the data sets lie, if not where the run was trained")
    flags.DEFINE_string("robustness", "", "sweep corruptions of the crops: margin,blur or, without a value, all")
    flags.DEFINE_integer("robustness_frames", 0, "frames per target of a sweep, evenly by video; 0: all", lower_bound=0)


def name_all(argv: list[str]) -> list[str]:
    """Returns the words with `--robustness` spelled out, since absl's text flags need a value."""
    return [f"{word}={ALL}" if word in ("--robustness", "-robustness") else word for word in argv]


def main(argv: list[str]) -> int:
    """Reads the flags, scores and reports."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    if given.protocol and given.records:
        raise ConfigError("--protocol and --records exclude each other; give one")
    if given.robustness_frames and not given.robustness:
        raise ConfigError(f"--robustness_frames={given.robustness_frames} is of the sweep; give --robustness as well")
    from flipjax.training.backend import prepare_backend

    prepare_backend("float32")
    scored: dict[str, Any] = {name: given[name].value for name in ("protocol", "records", "checkpoint", "data_dir")}
    if given.robustness:
        _sweep(Path(given.workdir), scored)
    else:
        _evaluate(Path(given.workdir), scored)
    return 0


def _evaluate(workdir: Path, scored: dict[str, Any]) -> None:
    from flipjax.experiment.inference import evaluate_workdir

    metrics, folder = evaluate_workdir(workdir, **scored)
    for name, result in {**metrics["targets"], "mean": metrics["mean"]}.items():
        sys.stdout.write(f"{name}: HTER {result['hter']:.2f} %, AUC {result['auc']:.2f} % at test_eer\n")
    sys.stdout.write(f"report: {folder / 'report.html'}\n")


def _sweep(workdir: Path, scored: dict[str, Any]) -> None:
    from flipjax.evaluation.robustness_page import summary
    from flipjax.experiment.robustness import PAGE_FILE, sweep_workdir

    given = flags.FLAGS
    names = [] if given.robustness == ALL else [name.strip() for name in given.robustness.split(",")]
    result, folder = sweep_workdir(workdir, names=names, frames=given.robustness_frames, **scored)
    sys.stdout.write(f"{summary(result)}page: {folder / PAGE_FILE}\n")


if __name__ == "__main__":
    define_flags()
    command.run(main, prepare=name_all)
