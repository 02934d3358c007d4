"""Two systems on the same presentations, each at its fixed threshold: what differs, and what can be told apart.

Differences are second minus first, in percent points; a negative one of an error rate says that the second errs less.
Intervals and p values are about other people (sampling); how far training seeds move a rate is kept apart, see `Repeats`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.conditions import FEWEST_PEOPLE
from flipjax.evaluation.measure import at_rule
from flipjax.evaluation.repeat import digest
from flipjax.evaluation.rules import SOURCE_VAL, own_rule, source_rules
from flipjax.metrics import curves
from flipjax.metrics.delong import AucDifference, delong_test
from flipjax.metrics.mcnemar import McNemar, mcnemar
from flipjax.metrics.paired import Difference, aligned, paired_bootstrap
from flipjax.metrics.pooling import pool_videos
from flipjax.metrics.rates import pai_names
from flipjax.metrics.resampling import clusters_of, person_of
from flipjax.metrics.seeds import SeedSpread, spread_over_seeds
from flipjax.metrics.thresholds import ThresholdRule

RATES = ("hter", "acer", "apcer_max", "apcer_pooled", "bpcer", "accuracy")
EXAMPLES = 3


@dataclass(frozen=True)
class Compared:
    """A rate of both systems in percent, and the difference in percent points; None where its spread is not defined."""

    name: str
    first: float
    second: float
    difference: Difference | None
    count: int = 0


@dataclass(frozen=True)
class Comparison:
    """One pair of score files.

    `first` and `second` hold the same videos in the same order; `rules` are their thresholds; `right` says which videos
    each decides rightly; `auc_test` is None where DeLong's test is not defined; `same` is equal for pairs of one data set.
    """

    target: str
    systems: tuple[str, str]
    first: ScoreTable
    second: ScoreTable
    rules: tuple[ThresholdRule, ThresholdRule]
    rates: list[Compared]
    auc: Compared
    auc_test: AucDifference | None
    decisions: McNemar
    right: tuple[Bool[np.ndarray, "b"], Bool[np.ndarray, "b"]]
    instruments: list[Compared]
    same: str


@dataclass(frozen=True)
class Repeats:
    """HTER in percent of pairs on the same presentations, such as training seeds: both systems', and of the difference."""

    pairs: list[Comparison]
    first: SeedSpread
    second: SeedSpread
    difference: SeedSpread


