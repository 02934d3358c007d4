import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics.operating_points import APCER_LIMITS, bpcer_at_apcer


def _plain_bpcer(bona_fide: list[float], by_instrument: list[list[float]], limit: float) -> float:
    """Every observed score and one above all as threshold: the lowest that holds the limit for every instrument."""
    candidates = sorted({*bona_fide, *(score for attacks in by_instrument for score in attacks), 2.0})
    for cut in candidates:
        if all(sum(score >= cut for score in attacks) / len(attacks) <= limit for attacks in by_instrument):
            return sum(score < cut for score in bona_fide) / len(bona_fide)
    raise AssertionError("a threshold above all scores accepts nothing")


@pytest.mark.parametrize("decimals", [1, 2, 9], ids=["many ties", "ties", "no ties"])
@pytest.mark.parametrize("limit", [*APCER_LIMITS.values(), 0.2, 0.0])
def test_agrees_with_the_plain_rule(limit: float, decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    label = np.arange(400) < 90
    scores = np.round(np.clip(rng.normal(0.4 + 0.3 * label, 0.15), 0, 1), decimals)
    pai = np.array(["photo", "mask", "pc_screen"], dtype=object)[rng.choice(3, size=400, p=[0.8, 0.15, 0.05])]
    by_instrument = [list(scores[~label & (pai == name)]) for name in np.unique(pai)]
    expected = _plain_bpcer(list(scores[label]), by_instrument, limit)
    assert bpcer_at_apcer(scores, label, pai, limit=limit) == expected


def test_the_worst_instrument_decides() -> None:
    """Twenty easy attacks leave room for one; two of another instrument do not."""
    scores = np.concatenate([[0.9, 0.7, 0.5, 0.3], np.full(19, 0.1), [0.6], [0.8, 0.2]])
    label, pai = np.arange(26) < 4, np.array([""] * 4 + ["photo"] * 20 + ["mask"] * 2, dtype=object)
    assert bpcer_at_apcer(scores[:24], label[:24], pai[:24], limit=0.05) == 0.0
    assert bpcer_at_apcer(scores, label, pai, limit=0.05) == 0.75


def test_missing_class_is_an_error() -> None:
    with pytest.raises(MetricError, match="no bona fide"):
        bpcer_at_apcer(np.array([0.1]), np.array([False]), np.array(["photo"]), limit=0.05)
