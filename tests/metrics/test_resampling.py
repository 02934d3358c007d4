from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics import resampling


def _people(rows: list[tuple[str, bool]]) -> ScoreTable:
    """Rows of (subject, is_bona_fide)."""
    people, label = zip(*rows, strict=True)
    ids = np.array([f"v{i}" for i in range(len(rows))], dtype=object)
    domain, kinds = np.full(len(rows), "m", dtype=object), np.full(len(rows), "", dtype=object)
    return ScoreTable(ids, ids, np.array(people, dtype=object), domain, np.array(label), kinds, np.zeros(len(rows)))


def test_rows_of_a_subject_share_a_number_and_unknown_subjects_stand_alone() -> None:
    table = _people([("a", True), ("", True), ("a", False), ("", False), ("b", True)])
    assert list(resampling.person_of(table)) == [0, 1, 0, 2, 3]
    domains = np.array(["m", "m", "c", "m", "m"], dtype=object)
    assert list(resampling.person_of(replace(table, domain=domains))) == [0, 1, 2, 3, 4]


def test_people_are_stratified_by_the_classes_they_give() -> None:
    rows = [("a", True), ("a", False), ("b", False), ("b", True), ("c", True), ("d", True), ("e", False), ("f", False)]
    clusters = resampling.clusters_of(_people(rows))
    assert list(clusters.group) == [0, 0, 1, 1, 2, 3, 4, 5]
    assert clusters.strata == (2, 2, 2) and len(clusters) == 6 and clusters.fewest == 4


def test_a_lone_person_of_both_classes_is_drawn_apart_in_either() -> None:
    clusters = resampling.clusters_of(_people([("a", True), ("a", False), ("b", True), ("c", False)]))
    assert clusters.strata == (2, 2) and clusters.group[0] != clusters.group[1]


def test_a_stratum_of_one_person_is_drawn_by_presentation() -> None:
    clusters = resampling.clusters_of(_people([("a", True)] * 3 + [("b", False)] * 2))
    assert clusters.strata == (3, 2) and sorted(clusters.group) == [0, 1, 2, 3, 4] and clusters.fewest == 2


def test_every_draw_keeps_the_strata_and_weighs_all_groups_alike() -> None:
    rows = [(f"s{i}", bool(i % 2)) for i in range(20)] + [(f"s{i}", not i % 2) for i in range(10)]
    clusters = resampling.clusters_of(_people(rows))
    weights = np.concatenate(list(resampling.draws(clusters, 40_000, np.random.default_rng(0))))
    assert weights.shape == (40_000, 20) and clusters.strata == (10, 5, 5)
    for start, end in ((0, 10), (10, 15), (15, 20)):
        assert (weights[:, start:end].sum(axis=1) == end - start).all()
        np.testing.assert_allclose(weights[:, start:end].mean(axis=0), 1, atol=0.03)
        np.testing.assert_allclose(weights[:, start:end].var(axis=0), 1 - 1 / (end - start), atol=0.05)


def test_seed_decides_the_resamples() -> None:
    clusters = resampling.clusters_of(_people([(str(i), bool(i % 2)) for i in range(8)]))

    def first(seed: int) -> list[float]:
        measured = resampling.resample(clusters, lambda weights: {"x": weights[:, 0] * 1.0}, resamples=30, seed=seed)
        return list(measured["x"])

    assert first(1) == first(1) != first(2) and len(first(1)) == 30


@pytest.mark.parametrize(
    ("rows", "resamples", "message"),
    [
        ([("a", True), ("b", True), ("c", False)], 10, "single presentation"),
        ([("a", True), ("b", True), ("c", False), ("d", False)], 1, "1 bootstrap resamples"),
    ],
    ids=["one attack", "one resample"],
)
def test_without_spread_there_is_an_error(rows, resamples: int, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        resampling.resample(resampling.clusters_of(_people(rows)), lambda _: {}, resamples=resamples, seed=0)
