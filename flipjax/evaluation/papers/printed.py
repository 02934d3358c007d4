"""Result tables of FLIP and InstructFLIP: one JSON file a table, every row, figures as printed.

A figure is text in percent: "-" where the paper prints a dash, "" where it prints nothing or our copy is damaged (the row's
note says so). Averages that the papers print are kept beside those that their cells give, and never mended.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from flipjax.core.errors import DataError, check_choice
from flipjax.core.labels import CLASS_NAMES

METRICS = ("hter", "auc", "tpr_at_fpr1")
NOT_REPORTED = "-"
LOST = ""
_CHOICES = {"metrics": METRICS, "positive": CLASS_NAMES, "threshold": ("test_eer",), "selection": ("target",)}
_FIGURE = re.compile(r"\d{1,3}(\.\d{1,2})?|-|")


@dataclass(frozen=True)
class Column:
    """A protocol and one of its targets, by the names of `flipjax.data.protocols`; `label` is what a heading says."""

    protocol: str
    target: str
    label: str


@dataclass(frozen=True)
class PaperRow:
    """A method or variant: `cells` by column and metric, `average` by averaged metric.

    `shots` are target samples per class in training; `with_ca` says that CelebA-Spoof is one source among others. Both are
    None where the paper does not say. `origin` is where a method of others appeared.
    """

    id: str
    method: str
    origin: str
    shots: int | None
    with_ca: bool | None
    cells: tuple[tuple[str, ...], ...]
    average: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class PaperTable:
    """A printed table and the rules behind it.

    `positive` is the positive class of TPR@FPR=1%, `threshold` the rule of HTER, `selection` what chose the checkpoint, as
    in `eval.selection`; `rules_from` says where these are known from. `runs` is None where their number is not stated.
    """

    name: str
    paper: str
    venue: str
    table: int
    title: str
    columns: tuple[Column, ...]
    metrics: tuple[str, ...]
    average_metrics: tuple[str, ...]
    positive: str
    threshold: str
    selection: str
    rules_from: str
    runs: int | None
    rows: tuple[PaperRow, ...]


def table_names() -> tuple[str, ...]:
    """Returns the names of all tables, such as "flip_table2"."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.json")))


