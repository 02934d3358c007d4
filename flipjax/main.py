"""Trains one protocol with one seed, evaluates it and writes a report.

    python -m flipjax.main --config=configs/flip_mcl.py:tiny --workdir=runs/mine --config.seed=1

The part after the colon is comma separated: tiny, a protocol, profile=default|released|paper, shots=N. A run started
again in its workdir goes on where it stopped; a finished one only gets a fresh report. Exit code 0 when done, 1 on an error.
"""

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from flipjax.core import command
from flipjax.core.config_path import resolve


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    config_flags.DEFINE_config_file(
        "config", None, "config file, with an optional :arg,arg behind it", lock_config=True
    )
    flags.DEFINE_string("workdir", None, "folder of the run; made if missing, resumed if there", required=True)
    flags.DEFINE_string("coordinator", "", "host:port of process 0, for a run of several processes")
    flags.DEFINE_integer("num_processes", 1, "processes of the run")
    flags.DEFINE_integer("process_id", 0, "number of this process, from 0")
    flags.mark_flag_as_required("config")


def main(argv: list[str]) -> int:
    """Reads the flags, trains and reports."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    from flipjax.experiment.run import train_and_report
    from flipjax.training.backend import prepare_backend

    prepare_backend(given.config.train.compute_dtype, given.coordinator, given.num_processes, given.process_id)
    overrides = config_flags.get_override_values(flags.FLAGS["config"])
    config_file = config_flags.get_config_filename(flags.FLAGS["config"])
    workdir = Path(given.workdir)
    metrics = train_and_report(given.config, workdir, overrides=overrides, config_file=config_file)
    mean = metrics["mean"]
    honest = mean["rules"].get("source_val", {}).get("hter")
    sys.stdout.write(
        f"HTER {mean['hter']:.2f} % and AUC {mean['auc']:.2f} % at test_eer (the papers' rule); "
        + (f"HTER {honest:.2f} % at the threshold from source validation\n" if honest is not None else "\n")
    )
    sys.stdout.write(f"report: {workdir / 'report.html'}\n")
    return 0


if __name__ == "__main__":
    define_flags()
    command.run(main, prepare=resolve)
