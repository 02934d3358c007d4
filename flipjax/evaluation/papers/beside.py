"""A paper's table with our runs beside it, as grids: in every row it is said what was printed and what we measured."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flipjax.core.schemas import SYNTHETIC_PREFIX
from flipjax.evaluation.papers.grid import Grid, GridCell, GridRow, Heading
from flipjax.evaluation.papers.printed import (
    Column,
    PaperRow,
    PaperTable,
    average_of,
    disagrees,
    mean_of_cells,
    row_of,
)
from flipjax.evaluation.papers.results import Measured, Result, measured, results_by_row

LABELS = ("Method", "Figures", "Setting", "Runs")
METRIC_TEXTS = {"hter": "HTER", "auc": "AUC", "tpr_at_fpr1": "TPR@1%"}
POSITIVE_TEXTS = {
    "bona_fide": "bona fide is the positive class: bona fide accepted while at most 1 % of attacks are",
    "attack": "attack is the positive class: attacks detected while at most 1 % of bona fide are rejected",
}


@dataclass(frozen=True)
class _Layout:
    """Columns that a grid shows, and the columns and metrics of its means."""

    shown: tuple[Column, ...]
    averaged: tuple[Column, ...]
    average_metrics: tuple[str, ...]


def grids_of(table: PaperTable, rows: Sequence[str], results: Sequence[Result]) -> list[Grid]:
    """Returns the paper's table with ours, and, of runs on other protocols, a second one of ours alone.

    Args:
      rows: ids of the rows that the sweep fills, finished or not; they appear even when all their cells are empty.
      results: what has been run so far, maybe nothing.

    Raises:
      ConfigError: a row that the table does not have, or two runs of one row, protocol and seed.
    """
    printed = {column.protocol for column in table.columns}
    own = results_by_row(table, rows, [result for result in results if result.protocol in printed])
    other = results_by_row(table, rows, [result for result in results if result.protocol not in printed])
    columns = other_columns(table, results)
    return [_paper_grid(table, own), *([_other_grid(table, columns, other)] if columns else [])]


def other_columns(table: PaperTable, results: Sequence[Result]) -> tuple[Column, ...]:
    """Returns a column per target of protocols that were run and that the table does not have."""
    printed = {column.protocol for column in table.columns}
    found = {result.protocol: result.targets for result in results if result.protocol not in printed}
    return tuple(
        Column(protocol, target, protocol if len(targets) == 1 else f"{protocol}: {target}")
        for protocol, targets in sorted(found.items())
        for target in targets
    )


def _paper_grid(table: PaperTable, own: Mapping[str, Sequence[Result]]) -> Grid:
    """The paper's rows, each of ours below its own; a column that is neither printed nor run is left out."""
    runs = [result for found in own.values() for result in found]
    has_run = {(result.protocol, target) for result in runs for target in result.targets}
    is_printed = [any(any(row.cells[index]) for row in table.rows) for index in range(len(table.columns))]
    shown = tuple(
        column
        for column, printed in zip(table.columns, is_printed, strict=True)
        if printed or (column.protocol, column.target) in has_run
    )
    layout = _Layout(shown, table.columns, table.average_metrics)
    rows = []
    for row in table.rows:
        rows.append(GridRow(_printed_labels(table, row), tuple(_printed_cells(table, row, shown))))
        if row.id in own:
            rows.append(_our_row(table, row, own[row.id], layout))
    title = f"{table.paper} ({table.venue}), Table {table.table}: {table.title}"
    return Grid(title, tuple(_notes(table, runs)), LABELS, _headings(table, layout), tuple(rows))


def _other_grid(table: PaperTable, columns: tuple[Column, ...], other: Mapping[str, Sequence[Result]]) -> Grid:
    """Our rows on protocols that the paper does not have, with a warning where attacks were simulated."""
    simulated = sorted({column.target for column in columns if column.target.startswith(SYNTHETIC_PREFIX)})
    layout = _Layout(columns, columns, table.metrics if len(columns) > 1 else ())
    runs = [result for found in other.values() for result in found]
    return Grid(
        title=f"Ours on protocols that Table {table.table} does not have",
        notes=(_our_note(table, runs),),
        label_headings=LABELS,
        headings=_headings(table, layout),
        rows=tuple(_our_row(table, row_of(table, name), found, layout) for name, found in other.items()),
        warning=f"Simulated attacks ({', '.join(simulated)}): compare with no printed figure." if simulated else "",
    )


