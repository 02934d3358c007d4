"""McNemar's test: do two systems, each at its fixed threshold, err on different presentations equally often?"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from flipjax.metrics.rates import split_classes

EXACT_BELOW = 25
EXACT, CHI_SQUARE = "exact binomial", "chi-square with continuity correction"


@dataclass(frozen=True)
class McNemar:
    """Presentations that one system alone decides rightly, the two-sided p value and the form of the test."""

    only_first_right: int
    only_second_right: int
    p: float
    form: str


def mcnemar(
    first: Float[np.ndarray, "b"],
    second: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    *,
    thresholds: tuple[float, float],
) -> McNemar:
    """Returns McNemar's test on the decisions of two systems about the same presentations.

    Only presentations that one system decides rightly and the other wrongly count, n of them: below 25 the exact binomial
    test (k successes of n at 1/2, doubled tail), else chi-square of one degree of freedom with continuity correction,
    (|n1 - n2| - 1)^2 / n. Presentations are taken as independent: with several per person p is too small, and a paired
    bootstrap by person is the test to report. It compares accuracies, so the larger class weighs more.

    Args:
      first: scores of the first system, rows as in `second`.
      second: scores of the second system.
      thresholds: accept iff score >= threshold, of the first and of the second system; chosen on other data.

    Raises:
      MetricError: a class is missing or a score is not a finite number.

    Example:
      >>> scores, other = np.array([0.9, 0.8, 0.1]), np.array([0.4, 0.3, 0.1])
      >>> mcnemar(scores, other, np.array([True, True, False]), thresholds=(0.5, 0.5)).p
      0.5
    """
    right = []
    for scores, threshold in zip((first, second), thresholds, strict=True):
        split_classes(scores, is_bona_fide)
        right.append((scores.astype(np.float64) >= threshold) == is_bona_fide)
    only_first, only_second = int(np.sum(right[0] & ~right[1])), int(np.sum(right[1] & ~right[0]))
    if only_first + only_second < EXACT_BELOW:
        return McNemar(only_first, only_second, _exact(only_first, only_second), EXACT)
    return McNemar(only_first, only_second, _chi_square(only_first, only_second), CHI_SQUARE)


def _exact(only_first: int, only_second: int) -> float:
    total = only_first + only_second
    tail = sum(math.comb(total, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**total)


def _chi_square(only_first: int, only_second: int) -> float:
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / (only_first + only_second)
    return math.erfc(math.sqrt(statistic / 2))
