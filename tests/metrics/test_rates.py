import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics import rates

SCORES = np.array([0.9, 0.4, 0.8, 0.3, 0.2])
LABEL = np.array([True, True, False, False, False])
PAI = np.array(["", "", "pc_screen", "photo", ""], dtype=object)


def test_hand_worked_case() -> None:
    assert rates.bpcer(SCORES, LABEL, 0.5) == 0.5
    assert rates.apcer_pooled(SCORES, LABEL, 0.5) == pytest.approx(1 / 3)
    assert rates.hter(SCORES, LABEL, 0.5) == pytest.approx((0.5 + 1 / 3) / 2)
    assert rates.apcer_per_pai(SCORES, LABEL, PAI, 0.5) == {"other": 0.0, "pc_screen": 1.0, "photo": 0.0}
    assert rates.apcer_max(SCORES, LABEL, PAI, 0.5) == 1.0
    assert rates.acer(SCORES, LABEL, PAI, 0.5) == 0.75
    assert rates.accuracy(SCORES, LABEL, 0.5) == pytest.approx(3 / 5)


def test_score_equal_to_the_threshold_is_accepted() -> None:
    assert rates.bpcer(SCORES, LABEL, 0.9) == 0.5
    assert rates.apcer_pooled(SCORES, LABEL, 0.8) == pytest.approx(1 / 3)


def test_all_right_and_all_wrong() -> None:
    label = np.array([True, False])
    assert rates.hter(np.array([1.0, 0.0]), label, 0.5) == 0.0
    assert rates.hter(np.array([0.0, 1.0]), label, 0.5) == 1.0


def test_float32_scores_are_compared_in_float64() -> None:
    """float32(0.4752) lies below 0.4752; NumPy alone would round the threshold and accept."""
    scores = np.array([0.4752, 0.0], dtype=np.float32)
    assert float(scores[0]) < 0.4752
    assert rates.bpcer(scores, np.array([True, False]), 0.4752) == 1.0


def test_attack_type_of_a_bona_fide_row_is_not_read() -> None:
    names = np.array(["photo", "x", "pc_screen", "photo", "photo"], dtype=object)
    assert set(rates.apcer_per_pai(SCORES, LABEL, names, 0.5)) == {"pc_screen", "photo"}


@pytest.mark.parametrize(
    ("label", "missing"), [([False, False], "bona fide"), ([True, True], "attack")], ids=["no bona fide", "no attack"]
)
@pytest.mark.parametrize("rate", [rates.hter, rates.bpcer, rates.apcer_pooled, rates.accuracy])
def test_missing_class_is_an_error(rate, label: list[bool], missing: str) -> None:
    with pytest.raises(MetricError, match=f"no {missing} presentation"):
        rate(np.array([0.1, 0.2]), np.array(label), 0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad: float) -> None:
    with pytest.raises(MetricError, match="1 of 2 scores are not finite numbers"):
        rates.hter(np.array([bad, 0.2]), np.array([True, False]), 0.5)


@pytest.mark.parametrize("bad", [-1e-9, 1.000001, np.nan])
def test_scores_that_are_no_probabilities_are_an_error(bad: float) -> None:
    rates.require_probabilities(np.array([0.0, 1.0, 0.5]))
    with pytest.raises(MetricError, match=f"score {bad} is outside"):
        rates.require_probabilities(np.array([0.5, bad]))
