"""The ROC with a pointwise 95 % band: at each share of attacks accepted, how far the share of bona fide accepted may lie.

People are drawn whole (resampling.py) and each point's interval is made as those of single rates (intervals.py). The band
is pointwise: a whole curve leaves it somewhere more often than in one case of twenty.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from flipjax.core.schemas import ScoreTable
from flipjax.metrics.intervals import interval
from flipjax.metrics.rates import split_classes
from flipjax.metrics.resampling import Weights, clusters_of, resample

ROUNDING = 1e-9  # of a share in whole presentations
# Shares of attacks accepted at which the band is computed: evenly spaced on a logarithmic axis, closer from 10 % on, and
# short of 1, where all are accepted anyway.
SHARES = np.unique(np.concatenate([np.logspace(-3, -1, 31), np.linspace(0.1, 0.95, 18)]))


@dataclass(frozen=True)
class Band:
    """Shares in [0, 1]: attacks accepted, and bona fide accepted there with the ends of its 95 % interval."""

    fpr: Float[np.ndarray, "points"]
    tpr: Float[np.ndarray, "points"]
    low: Float[np.ndarray, "points"]
    high: Float[np.ndarray, "points"]


def roc_band(
    videos: ScoreTable, *, shares: Float[np.ndarray, "points"] = SHARES, resamples: int = 500, seed: int = 0
) -> Band:
    """Returns the ROC's band at `shares`: the largest share of bona fide accepted while at most that of the attacks is.

    Args:
      videos: one row per presentation.
      shares: of attacks accepted, in [0, 1].
      resamples: number of bootstrap draws, at least 2.
      seed: the same seed gives the same band.

    Raises:
      MetricError: a class is missing or has one presentation, or a score is not a finite number.
    """
    clusters = clusters_of(videos)
    accepted = _Accepted(videos, clusters.group, shares)
    samples = resample(clusters, accepted.by_share, resamples=resamples, seed=seed)
    found = accepted.at(np.ones((1, len(clusters)), dtype=np.int32))[0]
    ends = [interval(float(rate), samples[str(i)], clusters.fewest) for i, rate in enumerate(found)]
    low, high = np.array(ends).T
    return Band(shares, found, low, high)


class _Accepted:
    """The share of bona fide accepted at each share of attacks, of many weighted samples at once."""

    def __init__(self, videos: ScoreTable, group: Int[np.ndarray, "b"], shares: Float[np.ndarray, "points"]) -> None:
        bona_fide, attack = split_classes(videos.score, videos.is_bona_fide)
        down_bona_fide, down_attack = np.argsort(-bona_fide), np.argsort(-attack)
        self.bona_fide_group = group[videos.is_bona_fide][down_bona_fide]
        self.attack_group = group[~videos.is_bona_fide][down_attack]
        # Bona fide presentations above each attack, and all of them where no attack need be rejected.
        above = np.searchsorted(-bona_fide[down_bona_fide], -attack[down_attack], side="left")
        self.above = np.append(above, len(bona_fide))
        self.shares = shares

    def at(self, weights: Weights) -> Float[np.ndarray, "r points"]:
        attacks = np.cumsum(np.take(weights, self.attack_group, axis=1), axis=1)
        bona_fide = np.zeros((len(weights), len(self.bona_fide_group) + 1), dtype=np.int64)
        np.cumsum(np.take(weights, self.bona_fide_group, axis=1), axis=1, out=bona_fide[:, 1:])
        allowed = np.outer(attacks[:, -1], self.shares) + ROUNDING
        first_rejected = np.array([np.searchsorted(*row, side="right") for row in zip(attacks, allowed, strict=True)])
        return np.take_along_axis(bona_fide, self.above[first_rejected], axis=1) / bona_fide[:, -1:]

    def by_share(self, weights: Weights) -> dict[str, Float[np.ndarray, "r"]]:
        return {str(i): rates for i, rates in enumerate(self.at(weights).T)}
