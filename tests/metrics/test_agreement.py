"""1,000 random score sets against scikit-learn and against the error rates written out plainly."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from flipjax.core.errors import MetricError
from flipjax.metrics import curves, rates, thresholds

CHUNKS, SETS = 50, 20
KINDS = ("free", "tied", "saturated", "float32", "constant", "one class")
GRID = np.array([i / 10000 for i in range(10001)] + [1.1])


def _score_set(number: int):
    """Scores in [0, 1], truth, and the kind of the set."""
    rng = np.random.default_rng(number)
    kind = KINDS[number % len(KINDS)]
    bona_fide, attack = rng.integers(1, 40, size=2)
    label = rng.permutation(np.arange(bona_fide + attack) < bona_fide)
    latent = rng.normal(rng.choice([0.0, 1.0, 3.0]) * label)
    if kind == "one class":
        label = np.full(len(label), bool(rng.integers(2)))
    if kind == "constant":
        return np.full(len(label), rng.choice([0.0, 0.3, 1.0])), label, kind
    stretch = 100 if kind in ("saturated", "float32") else 1
    scores = 1 / (1 + np.exp(-np.clip(stretch * latent, -700, 700)))
    scores = np.round(scores, 1) if kind == "tied" else scores
    return scores.astype(np.float32 if kind == "float32" else np.float64), label, kind


def _plain_rates(scores: list[float], label: list[bool], cut: float) -> tuple[float, float]:
    """(share of bona fide rejected, share of attacks accepted)"""
    bona_fide = [score for score, genuine in zip(scores, label, strict=True) if genuine]
    attack = [score for score, genuine in zip(scores, label, strict=True) if not genuine]
    return sum(s < cut for s in bona_fide) / len(bona_fide), sum(s >= cut for s in attack) / len(attack)


def _plain_eer(scores: list[float], label: list[bool]) -> float:
    """Mean of the two errors at the cut, just above or at an observed score, where they are nearest."""
    found = [_plain_rates(scores, label, cut) for cut in sorted({*scores, 2.0})]
    return sum(min(found, key=lambda pair: abs(pair[0] - pair[1]))) / 2


def _grid_threshold(scores, label) -> float:
    accepted = scores.astype(np.float64) >= GRID[:, None]
    distance = np.abs((~accepted)[:, label].mean(axis=1) - accepted[:, ~label].mean(axis=1))
    return float(GRID[np.flatnonzero(distance == distance.min())[-1]])


def _last_within(positive, ranked, limit: float = 0.01) -> float:
    fpr, tpr, _ = roc_curve(positive, ranked)
    return float(tpr[fpr <= limit][-1])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_agrees_on_twenty_sets(chunk: int) -> None:
    for number in range(chunk * SETS, (chunk + 1) * SETS):
        scores, label, kind = _score_set(number)
        if kind == "one class":
            for metric in (curves.auc, curves.roc, thresholds.eer_exact, thresholds.eer_grid):
                with pytest.raises(MetricError, match="presentation; error rates need both"):
                    metric(scores, label)
            continue
        assert curves.auc(scores, label) == pytest.approx(roc_auc_score(label, scores), abs=1e-12)
        for positive, truth, ranked in (("bona_fide", label, scores), ("attack", ~label, -scores)):
            ours = curves.tpr_at_fpr(scores, label, positive=positive)
            assert ours == pytest.approx(_last_within(truth, ranked), abs=1e-12)
        sample = 1 / min(label.sum(), (~label).sum())
        values, truths = scores.astype(np.float64).tolist(), label.tolist()
        assert abs(thresholds.equal_error_rate(scores, label) - _plain_eer(values, truths)) <= sample
        cut = thresholds.eer_grid(scores, label).threshold
        assert cut == _grid_threshold(scores, label)
        assert rates.hter(scores, label, cut) == pytest.approx(sum(_plain_rates(values, truths, cut)) / 2, abs=1e-12)


def test_the_sets_hold_what_they_say() -> None:
    kinds = [_score_set(number) for number in range(60)]
    assert {kind for *_, kind in kinds} == set(KINDS)
    saturated = [scores for scores, _, kind in kinds if kind == "float32"]
    assert any((scores == 1).sum() > 3 for scores in saturated)
    tied = [scores for scores, _, kind in kinds if kind == "tied"]
    assert all(len(np.unique(scores)) <= 11 for scores in tied)
    assert any(label.sum() == 1 or (~label).sum() == 1 for _, label, _ in map(_score_set, range(1000)))
