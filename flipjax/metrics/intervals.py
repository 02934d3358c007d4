"""95 % percentile bootstrap intervals, resampling subjects within each class.

Videos of one person are not independent, so whole subjects are drawn, bona fide and attack presentations apart; a video
whose subject is unknown is drawn by itself, and so is every video of a class with a single subject. All resamples are
computed at once from a matrix of weights (how often each video was drawn). Two approximations: TPR@FPR here ignores
scikit-learn's dropping of collinear ROC points, and an instrument that a resample misses leaves its APCER maximum.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from flipjax.core.schemas import ScoreTable
from flipjax.metrics.rates import pai_names, split_classes
from flipjax.metrics.thresholds import grid

LEVEL = 0.95
TPR_LIMIT = 0.01
MATRIX_CELLS = 2_000_000  # weights held at a time, 16 MB


def bootstrap(
    videos: ScoreTable, *, threshold: float | None, resamples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Returns (low, high) in [0, 1] for hter, apcer_max, apcer_pooled, bpcer, acer, accuracy, auc and both TPR@FPR=1%.

    Args:
      videos: one row per presentation.
      threshold: accept iff score >= threshold. None re-chooses the papers' grid EER threshold on every
        resample and adds `eer`.
      resamples: number of bootstrap draws.
      seed: the same seed gives the same intervals.

    Raises:
      MetricError: a class is missing or a score is not a number.
    """
    split_classes(videos.score, videos.is_bona_fide)
    parts = [
        ranking_rates(weights, videos) | threshold_rates(weights, videos, threshold)
        for weights in _weights(videos, resamples, np.random.default_rng(seed))
    ]
    tail = 50 * (1 - LEVEL)
    result = {}
    for key in parts[0]:
        low, high = np.percentile(np.concatenate([part[key] for part in parts]), [tail, 100 - tail])
        result[key] = (float(low), float(high))
    return result


def groups_of(videos: ScoreTable) -> Int[np.ndarray, "b"]:
    """Returns a number per row that rows of the same (domain, subject) share; rows of unknown subject stand alone."""
    numbers: dict[tuple[str, str] | int, int] = {}
    keys = enumerate(zip(videos.domain, videos.subject_id, strict=True))
    return np.array([numbers.setdefault(key if key[1] else row, len(numbers)) for row, key in keys], dtype=np.int64)


def ranking_rates(weights: Float[np.ndarray, "r b"], videos: ScoreTable) -> dict[str, Float[np.ndarray, "r"]]:
    """Returns auc and both TPR@FPR=1% of every weighted sample; `weights` are whole numbers."""
    bona_fide, attack = (
        _below(weights * members, videos.score) for members in (videos.is_bona_fide, ~videos.is_bona_fide)
    )
    all_bona_fide, all_attack = bona_fide[:, -1:], attack[:, -1:]
    pairs = np.sum(np.diff(bona_fide) * (attack[:, 1:] + attack[:, :-1]) / 2, axis=1)
    few_accepted = all_attack - attack <= TPR_LIMIT * all_attack + 1e-9
    few_rejected = bona_fide <= TPR_LIMIT * all_bona_fide + 1e-9
    return {
        "auc": pairs / (all_bona_fide * all_attack)[:, 0],
        "tpr_at_fpr1_bona_fide": np.max(few_accepted * (1 - bona_fide / all_bona_fide), axis=1),
        "tpr_at_fpr1_attack": np.max(few_rejected * (attack / all_attack), axis=1),
    }


def threshold_rates(
    weights: Float[np.ndarray, "r b"], videos: ScoreTable, threshold: float | None
) -> dict[str, Float[np.ndarray, "r"]]:
    """Returns the error rates of every weighted sample at `threshold`; None: at its own grid EER threshold."""
    scores = videos.score.astype(np.float64)
    cuts = _grid_eer(weights, videos) if threshold is None else np.full(len(weights), threshold)
    accepted = weights * (scores >= cuts[:, None])
    attack = ~videos.is_bona_fide
    names = np.array(pai_names(videos.is_bona_fide, videos.attack_type), dtype=object)
    members = np.stack([names == name for name in sorted(set(names))], axis=1).astype(np.float64)
    drawn = weights[:, attack] @ members
    per_pai = np.divide(accepted[:, attack] @ members, drawn, out=np.zeros_like(drawn), where=drawn > 0)
    apcer_max = per_pai.max(axis=1)
    apcer_pooled = accepted[:, attack].sum(axis=1) / weights[:, attack].sum(axis=1)
    bona_fide = weights[:, ~attack].sum(axis=1)
    bpcer = 1 - accepted[:, ~attack].sum(axis=1) / bona_fide
    right = accepted[:, ~attack].sum(axis=1) + (weights - accepted)[:, attack].sum(axis=1)
    hter = (apcer_pooled + bpcer) / 2
    rates = {"hter": hter, "apcer_max": apcer_max, "apcer_pooled": apcer_pooled, "bpcer": bpcer}
    rates |= {"acer": (apcer_max + bpcer) / 2, "accuracy": right / weights.sum(axis=1)}
    return rates | ({"eer": hter} if threshold is None else {})


def _weights(videos: ScoreTable, resamples: int, rng: np.random.Generator) -> Iterator[Float[np.ndarray, "r b"]]:
    groups = groups_of(videos)
    step = max(1, MATRIX_CELLS // len(videos))
    for start in range(0, resamples, step):
        weights = np.empty((min(step, resamples - start), len(videos)))
        for members in (videos.is_bona_fide, ~videos.is_bona_fide):
            weights[:, members] = _draw(groups[members], len(weights), rng)
        yield weights


def _draw(groups: Int[np.ndarray, "b"], count: int, rng: np.random.Generator) -> Int[np.ndarray, "r b"]:
    """How often each row is drawn when as many groups as there are get drawn with replacement."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) == 1:
        group = np.arange(len(groups))
    total = int(group.max()) + 1
    return rng.multinomial(total, np.full(total, 1 / total), size=count)[:, group]


def _below(weights: Float[np.ndarray, "r b"], values: Float[np.ndarray, "b"]) -> Float[np.ndarray, "r points"]:
    """Weight strictly below each distinct value, and below infinity in the last column."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    sums = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.pad(np.cumsum(sums, axis=1), ((0, 0), (1, 0)))


def _grid_eer(weights: Float[np.ndarray, "r b"], videos: ScoreTable) -> Float[np.ndarray, "r"]:
    """The papers' threshold per resample, or another grid point that decides every video the same way."""
    points = grid()
    bins = np.searchsorted(points, videos.score.astype(np.float64), side="right") - 1.0
    rejected = _below(weights * videos.is_bona_fide, bins)
    rejected /= rejected[:, -1:]
    below = _below(weights * ~videos.is_bona_fide, bins)
    accepted = (below[:, -1:] - below) / below[:, -1:]
    distance = np.abs(rejected - accepted)
    last = distance.shape[1] - 1 - np.argmin(distance[:, ::-1], axis=1)
    return np.append(points[np.unique(bins).astype(int)], points[-1])[last]
