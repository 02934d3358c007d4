"""Two systems on the same presentations: the difference of any rate, with interval and p value.

Both systems are rated on the same resamples of people, so what makes a person easy or hard for both falls out. The
interval is difference +- t * se and p two-sided from the same t, with se, t and g as in intervals.py: p < 0.05 exactly
where the interval leaves out zero.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.intervals import standard_error
from flipjax.metrics.resampling import Measure, clusters_of, resample
from flipjax.metrics.student import reach, two_sided_p
from flipjax.metrics.weighted import all_rates

Key = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """Rate of the second system minus that of the first, its 95 % interval, and the two-sided p value.

    `p` is None where it is not defined: the systems differ, and by the same amount on every resample.
    """

    difference: float
    low: float
    high: float
    p: float | None


def paired_bootstrap(
    first: ScoreTable,
    second: ScoreTable,
    *,
    thresholds: tuple[float | None, float | None],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Returns the difference, in [-1, 1], of every rate of `flipjax.metrics.weighted.all_rates`.

    With twenty rates compared, one p value below 0.05 is expected by chance: name the rate before looking.

    Args:
      first: one row per presentation.
      second: the same presentations in any order.
      thresholds: accept iff score >= threshold, of the first and of the second system; None chooses the papers' grid
        EER threshold again on every resample. `eer` is compared where both are None.
      resamples: number of bootstrap draws, at least 2.
      seed: the same seed gives the same result.

    Raises:
      MetricError: the tables hold different presentations, or see `flipjax.metrics.intervals.bootstrap`.
    """
    second = aligned(first, second)
    clusters = clusters_of(first)
    tables = zip((first, second), thresholds, strict=True)
    measure = _difference(*(all_rates(table, clusters.group, threshold) for table, threshold in tables))
    samples = resample(clusters, measure, resamples=resamples, seed=seed)
    found = measure(np.ones((1, len(clusters)), dtype=np.int32))
    return {key: _compare(float(found[key][0]), values, clusters.fewest) for key, values in samples.items()}


def aligned(first: ScoreTable, second: ScoreTable) -> ScoreTable:
    """Returns the rows of `second` in the order of `first`, matched by domain and video, or by sample where that is empty.

    Raises:
      MetricError: a presentation is in one table only or twice, or its label or attack type differ.
    """
    places = _places(second)
    missing = [key for key in _places(first) if key not in places]
    if missing or len(first) != len(second):
        example = f", such as '{missing[0][1]}' of domain '{missing[0][0]}' in the first alone" if missing else ""
        raise MetricError(f"two systems scored different presentations{example}; score the same data with both")
    rows = np.array([places[key] for key in _places(first)], dtype=np.int64)
    found = second.take(rows)
    for column in ("is_bona_fide", "attack_type"):
        wrong = np.flatnonzero(getattr(first, column) != getattr(found, column))
        if len(wrong):
            raise MetricError(f"two systems disagree about {column} of '{first.sample_id[wrong[0]]}'; mend the labels")
    return found


def _places(table: ScoreTable) -> dict[Key, int]:
    names = np.where(table.video_id == "", table.sample_id, table.video_id)
    places = {key: row for row, key in enumerate(zip(table.domain, names, strict=True))}
    if len(places) < len(table):
        raise MetricError(f"{len(table) - len(places)} presentations are listed twice; pool frames to videos first")
    return places


def _difference(first: Measure, second: Measure) -> Measure:
    def measure(weights: Int[np.ndarray, "r g"]) -> dict[str, Float[np.ndarray, "r"]]:
        ours, theirs = first(weights), second(weights)
        return {key: theirs[key] - ours[key] for key in ours if key in theirs}

    return measure


def _compare(difference: float, samples: Float[np.ndarray, "r"], groups: int) -> Difference:
    error, degrees = standard_error(samples, groups), groups - 1.0
    half = reach(error, degrees)
    return Difference(difference, difference - half, difference + half, two_sided_p(difference, error, degrees))
