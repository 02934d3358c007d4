"""Which faces are shown: the worst errors first, one face a video, both classes whatever was misclassified."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.gallery import OUTCOMES, Face, misclassified, telling


def table_of(attacks: list[float], bona_fide: list[float], videos: list[str] | None = None) -> ScoreTable:
    """Attack rows, then bona fide rows; every row is a video of its own unless `videos` says otherwise."""
    scores = np.array([*attacks, *bona_fide], np.float64)
    ids = np.array([f"s{row}" for row in range(len(scores))], object)
    return ScoreTable(
        sample_id=ids,
        video_id=ids if videos is None else np.array(videos, object),
        subject_id=ids,
        domain=np.array(["M"] * len(ids), object),
        is_bona_fide=np.arange(len(ids)) >= len(attacks),
        attack_type=np.array(["photo"] * len(attacks) + [""] * len(bona_fide), object),
        score=scores,
    )


def said(faces: list[Face]) -> list[tuple[int, str]]:
    return [(face.row, face.outcome) for face in faces]


MIXED = table_of([0.9, 0.1, 0.6, 0.7], [0.8, 0.05, 0.4, 0.95])


def test_worst_errors_of_either_kind_in_turn() -> None:
    found = misclassified(MIXED, 0.5, count=2)
    assert said(found) == [
        (0, "attack_accepted"),
        (5, "bona_fide_rejected"),
        (3, "attack_accepted"),
        (6, "bona_fide_rejected"),
    ]
    assert [face.margin for face in found] == pytest.approx([0.4, 0.45, 0.2, 0.1])
    assert said(misclassified(MIXED, 0.5, count=9)) == [*said(found), (2, "attack_accepted")]
    assert misclassified(MIXED, 0.5, count=0) == []


def test_a_score_at_the_threshold_is_accepted() -> None:
    table = table_of([0.5], [0.5])
    assert said(misclassified(table, 0.5, count=3)) == [(0, "attack_accepted")]
    assert said(telling(table, 0.5, count=3)) == [(0, "attack_accepted"), (1, "bona_fide_accepted")]


def test_a_video_stands_once_with_its_worst_frame() -> None:
    table = table_of([0.7, 0.9, 0.8], [0.1, 0.3], ["v", "v", "w", "x", "x"])
    assert [face.row for face in misclassified(table, 0.5, count=5)] == [1, 3, 2]
    elsewhere = dataclasses.replace(table, domain=np.array(["M", "C", "M", "M", "M"], object))
    assert [face.row for face in misclassified(elsewhere, 0.5, count=5)] == [1, 3, 2, 0]
    alone = dataclasses.replace(table, video_id=np.array([""] * 5, object))
    assert [face.row for face in misclassified(alone, 0.5, count=5)] == [1, 3, 2, 4, 0]


def test_errors_come_before_the_clearest_right_decision_of_each_class() -> None:
    assert said(telling(MIXED, 0.5, count=6)) == [
        (0, "attack_accepted"),
        (5, "bona_fide_rejected"),
        (3, "attack_accepted"),
        (6, "bona_fide_rejected"),
        (1, "attack_rejected"),
        (7, "bona_fide_accepted"),
    ]


def test_few_places_go_to_the_errors() -> None:
    table = table_of([0.9, 0.1], [0.9, 0.8])
    assert said(telling(table, 0.5, count=1)) == [(0, "attack_accepted")]
    assert said(telling(table, 0.5, count=2)) == [(0, "attack_accepted"), (2, "bona_fide_accepted")]


def test_both_classes_are_shown_where_nothing_is_misclassified() -> None:
    table = table_of([0.1, 0.3, 0.2], [0.9, 0.7, 0.8])
    found = telling(table, 0.5, count=6)
    assert not any(face.is_error for face in found)
    assert [face.row for face in found] == [0, 3, 1, 4, 2, 5], "clearest, then the narrowest"


def test_one_kind_of_error_alone_comes_first_and_leaves_the_other_class_its_half() -> None:
    table = table_of([0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4, 0.9])
    assert said(telling(table, 0.5, count=4)) == [
        (3, "bona_fide_rejected"),
        (0, "attack_rejected"),
        (7, "bona_fide_accepted"),
        (2, "attack_rejected"),
    ]


def test_a_class_that_is_short_leaves_its_places_to_the_other() -> None:
    assert [face.row for face in telling(table_of([0.1], [0.9, 0.6, 0.7]), 0.5, count=4)] == [0, 1, 2, 3]
    assert said(telling(table_of([], [0.2, 0.9]), 0.5, count=4)) == [
        (0, "bona_fide_rejected"),
        (1, "bona_fide_accepted"),
    ]
    assert [face.row for face in telling(table_of([0.9, 0.8, 0.7], []), 0.5, count=2)] == [0, 1], "errors alone"
    assert telling(table_of([], []), 0.5, count=4) == []


def test_known_conditions_are_named() -> None:
    conditions = {"illumination": np.array(["dark", ""], object), "device": np.array(["phone", "webcam"], object)}
    table = dataclasses.replace(table_of([0.9], [0.1]), conditions=conditions)
    attack, bona_fide = misclassified(table, 0.5, count=1)
    assert attack.conditions == {"illumination": "dark", "device": "phone"}
    assert bona_fide.conditions == {"device": "webcam"}


@pytest.mark.parametrize("threshold", [np.nan, np.inf])
def test_a_threshold_must_be_a_number(threshold: float) -> None:
    with pytest.raises(MetricError, match=r"threshold .* is not a finite number"):
        telling(MIXED, threshold, count=2)


def test_a_score_must_be_a_number() -> None:
    with pytest.raises(MetricError, match="1 of 2 scores"):
        misclassified(table_of([np.nan], [0.5]), 0.5, count=2)


SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.4, 0.5, 0.6, 1.0]), min_size=1, max_size=8)


@given(SCORES, SCORES, st.integers(0, 9), st.data())
def test_laws(attacks: list[float], bona_fide: list[float], count: int, data: st.DataObject) -> None:
    total = len(attacks) + len(bona_fide)
    videos = data.draw(st.lists(st.sampled_from("abcd"), min_size=total, max_size=total))
    # A video has one class.
    videos = [f"{name}{row >= len(attacks)}" for row, name in enumerate(videos)]
    table = table_of(attacks, bona_fide, videos)
    shown, errors = telling(table, 0.5, count=count), misclassified(table, 0.5, count=count)
    for faces in (shown, errors):
        assert len({videos[face.row] for face in faces}) == len(faces), "a video appears twice"
        for face in faces:
            assert face.is_error == (face.margin > 0 or face.outcome == "attack_accepted")
            accepted = bool(table.score[face.row] >= 0.5)
            assert face.outcome == OUTCOMES[bool(table.is_bona_fide[face.row]), accepted]
    assert len(shown) == min(count, len(set(videos)))
    assert all(face.is_error for face in errors)
    classes = {bool(table.is_bona_fide[face.row]) for face in shown}
    assert len(classes) == min(count, 2)
    if errors and count:
        assert shown[0] in errors
