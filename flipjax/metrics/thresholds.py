"""Threshold rules: where to cut, chosen on which data.

`eer_grid` is the rule of both papers (they apply it to the test set itself, so their HTER equals the EER there);
`eer_exact` has no grid, which matters for cosine logits at scale 100: their probabilities crowd within 1e-4 of 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

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


def _last_minimum(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], points: Float[np.ndarray, "points"]
) -> int:
    bona_fide, attack = (np.sort(values) for values in split_classes(scores, is_bona_fide))
    rejected = np.searchsorted(bona_fide, points, side="left") / len(bona_fide)
    accepted = (len(attack) - np.searchsorted(attack, points, side="left")) / len(attack)
    distance = np.abs(rejected - accepted)
    return len(points) - 1 - int(np.argmin(distance[::-1]))
