from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.pooling import pool_videos


def _table(rows) -> ScoreTable:
    """Rows of (video, domain, is_bona_fide, attack_type, score)."""
    video, domain, label, kind, score = zip(*rows, strict=True)
    text = [np.array(values, dtype=object) for values in (video, domain, kind)]
    ids = np.array([f"f{i}" for i in range(len(rows))], dtype=object)
    return ScoreTable(ids, text[0], ids, text[1], np.array(label), text[2], np.array(score, dtype=np.float32))


def test_hand_worked_case_keeps_order_and_averages_in_float64() -> None:
    frames = _table(
        [
            ("v2", "m", True, "", 0.1),
            ("v1", "m", False, "photo", 0.5),
            ("v2", "m", True, "", 0.4),
            ("v1", "c", True, "", 1.0),
        ]
    )
    videos = pool_videos(frames)
    assert list(videos.video_id) == ["v2", "v1", "v1"] and list(videos.domain) == ["m", "m", "c"]
    assert list(videos.sample_id) == ["f0", "f1", "f3"] and list(videos.attack_type) == ["", "photo", ""]
    assert list(videos.is_bona_fide) == [True, False, True]
    expected = (float(np.float32(0.1)) + float(np.float32(0.4))) / 2
    assert videos.score.dtype == np.float64 and list(videos.score) == [expected, 0.5, 1.0]


def test_frames_without_a_video_stand_alone() -> None:
    assert list(pool_videos(_table([("", "m", True, "", 0.2), ("", "m", False, "photo", 0.4)])).score) == pytest.approx(
        [0.2, 0.4]
    )


def test_pooling_twice_changes_nothing() -> None:
    once = pool_videos(_table([("a", "m", True, "", 0.3), ("a", "m", True, "", 0.7), ("b", "m", False, "photo", 0.2)]))
    np.testing.assert_array_equal(pool_videos(once).score, once.score)


@pytest.mark.parametrize(
    ("row", "column"),
    [(("a", "m", False, "", 0.3), "is_bona_fide"), (("a", "m", True, "photo", 0.3), "attack_type")],
    ids=["label", "instrument"],
)
def test_a_video_of_two_kinds_is_an_error(row, column: str) -> None:
    with pytest.raises(MetricError, match=f"video 'a' of domain 'm' has frames of different {column}"):
        pool_videos(_table([("a", "m", True, "", 0.3), row]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_an_error(bad: float) -> None:
    with pytest.raises(MetricError, match="1 of 1 scores"):
        pool_videos(_table([("a", "m", True, "", bad)]))


def test_a_video_keeps_the_conditions_that_its_frames_share_and_the_kind_of_score() -> None:
    frames = _table([("a", "m", True, "", 3.0), ("a", "m", True, "", 5.0), ("b", "m", False, "photo", -2.0)])
    device = {"device": np.array(["phone", "laptop", "tablet"], dtype=object)}
    videos = pool_videos(replace(frames, conditions=device, is_probability=False))
    assert list(videos.conditions["device"]) == ["", "tablet"] and not videos.is_probability
    assert list(device["device"]) == ["phone", "laptop", "tablet"], "the frames' own are left alone"
