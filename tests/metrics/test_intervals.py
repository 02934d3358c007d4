import time

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics import curves, intervals, rates, thresholds


def _videos(bona_fide: int, attack: int, *, subjects: int = 0, seed: int = 0, decimals: int = 2) -> ScoreTable:
    rng = np.random.default_rng(seed)
    count = bona_fide + attack
    label = np.arange(count) < bona_fide
    scores = np.round(np.clip(rng.normal(0.35 + 0.3 * label, 0.2), 0, 1), decimals)
    kinds = np.where(label, "", np.where(rng.random(count) < 0.3, "photo", "pc_screen")).astype(object)
    ids = np.array([f"v{i}" for i in range(count)], dtype=object)
    people = (
        rng.integers(subjects, size=count).astype(str).astype(object) if subjects else np.full(count, "", dtype=object)
    )
    return ScoreTable(ids, ids, people, np.full(count, "m", dtype=object), label, kinds, scores)


def _repeat(videos: ScoreTable, times: np.ndarray) -> ScoreTable:
    rows = np.repeat(np.arange(len(videos)), times.astype(int))
    return ScoreTable(**{name: getattr(videos, name)[rows] for name in ScoreTable.__dataclass_fields__})


@pytest.mark.parametrize("decimals", [1, 3, 6], ids=["many ties", "on the grid", "between grid points"])
def test_weighted_rates_equal_plain_metrics_on_repeated_rows(decimals: int) -> None:
    videos = _videos(40, 130, decimals=decimals)
    weights = np.random.default_rng(1).integers(0, 4, size=(25, len(videos))).astype(np.float64)
    ranking = intervals.ranking_rates(weights, videos)
    own = intervals.threshold_rates(weights, videos, None)
    fixed = intervals.threshold_rates(weights, videos, 0.5)
    for row, times in enumerate(weights):
        drawn = _repeat(videos, times)
        pair, triple = (drawn.score, drawn.is_bona_fide), (drawn.score, drawn.is_bona_fide, drawn.attack_type)
        assert ranking["auc"][row] == pytest.approx(curves.auc(*pair), abs=1e-12)
        roc, other = curves.roc(*pair), curves.roc(1 - drawn.score, ~drawn.is_bona_fide)
        assert ranking["tpr_at_fpr1_bona_fide"][row] == pytest.approx(roc.tpr[roc.fpr <= 0.01][-1], abs=1e-12)
        assert ranking["tpr_at_fpr1_attack"][row] == pytest.approx(other.tpr[other.fpr <= 0.01][-1], abs=1e-12)
        for result, cut in ((own, thresholds.eer_grid(*pair).threshold), (fixed, 0.5)):
            for name, rate in (("hter", rates.hter), ("apcer_pooled", rates.apcer_pooled), ("bpcer", rates.bpcer)):
                assert result[name][row] == pytest.approx(rate(*pair, cut), abs=1e-12)
            assert result["accuracy"][row] == pytest.approx(rates.accuracy(*pair, cut), abs=1e-12)
            assert result["apcer_max"][row] == pytest.approx(rates.apcer_max(*triple, cut), abs=1e-12)
            assert result["acer"][row] == pytest.approx(rates.acer(*triple, cut), abs=1e-12)
    assert "eer" in own and "eer" not in fixed


def test_rows_of_a_subject_share_a_group_and_unknown_subjects_stand_alone() -> None:
    videos = _videos(3, 2)
    mixed = ScoreTable(**{**videos.__dict__, "subject_id": np.array(["a", "", "a", "", "b"], dtype=object)})
    assert list(intervals.groups_of(mixed)) == [0, 1, 0, 2, 3]


def test_subjects_with_equal_videos_are_drawn_whole() -> None:
    """Ten copies of every video under one subject carry no more information than one video each."""
    single = _videos(30, 60)
    named = ScoreTable(**{**single.__dict__, "subject_id": single.video_id})
    tenfold = _repeat(named, np.full(len(single), 10))
    alone = intervals.bootstrap(named, threshold=0.5, resamples=400)["hter"]
    together = intervals.bootstrap(tenfold, threshold=0.5, resamples=400)["hter"]
    anonymous = ScoreTable(**{**tenfold.__dict__, "subject_id": np.full(len(tenfold), "", dtype=object)})
    too_narrow = intervals.bootstrap(anonymous, threshold=0.5, resamples=400)["hter"]
    assert together == alone
    assert np.ptp(too_narrow) < 0.5 * np.ptp(alone)


def test_interval_holds_the_estimate_and_is_reproducible() -> None:
    videos = _videos(60, 200, subjects=35)
    first = intervals.bootstrap(videos, threshold=None, resamples=300, seed=3)
    assert first == intervals.bootstrap(videos, threshold=None, resamples=300, seed=3)
    assert first != intervals.bootstrap(videos, threshold=None, resamples=300, seed=4)
    low, high = first["auc"]
    assert 0 <= low < curves.auc(videos.score, videos.is_bona_fide) < high <= 1


def test_interval_width_matches_the_binomial_one() -> None:
    """BPCER at a fixed threshold with every video its own subject: +-1.96 sqrt(p (1 - p) / n)."""
    videos = _videos(400, 400, decimals=6)
    p = rates.bpcer(videos.score, videos.is_bona_fide, 0.6)
    low, high = intervals.bootstrap(videos, threshold=0.6, resamples=1000)["bpcer"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 400), rel=0.12)


def test_a_class_with_one_subject_is_drawn_by_video() -> None:
    videos = _videos(50, 50)
    same = ScoreTable(**{**videos.__dict__, "subject_id": np.full(100, "a", dtype=object)})
    low, high = intervals.bootstrap(same, threshold=0.5, resamples=200)["hter"]
    assert low < high


def test_perfect_scores_give_a_perfect_interval() -> None:
    videos = _videos(10, 10)
    perfect = ScoreTable(**{**videos.__dict__, "score": videos.is_bona_fide.astype(np.float64)})
    result = intervals.bootstrap(perfect, threshold=None, resamples=50)
    assert result["hter"] == (0.0, 0.0) and result["auc"] == (1.0, 1.0) and result["tpr_at_fpr1_attack"] == (1.0, 1.0)


def test_a_thousand_resamples_of_a_thousand_videos_are_quick() -> None:
    videos = _videos(300, 700, subjects=50)
    start = time.perf_counter()
    intervals.bootstrap(videos, threshold=None)
    assert time.perf_counter() - start < 5


def test_missing_class_is_an_error() -> None:
    with pytest.raises(MetricError, match="no attack"):
        intervals.bootstrap(_videos(5, 0), threshold=0.5)
