"""Files of the question harness: the questions to ask, the right answers, and the answers of any model.

Questions (written): `image,question,text`, one row per picture and question. Answers (read, and written for our own model):
`image,question,answer` and whatever else; the answer is free text. Labels (read): the CSV that describes own data, with the
columns of schemas.LABEL_COLUMNS. An answer's picture is found by its path, whichever folder either path starts from.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from absl import logging

from flipjax.core import labels
from flipjax.core.errors import ConfigError, DataError, suggest
from flipjax.core.schemas import LABEL_COLUMNS, Question
from flipjax.data.media import is_video
from flipjax.evaluation.score_files import csv_rows, write_text
from flipjax.prompts.answers import parse_answer

QUESTION_COLUMNS = ("image", "question", "text")
ANSWER_COLUMNS = ("image", "question", "answer")
# What to do with an answer that is none of the options, and with one that is missing.
OUTSIDE = ("error", "wrong")


@dataclass(frozen=True)
class Truth:
    """A labelled picture: its name in the labels file, where it lies, its class, and the right option by record column.

    Options are -1, or the column is missing, where unknown.
    """

    image: str
    file: Path
    is_bona_fide: bool
    right: Mapping[str, int]


@dataclass(frozen=True)
class Given:
    """A model's answer: the text, and the option it chooses (-1: none of them)."""

    text: str
    option: int


# (picture, question name) -> answer
Answers = Mapping[tuple[str, str], Given]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a CSV file at once.

    Raises:
      ConfigError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_truth(path: Path) -> list[Truth]:
    """Returns the pictures of a labels file in order; videos are left out, since questions are about pictures.

    Raises:
      DataError: the file is missing or no CSV, a column or label is unknown, a picture occurs twice, or there is none.
    """
    found: dict[str, Truth] = {}
    skipped = 0
    for place, row in csv_rows(path, LABEL_COLUMNS[:2], "labels file"):
        try:
            truth = _truth({name: text.strip() for name, text in row.items()}, path.parent)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        if is_video(truth.file):
            skipped += 1
            continue
        if truth.image in found:
            raise DataError(f"{place}: path '{truth.image}' occurs twice; keep one of them")
        found[truth.image] = truth
    if skipped:
        logging.warning("%s: %d videos left out; questions are about pictures", path, skipped)
    if not found:
        raise DataError(f"labels file {path} lists no picture; add one row per picture")
    return list(found.values())


def _truth(row: Mapping[str, str], folder: Path) -> Truth:
    for name in row:
        if name not in LABEL_COLUMNS:
            raise DataError(
                f"unknown column '{name}'; expected {', '.join(LABEL_COLUMNS)}{suggest(name, LABEL_COLUMNS)}"
            )
    if not row["path"]:
        raise DataError("path is empty; give the picture")
    is_bona_fide = labels.parse_class(row["label"])
    right = {**labels.parse_options(row, is_bona_fide), "is_bona_fide": int(is_bona_fide)}
    return Truth(PurePosixPath(row["path"]).as_posix(), folder / row["path"], is_bona_fide, right)


def read_answers(path: Path, truth: Sequence[Truth], questions: Sequence[Question], *, outside: str) -> Answers:
    """Returns a model's answers about the pictures of `truth`; answers about other pictures are left out with a warning.

    Args:
      outside: "error", or "wrong": an answer that is none of the options is kept as option -1.

    Raises:
      DataError: the file is missing, no CSV or about none of the pictures; a question is unknown or answered twice for a
        picture; or an answer is outside the options, with outside="error".
      ConfigError: another value of `outside`.
    """
    if outside not in OUTSIDE:
        raise ConfigError(f"outside '{outside}' unknown; expected error or wrong{suggest(outside, OUTSIDE)}")
    by_name = {question.name: question for question in questions}
    find = _finder([picture.image for picture in truth])
    answers: dict[tuple[str, str], Given] = {}
    unlisted: set[str] = set()
    for place, row in csv_rows(path, ANSWER_COLUMNS, "answers file"):
        name, asked = row["image"].strip(), row["question"].strip()
        if asked not in by_name:
            known = list(by_name)
            raise DataError(
                f"{place}: question '{asked}' unknown; expected one of {', '.join(known)}{suggest(asked, known)}"
            )
        try:
            image = find(name)
            if image is None:
                unlisted.add(name)
                continue
            given = _given(row["answer"], by_name[asked], outside)
        except DataError as error:
            raise DataError(f"{place}, picture '{name}': {error}") from error
        if (image, asked) in answers:
            raise DataError(f"{place}: picture '{name}', question '{asked}' is answered twice; keep one answer")
        answers[image, asked] = given
    if not answers:
        raise DataError(
            f"answers file {path} is about none of the labelled pictures; names must match, such as {truth[0].image}"
        )
    if unlisted:
        logging.warning("%s: %d pictures are not in the labels file, such as %s", path, len(unlisted), min(unlisted))
    return answers


def _given(text: str, question: Question, outside: str) -> Given:
    try:
        return Given(text, parse_answer(text, question))
    except DataError as error:
        if outside == "error":
            raise DataError(f"{error}; --outside=wrong counts it as wrong") from error
        return Given(text, labels.UNKNOWN)


def _finder(images: Sequence[str]) -> Callable[[str], str | None]:
    """Returns a function from a path to the picture whose path it ends, or that ends it."""
    ends: dict[str, list[str]] = {}
    for image in images:
        for end in _ends(image):
            ends.setdefault(end, []).append(image)
    whole = set(images)

    def find(name: str) -> str | None:
        path = PurePosixPath(name.replace("\\", "/")).as_posix()
        inner = next((end for end in _ends(path) if end in whole), None)
        if inner is not None:
            return inner
        found = ends.get(path, [])
        if len(found) > 1:
            raise DataError(
                f"the name fits several labelled pictures, such as {found[0]} and {found[1]}; give more of the path"
            )
        return found[0] if found else None

    return find


def _ends(path: str) -> list[str]:
    parts = PurePosixPath(path).parts
    return ["/".join(parts[i:]) for i in range(len(parts))]
