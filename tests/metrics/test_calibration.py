import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from flipjax.core.errors import MetricError
from flipjax.metrics import calibration


def _plain_error(scores, label, bins: int) -> float:
    """Untied scores in ascending order; presentation i (from 0) is in bin (i + 1/2) * bins / n."""
    order, total = sorted(range(len(scores)), key=lambda row: scores[row]), 0.0
    for number in range(bins):
        rows = [row for place, row in enumerate(order) if int((place + 0.5) * bins / len(scores)) == number]
        if rows:
            gap = sum(scores[row] for row in rows) / len(rows) - sum(label[row] for row in rows) / len(rows)
            total += len(rows) / len(scores) * abs(gap)
    return total


@pytest.mark.parametrize(("count", "bins"), [(200, 15), (30, 10), (7, 15), (20, 1)])
def test_error_agrees_with_the_plain_form(count: int, bins: int) -> None:
    rng = np.random.default_rng(count)
    scores, label = rng.random(count), rng.random(count) < 0.4
    label[:2] = [True, False]
    ours = calibration.expected_calibration_error(scores, label, bins=bins)
    assert ours == pytest.approx(_plain_error(scores, label, bins), abs=1e-12)
    assert calibration.brier(scores, label) == pytest.approx(brier_score_loss(label, scores), abs=1e-12)


def test_calibrated_certain_and_wrong_scores() -> None:
    label = np.array([True, True, False, False])
    certain = label * 1.0
    assert calibration.expected_calibration_error(certain, label) == calibration.brier(certain, label) == 0.0
    assert calibration.expected_calibration_error(1 - certain, label) == calibration.brier(1 - certain, label) == 1.0
    assert calibration.expected_calibration_error(np.full(4, 0.5), label) == 0.0


def test_bins_hold_equally_many() -> None:
    """Scores crowd near zero: bins of equal width would put 90 of the 100 into one and lose their gaps."""
    scores = np.linspace(0, 0.001, 100)
    label = np.arange(100) < 50
    assert calibration.expected_calibration_error(scores, label, bins=2) == pytest.approx(0.5, abs=1e-3)


def test_order_does_not_matter_where_scores_are_tied() -> None:
    scores, label = np.repeat([0.2, 0.6, 0.9], [10, 25, 5]), np.arange(40) % 3 == 0
    mixed = np.random.default_rng(0).permutation(40)
    assert calibration.expected_calibration_error(scores, label, bins=7) == pytest.approx(
        calibration.expected_calibration_error(scores[mixed], label[mixed], bins=7), abs=1e-15
    )
    expected = sum(abs(np.sum(0 + scores[scores == v] - label[scores == v])) for v in (0.2, 0.6, 0.9)) / 40
    assert calibration.expected_calibration_error(scores, label, bins=7) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [calibration.brier, calibration.expected_calibration_error])
@pytest.mark.parametrize(
    ("scores", "label", "message"),
    [
        ([0.2, 1.5], [True, False], r"score 1\.5 is outside \[0, 1\]"),
        ([-0.1, 0.5], [True, False], r"score -0\.1 is outside"),
        ([0.2, np.nan], [True, False], "not finite"),
        ([0.2, 0.3], [True, True], "no attack"),
    ],
)
def test_scores_that_are_no_probabilities_are_an_error(metric, scores, label, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(np.array(scores), np.array(label))


def test_no_bins_are_an_error() -> None:
    with pytest.raises(MetricError, match="0 calibration bins"):
        calibration.expected_calibration_error(np.array([0.1, 0.2]), np.array([True, False]), bins=0)
