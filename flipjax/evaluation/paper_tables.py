"""Writes a paper's table with our runs beside it, for readers (HTML, Markdown, LaTeX) and for programs (CSV).

Ours are means over seeds by the papers' rule test_eer: the threshold is the EER threshold of the target's own test data. A
cell that no run fills stays empty. Runs of other protocols, such as those of simulated data, never enter the paper's columns.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flipjax.evaluation.papers import cost
from flipjax.evaluation.papers.beside import grids_of, other_columns
from flipjax.evaluation.papers.grid import Grid, to_csv, to_latex, to_markdown, to_page
from flipjax.evaluation.papers.printed import (
    Column,
    PaperRow,
    PaperTable,
    average_of,
    disagrees,
    load_table,
    mean_of_cells,
)
from flipjax.evaluation.papers.results import Result, measured, results_by_row
from flipjax.evaluation.score_files import write_text

AVERAGE = "mean"
# `protocol` of a mean is empty; `mean_of_printed_cells` and `disagrees` speak of printed means alone.
CSV_COLUMNS = (
    *("row", "method", "origin", "shots", "with_ca", "note", "protocol", "target", "metric", "printed", "printed_runs"),
    *("mean_of_printed_cells", "disagrees", "ours", "ours_sd", "ours_seeds"),
)


def write_paper_table(out: Path, name: str, rows: Sequence[str], results: Sequence[Result]) -> None:
    """Writes OUT/table.html, .md, .tex and .csv of the table `name`, and OUT/cost.* where its cost is one of those compared.

    Args:
      out: folder of the sweep.
      name: such as "flip_table2".
      rows: ids of the rows that the sweep fills, finished or not.
      results: what has been run so far, maybe nothing.

    Raises:
      ConfigError: no such table or row, two runs of one row, protocol and seed, or a file that cannot be written.
    """
    table = load_table(name)
    _write(out / "table", grids_of(table, rows, results), table_lines(table, rows, results))
    if name in cost.TABLES:
        grid = cost.cost_table()
        _write(out / "cost", [grid], to_csv(grid))


def table_lines(table: PaperTable, rows: Sequence[str], results: Sequence[Result]) -> str:
    """Returns CSV with a line per row, column and metric, printed and ours side by side; columns are `CSV_COLUMNS`.

    Raises:
      ConfigError: as `grids_of`.
    """
    found = results_by_row(table, rows, results)
    others = other_columns(table, results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table.rows:
        ours = found.get(row.id, [])
        for place, metric, printed, columns in _places(table, row, others):
            head = (row.id, row.method, row.origin, row.shots, row.with_ca, row.note)
            writer.writerow((*head, *place, metric, *printed, *_ours(ours, columns, metric, table.positive)))
    return text.getvalue()


def _write(stem: Path, grids: Sequence[Grid], rows: str) -> None:
    for suffix, text in (("html", to_page(grids)), ("md", to_markdown(grids)), ("tex", to_latex(grids)), ("csv", rows)):
        write_text(stem.with_suffix(f".{suffix}"), text)


def _places(
    table: PaperTable, row: PaperRow, others: Sequence[Column]
) -> Iterator[tuple[tuple[str, str], str, tuple[Any, ...], Sequence[Column]]]:
    """(protocol and target, metric, what is printed, columns of ours) of the paper's columns, its means, other protocols."""
    for column, cells in zip(table.columns, row.cells, strict=True):
        for metric, figure in zip(table.metrics, cells, strict=True):
            yield (column.protocol, column.target), metric, (figure, table.runs, None, None), [column]
    for metric in table.average_metrics:
        beside = (mean_of_cells(table, row, metric), disagrees(table, row, metric))
        yield ("", AVERAGE), metric, (average_of(table, row, metric), table.runs, *beside), table.columns
    for column in others:
        for metric in table.metrics:
            yield (column.protocol, column.target), metric, (None,) * 4, [column]


def _ours(results: Sequence[Result], columns: Sequence[Column], metric: str, positive: str) -> tuple[Any, ...]:
    found = measured(results, columns, metric, positive)
    return (None, None, None) if found is None else (found.mean, found.sd, found.seeds)
