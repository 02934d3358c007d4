"""Spread over training seeds: how much a rate moves when training is repeated on the same data.

It is another thing than sampling error. An interval of intervals.py says how far the rate of one trained network would move
on other people; the spread here says how far it moves with another seed on these people. More seeds narrow the standard
error of their mean and do nothing for the test set being small: report both, and do not add them up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flipjax.core.errors import MetricError


@dataclass(frozen=True)
class SeedSpread:
    """Mean over seeds, standard deviation (ddof 1) of one seed, standard error of the mean; in the unit of the values."""

    mean: float
    sd: float
    standard_error: float
    seeds: int


def spread_over_seeds(values: Sequence[float]) -> SeedSpread:
    """Returns the spread of a rate over training seeds, one value per seed.

    Raises:
      MetricError: fewer than two values, whose spread is not defined, or one that is not a finite number.

    Example:
      >>> spread_over_seeds([2.0, 4.0])
      SeedSpread(mean=3.0, sd=1.4142135623730951, standard_error=1.0, seeds=2)
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2:
        raise MetricError(f"{len(found)} seeds have no spread; train with 2 or more, better 5")
    if not np.isfinite(found).all():
        raise MetricError(f"a value over seeds is not a finite number: {list(values)}; evaluate that run again")
    sd = float(np.std(found, ddof=1))
    return SeedSpread(float(np.mean(found)), sd, float(sd / np.sqrt(len(found))), len(found))
