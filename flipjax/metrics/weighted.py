"""Every rate of many weighted samples at once: the inner loop of the bootstrap.

A weight says how often a group of presentations was drawn (see resampling.py). Presentations are sorted once; each
sample then costs a gather and a running sum per class, from which all rates are read at positions known beforehand.
Two approximations: TPR@FPR ignores scikit-learn's dropping of collinear ROC points, and an instrument that a sample
misses leaves its APCER maximum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.operating_points import APCER_LIMITS
from flipjax.metrics.rates import pai_names, require_probabilities, split_classes
from flipjax.metrics.resampling import Measure, Weights
from flipjax.metrics.thresholds import grid

TPR_LIMIT = 0.01


@dataclass(frozen=True)
class _Ordered:
    """One class, sorted by instrument and then by score; `edges` are where instruments begin, and the end of the last."""

    score: Float[np.ndarray, "rows"]
    group: Int[np.ndarray, "rows"]
    edges: Int[np.ndarray, "_edges"]

    def sums(self, weights: Weights) -> Int[np.ndarray, "r _rows"]:
        """Weight before each row, and all of it in the last column."""
        sums = np.zeros((len(weights), len(self.group) + 1), dtype=np.int32)
        np.cumsum(np.take(weights, self.group, axis=1), axis=1, out=sums[:, 1:])
        return sums

    def below(self, points: Float[np.ndarray, "c"]) -> Int[np.ndarray, "p c"]:
        """Row of each instrument's first score at or above each point."""
        bounds = zip(self.edges, self.edges[1:], strict=False)
        return np.array([start + np.searchsorted(self.score[start:end], points) for start, end in bounds])


def all_rates(videos: ScoreTable, group: Int[np.ndarray, "b"], threshold: float | None) -> Measure:
    """Returns the measure of hter, apcer_max, apcer_pooled, bpcer, acer, accuracy, auc, TPR@FPR=1%, BPCER20 and BPCER100.

    Args:
      videos: one row per presentation.
      group: of each row; a weight belongs to a group.
      threshold: accept iff score >= threshold. None chooses the papers' grid EER threshold on every sample and adds
        `eer`.

    Raises:
      MetricError: a class is missing, a score is not a finite number, or the grid meets one outside [0, 1].
    """
    split_classes(videos.score, videos.is_bona_fide)
    measures = (
        ranking_rates(videos, group),
        operating_rates(videos, group),
        threshold_rates(videos, group, threshold),
    )
    return lambda weights: {key: values for measure in measures for key, values in measure(weights).items()}


def ranking_rates(videos: ScoreTable, group: Int[np.ndarray, "b"]) -> Measure:
    """Returns the measure of auc and of TPR@FPR=1% for either positive class."""
    bona_fide, attack = _bona_fide(videos, group), _attack(videos, group)
    below, through = (np.searchsorted(bona_fide.score, attack.score, side) for side in ("left", "right"))
    attack_below = np.searchsorted(attack.score, bona_fide.score)

    def measure(weights: Weights) -> dict[str, Float[np.ndarray, "r"]]:
        rejected, missed = bona_fide.sums(weights), attack.sums(weights)
        all_bona_fide, all_attack = rejected[:, -1], missed[:, -1]
        # Twice the bona fide weight below each attack; ties count half.
        lost = np.take(rejected, below, axis=1) + np.take(rejected, through, axis=1)
        lost_pairs = np.einsum("rb,rb->r", np.diff(missed, axis=1), lost, dtype=np.float64) / 2
        highest = _first_within(missed, TPR_LIMIT) - 1
        lowest = np.argmax(_exceeds(rejected[:, 1:], rejected[:, -1:], TPR_LIMIT), axis=1)
        return {
            "auc": 1 - lost_pairs / (all_bona_fide.astype(np.float64) * all_attack),
            "tpr_at_fpr1_bona_fide": 1 - _at(rejected, through[highest]) / all_bona_fide,
            "tpr_at_fpr1_attack": _at(missed, attack_below[lowest]) / all_attack,
        }

    return measure


def operating_rates(videos: ScoreTable, group: Int[np.ndarray, "b"]) -> Measure:
    """Returns the measure of BPCER20 and BPCER100, see `flipjax.metrics.operating_points.bpcer_at_apcer`."""
    bona_fide, attack = _bona_fide(videos, group), _attack(videos, group, _instruments(videos))
    through = np.append(0, np.searchsorted(bona_fide.score, attack.score, "right"))
    instruments = list(zip(attack.edges, attack.edges[1:], strict=False))

    def measure(weights: Weights) -> dict[str, Float[np.ndarray, "r"]]:
        rejected, missed = bona_fide.sums(weights), attack.sums(weights)
        rates = {}
        for name, limit in APCER_LIMITS.items():
            cut = np.zeros(len(weights), dtype=np.int64)
            for start, end in instruments:
                within = _first_within(missed[:, start : end + 1], limit)
                cut = np.maximum(cut, through[np.where(within > 0, start + within, 0)])
            rates[name] = _at(rejected, cut) / rejected[:, -1]
        return rates

    return measure


