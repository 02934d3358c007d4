import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from flipjax.core.errors import MetricError
from flipjax.metrics.mcnemar import CHI_SQUARE, EXACT, mcnemar


def _decided(only_first: int, only_second: int, *, both: int = 7, neither: int = 5):
    """Scores of two systems with these many presentations decided rightly by one, by both and by neither."""
    counts = (only_first, only_second, both, neither)
    first, second = (np.repeat(right, counts) for right in ((True, False, True, False), (False, True, True, False)))
    label = np.arange(len(first)) % 2 == 0
    return np.where(first == label, 0.9, 0.1), np.where(second == label, 0.8, 0.3), label


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (1, 0), (3, 9), (12, 12), (24, 0)])
def test_few_discordant_presentations_are_tested_exactly(only_first: int, only_second: int) -> None:
    found = mcnemar(*_decided(only_first, only_second), thresholds=(0.5, 0.5))
    total = only_first + only_second
    expected = binomtest(only_first, total).pvalue if total else 1.0
    assert (found.only_first_right, found.only_second_right, found.form) == (only_first, only_second, EXACT)
    assert found.p == pytest.approx(expected)


@pytest.mark.parametrize(("only_first", "only_second"), [(10, 15), (25, 0), (40, 40), (31, 12)])
def test_many_are_tested_by_chi_square(only_first: int, only_second: int) -> None:
    found = mcnemar(*_decided(only_first, only_second), thresholds=(0.5, 0.5))
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / (only_first + only_second)
    assert found.form == CHI_SQUARE and found.p == pytest.approx(chi2(1).sf(statistic))


def test_every_system_has_its_threshold_and_a_score_at_it_is_accepted() -> None:
    """The first accepts 0.5 alone, the second 0.5 and 0.4; both reject 0.1."""
    scores, label = np.array([0.5, 0.4, 0.1]), np.array([True, True, False])
    found = mcnemar(scores, scores, label, thresholds=(0.5, 0.4))
    assert (found.only_first_right, found.only_second_right) == (0, 1)
    found = mcnemar(scores, scores, label, thresholds=(0.5, 0.45))
    assert (found.only_first_right, found.only_second_right) == (0, 0)
    found = mcnemar(scores, scores, label, thresholds=(0.5, 0.6))
    assert (found.only_first_right, found.only_second_right) == (1, 0)


def test_bad_scores_of_either_system_are_an_error() -> None:
    label, good = np.array([True, False]), np.array([0.9, 0.1])
    for pair in ((good, np.array([np.nan, 0.1])), (np.array([np.inf, 0.1]), good)):
        with pytest.raises(MetricError, match="1 of 2 scores are not finite"):
            mcnemar(*pair, label, thresholds=(0.5, 0.5))
