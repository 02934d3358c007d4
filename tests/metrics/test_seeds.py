import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics.seeds import spread_over_seeds


def test_hand_worked_spread() -> None:
    found = spread_over_seeds([1.0, 2.0, 3.0, 6.0])
    assert (found.mean, found.seeds) == (3.0, 4)
    assert found.sd == pytest.approx((14 / 3) ** 0.5) and found.standard_error == pytest.approx(found.sd / 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "0 seeds"), ([1.0], "1 seeds have no spread"), ([1.0, float("nan")], "not a finite number")],
)
def test_no_spread_is_an_error(values: list[float], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        spread_over_seeds(values)
