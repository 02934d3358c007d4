"""Raw archives, pictures and clips of one data set -> aligned face crops -> one data set folder per domain.

    python -m data_prep.convert --dataset=own --raw=faces.csv --out=data
    python -m data_prep.convert --dataset=casia_fasd --raw=CASIA_FASD --out=data [--preset=default|flip|instruct_flip]

`--dataset` names a module of data_prep/datasets; its docstring says how to obtain the data and what `--raw` is. Crops go
to a cache below `--out` first, in `--processes` processes or on Beam workers (`--beam_options`), then the data set is
written from there in one go: a killed conversion goes on where it stopped, and a folder without index.parquet is no data
set. `conversion.json` in each folder says how it was made and names every file that failed and every picture left out.

Exit code: 0 all converted, 2 converted without the files that are named, 1 nothing written.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from absl import flags, logging

from data_prep import recipes
from data_prep.catalogue import dataset_names, load_dataset
from data_prep.conversion import Conversion, convert
from flipjax.core import command
from flipjax.core.errors import ConfigError
from flipjax.data import align

EXIT_SOME_FAILED = 2
_SHOWN_FAILURES = 10


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("dataset", None, f"one of {', '.join(dataset_names())}", required=True)
    flags.DEFINE_string("raw", None, "where the data set lies; for own data its CSV file", required=True)
    flags.DEFINE_string("out", None, "folder for the data sets", required=True)
    flags.DEFINE_enum("preset", "default", list(recipes.PRESETS), "whose way of cutting; the options below override it")
    flags.DEFINE_enum("detector", None, align.DETECTORS, "none for pictures that are face crops already")
    flags.DEFINE_string("padding", None, f"room around the face: a number or one of {', '.join(align.PADDINGS)}")
    flags.DEFINE_integer("size", None, "side of the crops in pixels", lower_bound=16, upper_bound=1024)
    flags.DEFINE_list("thresholds", None, "the detector's three thresholds, as in 0.6,0.7,0.8")
    flags.DEFINE_enum("faces", None, recipes.FACES, "which of several faces is cut")
    flags.DEFINE_enum("no_face", None, recipes.NO_FACE_RULES, "what to do with a picture in which no face is found")
    flags.DEFINE_enum("border", None, recipes.BORDERS, "what to do with a black border before anything else")
    flags.DEFINE_enum("encoding", None, recipes.ENCODINGS, "how crops are stored; png loses nothing")
    flags.DEFINE_string(
        "frames", None, "frames of a clip: pair, all, equidistant:N, every:N, first:N, joined by +; listed"
    )
    flags.DEFINE_string("lists", None, "folder of the authors' lists, for --frames=listed")
    flags.DEFINE_bool("lists_check", True, "refuse lists that are not the published ones")
    flags.DEFINE_enum("quality", None, recipes.QUALITIES, "camera quality where nothing tells it")
    flags.DEFINE_string(
        "quality_csv", None, "CSV sample_id,camera_quality (low, medium, high) for pictures without one"
    )
    flags.DEFINE_integer("processes", os.cpu_count(), "processes that decode and crop", lower_bound=1)
    flags.DEFINE_string(
        "beam_options", None, "crop on Apache Beam with these pipeline options, as in --runner=DirectRunner"
    )
    flags.DEFINE_float("max_failures", 0.05, "share of unusable files above which nothing is written", 0.0, 1.0)
    flags.DEFINE_bool("keep_crops", False, "keep the crop cache after the data set is written")


def main(argv: list[str]) -> int:
    """Reads the flags, converts and says what became of it."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    facts = load_dataset(given.dataset).FACTS
    conversion = Conversion(
        dataset=given.dataset,
        raw=Path(given.raw),
        out=Path(given.out),
        options=recipes.options_for(facts, given.preset, _crop_flags()),
        processes=given.processes,
        beam_options=given.beam_options,
        max_failures=given.max_failures,
        lists=Path(given.lists) if given.lists else None,
        lists_check=given.lists_check,
        quality_csv=Path(given.quality_csv) if given.quality_csv else None,
        keep_crops=given.keep_crops,
    )
    summary = convert(conversion)
    for domain, said in summary.items():
        logging.info("%s: %s, no face in %d", conversion.out / domain, said["records"], said["dropped_count"])
    failures = [failure for said in summary.values() for failure in said["failures"]]
    _say(f"{failure['name']}: {failure['reason']}" for failure in failures[:_SHOWN_FAILURES])
    if failures:
        sys.stderr.write(f"{len(failures)} files could not be used; conversion.json names them all\n")
    return EXIT_SOME_FAILED if failures else 0


def _crop_flags() -> dict[str, Any]:
    """Returns the crop options that were given, by name."""
    given = flags.FLAGS
    names = ("detector", "size", "faces", "no_face", "border", "encoding", "frames", "quality")
    chosen: dict[str, Any] = {name: given[name].value for name in names if given[name].value is not None}
    if given.padding is not None:
        chosen["padding"] = recipes.parse_padding(given.padding)
    if given.thresholds is not None:
        try:
            chosen["thresholds"] = tuple(float(text) for text in given.thresholds)
        except ValueError as error:
            raise ConfigError(f"--thresholds={','.join(given.thresholds)}: {error}; give three numbers") from error
    return chosen


def _say(lines: Iterable[str]) -> None:
    sys.stderr.writelines(f"failed: {line}\n" for line in lines)


if __name__ == "__main__":
    define_flags()
    command.run(main)
