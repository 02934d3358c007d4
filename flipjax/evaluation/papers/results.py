"""Our finished runs as figures for a paper's table: mean and standard deviation over seeds, or nothing."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flipjax.core.errors import ConfigError
from flipjax.evaluation.papers.printed import Column, PaperTable, row_of


@dataclass(frozen=True)
class Result:
    """A finished run for a table: the row it belongs to, how it was made, and the `targets` of its metrics.json.

    `shots` are target samples per class in training, `with_ca` says that CelebA-Spoof was one source among others, `recipe`
    is what to say of profile and selection.
    """

    row: str
    protocol: str
    seed: int
    shots: int
    with_ca: bool
    recipe: str
    targets: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Measured:
    """Mean in percent over `seeds` runs and, where there are several, their standard deviation (ddof 1)."""

    mean: float
    sd: float | None
    seeds: int


def measured(results: Sequence[Result], columns: Sequence[Column], metric: str, positive: str) -> Measured | None:
    """Returns `metric` of one row: the mean over `columns` within a seed, then over the seeds that have them all.

    Args:
      results: runs of the row.
      columns: one for a cell, several for an average.
      metric: one of `printed.METRICS`; its flat value in metrics.json, which is that of rule test_eer.
      positive: the positive class of TPR@FPR=1%.

    Returns:
      None where no seed has every column.
    """
    key = f"{metric}_{positive}" if metric == "tpr_at_fpr1" else metric
    found = {
        (result.seed, result.protocol, target): values[key]
        for result in results
        for target, values in result.targets.items()
        if key in values
    }
    wanted = [(column.protocol, column.target) for column in columns]
    means = [
        statistics.fmean(found[seed, *place] for place in wanted)
        for seed in sorted({result.seed for result in results})
        if all((seed, *place) in found for place in wanted)
    ]
    if not means:
        return None
    return Measured(statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else None, len(means))


def results_by_row(table: PaperTable, rows: Sequence[str], results: Sequence[Result]) -> dict[str, list[Result]]:
    """Returns the runs of every row that the sweep fills, in the paper's order, also of rows without a run.

    Raises:
      ConfigError: a row that the table does not have, or two runs of one row, protocol and seed.
    """
    wanted = {row_of(table, name).id for name in (*rows, *(result.row for result in results))}
    keys = [(result.row, result.protocol, result.seed) for result in results]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise ConfigError(
            f"{table.name} has two runs of row '{twice[0]}', {twice[1]}, seed {twice[2]}; give one of each"
        )
    return {row.id: [result for result in results if result.row == row.id] for row in table.rows if row.id in wanted}
