"""Answers of several models side by side as one self-contained HTML page, in the form of InstructFLIP's Table 9.

Rows are the questions about a picture, columns the models. Right, wrong and outside the options differ by mark and word as
well as by colour.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import logging

from flipjax.core.errors import ImageError
from flipjax.core.labels import UNKNOWN
from flipjax.core.schemas import Question
from flipjax.data.media import load_image
from flipjax.evaluation.answer_files import Answers, Given, Truth

THUMBNAIL_PX = 160
# Kind of an answer -> mark and word.
MARKS = {
    "right": ("\u2713", "right"),
    "wrong": ("\u2717", "wrong"),
    "outside": ("?", "none of the options"),
    "missing": ("\u2013", "no answer"),
    "unknown": ("", "right answer unknown"),
}


@dataclass(frozen=True)
class Answered:
    """A cell: the answer as given, its kind (a key of `MARKS`), mark and word."""

    text: str
    kind: str
    mark: str
    word: str


@dataclass(frozen=True)
class Shown:
    """A picture: its name, a JPEG as a data address (empty if it cannot be read), and rows of (question, right, cells)."""

    name: str
    address: str
    rows: Sequence[tuple[str, str, Sequence[Answered]]]


def render(
    truth: Sequence[Truth],
    answers: Mapping[str, Answers],
    results: Mapping[str, Any],
    questions: Sequence[Question],
    *,
    pictures: int,
) -> str:
    """Returns the page: results of `harness.score` by model, then the answers about the first `pictures` pictures."""
    import jinja2

    asked = [question for question in questions if any(question.name in r["questions"] for r in results.values())]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(Path(__file__).with_name("comparison.html").read_text(encoding="utf-8"))
    return template.render(
        models=list(answers),
        marks=MARKS,
        summary=[
            (question.name, [_summary(r["questions"].get(question.name)) for r in results.values()])
            for question in asked
        ],
        verdicts=[(name, result["verdict"]) for name, result in results.items() if result["verdict"]],
        asked=[(question.name.replace("_", " "), question.text) for question in asked],
        shown=[_shown(picture, answers, asked) for picture in truth[:pictures]],
        total=len(truth),
    )


def _summary(result: Mapping[str, Any] | None) -> str:
    if not result or not result["n"]:
        return "\u2013"
    outside = f", {result['unparsed']} without an option" if result["unparsed"] else ""
    return f"{result['balanced_accuracy']:.1f} (n = {result['n']}{outside})"


def _shown(picture: Truth, answers: Mapping[str, Answers], asked: Sequence[Question]) -> Shown:
    rows = []
    for question in asked:
        right = picture.right.get(question.field, UNKNOWN)
        cells = [_answered(given.get((picture.image, question.name)), right) for given in answers.values()]
        rows.append((question.name.replace("_", " "), "" if right == UNKNOWN else question.options[right], cells))
    return Shown(picture.image, _thumbnail(picture.file), rows)


def _answered(given: Given | None, right: int) -> Answered:
    if given is None or not given.text.strip():
        kind = "missing"
    elif given.option == UNKNOWN:
        kind = "outside"
    elif right == UNKNOWN:
        kind = "unknown"
    else:
        kind = "right" if given.option == right else "wrong"
    return Answered("" if given is None else given.text.strip(), kind, *MARKS[kind])


def _thumbnail(file: Path) -> str:
    from PIL import Image

    try:
        picture = Image.fromarray(load_image(file))
    except ImageError as error:
        logging.warning("not shown: %s", error)
        return ""
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
