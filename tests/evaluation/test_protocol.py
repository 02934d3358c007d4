import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import protocol
from flipjax.metrics.pooling import pool_videos
from flipjax.metrics.thresholds import eer_exact, eer_grid

FLAT_KEYS = {
    "hter", "eer", "auc", "tpr_at_fpr1_bona_fide", "tpr_at_fpr1_attack", "apcer_max", "bpcer", "acer", "threshold",
    "accuracy", "apcer_pooled", "bpcer20", "bpcer100", "calibration_error", "brier",
}  # fmt: skip
RULES = {"test_eer", "source_val", "source_val_bpcer1", "source_val_apcer1"}


def _frames(seed: int, *, bona_fide: int = 30, attack: int = 70, frames: int = 2, shift: float = 0.0) -> ScoreTable:
    rng = np.random.default_rng(seed)
    count = bona_fide + attack
    label = np.arange(count) < bona_fide
    kinds = np.where(label, "", np.where(np.arange(count) % 3 == 0, "photo", "pc_screen")).astype(object)
    video = np.array([f"v{i}" for i in range(count)], dtype=object)
    people = np.array([f"p{i % 9}" for i in range(count)], dtype=object)
    scores = np.clip(rng.normal((0.4 + 0.25 * label + shift)[:, None], 0.15, (count, frames)), 0, 1)
    repeated = [np.repeat(values, frames) for values in (video, people, label, kinds)]
    ids = np.array([f"f{i}" for i in range(count * frames)], dtype=object)
    domain = np.full(count * frames, "m", dtype=object)
    return ScoreTable(ids, repeated[0], repeated[1], domain, repeated[2], repeated[3], scores.ravel())


@pytest.fixture(scope="module")
def metrics() -> dict:
    return protocol.evaluate({"a": _frames(1), "b": _frames(2, shift=0.2)}, _frames(3), resamples=50)


def test_form_is_that_of_the_architecture_page(metrics: dict) -> None:
    assert set(metrics) == {"targets", "mean"}
    for result in metrics["targets"].values():
        assert set(result) == FLAT_KEYS | {"counts", "rules", "ci95"}
        assert set(result["rules"]) == RULES
        assert {name for name, rule in result["rules"].items() if rule["looked_at_target"]} == {"test_eer"}
        assert {"hter", "auc", "eer", "tpr_at_fpr1_bona_fide", "tpr_at_fpr1_attack"} <= set(result["ci95"])
        for rule in result["rules"].values():
            assert {"threshold", "hter", "apcer_max", "apcer_pooled", "bpcer", "acer", "accuracy"} <= set(rule)
        for key in ("hter", "bpcer", "apcer_max", "acer", "threshold"):
            assert result[key] == result["rules"]["test_eer"][key]
        assert result["eer"] == result["hter"]
    assert set(metrics["mean"]) == FLAT_KEYS | {"rules"}
    assert set(metrics["mean"]["rules"]) == RULES
    json.dumps(metrics, allow_nan=False)


def test_hand_worked_target_in_percent() -> None:
    """Videos: bona fide .9 .6, attacks .7 (photo) and .1 .2 (pc_screen); the cut with equal errors is impossible, the
    largest grid point minimising |BPCER - APCER| is .7: 1/2 bona fide rejected, 1/3 attacks accepted.
    """
    scores = np.array([1.0, 0.8, 0.6, 0.7, 0.1, 0.2])
    video, people = (np.array(values, dtype=object) for values in (["v0", "v0", "", "", "", ""], [""] * 6))
    kinds = np.array(["", "", "", "photo", "pc_screen", "pc_screen"], dtype=object)
    table = ScoreTable(people, video, people, people, np.array([True, True, True, False, False, False]), kinds, scores)
    result = protocol.evaluate({"t": table}, None, resamples=0)["targets"]["t"]
    assert result["counts"] == {
        "bona_fide": 2, "attack": 3, "bona_fide_frames": 3, "attack_frames": 3, "subjects": 0,
        "attack_per_pai": {"pc_screen": 2, "photo": 1},
    }  # fmt: skip
    assert result["threshold"] == 0.7
    assert result["bpcer"] == 50 and result["apcer_pooled"] == pytest.approx(100 / 3) and result["apcer_max"] == 100
    assert result["hter"] == pytest.approx(125 / 3) and result["acer"] == 75 and result["accuracy"] == pytest.approx(60)
    assert result["auc"] == pytest.approx(100 * 5 / 6)
    assert result["rules"]["test_eer"]["apcer_per_pai"] == {"pc_screen": 0.0, "photo": 100.0}
    assert "source_val" not in result["rules"] and result["ci95"] == {}


def test_honest_threshold_never_sees_the_target(metrics: dict) -> None:
    videos = pool_videos(_frames(3))
    expected = eer_exact(videos.score, videos.is_bona_fide).threshold
    assert {r["rules"]["source_val"]["threshold"] for r in metrics["targets"].values()} == {expected}
    own = pool_videos(_frames(1))
    assert metrics["targets"]["a"]["threshold"] == eer_grid(own.score, own.is_bona_fide).threshold
    shifted = metrics["targets"]["b"]["rules"]
    assert shifted["source_val"]["hter"] > shifted["test_eer"]["hter"]


def test_mean_is_over_targets(metrics: dict) -> None:
    values = [result["hter"] for result in metrics["targets"].values()]
    honest = [result["rules"]["source_val"]["hter"] for result in metrics["targets"].values()]
    assert metrics["mean"]["hter"] == pytest.approx(np.mean(values))
    assert metrics["mean"]["rules"]["source_val"]["hter"] == pytest.approx(np.mean(honest))


