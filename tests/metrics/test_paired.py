from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics import curves, intervals, paired, rates
from flipjax.metrics.paired import paired_bootstrap


def _better(table, step: float = 0.1):
    """Scores moved to their right side; still many errors."""
    moved = table.score + np.where(table.is_bona_fide, step, -step)
    return replace(table, score=np.clip(moved, 0, 1))


def test_difference_is_the_second_minus_the_first(make_videos) -> None:
    first = make_videos(40, 100, subjects=20)
    second = _better(first)
    found = paired_bootstrap(first, second, thresholds=(0.5, 0.45), resamples=50)
    hter = [rates.hter(table.score, table.is_bona_fide, cut) for table, cut in ((first, 0.5), (second, 0.45))]
    assert found["hter"].difference == pytest.approx(hter[1] - hter[0])
    auc = [curves.auc(table.score, table.is_bona_fide) for table in (first, second)]
    assert found["auc"].difference == pytest.approx(auc[1] - auc[0])
    assert "eer" not in found and "eer" in paired_bootstrap(first, second, thresholds=(None, None), resamples=5)


def test_swapping_the_systems_turns_the_sign(make_videos) -> None:
    first = make_videos(40, 100, subjects=20)
    one, other = (
        paired_bootstrap(*tables, thresholds=(0.5, 0.5), resamples=60)["hter"]
        for tables in ((first, _better(first)), (_better(first), first))
    )
    assert (other.difference, other.low, other.high, other.p) == pytest.approx(
        (-one.difference, -one.high, -one.low, one.p)
    )


def test_same_scores_differ_by_nothing(make_videos) -> None:
    videos = make_videos(30, 60)
    found = paired_bootstrap(videos, videos, thresholds=(0.5, 0.5), resamples=50)
    assert set(found.values()) == {paired.Difference(0.0, 0.0, 0.0, 1.0)}


def test_p_is_below_five_percent_exactly_where_the_interval_leaves_out_zero(make_videos) -> None:
    first = make_videos(60, 150, subjects=30, decimals=4)
    seen = set()
    for step in (0.0, 0.01, 0.02, 0.04, 0.08):
        noise = np.random.default_rng(3).normal(0, 0.08, len(first))
        second = _better(replace(first, score=np.clip(first.score + noise, 0, 1)), step)
        for change in paired_bootstrap(first, second, thresholds=(0.5, 0.5), resamples=200).values():
            assert change.low <= change.difference <= change.high
            assert change.p is not None and (change.p < 0.05) == (not change.low <= 0 <= change.high)
            seen.add(change.p < 0.05)
    assert seen == {True, False}


def test_pairing_sees_what_two_intervals_cannot(make_videos) -> None:
    """A system that is a little better on nearly every video; each alone has a wide interval."""
    first = make_videos(100, 300, subjects=40, decimals=6)
    second = _better(first, 0.03)
    change = paired_bootstrap(first, second, thresholds=(0.5, 0.5), resamples=300)["hter"]
    alone = [intervals.bootstrap(table, threshold=0.5, resamples=300)["hter"] for table in (first, second)]
    assert change.p is not None and change.p < 0.01
    assert alone[0][0] < alone[1][1] and change.high - change.low < 0.7 * np.ptp(alone[0])


def test_p_is_not_defined_where_the_difference_never_varies(make_videos) -> None:
    videos = make_videos(10, 10)
    right = replace(videos, score=videos.is_bona_fide * 1.0)
    wrong = replace(videos, score=1 - right.score)
    change = paired_bootstrap(right, wrong, thresholds=(0.5, 0.5), resamples=20)["hter"]
    assert change == paired.Difference(1.0, 1.0, 1.0, None)


def test_presentations_are_matched_whatever_their_order(make_videos) -> None:
    first = make_videos(30, 60, subjects=10)
    second = _better(first)
    mixed = second.take(np.random.default_rng(0).permutation(len(second)))
    assert paired_bootstrap(first, mixed, thresholds=(0.5, 0.5), resamples=20) == paired_bootstrap(
        first, second, thresholds=(0.5, 0.5), resamples=20
    )
    nameless = replace(mixed, video_id=np.full(len(mixed), "", dtype=object))
    assert list(paired.aligned(replace(first, video_id=np.full(90, "", dtype=object)), nameless).score) == list(
        second.score
    )


def _broken(table, how: str):
    rows = np.arange(len(table))
    if how == "missing":
        return table.take(rows[1:])
    if how == "twice":
        return table.take(np.append(rows, 0))
    if how == "foreign":
        return replace(table, video_id=np.where(rows == 3, "other", table.video_id))
    if how == "label":
        return replace(table, is_bona_fide=table.is_bona_fide ^ (rows == 3))
    return replace(table, attack_type=np.where(rows == 15, "mask", table.attack_type))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "different presentations, such as 'v0' of domain 'm'"),
        ("twice", "1 presentations are listed twice"),
        ("foreign", "such as 'v3'"),
        ("label", "disagree about is_bona_fide of 'v3'"),
        ("instrument", "disagree about attack_type of 'v15'"),
    ],
)
def test_tables_of_other_presentations_are_an_error(make_videos, how: str, message: str) -> None:
    videos = make_videos(10, 20)
    with pytest.raises(MetricError, match=message):
        paired_bootstrap(videos, _broken(videos, how), thresholds=(0.5, 0.5), resamples=20)


def test_more_presentations_in_the_second_are_an_error(make_videos) -> None:
    videos = make_videos(10, 20)
    with pytest.raises(MetricError, match="different presentations"):
        paired.aligned(videos.take(np.arange(29)), videos)
