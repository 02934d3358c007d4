"""Receiver operating characteristic and what is read off it.

TPR@FPR=1% follows the papers: scikit-learn's ROC with its dropping of collinear points, then the last kept point with
FPR <= 1%, no interpolation. It differs for the two positive classes, so the class is always named.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from flipjax.core.errors import MetricError
from flipjax.metrics.rates import split_classes

POSITIVE_CLASSES = ("bona_fide", "attack")


@dataclass(frozen=True)
class Roc:
    """Points from "reject all" to "accept all": rates in [0, 1] and the threshold of each (the first is infinite)."""

    fpr: Float[np.ndarray, "points"]
    tpr: Float[np.ndarray, "points"]
    threshold: Float[np.ndarray, "points"]


def roc(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]) -> Roc:
    """Returns the ROC with bona fide as the positive class, one point per distinct score and none dropped.

    `fpr` is the share of attacks accepted, `tpr` the share of bona fide accepted.

    Raises:
      MetricError: a class is missing or a score is not a finite number.
    """
    accepted_attack, accepted_bona_fide, thresholds = _counts(scores, is_bona_fide)
    return Roc(
        fpr=np.concatenate([[0], accepted_attack]) / accepted_attack[-1],
        tpr=np.concatenate([[0], accepted_bona_fide]) / accepted_bona_fide[-1],
        threshold=np.concatenate([[np.inf], thresholds]),
    )


def auc(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]) -> float:
    """Area under the ROC in [0, 1], the same for either positive class; ties count one half.

    Computed in whole numbers (twice the area in counts), so it is exact up to one division.

    Raises:
      MetricError: a class is missing or a score is not a finite number.

    Example:
      >>> auc(np.array([0.9, 0.5, 0.5]), np.array([True, True, False]))
      0.75
    """
    attack, bona_fide, _ = _counts(scores, is_bona_fide)
    heights = bona_fide + np.concatenate([[0], bona_fide[:-1]])
    widths = np.diff(attack, prepend=0)
    return int(np.sum(widths * heights)) / (2 * int(attack[-1]) * int(bona_fide[-1]))


def tpr_at_fpr(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, positive: str, fpr: float = 0.01
) -> float:
    """Returns the true positive rate of the last kept ROC point whose false positive rate is at most `fpr`.

    Args:
      scores: P(bona fide).
      positive: "bona_fide": share of bona fide accepted while at most `fpr` of the attacks are (FLIP).
        "attack": share of attacks detected while at most `fpr` of the bona fide are rejected
        (InstructFLIP); ranked from the lowest score up.
      fpr: limit in [0, 1].

    Returns:
      Fraction in [0, 1]; 0 when no point but the origin satisfies the limit.

    Raises:
      MetricError: a class is missing, a score is not a finite number, or `positive` is neither class.

    Source: the metric code of FLIP and InstructFLIP (scikit-learn `roc_curve` with `drop_intermediate=True`).
    """
    if positive not in POSITIVE_CLASSES:
        raise MetricError(f"positive class '{positive}' unknown; expected 'bona_fide' or 'attack'")
    split_classes(scores, is_bona_fide)
    if positive == "bona_fide":
        false_positives, true_positives, _ = _counts(scores, is_bona_fide)
    else:
        false_positives, true_positives, _ = _counts(-scores, ~is_bona_fide)
    kept = _corners(false_positives, true_positives)
    within = kept & (false_positives / false_positives[-1] <= fpr)
    return float(true_positives[within][-1] / true_positives[-1]) if within.any() else 0.0


def _counts(
    scores: Float[np.ndarray, "b"], positive: Bool[np.ndarray, "b"]
) -> tuple[Int[np.ndarray, "points"], Int[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Negatives and positives at or above each distinct score, from the highest score down, and those scores."""
    split_classes(scores, positive)
    thresholds, inverse = np.unique(-scores.astype(np.float64), return_inverse=True)
    positives = np.bincount(inverse[positive], minlength=len(thresholds))
    negatives = np.bincount(inverse[~positive], minlength=len(thresholds))
    return np.cumsum(negatives), np.cumsum(positives), -thresholds


def _corners(
    false_positives: Int[np.ndarray, "points"], true_positives: Int[np.ndarray, "points"]
) -> Bool[np.ndarray, "points"]:
    """Marks the end points and every point where the step to the next one differs from the step before."""
    kept = np.ones(len(false_positives), dtype=bool)
    if len(kept) > 2:
        kept[1:-1] = (np.diff(false_positives, 2) != 0) | (np.diff(true_positives, 2) != 0)
    return kept
