"""Threshold rules by name, and what is measured at them."""

from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import protocol, report
from flipjax.evaluation.measure import failure_to_acquire, measure
from flipjax.evaluation.rules import SHOWN, own_rule, source_rules


def table(seed: int, *, bona_fide: int = 300, attack: int = 600) -> ScoreTable:
    rng = np.random.default_rng(seed)
    count = bona_fide + attack
    label = np.arange(count) < bona_fide
    kinds = np.where(label, "", np.where(np.arange(count) % 2 == 0, "photo", "mask_3d")).astype(object)
    scores = np.clip(rng.normal(0.4 + 0.25 * label + 0.1 * (kinds == "mask_3d"), 0.12), 0, 1)
    ids = np.array([f"v{i}" for i in range(count)], dtype=object)
    people = np.array([f"p{i % 30}" for i in range(count)], dtype=object)
    return ScoreTable(ids, ids, people, np.full(count, "m", dtype=object), label, kinds, scores)


def test_limits_hold_on_source_validation_and_one_more_error_would_break_them() -> None:
    source = table(1)
    found = source_rules(source)
    assert list(found) == ["source_val", "source_val_bpcer1", "source_val_apcer1"]
    bona_fide = source.score[source.is_bona_fide]
    cut = found["source_val_bpcer1"].threshold
    assert np.mean(bona_fide < cut) <= 0.01 < np.mean(bona_fide <= cut)
    cut = found["source_val_apcer1"].threshold
    shares = [np.mean(source.score[source.attack_type == name] >= cut) for name in ("photo", "mask_3d")]
    assert max(shares) <= 0.01
    below = np.nextafter(cut, 0)
    assert max(np.mean(source.score[source.attack_type == name] >= below) for name in ("photo", "mask_3d")) > 0.01


def test_every_rule_says_on_which_data_and_whether_it_looked() -> None:
    rules = measure(table(2), source_rules(table(1)), seed=0, resamples=0)["rules"]
    assert set(rules) == set(SHOWN)
    assert {name: rule["looked_at_target"] for name, rule in rules.items()} == {
        "source_val": False, "source_val_bpcer1": False, "source_val_apcer1": False, "test_eer": True,
    }  # fmt: skip
    assert {rule["data"] for name, rule in rules.items() if name != "test_eer"} == {
        "source validation, 900 videos of m"
    }


def test_no_source_validation_leaves_its_rules_out() -> None:
    assert source_rules(None) == {} and source_rules(table(1).take(np.arange(0))) == {}


def test_source_validation_without_a_class_is_named() -> None:
    with pytest.raises(MetricError, match=r"source validation: .*no attack"):
        source_rules(table(1).take(np.arange(10)))


@pytest.mark.parametrize("single", ["bona fide", "attack"])
def test_a_class_of_one_presentation_keeps_its_numbers_and_has_no_intervals(single: str) -> None:
    whole = table(3, bona_fide=40, attack=60)
    rows = [0, *range(40, 100)] if single == "bona fide" else [*range(40), 40]
    lone = whole.take(np.array(rows))
    metrics = protocol.evaluate({"lone": lone, "whole": whole}, table(1), resamples=20)
    result = metrics["targets"]["lone"]
    assert result["ci95"] == {} and all(rule["ci95"] == {} for rule in result["rules"].values())
    assert 0 <= result["auc"] <= 100 and metrics["targets"]["whole"]["ci95"]
    page = report.render_report(title="t", metrics=metrics, tables={"lone": lone, "whole": whole}, context={})
    assert "A class has a single presentation (lone)" in page and "no band: a class has a single" in page


def test_scores_that_are_no_probabilities_keep_ranking_and_lose_calibration() -> None:
    inside = table(4)
    logits = replace(inside, score=20 * inside.score - 7, is_probability=False)
    found = protocol.evaluate({"t": logits}, None, resamples=20)
    plain = protocol.evaluate({"t": inside}, None, resamples=20)["targets"]["t"]
    result = found["targets"]["t"]
    assert result["auc"] == plain["auc"] and result["bpcer20"] == plain["bpcer20"]
    assert "brier" not in result and "calibration_error" not in result and "brier" in plain
    assert result["rules"]["test_eer"]["ci95_threshold"] == "kept fixed"
    assert "without the papers' grid" in result["rules"]["test_eer"]["data"]
    assert own_rule(logits).threshold == pytest.approx(20 * own_rule(inside).threshold - 7, abs=0.05)
    page = report.render_report(title="t", metrics=found, tables={"t": logits}, context={})
    assert "Scores that are no probabilities (t)" in page and "Brier" not in page


def test_hand_worked_calibration_and_operating_points() -> None:
    """Three attacks and two bona fide: no attack may pass at 5 %, so the cut lies above .7 and rejects .6."""
    ids = np.array(list("abcde"), dtype=object)
    kinds = np.array(["", "", "photo", "photo", "photo"], dtype=object)
    label = np.array([True, True, False, False, False])
    result = measure(
        ScoreTable(ids, ids, ids, ids, label, kinds, np.array([0.9, 0.6, 0.7, 0.1, 0.2])), {}, seed=0, resamples=0
    )
    assert result["bpcer20"] == 50 and result["bpcer100"] == 50
    assert result["brier"] == pytest.approx((0.01 + 0.16 + 0.49 + 0.01 + 0.04) / 5)
    assert result["calibration_error"] == pytest.approx(100 * (0.1 + 0.4 + 0.7 + 0.1 + 0.2) / 5)


def test_failure_to_acquire_is_the_share_of_all_pictures() -> None:
    found = failure_to_acquire({"attack": 5}, {"bona_fide_frames": 10, "attack_frames": 15})
    assert found == {"bona_fide": {"dropped": 0, "percent": 0.0}, "attack": {"dropped": 5, "percent": 25.0}}
    metrics = protocol.evaluate({"t": table(5)}, None, resamples=0, dropped={"t": {"bona_fide": 100}})
    assert metrics["targets"]["t"]["failure_to_acquire"]["bona_fide"] == {"dropped": 100, "percent": 25.0}
    page = report.render_report(title="t", metrics=metrics, tables={}, context={})
    assert "100 (25.00 %) / 0 (0.00 %)" in page
    merged = protocol.merge_runs([protocol.Run("a", 0, metrics), protocol.Run("b", 1, metrics)])
    assert merged["targets"]["t"]["failure_to_acquire"] == metrics["targets"]["t"]["failure_to_acquire"]
