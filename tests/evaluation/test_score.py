"""Score tables: every row of an index once, with what is known about its capture."""

from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.score import conditions_of, score_rows


def _text(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


COLUMNS = {
    "sample_id": _text("a", "b", "c"),
    "video_id": _text("u", "u", "w"),
    "subject_id": _text("", "p", "q"),
    "domain": _text("m", "m", "m"),
    "is_bona_fide": np.array([1, 0, 0]),
    "attack_instrument": np.array([0, 7, -1]),
    "device": _text("phone", "", "tablet"),
    "session": _text("", "", ""),
    "illumination": np.array([-1, 3, 0]),
    "environment": np.array([-1, -1, -1]),
    "camera_quality": np.array([2, -1, 0], dtype=object),
}


def test_rows_come_in_index_order_with_their_conditions_by_name() -> None:
    def compute(batch):
        return batch["row"], {"score": batch["row"] / 4}

    batches = [{"row": np.array([2, -1])}, {"row": np.array([1, 0])}]
    table = score_rows(compute, batches, COLUMNS, total_batches=2, label="t")
    assert list(table.score) == [0, 0.25, 0.5] and list(table.attack_type) == ["", "pc_screen", "other"]
    assert table.is_probability and {name: list(values) for name, values in table.conditions.items()} == {
        "device": ["phone", "", "tablet"],
        "illumination": ["", "dark", "normal"],
        "camera_quality": ["high", "", "low"],
    }
    with pytest.raises(MetricError, match="1 of 3 samples have no finite score, such as b"):
        score_rows(compute, [*batches[:1], {"row": np.array([0])}], COLUMNS, total_batches=2, label="t")


def test_an_empty_index_has_no_conditions() -> None:
    assert conditions_of({name: np.zeros(0, object) for name in COLUMNS}) == {}


def test_taking_rows_takes_every_column_and_keeps_what_the_scores_are() -> None:
    ids = _text("a", "b", "c")
    table = ScoreTable(ids, ids, ids, ids, np.array([True, False, True]), ids, np.arange(3.0), {"device": ids})
    table = replace(table, is_probability=False)
    for rows in (np.array([2, 0]), np.array([2, 0, 2]), np.array([True, False, True])):
        taken = table.take(rows)
        for name in ("sample_id", "video_id", "subject_id", "domain", "is_bona_fide", "attack_type", "score"):
            np.testing.assert_array_equal(getattr(taken, name), getattr(table, name)[rows])
        np.testing.assert_array_equal(taken.conditions["device"], ids[rows])
        assert not taken.is_probability
    assert len(table) == 3
