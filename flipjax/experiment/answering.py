"""Questions about a folder of pictures for anyone to answer, and the answers of a trained method."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import logging

from flipjax.core.errors import ConfigError, DataError
from flipjax.core.schemas import Question
from flipjax.evaluation.answer_files import ANSWER_COLUMNS, QUESTION_COLUMNS, write_table
from flipjax.prompts.instruct import PUBLISHED, paper_text
from flipjax.serving.predictor import Prediction, Predictor, predict
from flipjax.serving.preprocess import pictures_in

NO_ANSWERS = "this method answers no questions; give the workdir of one that does, such as instruct_flip"


def questions_of(workdir: str | None) -> tuple[Question, ...]:
    """Returns the questions that the method of a workdir answers; without a workdir, the four published ones.

    Raises:
      ConfigError: the method answers none.
      DataError: no such workdir.
    """
    if not workdir:
        return PUBLISHED
    from flipjax.experiment import assemble
    from flipjax.experiment import workdir as files

    answering = assemble.method_of(files.load_config(Path(workdir))).answering
    if answering is None:
        raise ConfigError(NO_ANSWERS)
    return answering.questions


def pictures_of(images: Path) -> list[str]:
    """Returns the names of the pictures in and below `images`, sorted.

    Raises:
      DataError: there is none.
    """
    names = [file.relative_to(images).as_posix() for file in pictures_in(images)]
    if not names:
        raise DataError(f"--images={images} holds no picture; give a folder of JPEG or PNG files")
    return names


def write_questions(path: Path, images: Path, asked: Sequence[Question], wording: str) -> int:
    """Writes image, question and text for every picture below `images` and every question; returns the rows written.

    Args:
      wording: "released" as the method reads them, "paper" as printed in InstructFLIP's Table 7.

    Raises:
      DataError: no picture.
      ConfigError: the file cannot be written.
    """
    texts = [(question.name, paper_text(question) if wording == "paper" else question.text) for question in asked]
    rows = [(name, *text) for name in pictures_of(images) for text in texts]
    write_table(path, QUESTION_COLUMNS, rows)
    return len(rows)


def write_own_answers(path: Path, predictor: Predictor, images: Path, *, free_text: bool = False) -> None:
    """Writes the predictor's answer to each of its questions about the largest face of every picture below `images`.

    The answer is the likeliest option, or with `free_text` what the language model writes of itself.

    Columns: image (below `images`), question, answer, probability (of the answer), p1 p2 ... (of every option in order).
    A picture without a usable face has rows without an answer.

    Raises:
      ConfigError: the method answers no questions, or the file cannot be written.
    """
    if predictor.answers is None or not predictor.questions:
        raise ConfigError(NO_ANSWERS)
    if free_text and predictor.speak is None:
        raise ConfigError(
            "--free_text needs a language model with pretrained weights; leave it out to score the options"
        )
    most = max(len(question.options) for question in predictor.questions)
    header = [*ANSWER_COLUMNS, "probability", *(f"p{number}" for number in range(1, most + 1))]
    seen: set[str] = set()
    rows: list[list[str]] = []
    # Answers come with explanations; the heat maps are not drawn.
    for prediction in predict(dataclasses.replace(predictor, explain=None), [images], images):
        if prediction.file not in seen:
            seen.add(prediction.file)
            rows.extend(_rows(predictor, prediction, images, len(header), "free_text" if free_text else "answer"))
    write_table(path, header, rows)


def _rows(predictor: Predictor, prediction: Prediction, images: Path, width: int, key: str) -> Iterator[list[str]]:
    name = Path(prediction.file).relative_to(images).as_posix()
    answers = prediction.answers or {}
    if not answers:
        logging.warning("%s: no answer: %s", name, prediction.reason)
    for question in predictor.questions:
        told = answers.get(question.name) or {"answer": None, "probability": None, "options": {}}
        values = [told["probability"], *told["options"].values()]
        row = [name, question.name, told.get(key) or "", *("" if value is None else repr(value) for value in values)]
        yield row + [""] * (width - len(row))
