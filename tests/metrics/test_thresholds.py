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
    assert rule == thresholds.ThresholdRule("eer_grid", 0.8, "target", False)


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


@settings(deadline=None, max_examples=40)
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


@pytest.mark.parametrize("search", [thresholds.eer_grid, thresholds.at_test_eer])
def test_the_grid_is_for_probabilities(search) -> None:
    for bad in (-0.5, 1.5):
        with pytest.raises(MetricError, match="outside"):
            search(np.array([0.4, bad]), np.array([True, False]))


def test_equal_error_rate_takes_either_search() -> None:
    scores, label = np.array([0.999999, 0.99998]), np.array([True, False])
    assert thresholds.equal_error_rate(scores, label) == 0.0
    assert thresholds.equal_error_rate(scores, label, thresholds.eer_grid) == 0.5


def test_rules_carry_name_data_and_whether_they_looked_at_the_target() -> None:
    scores, label, pai = np.array([0.9, 0.6, 0.7, 0.1]), np.array([True, True, False, False]), np.full(4, "photo")
    rule = thresholds.ThresholdRule
    assert thresholds.at_test_eer(scores, label) == rule("test_eer", 0.7, "the target test set itself", True)
    assert thresholds.at_dev_eer(scores, label, data="val") == rule("dev_eer", 0.7, "val", False)
    assert thresholds.at_dev_eer(scores, label, data="t", looked_at_target=True).looked_at_target
    assert thresholds.at_bpcer(scores, label, limit=0.01, data="val") == rule("bpcer_at_1%", 0.6, "val", False)
    above = float(np.nextafter(0.7, 1))
    assert thresholds.at_apcer(scores, label, pai, limit=0.005, data="val") == rule(
        "apcer_at_0.5%", above, "val", False
    )
    assert thresholds.at_number(0.3, data="card") == rule("fixed", 0.3, "card", False)
    for search in (thresholds.at_bpcer, lambda *pair, **rest: thresholds.at_apcer(*pair, pai, **rest)):
        assert search(scores, label, limit=0.1, data="", looked_at_target=True).looked_at_target


@settings(deadline=None, max_examples=40)
@given(labelled_scores(), st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.29, 0.5, 0.99]))
def test_bpcer_rule_is_the_largest_threshold_within_the_limit(case, limit: float) -> None:
    scores, label = case
    threshold = thresholds.at_bpcer(scores, label, limit=limit, data="").threshold
    assert rates.bpcer(scores, label, threshold) <= limit
    assert rates.bpcer(scores, label, float(np.nextafter(threshold, np.inf))) > limit


@settings(deadline=None, max_examples=40)
@given(labelled_scores(), st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.29, 0.5, 0.99]), st.integers(1, 3))
def test_apcer_rule_is_the_smallest_threshold_within_the_limit(case, limit: float, instruments: int) -> None:
    scores, label = case
    pai = np.array([f"i{row % instruments}" for row in range(len(label))], dtype=object)
    threshold = thresholds.at_apcer(scores, label, pai, limit=limit, data="").threshold
    assert rates.apcer_max(scores, label, pai, threshold) <= limit
    assert rates.apcer_max(scores, label, pai, float(np.nextafter(threshold, -np.inf))) > limit


def test_limits_are_compared_as_the_rates_are() -> None:
    """0.29 * 100 is below 29 in floating point, 29 / 100 is not above 0.29."""
    scores, label = np.arange(101) / 101, np.arange(101) > 0
    threshold = thresholds.at_bpcer(scores, label, limit=0.29, data="").threshold
    assert rates.bpcer(scores, label, threshold) == 0.29


def test_saturated_attacks_leave_only_to_reject_everything() -> None:
    scores, label = np.array([1.0, 1.0, 1.0, 0.2]), np.array([True, False, False, False])
    rule = thresholds.at_apcer(scores, label, np.full(4, "photo"), limit=0.5, data="")
    assert rule.threshold > 1 and rates.bpcer(scores, label, rule.threshold) == 1.0


@pytest.mark.parametrize("limit", [-0.01, 1.0, float("nan")])
def test_limits_that_no_rate_can_have_are_an_error(limit: float) -> None:
    pair = (np.array([0.9, 0.1]), np.array([True, False]))
    with pytest.raises(MetricError, match="limit"):
        thresholds.at_bpcer(*pair, limit=limit, data="")
    with pytest.raises(MetricError, match="limit"):
        thresholds.at_apcer(*pair, np.full(2, "photo"), limit=limit, data="")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_must_be_one(bad: float) -> None:
    with pytest.raises(MetricError, match="threshold"):
        thresholds.at_number(bad, data="card")
