"""Means over targets that leave out those trained on, in a run and over the runs of a sweep."""

import numpy as np
import pytest

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import protocol


def frames(seed: int) -> ScoreTable:
    rng = np.random.default_rng(seed)
    label = np.arange(40) < 15
    names = np.array([f"v{i}" for i in range(40)], object)
    kinds = np.where(label, "", "photo").astype(object)
    scores = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1)
    return ScoreTable(names, names, names, np.full(40, "m", object), label, kinds, scores)


TABLES = {name: frames(seed) for seed, name in enumerate(("M", "C", "CA"))}


def evaluated(*names: str, left_out: tuple[str, ...] = ()) -> dict:
    return protocol.evaluate({name: TABLES[name] for name in names}, frames(9), resamples=0, left_out=left_out)


def test_the_mean_of_a_run_leaves_out_what_it_is_told_and_names_it():
    metrics = evaluated("M", "C", "CA", left_out=("CA",))
    assert set(metrics["targets"]) == {"M", "C", "CA"} and metrics["left_out_of_mean"] == ["CA"]
    assert metrics["mean"] == evaluated("M", "C")["mean"] != evaluated("M", "C", "CA")["mean"]
    assert "left_out_of_mean" not in evaluated("M", "C", left_out=("CA",))


def test_a_mean_of_nothing_else_keeps_all():
    assert evaluated("CA", left_out=("CA",)) == evaluated("CA")


def test_a_sweep_leaves_out_what_its_runs_leave_out():
    runs = [protocol.Run(f"r{seed}", seed, evaluated("M", "C", "CA", left_out=("CA",))) for seed in (0, 1)]
    merged = protocol.merge_runs(runs)
    expected = np.mean([merged["targets"][name]["auc"] for name in ("M", "C")])
    assert merged["mean"]["auc"] == pytest.approx(expected) and merged["left_out_of_mean"] == ["CA"]
    assert [seed["mean"]["auc"] for seed in merged["per_seed"].values()] == pytest.approx([expected, expected])
    assert all(seed["left_out_of_mean"] == ["CA"] for seed in merged["per_seed"].values())
    assert expected != pytest.approx(np.mean([result["auc"] for result in merged["targets"].values()]))