def test_intervals_surround_the_estimates_and_depend_on_the_seed_only(metrics: dict) -> None:
    result = metrics["targets"]["a"]
    for key in ("hter", "auc", "bpcer"):
        low, high = result["ci95"][key]
        assert low <= result[key] <= high
    for target in metrics["targets"].values():
        for rule in target["rules"].values():
            for key in ("hter", "apcer_pooled", "bpcer"):
                assert rule["ci95"][key][0] <= rule[key] <= rule["ci95"][key][1]
    again = protocol.evaluate({"a": _frames(1), "b": _frames(2, shift=0.2)}, _frames(3), resamples=50)
    assert again == metrics
    other = protocol.evaluate({"a": _frames(1)}, _frames(3), seed=1, resamples=50)["targets"]["a"]
    assert other["ci95"] != result["ci95"] and other["hter"] == result["hter"]


def test_order_of_frames_does_not_matter() -> None:
    table = _frames(4)
    order = np.random.default_rng(0).permutation(len(table))
    mixed = table.take(order)
    results = [protocol.evaluate({"t": t}, None, resamples=0)["targets"]["t"] for t in (table, mixed)]
    for key in FLAT_KEYS:
        assert results[0][key] == pytest.approx(results[1][key], abs=1e-9)


@pytest.mark.parametrize(
    ("targets", "source_val", "message"),
    [
        ({"t": _frames(0, attack=0)}, None, "target 't': .*no attack"),
        ({"t": _frames(0)}, _frames(0, bona_fide=0), "source validation: .*no bona fide"),
    ],
    ids=["target", "source validation"],
)
def test_missing_class_names_its_place(targets, source_val, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        protocol.evaluate(targets, source_val, resamples=0)


def test_decision_states_rule_and_data() -> None:
    table = _frames(3)
    videos = pool_videos(table)
    threshold = eer_exact(videos.score, videos.is_bona_fide).threshold
    expected = {"threshold": threshold, "rule": "source_val", "data": "source validation, 100 videos of m"}
    assert protocol.decision(table) == expected
    assert protocol.decision(None)["rule"] == "fixed" and protocol.decision(None)["threshold"] == 0.5


def test_merged_runs_average_seeds_within_a_target() -> None:
    runs = [
        protocol.Run(
            f"{target}_{seed}", seed, protocol.evaluate({target: _frames(10 * seed + i)}, _frames(9), resamples=20)
        )
        for seed in (0, 1)
        for i, target in enumerate(("a", "b"))
    ]
    merged = protocol.merge_runs(runs)
    assert set(merged) == {"targets", "mean", "per_seed", "runs"}
    seeds = [run.metrics["targets"]["a"] for run in runs if "a" in run.metrics["targets"]]
    a = merged["targets"]["a"]
    assert a["hter"] == pytest.approx((seeds[0]["hter"] + seeds[1]["hter"]) / 2)
    assert a["std"]["hter"] == pytest.approx(abs(seeds[0]["hter"] - seeds[1]["hter"]) / np.sqrt(2))
    assert a["rules"]["source_val"]["bpcer"] == pytest.approx(
        np.mean([s["rules"]["source_val"]["bpcer"] for s in seeds])
    )
    assert a["ci95"]["auc"][0] == pytest.approx(np.mean([s["ci95"]["auc"][0] for s in seeds]))
    assert a["counts"] == seeds[0]["counts"]
    assert merged["mean"]["auc"] == pytest.approx(np.mean([run.metrics["mean"]["auc"] for run in runs]))
    assert set(merged["per_seed"]) == {"0", "1"} and set(merged["per_seed"]["0"]["targets"]) == {"a", "b"}
    assert [(run["name"], run["seed"], run["targets"]) for run in merged["runs"]][:2] == [
        ("a_0", 0, ["a"]),
        ("b_0", 0, ["b"]),
    ]
    json.dumps(merged, allow_nan=False)


def test_one_seed_keeps_the_numbers_of_its_run(metrics: dict) -> None:
    merged = protocol.merge_runs([protocol.Run("r", 0, metrics)])
    assert merged["targets"] == metrics["targets"]
    assert merged["mean"] == metrics["mean"]


def test_a_sweep_without_runs_is_an_error() -> None:
    with pytest.raises(MetricError, match="without a finished run"):
        protocol.merge_runs([])


def test_extra_numbers_of_a_method_reach_the_mean() -> None:
    assert protocol.mean_over([{"content_accuracy": 40.0, "x": 1}, {"content_accuracy": 60.0}]) == {
        "content_accuracy": 50.0
    }


def test_json_is_written_whole(tmp_path: Path, metrics: dict) -> None:
    protocol.write_json(tmp_path / "metrics.json", metrics)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    with pytest.raises(ValueError, match="JSON compliant"):
        protocol.write_json(tmp_path / "metrics.json", {"hter": float("nan")})
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics


def test_float32_scores_give_the_numbers_of_their_file(tmp_path: Path) -> None:
    from flipjax.evaluation.score_files import read_scores, write_scores

    table = replace(_frames(5), score=_frames(5).score.astype(np.float32))
    write_scores(tmp_path / "t.csv", table)
    assert protocol.evaluate({"t": table}, table, resamples=20) == protocol.evaluate(
        {"t": read_scores(tmp_path / "t.csv")}, read_scores(tmp_path / "t.csv"), resamples=20
    )
