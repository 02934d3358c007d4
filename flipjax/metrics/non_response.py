"""Presentations without an answer: no face found, so no score.

ISO/IEC 30107-3 reports them apart, as attack and bona fide presentation non-response rates (APNRR, BPNRR). Detectors that
drop such files in silence look better than they are: the two rates below count a presentation without response as
rejected, which costs a person like a rejection and lets no attack through. That convention is this project's.
"""

from flipjax.core.errors import MetricError


def non_response_rate(no_response: int, presentations: int) -> float:
    """Share of presentations without a response, in [0, 1]: BPNRR of bona fide ones, APNRR of one instrument's.

    Args:
      no_response: presentations in which no face was found.
      presentations: all of them, with and without a face.

    Raises:
      MetricError: there is no presentation, or a count is negative or larger than the whole.

    Example:
      >>> non_response_rate(3, 60)
      0.05
    """
    if presentations < 1 or not 0 <= no_response <= presentations:
        raise MetricError(
            f"{no_response} of {presentations} presentations without response is no share; check the counts"
        )
    return no_response / presentations


def bpcer_with_non_response(rejected: int, no_response: int, presentations: int) -> float:
    """Share of bona fide presentations rejected or without a response, in [0, 1].

    Raises:
      MetricError: the counts do not add up.

    Example:
      >>> bpcer_with_non_response(2, 3, 50)
      0.1
    """
    _require_disjoint(rejected, no_response, presentations)
    return (rejected + no_response) / presentations


def apcer_with_non_response(accepted: int, no_response: int, presentations: int) -> float:
    """Share of one instrument's presentations accepted, in [0, 1], those without a response counting as rejected.

    Raises:
      MetricError: the counts do not add up.

    Example:
      >>> apcer_with_non_response(2, 10, 40)
      0.05
    """
    _require_disjoint(accepted, no_response, presentations)
    return accepted / presentations


def _require_disjoint(errors: int, no_response: int, presentations: int) -> None:
    non_response_rate(no_response, presentations)
    if not 0 <= errors <= presentations - no_response:
        raise MetricError(
            f"{errors} errors among {presentations - no_response} presentations with a response; check the counts"
        )