def compare(
    frames: tuple[ScoreTable, ScoreTable],
    source_val: tuple[ScoreTable | None, ScoreTable | None],
    *,
    target: str,
    systems: tuple[str, str],
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Returns the comparison of two systems' frame scores on the same presentations.

    Args:
      frames: of the first and of the second system; the frames of a video may differ, the videos may not.
      source_val: each system's source validation scores, on which its threshold is chosen by exact EER; where they are
        missing it is the EER threshold of the target itself, which has looked at what it is judged by. It is kept fixed.
      target: what the data are called.
      systems: what the systems are called.
      resamples: bootstrap draws.
      seed: of the bootstrap.

    Raises:
      MetricError: the presentations or their labels differ, a class is missing or has one presentation.
    """
    first, second = pool_videos(frames[0]), pool_videos(frames[1])
    _require_same(first, second, target, systems)
    second = aligned(first, second)
    tables = (first, second)
    rules = (_rule(first, source_val[0]), _rule(second, source_val[1]))
    cuts = (rules[0].threshold, rules[1].threshold)
    label = first.is_bona_fide
    found = paired_bootstrap(first, second, thresholds=cuts, resamples=resamples, seed=seed)
    values = [at_rule(table, rule) for table, rule in zip(tables, rules, strict=True)]
    aucs = [100 * curves.auc(table.score, label) for table in tables]
    wide = [table.score.astype(np.float64) >= cut for table, cut in zip(tables, cuts, strict=True)]
    return Comparison(
        target=target,
        systems=systems,
        first=first,
        second=second,
        rules=rules,
        rates=[Compared(key, values[0][key], values[1][key], found[key]) for key in RATES],
        auc=Compared("auc", aucs[0], aucs[1], found["auc"]),
        auc_test=_delong(first, second),
        decisions=mcnemar(first.score, second.score, label, thresholds=cuts),
        right=(wide[0] == label, wide[1] == label),
        instruments=list(_instruments(first, second, cuts, resamples, seed)),
        same=digest(np.array(sorted(_keys(first)), dtype=object)),
    )


def repeats(comparisons: Sequence[Comparison]) -> Iterator[Repeats]:
    """Yields the spread of HTER over pairs that hold the same presentations, where there are several."""
    for same in dict.fromkeys(each.same for each in comparisons):
        pairs = [each for each in comparisons if each.same == same]
        if len(pairs) > 1:
            first, second = ([getattr(each.rates[0], name) for each in pairs] for name in ("first", "second"))
            difference = [b - a for a, b in zip(first, second, strict=True)]
            yield Repeats(pairs, *(spread_over_seeds(values) for values in (first, second, difference)))


def _rule(videos: ScoreTable, source_val: ScoreTable | None) -> ThresholdRule:
    return source_rules(source_val).get(SOURCE_VAL) or own_rule(videos)


def _keys(videos: ScoreTable) -> set[str]:
    names = np.where(videos.video_id == "", videos.sample_id, videos.video_id)
    return {f"{domain}/{name}" if domain else str(name) for domain, name in zip(videos.domain, names, strict=True)}


def _require_same(first: ScoreTable, second: ScoreTable, target: str, systems: tuple[str, str]) -> None:
    held = (_keys(first), _keys(second))
    for missing, lacking, other in ((held[0] - held[1], *systems[::-1]), (held[1] - held[0], *systems)):
        if missing:
            some = ", ".join(sorted(missing)[:EXAMPLES])
            raise MetricError(
                f"target '{target}': {len(missing)} presentations that {other} has are missing from {lacking}, such as "
                f"{some}; score the same data with both"
            )


def _delong(first: ScoreTable, second: ScoreTable) -> AucDifference | None:
    try:
        return delong_test(first.score, second.score, first.is_bona_fide, groups=clusters_of(first).group)
    except MetricError:
        return None  # an AUC difference without any spread


def _instruments(
    first: ScoreTable, second: ScoreTable, cuts: tuple[float, float], resamples: int, seed: int
) -> Iterator[Compared]:
    """APCER of every instrument, its attacks alone taken beside all bona fide."""
    names = np.full(len(first), "", dtype=object)
    names[~first.is_bona_fide] = pai_names(first.is_bona_fide, first.attack_type)
    for name in sorted(set(names[~first.is_bona_fide])):
        attacks = names == name
        accepted = [
            100 * float(np.mean(table.score[attacks] >= cut)) for table, cut in zip((first, second), cuts, strict=True)
        ]
        difference = None
        if len(np.unique(person_of(first.take(attacks)))) >= FEWEST_PEOPLE:
            rows = attacks | first.is_bona_fide
            found = paired_bootstrap(
                first.take(rows), second.take(rows), thresholds=cuts, resamples=resamples, seed=seed
            )
            difference = found["apcer_pooled"]
        yield Compared(str(name), accepted[0], accepted[1], difference, int(attacks.sum()))


def names_of(first: Path, second: Path) -> tuple[str, str]:
    """Returns what tells two score files apart: the last part of their paths in which they differ.

    Example:
      >>> names_of(Path("runs/a/scores/M.csv"), Path("runs/b/scores/M.csv"))
      ('a', 'b')
    """
    pairs = zip(reversed(first.with_suffix("").parts), reversed(second.with_suffix("").parts), strict=False)
    return next((pair for pair in pairs if pair[0] != pair[1]), ("first", "second"))
