"""Which faces of a target to look at: the worst false accepts and false rejects, and right decisions beside them.

FLIP's authors show misclassified pictures of both kinds, InstructFLIP's Table 8 one right and one wrong decision about
either class. Frames are judged one by one, though rates count videos: a video stands with its most mistaken frame, once.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.rates import require_finite

# By (is bona fide, is accepted).
OUTCOMES = {
    (False, True): "attack_accepted",
    (True, False): "bona_fide_rejected",
    (False, False): "attack_rejected",
    (True, True): "bona_fide_accepted",
}
ERRORS = ("attack_accepted", "bona_fide_rejected")


@dataclass(frozen=True)
class Face:
    """One row of a score table and what was decided about it.

    `outcome` is one of OUTCOMES. `margin` is how far the score lies on the wrong side of the threshold, in units of the
    score; on the right side it is negative. `conditions` are what is known of the capture, name -> value.
    """

    row: int
    outcome: str
    margin: float
    conditions: Mapping[str, str]

    @property
    def is_error(self) -> bool:
        return self.outcome in ERRORS


def misclassified(table: ScoreTable, threshold: float, *, count: int) -> list[Face]:
    """Returns at most `count` accepted attacks and `count` rejected bona fide in turn, the worst of each first.

    The worst is the furthest on the wrong side; equal ones keep their order. A video, told by domain and video_id, appears
    at most once; a frame without a video_id is its own video.

    Args:
      table: frame scores of one target.
      threshold: accepted where score >= threshold.
      count: faces of each kind.

    Raises:
      MetricError: the threshold or a score is not a finite number.
    """
    return _in_turn([[face for face in faces if face.is_error][:count] for faces in _classes(table, threshold)])


def telling(table: ScoreTable, threshold: float, *, count: int) -> list[Face]:
    """Returns at most `count` faces, both classes in turn however few were misclassified, errors before right decisions.

    Half of the places are a class's. The last of them is kept for its clearest right decision, and where errors leave
    more free, the narrowest right decisions take them. What one class cannot fill, the other does.

    Args:
      table, threshold, count: as in `misclassified`, but `count` is of all faces.

    Raises:
      MetricError: as in `misclassified`.
    """
    half = (count + 1) // 2
    queues = [_queue(faces, half) for faces in _classes(table, threshold) if faces]
    return _in_turn(sorted(queues, key=lambda queue: not queue[0].is_error))[:count]


def _queue(ranked: Sequence[Face], places: int) -> list[Face]:
    """One class in the order in which its faces are shown: worst errors, clearest right, narrowest right, further errors."""
    errors = [face for face in ranked if face.is_error]
    right = ranked[len(errors) :]
    first = max(places - 1, 1)
    return [*errors[:first], *right[-1:], *right[:-1], *errors[first:]]


def _classes(table: ScoreTable, threshold: float) -> list[list[Face]]:
    """Attacks, then bona fide: one face per video, ranked from the furthest on the wrong side to the clearest right."""
    if not math.isfinite(threshold):
        raise MetricError(f"threshold {threshold} is not a finite number; choose one before looking at errors")
    require_finite(table.score)
    margins = np.where(table.is_bona_fide, threshold - table.score, table.score - threshold)
    ranked: list[list[Face]] = [[], []]
    shown: set[Any] = set()
    for row in np.argsort(-margins, kind="stable").tolist():
        video = (table.domain[row], table.video_id[row]) if table.video_id[row] else row
        if video not in shown:
            shown.add(video)
            ranked[int(table.is_bona_fide[row])].append(_face(table, threshold, row, float(margins[row])))
    return ranked


def _face(table: ScoreTable, threshold: float, row: int, margin: float) -> Face:
    outcome = OUTCOMES[bool(table.is_bona_fide[row]), bool(table.score[row] >= threshold)]
    known = {name: str(values[row]) for name, values in table.conditions.items() if values[row]}
    return Face(row, outcome, margin, known)


def _in_turn(queues: Sequence[Sequence[Face]]) -> list[Face]:
    return [face for faces in itertools.zip_longest(*queues) for face in faces if face is not None]
