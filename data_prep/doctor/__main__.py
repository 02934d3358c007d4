"""The data doctor: what is wrong with a raw data set, or with the records made of it, on one HTML page.

    python -m data_prep.doctor --dataset=casia_fasd --raw=CASIA_FASD [--sample=N] [--faces]
    python -m data_prep.doctor --dataset=casia_fasd --records=data/C

`--dataset` names a module of data_prep/datasets, whose facts are compared with what is there. `--raw` takes what
data_prep.convert takes: names, label files and, of `--sample` evenly chosen files (default: all), the first frame are
examined. `--records` is one data set, or a folder of several, which are then compared with each other as well.

The page goes to `--out`. It shows sample pictures: where the data are licensed, keep it to yourself or use `--no_images`.
Exit code: 0 nothing that matters is wrong, 1 something is, or the command could not do its work.
"""

import os
import sys
from pathlib import Path

from absl import flags

from data_prep.catalogue import dataset_names, load_dataset
from data_prep.doctor.diagnosis import Diagnosis, Options
from data_prep.doctor.findings import has_errors
from data_prep.doctor.page import render_page
from data_prep.doctor.raw_data import examine_raw
from data_prep.doctor.record_data import examine_records
from flipjax.core import command
from flipjax.core.errors import ConfigError
from flipjax.evaluation.score_files import write_text


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("dataset", None, f"one of {', '.join(dataset_names())}", required=True)
    flags.DEFINE_string("raw", None, "where the raw data set lies; for own data its CSV file")
    flags.DEFINE_string("records", None, "a data set made by data_prep.convert, or a folder of several")
    flags.DEFINE_string("out", "doctor.html", "the page to write")
    flags.DEFINE_integer("sample", None, "files or records to open, evenly chosen; all by default", lower_bound=1)
    flags.DEFINE_bool("faces", False, "look for a face in the first frame of every raw file that is opened; slow")
    flags.DEFINE_bool("no_images", False, "leave the sample pictures out of the page")
    flags.DEFINE_integer("processes", os.cpu_count(), "processes that open files", lower_bound=1)


def main(argv: list[str]) -> int:
    """Examines what the flags name, writes the page and says in short what is wrong."""
    command.refuse_arguments(argv)
    out = Path(flags.FLAGS.out)
    diagnosis = _examine(flags.FLAGS)
    write_text(out, render_page(diagnosis))
    told = (finding for finding in diagnosis.findings if finding.level in ("error", "warning"))
    sys.stdout.writelines(f"{finding.level}: {finding.title}\n" for finding in told)
    sys.stdout.write(f"{out}\n")
    return 1 if has_errors(diagnosis.findings) else 0


def _examine(given: flags.FlagValues) -> Diagnosis:
    if (given.raw is None) == (given.records is None):
        raise ConfigError("give either --raw=DIR (files as published) or --records=DIR (what data_prep.convert made)")
    module = load_dataset(given.dataset)
    options = Options(given.sample, given.faces, not given.no_images, given.processes)
    if given.raw is not None:
        return examine_raw(module, Path(given.raw), options)
    return examine_records(module.FACTS, Path(given.records), options)


if __name__ == "__main__":
    define_flags()
    command.run(main)
