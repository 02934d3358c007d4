"""What must hold of every score set."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipjax.core.schemas import ScoreTable
from flipjax.metrics import calibration, curves, rates, thresholds
from flipjax.metrics.operating_points import bpcer_at_apcer

MAPS = (lambda x: x**3, np.exp, lambda x: 100 * x - 7, np.arctan)


@st.composite
def tables(draw):
    """Scores on a lattice of 64ths, both classes, up to three instruments."""
    count = draw(st.integers(2, 40))
    scores = np.array(draw(st.lists(st.integers(0, 64), min_size=count, max_size=count))) / 64
    label = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    label[:2] = [True, False]
    kinds = draw(st.lists(st.sampled_from(["photo", "mask", ""]), min_size=count, max_size=count))
    ids = np.array([f"v{row}" for row in range(count)], dtype=object)
    none = np.full(count, "", dtype=object)
    return ScoreTable(ids, ids, none, none, label, np.array(kinds, dtype=object), scores)


def _rankings(table: ScoreTable) -> dict[str, float]:
    """What depends on the order of scores alone."""
    pair = (table.score, table.is_bona_fide)
    found = {f"tpr {positive}": curves.tpr_at_fpr(*pair, positive=positive) for positive in curves.POSITIVE_CLASSES}
    found |= {f"bpcer at {limit}": bpcer_at_apcer(*pair, table.attack_type, limit=limit) for limit in (0.05, 0.2)}
    return found | {"auc": curves.auc(*pair), "eer": thresholds.equal_error_rate(*pair)}


def _all(table: ScoreTable) -> dict[str, float]:
    pair, triple = (table.score, table.is_bona_fide), (table.score, table.is_bona_fide, table.attack_type)
    found = _rankings(table) | {"grid": thresholds.equal_error_rate(*pair, thresholds.eer_grid)}
    found |= {rate.__name__: rate(*pair, 0.5) for rate in (rates.hter, rates.bpcer, rates.apcer_pooled, rates.accuracy)}
    found |= {rate.__name__: rate(*triple, 0.5) for rate in (rates.apcer_max, rates.acer)}
    return found | {
        metric.__name__: metric(*pair) for metric in (calibration.brier, calibration.expected_calibration_error)
    }


@settings(deadline=None, max_examples=25)
@given(tables(), st.sampled_from(MAPS))
def test_rankings_do_not_change_when_scores_are_mapped_in_order(table: ScoreTable, mapped) -> None:
    scores = mapped(table.score)
    order = np.argsort(table.score, kind="stable")
    kept = (np.diff(table.score[order]) > 0) == (np.diff(scores[order]) > 0)
    assert kept.all(), "the map must not merge scores"
    assert _rankings(replace(table, score=scores)) == _rankings(table)


@settings(deadline=None, max_examples=25)
@given(tables(), st.integers(0, 2**16))
def test_order_of_rows_does_not_matter(table: ScoreTable, seed: int) -> None:
    mixed = table.take(np.random.default_rng(seed).permutation(len(table)))
    assert _all(mixed) == pytest.approx(_all(table), abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(tables(), st.integers(0, 2**16))
def test_rows_taken_away_leave_no_trace(table: ScoreTable, seed: int) -> None:
    """Padding is taken away before metrics; what was there does not matter."""
    rng = np.random.default_rng(seed)
    padded = table.take(np.concatenate([np.arange(len(table)), rng.integers(len(table), size=7)]))
    padded = replace(padded, score=np.append(table.score, rng.random(7)))
    assert _all(padded.take(np.arange(len(padded)) < len(table))) == _all(table)


@settings(deadline=None, max_examples=25)
@given(tables())
def test_either_polarity_tells_the_same(table: ScoreTable) -> None:
    score, label = table.score, table.is_bona_fide
    assert curves.auc(-score, ~label) == pytest.approx(curves.auc(score, label), abs=1e-15)
    assert curves.tpr_at_fpr(-score, ~label, positive="attack") == curves.tpr_at_fpr(score, label, positive="bona_fide")
    assert curves.tpr_at_fpr(-score, ~label, positive="bona_fide") == curves.tpr_at_fpr(score, label, positive="attack")
    assert calibration.brier(1 - score, ~label) == pytest.approx(calibration.brier(score, label), abs=1e-12)
    sample = 1 / min(label.sum(), (~label).sum())
    eer, flipped = (thresholds.equal_error_rate(*pair) for pair in ((score, label), (-score, ~label)))
    assert abs(eer - flipped) <= sample


@settings(deadline=None, max_examples=25)
@given(tables())
def test_bounds(table: ScoreTable) -> None:
    found = _all(table)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["apcer_max"] >= found["apcer_pooled"] - 1e-12 and found["acer"] >= found["hter"] - 1e-12
    assert found["bpcer at 0.05"] >= found["bpcer at 0.2"] - 1e-12