def _headings(table: PaperTable, layout: _Layout) -> tuple[Heading, ...]:
    cells = [Heading(column.label, METRIC_TEXTS[metric]) for column in layout.shown for metric in table.metrics]
    return (*cells, *(Heading("Mean", METRIC_TEXTS[metric]) for metric in layout.average_metrics))


def _printed_labels(table: PaperTable, row: PaperRow) -> tuple[str, ...]:
    method = f"{row.method} ({row.origin})" if row.origin else row.method
    return method, "printed", _setting(row.shots, row.with_ca), _runs([table.runs] if table.runs else [])


def _printed_cells(table: PaperTable, row: PaperRow, shown: Sequence[Column]) -> Iterator[GridCell]:
    for column, cells in zip(table.columns, row.cells, strict=True):
        if column in shown:
            yield from map(GridCell, cells)
    for metric in table.average_metrics:
        printed, mean = average_of(table, row, metric), mean_of_cells(table, row, metric)
        is_wrong = disagrees(table, row, metric)
        remark = f"{'≠ ' if is_wrong else ''}cells: {mean:.2f}" if mean is not None else ""
        yield GridCell(printed, remark if is_wrong or not printed else "")


def _our_row(table: PaperTable, row: PaperRow, results: Sequence[Result], layout: _Layout) -> GridRow:
    places = [((column,), metric) for column in layout.shown for metric in table.metrics]
    places += [(layout.averaged, metric) for metric in layout.average_metrics]
    cells = (_cell(measured(results, columns, metric, table.positive)) for columns, metric in places)
    settings = dict.fromkeys(_setting(result.shots, result.with_ca) for result in results)
    runs = _runs(Counter(result.protocol for result in results).values())
    return GridRow((row.method, "ours", " / ".join(settings), runs), tuple(cells), is_ours=True)


def _runs(counts: Collection[int]) -> str:
    """Says how many runs stand behind the figures of a row, from the fewest to the most."""
    if not counts:
        return ""
    ends = " to ".join(dict.fromkeys(str(end(counts)) for end in (min, max)))
    return f"{ends} run" if ends == "1" else f"{ends} runs"


def _cell(found: Measured | None) -> GridCell:
    if found is None:
        return GridCell()
    return GridCell(f"{found.mean:.2f}", "" if found.sd is None else f"± {found.sd:.2f}")


def _setting(shots: int | None, with_ca: bool | None) -> str:
    return ", ".join([*([] if shots is None else [f"{shots}-shot"]), *(["+ CA"] if with_ca else [])])


def _notes(table: PaperTable, runs: Sequence[Result]) -> Iterator[str]:
    stated = "number of runs not stated" if table.runs is None else f"mean of {table.runs} runs"
    yield f"All figures in percent. Printed: {stated}, selection {table.selection}; rules as in {table.rules_from}."
    yield f"HTER by rule {table.threshold}, printed and ours: the threshold is chosen on the target's own test data."
    if "tpr_at_fpr1" in (*table.metrics, *table.average_metrics):
        yield f"TPR@1%, the papers' TPR@FPR=1%: {POSITIVE_TEXTS[table.positive]}."
    yield _our_note(table, runs)
    yield "+ CA: CelebA-Spoof is one more source. Empty: not printed, or not run."
    if any(disagrees(table, row, metric) for row in table.rows for metric in table.average_metrics):
        yield "≠: the printed mean is not that of the printed cells, which stands beside it."
    remarks: dict[str, list[str]] = {}
    for row in table.rows:
        remarks.setdefault(row.note, []).append(row.method)
    yield from (f"{', '.join(dict.fromkeys(names))}: {note}." for note, names in remarks.items() if note)


def _our_note(table: PaperTable, runs: Sequence[Result]) -> str:
    recipes = " / ".join(dict.fromkeys(result.recipe for result in runs))
    how = f"percent at {table.threshold}, mean ± standard deviation (n - 1) over seeds"
    return f"Ours: {how}; {recipes}." if recipes else "Ours: nothing has been run."
