"""Metrics as the cells and tables of a report, all text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A number as text, its spread over seeds and its 95 % interval (both empty where unknown)."""

    text: str
    spread: str = ""
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """Column headings, rows of (name, cells), and the cells of the mean row (empty where there is one target)."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    mean: Sequence[Cell] = ()


def table_of(metrics: Mapping[str, Any], columns: Mapping[str, str], rule: str | None = None) -> Table | None:
    """Returns the columns that some target of `metrics` has, at `rule` or flat; None where no target has any."""
    results = {name: result["rules"].get(rule, {}) if rule else result for name, result in metrics["targets"].items()}
    results = {name: result for name, result in results.items() if any(key in result for key in columns)}
    keys = [key for key in columns if any(key in result for result in results.values())]
    if not keys:
        return None
    mean = metrics["mean"].get("rules", {}).get(rule, {}) if rule else metrics["mean"]
    return Table(
        columns=[columns[key] for key in keys],
        rows=[(name, [cell_of(result, key) for key in keys]) for name, result in results.items()],
        mean=[cell_of({} if key == "threshold" else mean, key) for key in keys] if len(results) > 1 else (),
    )


def cell_of(result: Mapping[str, Any], key: str) -> Cell:
    """Returns the number `key` of a target or mean, a dash where it is missing."""
    if key not in result:
        return Cell("–")
    text = f"{result[key]:.4g}" if key == "threshold" else f"{result[key]:.2f}"
    interval = result.get("ci95", {}).get(key)
    return Cell(
        text=text,
        spread=f"± {result['std'][key]:.2f}" if key in result.get("std", {}) else "",
        interval=f"{interval[0]:.1f} – {interval[1]:.1f}" if interval else "",
    )
