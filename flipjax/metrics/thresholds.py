"""Threshold rules: where to cut, chosen how and on which data.

| name | function | threshold |
|---|---|---|
| `test_eer` | `at_test_eer` | the papers': grid EER of the test set itself, so their HTER equals the EER there |
| `dev_eer` | `at_dev_eer` | exact EER of other data, such as source validation |
| `bpcer_at_1%` | `at_bpcer` | the largest that rejects at most that share of the bona fide of other data |
| `apcer_at_1%` | `at_apcer` | the smallest that accepts at most that share of every instrument of other data |
| `fixed` | `at_number` | a number, such as the one kept with a checkpoint |

`eer_grid` and `eer_exact` are the searches behind the first two. The exact one has no grid, which matters for cosine logits
at scale 100: their probabilities crowd within 1e-4 of 0 and 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Shaped

from flipjax.core.errors import MetricError
from flipjax.metrics.rates import hter, pai_names, require_probabilities, split_classes

TEST_EER, DEV_EER, FIXED = "test_eer", "dev_eer", "fixed"
GRID_STEPS = 10_000
GRID_END = 1.1  # FLIP and SSDG append this point, which rejects everything


@dataclass(frozen=True)
class ThresholdRule:
    """A threshold, the rule that chose it and the data it was chosen on; accept iff score >= threshold.

    `looked_at_target` says whether labels of the data to be judged helped to choose: rates at it are optimistic.
    """

    name: str
    threshold: float
    data: str
    looked_at_target: bool = False


def at_test_eer(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]) -> ThresholdRule:
    """Returns the papers' rule: `eer_grid` of the target test set itself.

    Raises:
      MetricError: see `eer_grid`.
    """
    rule = eer_grid(scores, is_bona_fide, data="the target test set itself")
    return replace(rule, name=TEST_EER, looked_at_target=True)


def at_dev_eer(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, data: str, looked_at_target: bool = False
) -> ThresholdRule:
    """Returns `eer_exact` of development data.

    Args:
      data: what the scores are of, for reports.
      looked_at_target: True where they are a part of the target domain.

    Raises:
      MetricError: see `eer_exact`.
    """
    rule = eer_exact(scores, is_bona_fide, data=data)
    return replace(rule, name=DEV_EER, looked_at_target=looked_at_target)


def at_bpcer(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    *,
    limit: float,
    data: str,
    looked_at_target: bool = False,
) -> ThresholdRule:
    """Returns the largest threshold whose BPCER is at most `limit`: always an observed bona fide score.

    Scores tied there are all accepted, so a tie can only lower the BPCER. With fewer than 1 / `limit` bona fide
    presentations none may be rejected, and the threshold is the lowest of them.

    Args:
      limit: share in [0, 1).
      data: what the scores are of, for reports.
      looked_at_target: True where they are a part of the target domain.

    Raises:
      MetricError: a class is missing, a score is not a finite number, or `limit` is outside [0, 1).
    """
    bona_fide = np.sort(split_classes(scores, is_bona_fide)[0])
    threshold = float(bona_fide[_allowed(len(bona_fide), limit)])
    return ThresholdRule(f"bpcer_at_{100 * limit:g}%", threshold, data, looked_at_target)


def at_apcer(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    attack_type: Shaped[np.ndarray, "b"],
    *,
    limit: float,
    data: str,
    looked_at_target: bool = False,
) -> ThresholdRule:
    """Returns the smallest threshold whose APCER is at most `limit` for every instrument.

    It is the next float64 above an attack's score, so attacks tied there are all rejected. Where too many attacks share
    the highest score of all, it lies above every score and nothing is accepted: the limit cannot be kept otherwise.

    Args:
      attack_type: instrument name per row; not read where the row is bona fide, empty means "other".
      limit: share in [0, 1).
      data: what the scores are of, for reports.
      looked_at_target: True where they are a part of the target domain.

    Raises:
      MetricError: a class is missing, a score is not a finite number, or `limit` is outside [0, 1).

    Source: bob.pad.base takes the largest of the instruments' thresholds in the same way.
    """
    attack = split_classes(scores, is_bona_fide)[1]
    names = np.array(pai_names(is_bona_fide, attack_type), dtype=object)
    tops = [np.sort(attack[names == name])[::-1] for name in set(names)]
    highest = max(float(top[_allowed(len(top), limit)]) for top in tops)
    return ThresholdRule(f"apcer_at_{100 * limit:g}%", float(np.nextafter(highest, np.inf)), data, looked_at_target)


def at_number(threshold: float, *, data: str, looked_at_target: bool = False) -> ThresholdRule:
    """Returns a threshold given as a number.

    Raises:
      MetricError: it is NaN or infinite.
    """
    if not np.isfinite(threshold):
        raise MetricError(f"threshold {threshold} is not a finite number; give a score to cut at")
    return ThresholdRule(FIXED, float(threshold), data, looked_at_target)


def grid() -> Float[np.ndarray, "points"]:
    """Returns the papers' candidate thresholds: i / 10000 for i = 0..10000, then 1.1."""
    return np.append(np.arange(GRID_STEPS + 1) / GRID_STEPS, GRID_END)


