"""Faces -> scores -> decisions, one JSON line per face.

`decision` is bona_fide where the score reaches the threshold and attack below it; not_sure where a file cannot be read
or holds no face, where the face is too small (it is scored all the same), or where the score is not a number. Nobody
should be let in on not_sure.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from flipjax.core import labels
from flipjax.core.errors import DataError
from flipjax.core.schemas import Question
from flipjax.data.overlay import overlay, save_png
from flipjax.serving.preprocess import PhotoFace, detector_for, faces_of

NOT_SURE = "not_sure"
DECISION_FILE = "decision.json"
EXIT_DECIDED, EXIT_UNREADABLE, EXIT_NOT_SURE = 0, 2, 3


@dataclass(frozen=True)
class Predictor:
    """A trained model ready for photos.

    score: uint8 RGB crops [b h w 3] -> P(bona fide) [b]; b is always `batch_size`, so that one compilation serves all.
    image_size: side of the crops in pixels. padding: as in `flipjax.data.align`.
    detector: what cut the training crops; photos are cut by `detector_for(detector)`.
    threshold: a face is bona fide where score >= threshold; threshold_rule says how it was chosen.
    explain: the same crops -> heat maps [b gh gw] in [0, 1]; None where the method has none.
    answers: the same crops -> question name -> probability of each option [b options], for `questions`; None where the
      method answers none or nobody asked.
    speak: the same crops -> what the language model writes of itself [b questions] (texts); None where it has nothing to say.
    """

    score: Callable[[UInt8[np.ndarray, "b h w 3"]], Float[np.ndarray, "b"]]
    image_size: int
    detector: str
    padding: float
    threshold: float
    threshold_rule: str
    explain: Callable[[UInt8[np.ndarray, "b h w 3"]], Float[np.ndarray, "b gh gw"]] | None = None
    batch_size: int = 8
    questions: tuple[Question, ...] = ()
    answers: Callable[[UInt8[np.ndarray, "b h w 3"]], Mapping[str, np.ndarray]] | None = None
    speak: Callable[[UInt8[np.ndarray, "b h w 3"]], np.ndarray] | None = None


@dataclass(frozen=True)
class Prediction:
    """What is said about one face, or about one file without a face (box and score None).

    `answers` is None where no question was asked, and empty where there was no face to ask about.
    """

    file: str
    box: tuple[float, float, float, float] | None
    score: float | None
    decision: str
    threshold: float
    threshold_rule: str
    reason: str
    is_readable: bool = True
    answers: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """Returns one line with the keys file, box, score, decision, threshold, threshold_rule, reason; answers if asked."""
        line = {
            "file": self.file,
            "box": None if self.box is None else [round(v, 1) for v in self.box],
            "score": self.score,
            "decision": self.decision,
            "threshold": self.threshold,
            "threshold_rule": self.threshold_rule,
            "reason": self.reason,
        }
        if self.answers is not None:
            line["answers"] = dict(self.answers)
        return json.dumps(line, allow_nan=False)


def predict(predictor: Predictor, paths: Sequence[Path], explain_dir: Path | None = None) -> Iterator[Prediction]:
    """Yields a prediction per face of the pictures and folders, in order; a bad file becomes a line, never an error.

    With `explain_dir` and a predictor that explains, every scored face also leaves `<stem>.png` there (`<stem>_1.png`
    and so on where an earlier face has the name); with a predictor that answers, predictions carry the answers.

    Raises:
      ConfigError: the face detector is unknown or not installed.
    """
    detector = detector_for(predictor.detector)
    faces = faces_of(paths, detector=detector, size=predictor.image_size, padding=predictor.padding)
    names = _Names()
    for group in _groups(faces, predictor.batch_size):
        images = [face.image for face in group if face.image is not None]
        scores = iter(in_batches(predictor.score, images, predictor.batch_size))
        if explain_dir is not None and predictor.explain is not None:
            heat = in_batches(predictor.explain, images, predictor.batch_size)
            stems = [face.file.stem for face in group if face.image is not None]
            for stem, image, values in zip(stems, images, heat, strict=True):
                save_png(explain_dir / names.free(stem), overlay(image, values))
        is_asked = explain_dir is not None and predictor.answers is not None
        answers = iter(_answers(predictor, images) if is_asked else ())
        for face in group:
            has_face = face.image is not None
            judged = _judge(predictor, face, float(next(scores)) if has_face else None)
            yield dataclasses.replace(judged, answers=next(answers) if has_face else {}) if is_asked else judged


def in_batches(
    function: Callable[[np.ndarray], np.ndarray], images: Sequence[np.ndarray], batch_size: int
) -> list[Any]:
    """Returns function's rows for `images`, called with exactly `batch_size` of them; the last call is filled up."""
    rows: list[Any] = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        filled = np.stack([*part, *[part[-1]] * (batch_size - len(part))])
        rows.extend(np.asarray(function(filled))[: len(part)])
    return rows


