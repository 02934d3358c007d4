"""Answers to multiple-choice questions: a table over all frames, its CSV file, and accuracies beside chance.

An answer is the option with the largest probability. A frame counts for a question where the right option is known.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Int

from flipjax.core.errors import DataError, suggest
from flipjax.core.labels import UNKNOWN
from flipjax.core.schemas import Question
from flipjax.evaluation.score import Batch, Compute, gather_rows
from flipjax.evaluation.score_files import csv_rows, write_text
from flipjax.metrics.answers import balanced_accuracy

ACCURACY_SUFFIX = "_accuracy"
SUMMARY = "answers"


@dataclass(frozen=True)
class AnswerTable:
    """What a method answered about every frame, one row each.

    `sample_id` is an object array of str. By question name: `probabilities` holds P(option) [rows options], `labels` the
    index of the right option [rows], -1 where it is unknown.
    """

    sample_id: np.ndarray
    questions: tuple[Question, ...]
    probabilities: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.sample_id)

    def predicted(self, name: str) -> Int[np.ndarray, "rows"]:
        """Returns the index of the option that the question `name` was answered with."""
        return np.argmax(self.probabilities[name], axis=1)


def answer_rows(
    compute: Compute,
    batches: Iterable[Batch],
    columns: Mapping[str, np.ndarray],
    questions: Sequence[Question],
    *,
    total_batches: int,
    label: str,
) -> AnswerTable:
    """Returns one row per index row.

    Args:
      compute: as of `score.gather_rows`, with P(option) [b options] under each question's name.
      batches: cover every row of the index once.
      columns: index columns by name, those of the questions' fields among them.
      questions: what is asked.
      total_batches: for the progress bar.
      label: which data the questions are about.

    Raises:
      MetricError: a row was missed or has a probability that is not a number.
    """
    ids, shapes = columns["sample_id"], {question.name: (len(question.options),) for question in questions}
    found = gather_rows(
        compute, batches, ids, shapes, total_batches=total_batches, label=f"answering questions about {label}"
    )
    labels = {question.name: _right_options(question, columns[question.field], label) for question in questions}
    return AnswerTable(ids, tuple(questions), found, labels)


def _right_options(question: Question, values: np.ndarray, label: str) -> np.ndarray:
    """The field's values, unknown where the question has no such option."""
    right = values.astype(np.int64)
    beyond = right >= len(question.options)
    if beyond.any():
        logging.warning(
            "%s: %d frames have a %s that is no option of the question '%s'; they count as unlabelled",
            label, beyond.sum(), question.field, question.name,
        )  # fmt: skip
    return np.where(beyond | (right < 0), UNKNOWN, right)


def summary(table: AnswerTable) -> dict[str, Any]:
    """Returns what a target's metrics hold: `<question>_accuracy` in percent, and `answers` with what to read it by.

    The accuracy is balanced, over labelled frames; a question without any has none. `answers` says per question its text,
    the number of options, how many of them occur among the labels, the labelled frames, and in percent what guessing
    reaches, `chance` (one over the number of options), and what always giving the same answer can reach, `constant` (one
    over the options that occur; missing without labels).
    """
    accuracies, facts = {}, {}
    for question in table.questions:
        labels = table.labels[question.name]
        known = labels[labels >= 0]
        facts[question.name] = {
            "question": question.text,
            "options": len(question.options),
            "options_present": len(np.unique(known)),
            "labelled": len(known),
            "chance": 100.0 / len(question.options),
        }
        if len(known):
            facts[question.name]["constant"] = 100.0 / len(np.unique(known))
            accuracy = balanced_accuracy(table.predicted(question.name), labels)
            accuracies[f"{question.name}{ACCURACY_SUFFIX}"] = accuracy
    return {**accuracies, SUMMARY: facts}


def write_answers(path: Path, table: AnswerTable) -> None:
    """Writes `table` to `path` at once.

    Columns: sample_id, then per question `<name>` (the right option's text, empty where unknown), `<name>_answer` (the
    likeliest option's text) and `<name>_probability <option>` per option, with every digit of a float32.

    Raises:
      ConfigError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_header(table.questions))
    predicted = {question.name: table.predicted(question.name) for question in table.questions}
    for row, name in enumerate(table.sample_id):
        cells = [name]
        for question in table.questions:
            right = table.labels[question.name][row]
            cells += [question.options[right] if right >= 0 else "", question.options[predicted[question.name][row]]]
            cells += [f"{value:.9g}" for value in table.probabilities[question.name][row]]
        writer.writerow(cells)
    write_text(path, text.getvalue())


def read_answers(path: Path, questions: Sequence[Question]) -> AnswerTable:
    """Returns the rows of a file that `write_answers` wrote, for some or all of its questions.

    Raises:
      DataError: the file is missing or no CSV, a column is missing, an option does not exist, or a probability is not a
        number in [0, 1]; the message names the line.
    """
    ids: list[str] = []
    probabilities: dict[str, list[list[float]]] = {question.name: [] for question in questions}
    labels: dict[str, list[int]] = {question.name: [] for question in questions}
    for place, row in csv_rows(path, _header(questions), "answer file"):
        ids.append(row["sample_id"])
        for question in questions:
            labels[question.name].append(_option(question, row[question.name], place))
            probabilities[question.name].append([_probability(row[name], place) for name in _columns(question)[2:]])
    return AnswerTable(
        sample_id=np.array(ids, dtype=object),
        questions=tuple(questions),
        probabilities={
            question.name: np.array(probabilities[question.name]).reshape(-1, len(question.options))
            for question in questions
        },
        labels={name: np.array(values, dtype=np.int64) for name, values in labels.items()},
    )


def _header(questions: Sequence[Question]) -> list[str]:
    return ["sample_id", *(column for question in questions for column in _columns(question))]


def _columns(question: Question) -> list[str]:
    name = question.name
    return [name, f"{name}_answer", *(f"{name}_probability {option}" for option in question.options)]


def _option(question: Question, text: str, place: str) -> int:
    if not text:
        return UNKNOWN
    if text not in question.options:
        known = question.options
        raise DataError(f"{place}: {question.name} '{text}' is no option; expected {known}{suggest(text, known)}")
    return question.options.index(text)


def _probability(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value <= 1:
        raise DataError(f"{place}: '{text}' is not a probability; expected a number in [0, 1]")
    return value
