"""The band of a ROC against plain statements of it."""

import time

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.bands import SHARES, _Accepted, roc_band
from flipjax.metrics.resampling import clusters_of


def videos(seed: int, *, bona_fide: int = 30, attack: int = 70, people: int = 20, levels: int = 0) -> ScoreTable:
    rng = np.random.default_rng(seed)
    count = bona_fide + attack
    label = np.arange(count) < bona_fide
    scores = np.clip(rng.normal(0.4 + 0.2 * label, 0.15), 0, 1)
    ids = np.array([f"v{i}" for i in range(count)], dtype=object)
    subject = np.array([f"p{i % people}" for i in range(count)], dtype=object)
    kinds = np.where(label, "", "photo").astype(object)
    scores = np.round(scores * levels) / levels if levels else scores
    return ScoreTable(ids, ids, subject, np.full(count, "m", dtype=object), label, kinds, scores)


def plain_tpr(table: ScoreTable, share: float) -> float:
    """The best share of bona fide accepted over all thresholds that accept at most `share` of the attacks."""
    bona_fide, attack = table.score[table.is_bona_fide], table.score[~table.is_bona_fide]
    cuts = np.append(np.unique(table.score), np.inf)
    return max(float(np.mean(bona_fide >= cut)) for cut in cuts if np.mean(attack >= cut) <= share + 1e-12)


@pytest.mark.parametrize("levels", [0, 7], ids=["distinct", "tied"])
def test_the_curve_is_the_best_threshold_at_each_share(levels: int) -> None:
    table = videos(1, levels=levels)
    band = roc_band(table, resamples=20)
    assert band.tpr == pytest.approx([plain_tpr(table, share) for share in SHARES])


def test_a_resample_is_rated_as_the_rows_that_it_draws() -> None:
    table = videos(5, levels=9)
    clusters = clusters_of(table)
    accepted = _Accepted(table, clusters.group, SHARES)
    weights = np.random.default_rng(0).integers(0, 4, (3, len(clusters))).astype(np.int32)
    for row, found in zip(weights, accepted.at(weights), strict=True):
        drawn = table.take(np.repeat(np.arange(len(table)), row[clusters.group]))
        assert found == pytest.approx([plain_tpr(drawn, share) for share in SHARES])


def test_the_band_surrounds_the_curve_and_narrows_with_more_people() -> None:
    few = roc_band(videos(1, bona_fide=60, attack=240, people=20), resamples=200)
    many = roc_band(videos(1, bona_fide=960, attack=3840, people=320), resamples=200)
    for band in (few, many):
        assert (band.low <= band.tpr).all() and (band.tpr <= band.high).all()
        assert (band.low >= 0).all() and (band.high <= 1).all()
    inner = (few.tpr > 0.2) & (few.tpr < 0.8)
    ratio = (many.high - many.low)[inner].mean() / (few.high - few.low)[inner].mean()
    assert 0.15 < ratio < 0.4, "sixteen times the people: about a quarter of the width"


def test_people_are_drawn_whole() -> None:
    """Every presentation three times by the same people is no more evidence."""
    once = videos(2)
    thrice = once.take(np.repeat(np.arange(len(once)), 3))
    narrow, same = roc_band(thrice, resamples=200), roc_band(once, resamples=200)
    assert narrow.low == pytest.approx(same.low) and narrow.high == pytest.approx(same.high)


def test_the_seed_alone_decides() -> None:
    table = videos(3)
    bands = [roc_band(table, resamples=50, seed=seed) for seed in (0, 0, 1)]
    assert (bands[0].low == bands[1].low).all() and (bands[0].low != bands[2].low).any()


def test_a_class_of_one_presentation_has_no_band() -> None:
    with pytest.raises(MetricError, match="single presentation"):
        roc_band(videos(0, bona_fide=1), resamples=20)


def test_ten_thousand_rows_take_at_most_two_seconds() -> None:
    table = videos(4, bona_fide=2500, attack=7500, people=200)
    start = time.process_time()
    roc_band(table)
    assert time.process_time() - start < 2
