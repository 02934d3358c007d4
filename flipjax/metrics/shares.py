"""95 % interval of one share, such as the APCER of one instrument or the BPCER under one light, drawing whole people.

The bootstrap of intervals.py needs both classes; here a single one suffices. The interval is made alike, see there.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from flipjax.core.errors import MetricError
from flipjax.metrics.intervals import interval
from flipjax.metrics.resampling import Clusters, Weights, resample


def share_interval(
    errors: Bool[np.ndarray, "b"], people: Int[np.ndarray, "b"], *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Returns (low, high) in [0, 1] of the share of `errors` that are True.

    Args:
      errors: per presentation, True where the decision was wrong.
      people: a number per row that presentations of one person share, see `flipjax.metrics.resampling.person_of`.
      resamples: number of bootstrap draws, at least 2.
      seed: the same seed gives the same interval.

    Raises:
      MetricError: fewer than two people, or fewer than two resamples.

    Example:
      >>> low, high = share_interval(np.zeros(40, bool), np.arange(40))
      >>> low, round(high, 3)
      (0.0, 0.088)
    """
    known, group = np.unique(people, return_inverse=True)
    if len(known) < 2:
        raise MetricError(f"the spread of a share needs two people or more, not {len(known)}")
    wrong, shown = np.bincount(group, errors), np.bincount(group)

    def measure(weights: Weights) -> dict[str, Float[np.ndarray, "r"]]:
        return {"share": (weights @ wrong) / (weights @ shown)}

    samples = resample(Clusters(group, (len(known),), len(known)), measure, resamples=resamples, seed=seed)
    return interval(float(np.mean(errors)), samples["share"], len(known))
