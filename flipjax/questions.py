"""The questions of InstructFLIP put to any vision-language model, and its answers scored beside ours.

    python -m flipjax.questions export --images=DIR --out=questions.csv [--wording=released|paper]
    python -m flipjax.questions answer --workdir=DIR --images=DIR --out=ours.csv [--free_text]
    python -m flipjax.questions score --truth=labels.csv --answers=ours.csv --answers=other.csv --out=DIR [--outside=wrong]

`export` writes image, question, text; fill in a column `answer`. `score` writes answers.json and answers.html; labels.csv
has the columns of own data. With --workdir, `export` and `score` use that run's questions instead of the published four.
"""

import dataclasses
import sys
from pathlib import Path

from absl import flags

from flipjax.core import command
from flipjax.core.errors import ConfigError, suggest
from flipjax.data.align import DETECTORS
from flipjax.evaluation import harness
from flipjax.experiment import answering

NEEDED = {"export": ("images", "out"), "answer": ("workdir", "images", "out"), "score": ("truth", "answers", "out")}


def main(argv: list[str]) -> None:
    """Checks the flags that the action needs, and runs it."""
    given = flags.FLAGS
    action = argv[1] if len(argv) > 1 else ""
    if action not in NEEDED:
        raise ConfigError(f"action '{action}' unknown; expected export, answer or score{suggest(action, list(NEEDED))}")
    command.refuse_arguments(argv[1:])
    for name in NEEDED[action]:
        if not given[name].value:
            raise ConfigError(f"{action} needs --{name}; it takes {' '.join(f'--{flag}=' for flag in NEEDED[action])}")
    {"export": _export, "answer": _answer, "score": _score}[action](given, Path(given.out))


def _export(given: flags.FlagValues, out: Path) -> None:
    asked = answering.questions_of(given.workdir)
    rows = answering.write_questions(out, Path(given.images), asked, given.wording)
    sys.stdout.write(f"wrote {out}: {rows} rows; fill in a column 'answer'\n")


def _answer(given: flags.FlagValues, out: Path) -> None:
    answering.pictures_of(Path(given.images))  # before the minutes that loading weights may take
    from flipjax.experiment.inference import load_predictor

    predictor = load_predictor(Path(given.workdir), explain=True)
    if given.detector:
        predictor = dataclasses.replace(predictor, detector=given.detector)
    answering.write_own_answers(out, predictor, Path(given.images), free_text=given.free_text)
    sys.stdout.write(f"wrote {out}\n")


def _score(given: flags.FlagValues, out: Path) -> None:
    asked = answering.questions_of(given.workdir)
    paths = [Path(path) for path in given.answers]
    harness.write_comparison(out, Path(given.truth), paths, asked, outside=given.outside, pictures=given.pictures)
    sys.stdout.write(f"wrote {out / 'answers.json'}\nwrote {out / 'answers.html'}\n")


def define_flags() -> None:
    """Defines the command's flags; not at import time, so that commands can be imported side by side."""
    flags.DEFINE_string("images", None, "folder of pictures")
    flags.DEFINE_string("out", None, "file (export, answer) or folder (score) to write")
    flags.DEFINE_string("workdir", None, "finished run of a method that answers questions; else the published ones")
    flags.DEFINE_string("truth", None, "CSV with the right answers, in the form of own data")
    flags.DEFINE_multi_string("answers", [], "CSV of a model's answers, named after the model; repeat for more models")
    flags.DEFINE_enum("wording", "released", ("released", "paper"), "texts as in the code or in the paper's Table 7")
    flags.DEFINE_enum("outside", "error", ("error", "wrong"), "what an answer is that no option fits, or none at all")
    flags.DEFINE_enum("detector", None, DETECTORS, "none: pictures are face crops; default: as for the training data")
    flags.DEFINE_bool("free_text", False, "answer with what the language model writes, not the likeliest option")
    flags.DEFINE_integer("pictures", 100, "most pictures to show in answers.html", lower_bound=0)


if __name__ == "__main__":
    define_flags()
    command.run(main)