def eer_grid(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, data: str = "") -> ThresholdRule:
    """Returns the largest grid point that minimises |BPCER - pooled APCER|.

    Raises:
      MetricError: a class is missing, a score is not a finite number or outside [0, 1].

    Source: the FLIP code, which took it from SSDG.
    """
    split_classes(scores, is_bona_fide)
    require_probabilities(scores)
    points = grid()
    return ThresholdRule("eer_grid", float(points[_last_minimum(scores, is_bona_fide, points)]), data)


def eer_exact(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, data: str = "") -> ThresholdRule:
    """Returns the largest observed score that minimises |BPCER - pooled APCER|.

    Where the scores separate the classes without error every cut in the gap is equally good: the middle is taken,
    because the gap's upper end is the lowest bona fide score and would reject the next one just below it. Where only
    rejecting everything minimises it, the threshold is the next float64 above the highest score.

    Raises:
      MetricError: a class is missing or a score is not a finite number.
    """
    bona_fide, attack = split_classes(scores, is_bona_fide)
    lowest, highest = float(bona_fide.min()), float(attack.max())
    if highest < lowest:
        middle = (highest + lowest) / 2
        return ThresholdRule("eer_exact", middle if middle > highest else lowest, data)
    points = np.unique(scores.astype(np.float64))
    points = np.append(points, np.nextafter(points[-1], np.inf))
    return ThresholdRule("eer_exact", float(points[_last_minimum(scores, is_bona_fide, points)]), data)


def equal_error_rate(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    search: Callable[..., ThresholdRule] = eer_exact,
) -> float:
    """Returns the mean of BPCER and pooled APCER, in [0, 1], where they are nearest: at `eer_exact` or `eer_grid`.

    Raises:
      MetricError: see the search.

    Example:
      >>> equal_error_rate(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
      0.5
    """
    return hter(scores, is_bona_fide, search(scores, is_bona_fide).threshold)


def _allowed(count: int, limit: float) -> int:
    """The most errors among `count` whose share is at most `limit`, compared as the rates themselves are."""
    if not 0 <= limit < 1:
        raise MetricError(f"limit {limit} on an error rate is outside [0, 1); give a share such as 0.01 for 1 %")
    return int(np.sum(np.arange(1, count) / count <= limit))


def _last_minimum(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], points: Float[np.ndarray, "points"]
) -> int:
    bona_fide, attack = (np.sort(values) for values in split_classes(scores, is_bona_fide))
    rejected = np.searchsorted(bona_fide, points, side="left") / len(bona_fide)
    accepted = (len(attack) - np.searchsorted(attack, points, side="left")) / len(attack)
    distance = np.abs(rejected - accepted)
    return len(points) - 1 - int(np.argmin(distance[::-1]))
