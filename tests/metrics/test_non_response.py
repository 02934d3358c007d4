import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics import non_response


def test_no_face_costs_a_person_and_lets_no_attack_through() -> None:
    """Of 40, 10 without a face and 3 errors: the rate among the 30 others is 10 %."""
    assert non_response.non_response_rate(10, 40) == 0.25
    assert non_response.bpcer_with_non_response(3, 10, 40) == 13 / 40
    assert non_response.apcer_with_non_response(3, 10, 40) == 3 / 40


def test_all_and_none_without_a_face() -> None:
    assert non_response.bpcer_with_non_response(0, 5, 5) == 1.0
    assert non_response.apcer_with_non_response(0, 5, 5) == 0.0
    assert non_response.bpcer_with_non_response(0, 0, 5) == 0.0


@pytest.mark.parametrize("counts", [(0, 0), (-1, 3), (4, 3)])
def test_shares_of_nothing_or_beyond_the_whole_are_an_error(counts: tuple[int, int]) -> None:
    with pytest.raises(MetricError, match="is no share"):
        non_response.non_response_rate(*counts)


@pytest.mark.parametrize("rate", [non_response.bpcer_with_non_response, non_response.apcer_with_non_response])
@pytest.mark.parametrize("errors", [-1, 31])
def test_errors_are_among_the_presentations_with_a_response(rate, errors: int) -> None:
    with pytest.raises(MetricError, match=f"{errors} errors among 30"):
        rate(errors, 10, 40)
