"""Threshold rules: where to cut, chosen on which data.

`eer_grid` is the rule of both papers (they apply it to the test set itself, so their HTER equals the EER there);
`eer_exact` has no grid, which matters for cosine logits at scale 100: their probabilities crowd within 1e-4 of 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from flipjax.core.errors import MetricError
from flipjax.metrics.rates import split_classes

GRID_STEPS = 10_000
GRID_END = 1.1  # FLIP and SSDG append this point, which rejects everything


@dataclass(frozen=True)
class ThresholdRule:
    """A threshold, the rule that chose it and the data it was chosen on; accept iff score >= threshold."""

    name: str
    threshold: float
    data: str


def grid() -> Float[np.ndarray, "points"]:
    """Returns the papers' candidate thresholds: i / 10000 for i = 0..10000, then 1.1."""
    return np.append(np.arange(GRID_STEPS + 1) / GRID_STEPS, GRID_END)


def eer_grid(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, data: str = "") -> ThresholdRule:
    """Returns the largest grid point that minimises |BPCER - pooled APCER|.

    Raises:
      MetricError: a class is missing or a score is not a number.

    Source: the FLIP code, which took it from SSDG.
    """
    points = grid()
    return ThresholdRule("eer_grid", float(points[_last_minimum(scores, is_bona_fide, points)]), data)


def eer_exact(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, data: str = "") -> ThresholdRule:
    """Returns the largest observed score that minimises |BPCER - pooled APCER|.

    Where the scores separate the classes without error every cut in the gap is equally good: the middle is taken,
    because the gap's upper end is the lowest bona fide score and would reject the next one just below it.

    Raises:
      MetricError: a class is missing or a score is not a number.
    """
    bona_fide, attack = split_classes(scores, is_bona_fide)
    lowest, highest = float(bona_fide.min()), float(attack.max())
    if highest < lowest:
        middle = (highest + lowest) / 2
        return ThresholdRule("eer_exact", middle if middle > highest else lowest, data)
    points = np.unique(scores.astype(np.float64))
    points = np.append(points, np.nextafter(points[-1], np.inf))
    return ThresholdRule("eer_exact", float(points[_last_minimum(scores, is_bona_fide, points)]), data)


def at_bpcer(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, limit: float, data: str = ""
) -> ThresholdRule:
    """Returns the largest threshold that rejects at most the share `limit` of the bona fide presentations.

    Args:
      limit: BPCER allowed, in [0, 1).

    Raises:
      MetricError: a class is missing, a score is not a number, or `limit` is outside [0, 1).

    Example:
      >>> at_bpcer(np.array([0.2, 0.6, 0.9, 0.1]), np.array([True, True, True, False]), limit=0.34).threshold
      0.6
    """
    if not 0 <= limit < 1:
        raise MetricError(f"BPCER limit {limit} is outside [0, 1); give a share such as 0.01")
    bona_fide, _ = split_classes(scores, is_bona_fide)
    rejectable = int(np.floor(limit * len(bona_fide) + 1e-9))  # 0.07 * 100 is just above 7, 0.29 * 100 just below 29
    return ThresholdRule(f"bpcer_{limit:g}", float(np.sort(bona_fide)[rejectable]), data)


def _last_minimum(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], points: Float[np.ndarray, "points"]
) -> int:
    bona_fide, attack = (np.sort(values) for values in split_classes(scores, is_bona_fide))
    rejected = np.searchsorted(bona_fide, points, side="left") / len(bona_fide)
    accepted = (len(attack) - np.searchsorted(attack, points, side="left")) / len(attack)
    distance = np.abs(rejected - accepted)
    return len(points) - 1 - int(np.argmin(distance[::-1]))