def threshold_rates(videos: ScoreTable, group: Int[np.ndarray, "b"], threshold: float | None) -> Measure:
    """Returns the measure of the error rates at `threshold`; None: at every sample's own grid EER threshold."""
    bona_fide, attack = _bona_fide(videos, group), _attack(videos, group, _instruments(videos))
    points = _grid_points(videos) if threshold is None else np.array([threshold], dtype=np.float64)
    bona_fide_below, attack_below = bona_fide.below(points)[0], attack.below(points)

    def measure(weights: Weights) -> dict[str, Float[np.ndarray, "r"]]:
        rejected, missed = bona_fide.sums(weights), attack.sums(weights)
        ends = missed[:, attack.edges[1:]]
        accepted = ends.sum(axis=1)[:, None] - sum(np.take(missed, below, axis=1) for below in attack_below)
        distance = np.abs(np.take(rejected, bona_fide_below, axis=1) / rejected[:, -1:] - accepted / missed[:, -1:])
        chosen = distance.shape[1] - 1 - np.argmin(distance[:, ::-1], axis=1)
        accepted_per_pai = ends - np.take_along_axis(missed, attack_below.T[chosen], axis=1)
        rates = _rates(
            _at(rejected, bona_fide_below[chosen]), rejected[:, -1], accepted_per_pai, np.diff(missed[:, attack.edges])
        )
        return rates | ({"eer": rates["hter"]} if threshold is None else {})

    return measure


def _rates(
    rejected: Int[np.ndarray, "r"],
    bona_fide: Int[np.ndarray, "r"],
    accepted: Int[np.ndarray, "r p"],
    attacks: Int[np.ndarray, "r p"],
) -> dict[str, Float[np.ndarray, "r"]]:
    """All error rates from the weight of errors and of presentations."""
    all_accepted, all_attacks = accepted.sum(axis=1), attacks.sum(axis=1)
    bpcer, apcer_pooled = rejected / bona_fide, all_accepted / all_attacks
    apcer_max = np.max(accepted / np.maximum(attacks, 1), axis=1)
    return {
        "hter": (apcer_pooled + bpcer) / 2,
        "apcer_max": apcer_max,
        "apcer_pooled": apcer_pooled,
        "bpcer": bpcer,
        "acer": (apcer_max + bpcer) / 2,
        "accuracy": 1 - (rejected + all_accepted) / (bona_fide + all_attacks),
    }


def _bona_fide(videos: ScoreTable, group: Int[np.ndarray, "b"]) -> _Ordered:
    return _ordered(videos.score[videos.is_bona_fide], group[videos.is_bona_fide])


def _attack(videos: ScoreTable, group: Int[np.ndarray, "b"], instruments: Sequence[str] = ()) -> _Ordered:
    return _ordered(videos.score[~videos.is_bona_fide], group[~videos.is_bona_fide], instruments)


def _ordered(
    score: Float[np.ndarray, "rows"], group: Int[np.ndarray, "rows"], instruments: Sequence[str] = ()
) -> _Ordered:
    """Sorts rows; without `instruments` all are one."""
    names, code = np.unique(instruments or [""] * len(score), return_inverse=True)
    order = np.lexsort((score, code))
    edges = np.searchsorted(code[order], np.arange(len(names) + 1))
    return _Ordered(score[order].astype(np.float64), group[order], edges)


def _instruments(videos: ScoreTable) -> list[str]:
    return pai_names(videos.is_bona_fide, videos.attack_type)


def _grid_points(videos: ScoreTable) -> Float[np.ndarray, "c"]:
    """The last of the papers' grid points in every run that decides all presentations alike."""
    if not videos.is_probability:
        raise MetricError("the papers' grid needs P(bona fide), not logits or distances; give a threshold to cut at")
    require_probabilities(videos.score)
    points = grid()
    last = np.searchsorted(points, videos.score.astype(np.float64), side="right") - 1
    return np.append(points[np.unique(last)], points[-1])


def _first_within(missed: Int[np.ndarray, "r n"], limit: float) -> Int[np.ndarray, "r"]:
    """The first row from which on at most `limit` of the weight lies; rows are counted from the first column."""
    above = missed[:, -1:] - missed
    return np.argmin(_exceeds(above, above[:, :1], limit), axis=1)


def _exceeds(weight: Int[np.ndarray, "r n"], total: Int[np.ndarray, "r #n"], limit: float) -> Bool[np.ndarray, "r n"]:
    """Whether a share in whole numbers is above `limit`, safe against the rounding of `limit`."""
    return weight > limit * total + 1e-9


def _at(sums: Int[np.ndarray, "r n"], position: Int[np.ndarray, "r"]) -> Int[np.ndarray, "r"]:
    return sums[np.arange(len(sums)), position]
