"""Standard error of an AUC, and the test of the difference of two AUCs on the same presentations, without resampling.

DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic
curves", Biometrics 1988; midranks as in Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing
Letters 2014: O(n log n). With groups, the sums over people replace those over presentations as in Obuchowski,
"Nonparametric analysis of clustered ROC curve data", Biometrics 1997.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from flipjax.core.errors import MetricError
from flipjax.metrics.rates import split_classes
from flipjax.metrics.student import logit_interval, reach, two_sided_p


@dataclass(frozen=True)
class AucEstimate:
    """AUC, its standard error, and its 95 % interval, made on the logit scale; all in [0, 1]."""

    auc: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class AucDifference:
    """AUC of the second system minus that of the first, standard error, 95 % interval and two-sided p value."""

    difference: float
    standard_error: float
    low: float
    high: float
    p: float


def delong(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, groups: Int[np.ndarray, "b"] | None = None
) -> AucEstimate:
    """Returns the AUC with DeLong's standard error.

    Args:
      groups: a number per row, shared by presentations that hang together (`Clusters.group`); None takes all as
        independent, which is too narrow with several presentations per person. With groups, Student's t with one
        degree of freedom less than the groups of the class that fewer show replaces the normal quantile.

    Raises:
      MetricError: a class has fewer than two groups, a score is not a finite number, or the classes are separated
        without error either way (the estimated variance is zero there; use a bootstrap interval).
    """
    aucs, covariance, degrees = _estimate([scores], is_bona_fide, groups)
    auc, error = float(aucs[0]), float(np.sqrt(covariance[0, 0]))
    if auc in (0.0, 1.0):
        raise MetricError(f"AUC is {auc:g}: DeLong's interval is not defined there; use the bootstrap interval")
    return AucEstimate(auc, error, *logit_interval(auc, error, degrees))


def delong_test(
    first: Float[np.ndarray, "b"],
    second: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    *,
    groups: Int[np.ndarray, "b"] | None = None,
) -> AucDifference:
    """Returns the difference of two AUCs on the same presentations, with DeLong's test that it is zero.

    Args:
      first: scores of the first system, rows as in `second`.
      second: scores of the second system.
      groups: as of `delong`.

    Raises:
      MetricError: a class has fewer than two groups, a score is not a finite number, or the AUCs differ while their
        difference has an estimated variance of zero.
    """
    aucs, covariance, degrees = _estimate([first, second], is_bona_fide, groups)
    difference = float(aucs[1] - aucs[0])
    contrast = np.array([-1.0, 1.0])
    error = float(np.sqrt(max(contrast @ covariance @ contrast, 0.0)))
    p, half = two_sided_p(difference, error, degrees), reach(error, degrees)
    if p is None:
        raise MetricError(f"AUCs differ by {difference:g} with zero variance; DeLong's test is not defined there")
    return AucDifference(difference, error, difference - half, difference + half, p)


def _estimate(
    systems: list[Float[np.ndarray, "b"]], is_bona_fide: Bool[np.ndarray, "b"], groups: Int[np.ndarray, "b"] | None
) -> tuple[Float[np.ndarray, "s"], Float[np.ndarray, "s s"], float]:
    """AUCs, their covariance and the degrees of freedom."""
    group = np.arange(len(is_bona_fide)) if groups is None else np.unique(groups, return_inverse=True)[1]
    aucs, deviations = zip(*(_deviations(scores, is_bona_fide) for scores in systems), strict=True)
    classes = (is_bona_fide, ~is_bona_fide)
    counts = [len(np.unique(group[members])) for members in classes]
    if min(counts) < 2:
        raise MetricError("a class has a single independent group; the variance of its AUC is not defined")
    sums = [
        np.stack([np.bincount(group[members], values[members], group.max() + 1) for values in deviations])
        for members in classes
    ]
    covariance = sum(n / (n - 1) * total @ total.T for n, total in zip(counts, sums, strict=True))
    cross = sums[0] @ sums[1].T * (group.max() + 1) / group.max()
    degrees = np.inf if groups is None else min(counts) - 1.0
    return np.array(aucs), np.asarray(covariance + cross + cross.T), float(degrees)


def _deviations(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]
) -> tuple[float, Float[np.ndarray, "b"]]:
    """The AUC and what each presentation adds to it, around zero: DeLong's structural components over their number."""
    bona_fide, attack = split_classes(scores, is_bona_fide)
    midranks = _midranks(scores.astype(np.float64))
    above_attacks = (midranks[is_bona_fide] - _midranks(bona_fide)) / len(attack)
    below_bona_fide = 1 - (midranks[~is_bona_fide] - _midranks(attack)) / len(bona_fide)
    auc = float(np.mean(above_attacks))
    deviations = np.empty(len(scores))
    deviations[is_bona_fide] = (above_attacks - auc) / len(bona_fide)
    deviations[~is_bona_fide] = (below_bona_fide - auc) / len(attack)
    return auc, deviations


def _midranks(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The place of each value in ascending order, counted from 1; equal values share the middle of their places."""
    _, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[number]
