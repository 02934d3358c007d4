"""Error rates by instrument and by condition of capture, each with a 95 % interval by people or a word on why there is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.tables import Cell
from flipjax.metrics.rates import pai_names
from flipjax.metrics.resampling import person_of
from flipjax.metrics.shares import share_interval

FEWEST_PEOPLE = 5  # an interval from fewer says next to nothing
TOO_FEW = "too few"
MOST_VALUES = 12  # of one condition; the commonest are shown
HEADINGS = {"population": "population (race)", "camera_quality": "camera quality"}


@dataclass(frozen=True)
class Row:
    """One value of a condition: videos of either class, and the share of each decided wrongly, in percent."""

    value: str
    bona_fide: int
    attack: int
    apcer: Cell
    bpcer: Cell


@dataclass(frozen=True)
class Breakdown:
    """The rows of one condition, commonest first, and how many rarer values are not shown."""

    condition: str
    rows: list[Row]
    left_out: int


def breakdowns(videos: ScoreTable, threshold: float) -> Iterator[Breakdown]:
    """Yields, for every condition that some video knows, error rates at `threshold` by its values.

    Attacks of all instruments count alike (pooled APCER). Videos of unknown value are a row of their own, named "unknown".

    Args:
      videos: one row per presentation.
      threshold: accept iff score >= threshold.
    """
    people, wrong = person_of(videos), _wrong(videos, threshold)
    for name, values in videos.conditions.items():
        if not np.any(values != ""):
            continue
        found, counts = np.unique(values.astype(str), return_counts=True)
        order = [value for _, value in sorted(zip(-counts, found.tolist(), strict=True)) if value]
        kept = order[:MOST_VALUES] + ([""] if "" in found else [])
        rows = [_row(videos, people, wrong, value, values == value) for value in kept]
        yield Breakdown(HEADINGS.get(name, name), rows, len(order[MOST_VALUES:]))


def instrument_cells(videos: ScoreTable, threshold: float) -> Mapping[str, Cell]:
    """Returns the APCER in percent at `threshold` of every instrument, with its interval."""
    attacks = videos.take(~videos.is_bona_fide)
    people, wrong = person_of(attacks), _wrong(attacks, threshold)
    names = np.array(pai_names(attacks.is_bona_fide, attacks.attack_type), dtype=object)
    return {name: share_cell(wrong[names == name], people[names == name]) for name in sorted(set(names))}


def share_cell(wrong: Bool[np.ndarray, "n"], people: Int[np.ndarray, "n"]) -> Cell:
    """Returns the percent of `wrong` with its interval, or "too few" for one; a dash where nothing is counted."""
    if not len(wrong):
        return Cell("–")
    if len(np.unique(people)) < FEWEST_PEOPLE:
        return Cell(f"{100 * np.mean(wrong):.2f}", interval=TOO_FEW)
    low, high = share_interval(wrong, people)
    return Cell(f"{100 * np.mean(wrong):.2f}", interval=f"{100 * low:.1f} – {100 * high:.1f}")


def _wrong(videos: ScoreTable, threshold: float) -> Bool[np.ndarray, "b"]:
    return (videos.score.astype(np.float64) >= threshold) != videos.is_bona_fide


def _row(
    videos: ScoreTable,
    people: Int[np.ndarray, "b"],
    wrong: Bool[np.ndarray, "b"],
    value: str,
    members: Bool[np.ndarray, "b"],
) -> Row:
    bona_fide, attack = members & videos.is_bona_fide, members & ~videos.is_bona_fide
    return Row(
        value=value.replace("_", " ") or "unknown",
        bona_fide=int(bona_fide.sum()),
        attack=int(attack.sum()),
        apcer=share_cell(wrong[attack], people[attack]),
        bpcer=share_cell(wrong[bona_fide], people[bona_fide]),
    )
