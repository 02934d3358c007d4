"""95 % bootstrap intervals of every rate, drawing whole people (see resampling.py).

The interval is est +- t * se on the logit scale: se is the standard deviation over resamples times sqrt(g / (g - 1)), t the
quantile of Student's distribution with g - 1 degrees of freedom, g the number of people in the class that fewer show.

Coverage of HTER at a fixed threshold, simulated by tests/benchmarks/coverage.py (2,000 test sets a case, nine cases of error
rates and of how people differ): 92.7 to 96.0 % with 20 people of 2 + 6 presentations (MSU-MFSD's test part), 93.5 to 95.5 %
with 20 or 35 people of 4 + 20 (Replay-Attack), 91.8 to 95.0 % with 20 and 92.9 to 95.0 % with 40 people of 18 + 72
(OULU-NPU). The plain percentile interval of the same resamples holds 87.5 to 93.5 %. What 20 people leave short shows where
the same people are hard in both classes. Of other rates (1,000 test sets a case) AUC is held in 88 to 95 % of them, the EER
with its threshold chosen anew in 92 to 99 %. TPR@FPR=1% of attacks is held in 70 to 84 % of the test sets with 40 or 80 bona
fide presentations and in 86 to 95 % of the larger ones: 1 % of 80 is less than one, so such a test set shows the rate at an
FPR of zero, which is another one, however many resamples there are.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from flipjax.core.schemas import ScoreTable
from flipjax.metrics.resampling import Measure, clusters_of, resample
from flipjax.metrics.student import LEVEL, logit_interval
from flipjax.metrics.weighted import all_rates


def bootstrap(
    videos: ScoreTable,
    *,
    threshold: float | None,
    resamples: int = 1000,
    seed: int = 0,
    rates: Callable[..., Measure] = all_rates,
) -> dict[str, tuple[float, float]]:
    """Returns (low, high) in [0, 1] for every rate of `rates`.

    Args:
      videos: one row per presentation.
      threshold: accept iff score >= threshold. None re-chooses the papers' grid EER threshold on every
        resample and adds `eer`.
      resamples: number of bootstrap draws, at least 2.
      seed: the same seed gives the same intervals.
      rates: `flipjax.metrics.weighted.all_rates`, or `threshold_rates`, which leaves ranking out.

    Raises:
      MetricError: a class is missing or has one presentation, a score is not a finite number, or the grid meets one
        outside [0, 1].
    """
    clusters = clusters_of(videos)
    measure = rates(videos, clusters.group, threshold)
    samples = resample(clusters, measure, resamples=resamples, seed=seed)
    found = measure(np.ones((1, len(clusters)), dtype=np.int32))
    return {key: interval(float(found[key][0]), values, clusters.fewest) for key, values in samples.items()}


def interval(estimate: float, samples: Float[np.ndarray, "r"], groups: int) -> tuple[float, float]:
    """Returns the 95 % interval of a rate from its resamples.

    Args:
      estimate: the rate in [0, 1] on the data.
      samples: the same on every resample.
      groups: independent groups g behind the rate, at least 2.
    """
    if estimate in (0.0, 1.0):
        return _at_the_end(estimate, samples, groups)
    return logit_interval(estimate, standard_error(samples, groups), groups - 1.0)


def standard_error(samples: Float[np.ndarray, "r"], groups: int) -> float:
    """Returns the standard deviation over resamples, corrected for drawing from `groups` groups: sqrt(g / (g - 1))."""
    return float(np.std(samples, ddof=1)) * np.sqrt(groups / (groups - 1))


def _at_the_end(estimate: float, samples: Float[np.ndarray, "r"], groups: int) -> tuple[float, float]:
    """No error seen in g people: each counts as one trial, since how alike a person's presentations are is unseen."""
    tail = (1 - LEVEL) / 2
    reach = 1 - tail ** (1 / groups)
    low, high = np.percentile(samples, [100 * tail, 100 * (1 - tail)])
    return (0.0, max(float(high), reach)) if estimate == 0 else (min(float(low), 1 - reach), 1.0)
