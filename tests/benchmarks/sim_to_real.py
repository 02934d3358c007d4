"""Smoke test from simulated to photographed faces: what a model trained on simulated attacks alone says of photographs.

    python tests/benchmarks/sim_to_real.py --workdir=RUN [--workdir=RUN ...] --samples=DIR --portraits=DIR

Prints one JSON line per run, then a table. RUN is a finished training run; its stored threshold (decision.json) decides.
--samples holds photographs whose file names begin with `bona_fide` or `attack` (bona_fide.jpg, attack_print.jpg);
--portraits holds bona fide photographs alone, whatever their names. A face the model cannot decide on counts as wrong.
A handful of attacks proves nothing: the numbers say how far apart simulation and photographs are, not how good a
detector is.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from absl import flags

from flipjax.core import command
from flipjax.core.errors import DataError
from flipjax.core.labels import CLASS_NAMES
from flipjax.experiment.inference import load_predictor
from flipjax.serving.predictor import Predictor, predict
from flipjax.serving.preprocess import pictures_in

ATTACK, BONA_FIDE = CLASS_NAMES


@dataclass(frozen=True)
class Verdict:
    """One photograph: what it shows, what the model says, and its score (None without a face)."""

    file: str
    truth: str
    decision: str
    score: float | None

    @property
    def is_right(self) -> bool:
        return self.decision == self.truth


def main(argv: list[str]) -> None:
    """Scores the photographs with every run and prints what came out."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    samples = [(path, truth_of(path)) for path in photographs(Path(given.samples))]
    portraits = [(path, BONA_FIDE) for path in photographs(Path(given.portraits))]
    lines = []
    for workdir in given.workdir:
        predictor = load_predictor(Path(workdir))
        verdicts = judge(predictor, samples + portraits)
        found = summary(verdicts[: len(samples)], verdicts[len(samples) :])
        facts = {"benchmark": "sim_to_real", "workdir": Path(workdir).name, "threshold": predictor.threshold}
        sys.stdout.write(json.dumps({**facts, "threshold_rule": predictor.threshold_rule, **found}) + "\n")
        lines.append(table_row(Path(workdir).name, predictor.threshold, verdicts[: len(samples)], found))
    attacks = sum(truth == ATTACK for _, truth in samples)
    caution = f"{len(samples)} samples, {attacks} of them attacks, prove nothing."
    sys.stdout.write("\n" + "\n".join([*lines, caution, ""]))


def photographs(folder: Path) -> list[Path]:
    """Returns the pictures in and below a folder, by name.

    Raises:
      DataError: there is none.
    """
    found = pictures_in(folder)
    if not found:
        raise DataError(f"'{folder}' holds no picture; name a folder of photographs, see --help")
    return found


def truth_of(path: Path) -> str:
    """Returns the class that a sample's file name begins with.

    Raises:
      DataError: it begins with neither.
    """
    for name in CLASS_NAMES:
        if path.stem.startswith(name):
            return name
    raise DataError(f"'{path}' must begin with 'bona_fide' or 'attack'; rename it or put it elsewhere")


def judge(predictor: Predictor, photos: Sequence[tuple[Path, str]]) -> list[Verdict]:
    """Returns one verdict per photograph, on its largest face."""
    first = {}
    for prediction in predict(predictor, [path for path, _ in photos]):
        first.setdefault(prediction.file, prediction)
    return [Verdict(path.name, truth, first[str(path)].decision, first[str(path)].score) for path, truth in photos]


def summary(samples: Sequence[Verdict], portraits: Sequence[Verdict]) -> dict[str, object]:
    """Returns how many are right, and every sample's verdict, as JSON values."""
    scores = sorted(v.score for v in portraits if v.score is not None)
    return {
        "samples_right": sum(v.is_right for v in samples),
        "samples": len(samples),
        "portraits_right": sum(v.is_right for v in portraits),
        "portraits": len(portraits),
        "portraits_median_score": scores[len(scores) // 2] if scores else None,
        "verdicts": [{**asdict(v), "is_right": v.is_right} for v in samples],
    }


def table_row(name: str, threshold: float, samples: Sequence[Verdict], found: dict[str, object]) -> str:
    """Returns a run's counts and each sample's score as text."""
    scores = ", ".join(
        f"{v.file} {'-' if v.score is None else format(v.score, '.3f')} {'right' if v.is_right else 'WRONG'}"
        for v in samples
    )
    counts = f"samples {found['samples_right']}/{found['samples']}, bona fide portraits"
    return f"{name}: {counts} {found['portraits_right']}/{found['portraits']} at {threshold:.3f}; {scores}"


if __name__ == "__main__":
    flags.DEFINE_multi_string(
        "workdir", None, "folder of a finished training run; may be given several times", required=True
    )
    flags.DEFINE_string("samples", None, "folder of photographs named bona_fide* or attack*", required=True)
    flags.DEFINE_string("portraits", None, "folder of bona fide photographs", required=True)
    command.run(main)