def load_table(name: str) -> PaperTable:
    """Returns the table called `name`.

    Raises:
      ConfigError: no such table.
      DataError: its file is damaged.
    """
    check_choice("paper table", name, table_names())
    return parse_table(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"), name)


def parse_table(text: str, name: str) -> PaperTable:
    """Returns the table that the JSON `text` of the file `name` holds.

    Raises:
      DataError: no JSON, a key or a cell too many or too few, a figure that is no percentage, a metric, class or rule that
        does not exist, or a row named twice.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"paper table '{name}' is no JSON: {error}") from error
    where = f"paper table '{name}'"
    _check_fields(content, PaperTable, where)
    if content["name"] != name:
        raise DataError(f"{where} calls itself '{content['name']}'; a table is named as its file")
    columns = tuple(_column(column, where) for column in content["columns"])
    _check_choices(content, where)
    widths = (len(columns), len(content["metrics"]), len(content["average_metrics"]))
    rows = tuple(_row(row, widths, where) for row in content["rows"])
    ids = [row.id for row in rows]
    if len(set(ids)) < len(ids) or not ids:
        raise DataError(f"{where} must have rows, each id once; it has {', '.join(ids) or 'none'}")
    lists = {key: tuple(content[key]) for key in ("metrics", "average_metrics")}
    return PaperTable(**{**content, **lists, "columns": columns, "rows": rows})


def row_of(table: PaperTable, row_id: str) -> PaperRow:
    """Returns the row with that id.

    Raises:
      ConfigError: the table has no such row.
    """
    rows = {row.id: row for row in table.rows}
    check_choice(f"row of {table.name}", row_id, tuple(rows))
    return rows[row_id]


def mean_of_cells(table: PaperTable, row: PaperRow, metric: str) -> float | None:
    """Returns the mean in percent over the row's reported cells; None where a cell is lost or none is reported.

    Cells with a dash are left out, as the papers leave them out of their averages.
    """
    values = _metric_cells(table, row, metric)
    reported = [float(value) for value in values if value != NOT_REPORTED and value != LOST]
    return sum(reported) / len(reported) if reported and LOST not in values else None


def average_of(table: PaperTable, row: PaperRow, metric: str) -> str:
    """Returns the average as printed, "" where the table averages no such metric or our copy has lost it."""
    return row.average[table.average_metrics.index(metric)] if metric in table.average_metrics else LOST


def disagrees(table: PaperTable, row: PaperRow, metric: str) -> bool:
    """Whether the printed average differs from the mean of the printed cells by more than their rounding can explain.

    Half a unit of the last printed digit is allowed to the average and, on average, to every cell.
    """
    mean, printed = mean_of_cells(table, row, metric), average_of(table, row, metric)
    if mean is None or printed in (LOST, NOT_REPORTED):
        return False
    halves = [_half_unit(value) for value in _metric_cells(table, row, metric) if value != NOT_REPORTED]
    return abs(mean - float(printed)) > _half_unit(printed) + sum(halves) / len(halves) + 1e-9


def _metric_cells(table: PaperTable, row: PaperRow, metric: str) -> list[str]:
    at = table.metrics.index(metric)
    return [cells[at] for cells in row.cells]


def _half_unit(printed: str) -> float:
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def _column(record: Any, where: str) -> Column:
    _check_fields(record, Column, where)
    return Column(**record)


def _row(record: Any, widths: tuple[int, int, int], where: str) -> PaperRow:
    """Builds a row of (columns, metrics, averaged metrics) `widths`; no cells at all mean that none is printed."""
    _check_fields(record, PaperRow, where)
    where = f"{where}, row '{record['id']}'"
    columns, metrics, averaged = widths
    cells = tuple(map(tuple, record["cells"])) or ((LOST,) * metrics,) * columns
    average = tuple(record["average"])
    if len(cells) != columns or any(len(group) != metrics for group in cells) or len(average) != averaged:
        counts = [len(group) for group in cells]
        raise DataError(
            f"{where} has {counts} cells and {len(average)} averages; expected {columns} x {metrics} and {averaged}"
        )
    for figure in (*(figure for group in cells for figure in group), *average):
        if (
            not isinstance(figure, str)
            or not _FIGURE.fullmatch(figure)
            or (figure[:1].isdigit() and float(figure) > 100)
        ):
            raise DataError(
                f"{where}: figure {figure!r} is neither a percentage with up to two decimals, nor '-', nor ''"
            )
    return PaperRow(**{**record, "cells": cells, "average": average})


def _check_choices(content: Mapping[str, Any], where: str) -> None:
    """Checks the keys whose values are names, one or a list of them."""
    for key, known in {**_CHOICES, "average_metrics": content["metrics"]}.items():
        values = [content[key]] if isinstance(content[key], str) else content[key]
        unknown = next((value for value in values if value not in known), None)
        if unknown is not None:
            raise DataError(f"{where}: {key} '{unknown}' unknown; expected {', '.join(known)}")


def _check_fields(record: Any, form: type, where: str) -> None:
    """Checks the keys and the plain values (text, numbers, true, false, null); what lists hold is checked by their readers."""
    known = [field.name for field in fields(form)]
    if not isinstance(record, Mapping) or set(record) != set(known):
        found = ", ".join(sorted(record)) if isinstance(record, Mapping) else repr(record)
        raise DataError(f"{where}: {form.__name__} has {found}; expected exactly {', '.join(sorted(known))}")
    for key, hint in get_type_hints(form).items():
        wanted = list if get_origin(hint) is tuple else hint
        is_true_for_number = isinstance(record[key], bool) and bool not in get_args(hint)
        if not isinstance(record[key], wanted) or is_true_for_number:
            shown = getattr(wanted, "__name__", wanted)
            raise DataError(f"{where}: {form.__name__}.{key} is {record[key]!r}; expected {shown}")
