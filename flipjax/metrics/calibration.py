"""How far scores are probabilities: expected calibration error and Brier score.

Both depend on the share of bona fide presentations, which differs between data sets: compare them on the same data only.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from flipjax.core.errors import MetricError
from flipjax.metrics.rates import require_probabilities, split_classes

BINS = 15


def brier(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]) -> float:
    """Returns the mean of (score - truth)^2, in [0, 1], truth being 1 for bona fide and 0 for attack.

    Raises:
      MetricError: a class is missing, a score is not a finite number or outside [0, 1].

    Example:
      >>> brier(np.array([0.5, 0.0]), np.array([True, False]))
      0.125
    """
    values = _probabilities(scores, is_bona_fide)
    return float(np.mean((values - is_bona_fide) ** 2))


def expected_calibration_error(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], *, bins: int = BINS
) -> float:
    """Returns the mean over presentations of |mean score - share of bona fide| of their bin, in [0, 1].

    Bins hold equally many presentations, tied scores staying together; so their order does not matter, and there are
    fewer bins where many scores are tied. With few presentations a bin the error of a calibrated score is above zero.

    Args:
      bins: number of bins, at least 1.

    Raises:
      MetricError: a class is missing, a score is not a finite number or outside [0, 1], or there is no bin.

    Example:
      >>> round(expected_calibration_error(np.array([0.8, 0.8, 0.1, 0.1]), np.array([True, False, False, False])), 3)
      0.2
    """
    values = _probabilities(scores, is_bona_fide)
    if bins < 1:
        raise MetricError(f"{bins} calibration bins; expected 1 or more")
    number = _bin_of(values, bins)
    gaps = np.bincount(number, weights=values - is_bona_fide, minlength=bins)
    return float(np.sum(np.abs(gaps)) / len(values))


def _probabilities(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]) -> Float[np.ndarray, "b"]:
    split_classes(scores, is_bona_fide)
    require_probabilities(scores)
    return scores.astype(np.float64)


def _bin_of(values: Float[np.ndarray, "b"], bins: int) -> Int[np.ndarray, "b"]:
    """The bin of each value by the middle of the places that its equals take in ascending order."""
    _, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return (middle[number] * bins / len(values)).astype(np.int64)
