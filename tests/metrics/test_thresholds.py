import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipjax.core.errors import MetricError
from flipjax.metrics import rates, thresholds


def _plain_grid_eer(scores, label):
    """The rule written out as a loop over the grid; `<=` keeps the last of equal distances."""
    best, chosen = 2.0, None
    for point in [i / 10000 for i in range(10001)] + [1.1]:
        far = sum(1 for s, y in zip(scores, label, strict=True) if not y and s >= point) / (~label).sum()
        frr = sum(1 for s, y in zip(scores, label, strict=True) if y and s < point) / label.sum()
        if abs(frr - far) <= best:
            best, chosen = abs(frr - far), point
    return chosen


@pytest.mark.parametrize("seed", [0, 1])
def test_grid_agrees_with_the_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.random(12) < 0.4
    scores = np.round(np.clip(rng.normal(0.3 + 0.3 * label, 0.2), 0, 1), 4)
    assert thresholds.eer_grid(scores, label).threshold == _plain_grid_eer(scores, label)


def test_grid_keeps_the_last_minimum() -> None:
    """Any cut in (0.2, 0.8] is perfect; the papers keep the largest grid point."""
    rule = thresholds.eer_grid(np.array([0.8, 0.2]), np.array([True, False]), data="target")
    assert rule == thresholds.ThresholdRule("eer_grid", 0.8, "target")


def test_grid_rejects_everything_when_all_scores_are_tied() -> None:
    assert thresholds.eer_grid(np.array([1.0, 1.0]), np.array([True, False])).threshold == 1.1


def test_exact_takes_the_middle_of_an_error_free_gap() -> None:
    rule = thresholds.eer_exact(np.array([0.875, 0.75, 0.25, 0.0]), np.array([True, True, False, False]))
    assert rule.threshold == 0.5


def test_exact_stays_right_when_the_gap_has_no_middle() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    scores, label = np.array([high, low]), np.array([True, False])
    assert rates.hter(scores, label, thresholds.eer_exact(scores, label).threshold) == 0.0


def test_exact_sees_what_the_grid_cannot() -> None:
    """All scores within 1e-4 of one, as cosine logits at scale 100 give."""
    scores = np.array([0.999999, 0.999998, 0.99999, 0.99998])
    label = np.array([True, True, False, False])
    assert rates.hter(scores, label, thresholds.eer_grid(scores, label).threshold) == 0.5
    assert rates.hter(scores, label, thresholds.eer_exact(scores, label).threshold) == 0.0


@st.composite
def labelled_scores(draw):
    values = draw(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=2, max_size=50))
    label = np.array([y for _, y in values])
    label[:2] = [True, False]
    return np.array([s for s, _ in values]) / 40, label


@settings(deadline=None)
@given(labelled_scores())
def test_no_threshold_balances_the_errors_better_than_the_exact_one(case) -> None:
    scores, label = case

    def distance(threshold):
        return abs(rates.bpcer(scores, label, threshold) - rates.apcer_pooled(scores, label, threshold))

    exact = distance(thresholds.eer_exact(scores, label).threshold)
    assert exact <= min(distance(float(t)) for t in [*np.unique(scores), 2.0]) + 1e-12
    assert exact == pytest.approx(distance(thresholds.eer_grid(scores, label).threshold), abs=1e-12)


@pytest.mark.parametrize("rule", [thresholds.eer_grid, thresholds.eer_exact])
def test_missing_class_is_an_error(rule) -> None:
    with pytest.raises(MetricError, match="no attack"):
        rule(np.array([0.1]), np.array([True]))
