"""The interval of one share."""

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics.shares import share_interval


def test_independent_presentations_give_about_the_binomial_width() -> None:
    errors = np.arange(400) < 80
    low, high = share_interval(errors, np.arange(400))
    assert low < 0.2 < high
    assert high - low == pytest.approx(2 * 1.966 * np.sqrt(0.2 * 0.8 / 400), rel=0.1)


def test_people_are_drawn_whole() -> None:
    errors = np.arange(400) < 80
    alone, together = share_interval(errors, np.arange(400)), share_interval(errors, np.arange(400) // 20)
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


def test_no_error_seen_counts_people_as_trials() -> None:
    assert share_interval(np.zeros(60, bool), np.arange(60) // 3) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    low, high = share_interval(np.ones(60, bool), np.arange(60) // 3)
    assert high == 1.0 and low == pytest.approx(0.025 ** (1 / 20))


def test_one_person_has_no_spread() -> None:
    with pytest.raises(MetricError, match="not 1"):
        share_interval(np.array([True, False]), np.array([4, 4]))
