"""Error rates by condition and by instrument."""

import numpy as np
import pytest

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.conditions import MOST_VALUES, TOO_FEW, breakdowns, instrument_cells


def videos(light: list[str], label: list[bool], score: list[float], people: list[str] | None = None) -> ScoreTable:
    count = len(light)
    ids = np.array([f"v{i}" for i in range(count)], dtype=object)
    subject = np.array(people or [""] * count, dtype=object)
    kinds = np.where(label, "", "phone_screen").astype(object)
    conditions = {"illumination": np.array(light, dtype=object), "device": np.full(count, "", dtype=object)}
    domain = np.full(count, "m", dtype=object)
    return ScoreTable(ids, ids, subject, domain, np.array(label), kinds, np.array(score), conditions)


def test_hand_worked_rows() -> None:
    """Dark: 8 attacks of which 2 pass, 8 bona fide of which 4 fail; normal: 6 attacks; unknown: one bona fide."""
    light = ["dark"] * 16 + ["normal"] * 6 + [""]
    label = [False] * 8 + [True] * 8 + [False] * 6 + [True]
    score = [0.9] * 2 + [0.1] * 6 + [0.4] * 4 + [0.5] * 4 + [0.2] * 6 + [0.9]
    (found,) = breakdowns(videos(light, label, score), 0.5)
    assert found.condition == "illumination" and found.left_out == 0
    assert [row.value for row in found.rows] == ["dark", "normal", "unknown"]
    assert [(row.bona_fide, row.attack) for row in found.rows] == [(8, 8), (0, 6), (1, 0)]
    assert [(row.apcer.text, row.bpcer.text) for row in found.rows] == [
        ("25.00", "50.00"),
        ("0.00", "–"),
        ("–", "0.00"),
    ]
    low, high = map(float, found.rows[0].apcer.interval.split(" – "))
    assert low < 25 < high
    assert found.rows[1].bpcer.interval == "" and found.rows[2].bpcer.interval == TOO_FEW


def test_few_people_are_said_to_be_too_few_however_many_videos_they_show() -> None:
    people = [f"p{i % 3}" for i in range(60)]
    table = videos(["dark"] * 60, [False] * 30 + [True] * 30, [0.4] * 60, people)
    (found,) = breakdowns(table, 0.5)
    assert found.rows[0].apcer.interval == TOO_FEW
    assert instrument_cells(table, 0.5)["phone_screen"].interval == TOO_FEW


def test_a_condition_that_no_video_knows_is_not_shown() -> None:
    assert list(breakdowns(videos([""] * 4, [True, True, False, False], [0.1] * 4), 0.5)) == []


def test_rare_values_are_counted_instead_of_shown() -> None:
    light = [f"l{i:02d}" for i in range(20)] + ["l19"] * 20
    (found,) = breakdowns(videos(light, [True] * 40, [0.1] * 40), 0.5)
    assert len(found.rows) == MOST_VALUES and found.left_out == 20 - MOST_VALUES
    assert found.rows[0].value == "l19"


def test_instruments_count_attacks_alone() -> None:
    table = videos([""] * 20, [True] * 10 + [False] * 10, [0.9] * 15 + [0.1] * 5)
    cell = instrument_cells(table, 0.5)["phone_screen"]
    low, high = map(float, cell.interval.split(" – "))
    assert cell.text == "50.00" and low == pytest.approx(100 - high, abs=0.2)
