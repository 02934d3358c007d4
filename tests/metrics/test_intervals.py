import time
from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics import curves, intervals, rates


def test_hand_worked_interval() -> None:
    """Resamples 0.1 +- 0.02 of ten groups: ddof 1 and sqrt(10 / 9) widen, Student's t of 9 degrees is 2.262157."""
    samples = np.array([0.08, 0.12] * 50)
    error = 0.02 * np.sqrt(100 / 99) * np.sqrt(10 / 9)
    reach = 2.262157 * error / (0.1 * 0.9)
    low, high = intervals.interval(0.1, samples, 10)
    assert [np.log(end / (1 - end)) for end in (low, high)] == pytest.approx(
        [np.log(1 / 9) - reach, np.log(1 / 9) + reach], abs=1e-6
    )


def test_no_error_seen_leaves_room_for_errors() -> None:
    """The upper end is the rate at which 20 people all without error have a chance of 2.5 %."""
    low, high = intervals.interval(0.0, np.zeros(50), 20)
    assert low == 0 and (1 - high) ** 20 == pytest.approx(0.025)
    assert intervals.interval(1.0, np.ones(50), 20) == (pytest.approx(1 - high), 1.0)
    assert intervals.interval(1.0, np.linspace(0, 1, 101), 20)[0] == pytest.approx(0.025)
    assert intervals.interval(0.0, np.linspace(0, 1, 101), 20)[1] == pytest.approx(0.975)


def test_subjects_with_equal_videos_are_drawn_whole(make_videos) -> None:
    """Ten copies of every video under one subject carry no more information than one video each."""
    single = make_videos(30, 60)
    named = replace(single, subject_id=single.video_id)
    tenfold = named.take(np.repeat(np.arange(len(single)), 10))
    alone = intervals.bootstrap(named, threshold=0.5, resamples=400)["hter"]
    together = intervals.bootstrap(tenfold, threshold=0.5, resamples=400)["hter"]
    anonymous = replace(tenfold, subject_id=np.full(len(tenfold), "", dtype=object))
    too_narrow = intervals.bootstrap(anonymous, threshold=0.5, resamples=400)["hter"]
    assert np.ptp(together) == pytest.approx(np.ptp(alone), rel=0.15)
    assert np.ptp(too_narrow) < 0.5 * np.ptp(alone)


@pytest.mark.parametrize(("order", "wider"), [(1, True), (-1, False)], ids=["hard in both", "offsetting"])
def test_people_are_drawn_with_both_their_classes(make_videos, order: int, wider: bool) -> None:
    """Errors of a person add up or offset each other; people named differently in either class hide that."""
    videos = make_videos(200, 200)
    person = np.tile(np.arange(20), 20)
    rejected, accepted = person < 8, person[::order] < 8
    score = np.where(videos.is_bona_fide, ~rejected, accepted) * 1.0
    joint = replace(videos, score=score, subject_id=person.astype(str).astype(object))
    apart = replace(joint, subject_id=joint.subject_id + np.where(videos.is_bona_fide, "b", "a").astype(object))
    widths = [np.ptp(intervals.bootstrap(table, threshold=0.5, resamples=500)["hter"]) for table in (joint, apart)]
    assert widths[0] > 1.2 * widths[1] if wider else widths[0] < widths[1]


def test_interval_holds_the_estimate_and_is_reproducible(make_videos) -> None:
    videos = make_videos(60, 200, subjects=35)
    first = intervals.bootstrap(videos, threshold=None, resamples=300, seed=3)
    assert first == intervals.bootstrap(videos, threshold=None, resamples=300, seed=3)
    assert first != intervals.bootstrap(videos, threshold=None, resamples=300, seed=4)
    low, high = first["auc"]
    assert 0 <= low < curves.auc(videos.score, videos.is_bona_fide) < high <= 1


def test_interval_width_matches_the_binomial_one(make_videos) -> None:
    """BPCER at a fixed threshold with every video its own subject: +-1.96 sqrt(p (1 - p) / n)."""
    videos = make_videos(400, 400, decimals=6)
    p = rates.bpcer(videos.score, videos.is_bona_fide, 0.6)
    low, high = intervals.bootstrap(videos, threshold=0.6, resamples=1000)["bpcer"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 400), rel=0.12)


def test_a_class_with_one_subject_is_drawn_by_video(make_videos) -> None:
    videos = make_videos(50, 50)
    same = replace(videos, subject_id=np.full(100, "a", dtype=object))
    low, high = intervals.bootstrap(same, threshold=0.5, resamples=200)["hter"]
    assert low < high


def test_a_thousand_resamples_of_a_thousand_videos_are_quick(make_videos) -> None:
    videos = make_videos(300, 700, subjects=50)
    start = time.process_time()
    intervals.bootstrap(videos, threshold=None)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(("counts", "message"), [((5, 0), "no attack"), ((5, 1), "single"), ((0, 5), "no bona fide")])
def test_classes_without_spread_are_an_error(make_videos, counts: tuple[int, int], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        intervals.bootstrap(make_videos(*counts), threshold=0.5)