def told(question: Question, probabilities: Float[np.ndarray, "options"]) -> dict[str, Any]:
    """Returns an answer as JSON values: `answer` (the likeliest option), its `probability`, and all `options` by text.

    Where a probability is not a number there is no answer: all values are None.

    Example:
      >>> told(Question("place", "style", "environment", "Where?", ("in", "out")), np.array([0.25, 0.75]))
      {'answer': 'out', 'probability': 0.75, 'options': {'in': 0.25, 'out': 0.75}}
    """
    if not np.isfinite(probabilities).all():
        return {"answer": None, "probability": None, "options": dict.fromkeys(question.options)}
    values = [round(float(value), 6) for value in probabilities]
    best = int(np.argmax(probabilities))
    options = dict(zip(question.options, values, strict=True))
    return {"answer": question.options[best], "probability": values[best], "options": options}


def _answers(predictor: Predictor, images: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """One dict of answers by question name for each image."""
    answer, questions = predictor.answers, predictor.questions
    assert answer is not None

    def side_by_side(batch: np.ndarray) -> np.ndarray:
        found = answer(batch)
        return np.concatenate([np.asarray(found[question.name]) for question in questions], axis=1)

    cuts = np.cumsum([len(question.options) for question in questions])[:-1]
    rows = (np.split(row, cuts) for row in in_batches(side_by_side, images, predictor.batch_size))
    found = [
        {question.name: told(question, part) for question, part in zip(questions, row, strict=True)} for row in rows
    ]
    if predictor.speak is not None:
        for answers, texts in zip(found, in_batches(predictor.speak, images, predictor.batch_size), strict=True):
            for question, text in zip(questions, texts, strict=True):
                answers[question.name]["free_text"] = str(text)
    return found


def exit_code(predictions: Iterable[Prediction]) -> int:
    """Returns 2 where any file could not be read, else 3 where any decision is not_sure, else 0."""
    code = EXIT_DECIDED
    for prediction in predictions:
        if not prediction.is_readable:
            return EXIT_UNREADABLE
        if prediction.decision == NOT_SURE:
            code = EXIT_NOT_SURE
    return code


def read_decision(workdir: Path) -> tuple[float, str]:
    """Returns (threshold, rule) of a finished run's `decision.json`.

    Raises:
      DataError: the folder or the file is missing, or the file does not say both.
    """
    if not workdir.is_dir():
        raise DataError(f"{workdir}: no such folder; give the --workdir of a finished training run")
    file = workdir / DECISION_FILE
    if not file.is_file():
        raise DataError(f"{file}: no such file; finish the training run in this workdir first")
    try:
        decision = json.loads(file.read_text(encoding="utf-8"))
        threshold, rule = float(decision["threshold"]), str(decision["rule"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: needs the keys threshold and rule ({error!r}); run the evaluation again") from error
    if not math.isfinite(threshold):
        raise DataError(f"{file}: threshold {threshold} is not a finite number; run the evaluation again")
    return threshold, rule


class _Names:
    """Gives each stem's first face `<stem>.png` and later ones a number."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def free(self, stem: str) -> str:
        name, number = f"{stem}.png", 0
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}.png"
        self._taken.add(name)
        return name


def _groups(faces: Iterator[PhotoFace], batch_size: int) -> Iterator[list[PhotoFace]]:
    """Cuts the stream after every `batch_size` crops; what has no crop travels along in its place."""
    group: list[PhotoFace] = []
    crops = 0
    for face in faces:
        group.append(face)
        crops += face.image is not None
        if crops == batch_size:
            yield group
            group, crops = [], 0
    if group:
        yield group


def _judge(predictor: Predictor, face: PhotoFace, score: float | None) -> Prediction:
    reason = face.reason
    if score is not None and not math.isfinite(score):
        score, reason = None, "the model gave no number for this face"
    if score is None or reason:
        decision = NOT_SURE
    else:
        is_accepted = score >= predictor.threshold
        decision = labels.CLASS_NAMES[labels.BONA_FIDE if is_accepted else labels.ATTACK]
        reason = "score reaches the threshold" if is_accepted else "score is below the threshold"
    return Prediction(
        file=str(face.file),
        box=face.box,
        score=score,
        decision=decision,
        threshold=predictor.threshold,
        threshold_rule=predictor.threshold_rule,
        reason=reason,
        is_readable=face.is_readable,
    )
