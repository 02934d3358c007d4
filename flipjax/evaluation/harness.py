"""Scores any model's answers to the same questions: how often they are right, and what they say about genuineness.

InstructFLIP (ACM MM 2025), section 4.4, puts the questions of Table 7 to other vision-language models and shows single
answers (Tables 8 and 9); the numbers here are ours. Every labelled picture counts once for every question the model
answers at all: an answer outside the options, or a missing one, is wrong.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Int

from flipjax.core.errors import ConfigError, DataError
from flipjax.core.labels import BONA_FIDE, UNKNOWN
from flipjax.core.schemas import Question
from flipjax.evaluation import comparison
from flipjax.evaluation.answer_files import Answers, Truth, read_answers, read_truth
from flipjax.evaluation.protocol import write_json
from flipjax.evaluation.score_files import write_text
from flipjax.metrics import rates
from flipjax.metrics.answers import balanced_accuracy

# Option index that says bona fide, by the record column of a question.
_SAYS_BONA_FIDE = {"attack_instrument": 0, "is_bona_fide": BONA_FIDE}


def score(truth: Sequence[Truth], answers: Answers, questions: Sequence[Question], *, outside: str) -> dict[str, Any]:
    """Returns a model's results as JSON values, rates in percent.

    `questions`: by name `n` (pictures whose right option is known), `unparsed` (of those, without an answer among the
    options) and, where n > 0, `accuracy` and `balanced_accuracy` (mean over the options that occur).
    `verdict`: what the first answered question on the attack instrument or the class says, as `question`, `n`, `unparsed`,
    `apcer_pooled`, `bpcer` and `hter`; None where no such question is answered or a class has no picture.

    Args:
      outside: "error" refuses pictures without an answer, "wrong" counts them as wrong.

    Raises:
      DataError: a labelled picture has no answer to a question that others have, with outside="error".
    """
    asked = [question for question in questions if any(name == question.name for _, name in answers)]
    chosen = {question.name: _options(truth, answers, question, outside) for question in asked}
    return {
        "questions": {question.name: _accuracies(truth, question, chosen[question.name]) for question in asked},
        "verdict": _verdict(truth, asked, chosen),
    }


def _options(truth: Sequence[Truth], answers: Answers, question: Question, outside: str) -> Int[np.ndarray, "n"]:
    options = []
    for picture in truth:
        given = answers.get((picture.image, question.name))
        if given is None and outside == "error" and _matters(picture, question):
            raise DataError(
                f"picture '{picture.image}' has no answer to question '{question.name}'; add it, or count it as wrong "
                "with --outside=wrong"
            )
        options.append(UNKNOWN if given is None else given.option)
    return np.array(options, np.int64)


def _matters(picture: Truth, question: Question) -> bool:
    return picture.right.get(question.field, UNKNOWN) != UNKNOWN or question.field in _SAYS_BONA_FIDE


def _accuracies(truth: Sequence[Truth], question: Question, chosen: Int[np.ndarray, "n"]) -> dict[str, Any]:
    right = np.array([picture.right.get(question.field, UNKNOWN) for picture in truth], np.int64)
    known = right != UNKNOWN
    result: dict[str, Any] = {"n": int(known.sum()), "unparsed": int((chosen[known] == UNKNOWN).sum())}
    if result["n"]:
        result["accuracy"] = 100.0 * float(np.mean(chosen[known] == right[known]))
        result["balanced_accuracy"] = balanced_accuracy(chosen, right)
    return result


def _verdict(
    truth: Sequence[Truth], asked: Sequence[Question], chosen: Mapping[str, Int[np.ndarray, "n"]]
) -> dict[str, Any] | None:
    question = next((question for question in asked if question.field in _SAYS_BONA_FIDE), None)
    is_bona_fide = np.array([picture.is_bona_fide for picture in truth], bool)
    if question is None or is_bona_fide.all() or not is_bona_fide.any():
        logging.warning("no verdict: it needs answers on the attack and pictures of both classes")
        return None
    option = chosen[question.name]
    accepted = np.where(option == UNKNOWN, ~is_bona_fide, option == _SAYS_BONA_FIDE[question.field])
    scores = accepted.astype(np.float64)
    return {
        "question": question.name,
        "n": len(truth),
        "unparsed": int((option == UNKNOWN).sum()),
        "apcer_pooled": 100.0 * rates.apcer_pooled(scores, is_bona_fide, 0.5),
        "bpcer": 100.0 * rates.bpcer(scores, is_bona_fide, 0.5),
        "hter": 100.0 * rates.hter(scores, is_bona_fide, 0.5),
    }


def write_comparison(
    out: Path, truth: Path, answers: Sequence[Path], questions: Sequence[Question], *, outside: str, pictures: int
) -> dict[str, Any]:
    """Scores answers files against a labels file; writes answers.json and answers.html below `out`, returns the former.

    A model is called like its file without the suffix. Nothing is written before all is read and scored.

    Args:
      outside: "error" or "wrong", see `score`.
      pictures: how many pictures the page shows at most.

    Raises:
      DataError: see `answer_files.read_truth`, `answer_files.read_answers` and `score`.
      ConfigError: two files have one name, or a file cannot be written.
    """
    labelled = read_truth(truth)
    given: dict[str, Answers] = {}
    results: dict[str, Any] = {}
    for path in answers:
        if path.stem in given:
            raise ConfigError(f"two answers files are named '{path.stem}', the second is {path}; rename one")
        given[path.stem] = read_answers(path, labelled, questions, outside=outside)
        try:
            results[path.stem] = score(labelled, given[path.stem], questions, outside=outside)
        except DataError as error:
            raise DataError(f"answers file {path}: {error}") from error
    page = comparison.render(labelled, given, results, questions, pictures=pictures)
    content = {"truth": str(truth), "pictures": len(labelled), "outside": outside, "models": results}
    write_json(out / "answers.json", content)
    write_text(out / "answers.html", page)
    return content
