"""Scores targets with a trained workdir and writes scores, metrics and a report below it.

    python -m flipjax.evaluate --workdir=runs/mine [--protocol=NAME | --records=DIR] [--checkpoint=best|last|N]

Results go to WORKDIR/evaluations/NAME_stepN; the run's own results stay as they are.
"""

import sys
from pathlib import Path

from absl import flags

from flipjax.core import command
from flipjax.core.errors import ConfigError


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("workdir", None, "folder of a trained run", required=True)
    flags.DEFINE_string("protocol", "", "protocol whose targets are scored; default: the run's own")
    flags.DEFINE_string("records", "", "a domain's folder, or a folder of domains, to score instead")
    flags.DEFINE_string("checkpoint", "best", "best, last or a step number")
    flags.DEFINE_string("data_dir", "", "where the data sets lie, if not where the run was trained")


def main(argv: list[str]) -> int:
    """Reads the flags, scores and reports."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    if given.protocol and given.records:
        raise ConfigError("--protocol and --records exclude each other; give one")
    from flipjax.experiment.inference import evaluate_workdir
    from flipjax.training.backend import prepare_backend

    prepare_backend("float32")
    metrics, folder = evaluate_workdir(
        Path(given.workdir),
        protocol=given.protocol,
        records=given.records,
        checkpoint=given.checkpoint,
        data_dir=given.data_dir,
    )
    for name, result in {**metrics["targets"], "mean": metrics["mean"]}.items():
        sys.stdout.write(f"{name}: HTER {result['hter']:.2f} %, AUC {result['auc']:.2f} % at test_eer\n")
    sys.stdout.write(f"report: {folder / 'report.html'}\n")
    return 0


if __name__ == "__main__":
    define_flags()
    command.run(main)
