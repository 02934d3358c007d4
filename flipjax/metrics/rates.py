"""Error rates at a threshold: accept as bona fide iff score >= threshold.

Names follow ISO/IEC 30107-3 (APCER, BPCER); HTER pools all attacks, as the FLIP and InstructFLIP papers do. One row is
one presentation (a video, see pooling.py). Everything is computed in float64: a float32 score compared with a Python
number would round the threshold, and the papers' grid thresholds lie exactly on such edges.
"""

import numpy as np
from jaxtyping import Bool, Float, Shaped

from flipjax.core.errors import MetricError
from flipjax.core.labels import OTHER_INSTRUMENT


def split_classes(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"]
) -> tuple[Float[np.ndarray, "_bona_fide"], Float[np.ndarray, "_attack"]]:
    """Returns the float64 scores of the bona fide and of the attack presentations.

    Raises:
      MetricError: a class has no presentation, or a score is not a finite number.
    """
    for name, count in (("bona fide", is_bona_fide.sum()), ("attack", (~is_bona_fide).sum())):
        if not count:
            raise MetricError(f"{len(scores)} scores hold no {name} presentation; error rates need both classes")
    require_finite(scores)
    values = scores.astype(np.float64)
    return values[is_bona_fide], values[~is_bona_fide]


def require_finite(scores: Float[np.ndarray, "b"]) -> None:
    """Raises a MetricError where a score is NaN or infinite."""
    bad = int(np.sum(~np.isfinite(scores)))
    if bad:
        raise MetricError(f"{bad} of {len(scores)} scores are not finite numbers; score the data again")


def require_probabilities(scores: Float[np.ndarray, "b"]) -> None:
    """Raises a MetricError where a score is outside [0, 1]: the papers' grid and calibration are defined there alone."""
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        raise MetricError(f"score {scores[bad[0]]} is outside [0, 1]; expected P(bona fide), not a logit or a distance")


def apcer_pooled(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], threshold: float) -> float:
    """Share of all attacks accepted, in [0, 1]; the papers call it FAR.

    Raises:
      MetricError: see `split_classes`.

    Example:
      >>> apcer_pooled(np.array([0.9, 0.6, 0.2]), np.array([True, False, False]), 0.5)
      0.5
    """
    _, attack = split_classes(scores, is_bona_fide)
    return float(np.mean(attack >= threshold))


def bpcer(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], threshold: float) -> float:
    """Share of bona fide presentations rejected, in [0, 1]; the papers call it FRR.

    Raises:
      MetricError: see `split_classes`.

    Example:
      >>> bpcer(np.array([0.9, 0.2, 0.1]), np.array([True, True, False]), 0.5)
      0.5
    """
    bona_fide, _ = split_classes(scores, is_bona_fide)
    return float(np.mean(bona_fide < threshold))


def hter(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], threshold: float) -> float:
    """Half total error rate in [0, 1]: the mean of `apcer_pooled` and `bpcer`.

    Raises:
      MetricError: see `split_classes`.
    """
    return (apcer_pooled(scores, is_bona_fide, threshold) + bpcer(scores, is_bona_fide, threshold)) / 2


def accuracy(scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], threshold: float) -> float:
    """Share of presentations decided rightly, in [0, 1]; depends on how many of each class there are.

    Raises:
      MetricError: see `split_classes`.
    """
    split_classes(scores, is_bona_fide)
    return float(np.mean((scores.astype(np.float64) >= threshold) == is_bona_fide))


def pai_names(is_bona_fide: Bool[np.ndarray, "b"], attack_type: Shaped[np.ndarray, "b"]) -> list[str]:
    """Returns the instrument of every attack, in order; an attack without one counts as "other"."""
    return [str(name) or OTHER_INSTRUMENT for name in attack_type[~is_bona_fide]]


def apcer_per_pai(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    attack_type: Shaped[np.ndarray, "b"],
    threshold: float,
) -> dict[str, float]:
    """Share of attacks accepted, in [0, 1], for every presentation attack instrument, sorted by name.

    Args:
      attack_type: instrument name per row; not read where the row is bona fide, empty means "other".

    Raises:
      MetricError: see `split_classes`.

    Source: ISO/IEC 30107-3 (APCER of one instrument).
    """
    _, attack = split_classes(scores, is_bona_fide)
    names = np.array(pai_names(is_bona_fide, attack_type), dtype=object)
    return {name: float(np.mean(attack[names == name] >= threshold)) for name in sorted(set(names))}


def apcer_max(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    attack_type: Shaped[np.ndarray, "b"],
    threshold: float,
) -> float:
    """APCER of the worst instrument, in [0, 1]: the headline value of ISO/IEC 30107-3.

    Raises:
      MetricError: see `split_classes`.
    """
    return max(apcer_per_pai(scores, is_bona_fide, attack_type, threshold).values())


def acer(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    attack_type: Shaped[np.ndarray, "b"],
    threshold: float,
) -> float:
    """Mean of `apcer_max` and `bpcer`, in [0, 1].

    Raises:
      MetricError: see `split_classes`.
    """
    worst = apcer_max(scores, is_bona_fide, attack_type, threshold)
    return (worst + bpcer(scores, is_bona_fide, threshold)) / 2
