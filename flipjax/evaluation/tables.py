"""Metrics as the cells and tables of a report, all text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flipjax.evaluation.rules import SHOWN, TEST_EER

FORMATS = {"threshold": ".4g", "brier": ".3f"}
RATE_COLUMNS = {
    "hter": "HTER, %",
    "apcer_max": "APCER max, %",
    "bpcer": "BPCER, %",
    "acer": "ACER, %",
    "threshold": "threshold",
}


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


@dataclass(frozen=True)
class RuleTable:
    """The rates of all targets at one rule, how and on which data its threshold was chosen, and whether that saw them."""

    rule: str
    label: str
    text: str
    data: str
    looked_at_target: bool
    table: Table


def rule_tables(metrics: Mapping[str, Any]) -> dict[str, RuleTable]:
    """Returns rule name -> table, for the rules that some target of `metrics` has, in the order of rules.py."""
    found = {}
    for rule, shown in SHOWN.items():
        table = table_of(metrics, RATE_COLUMNS, rule)
        if table is not None:
            used = [result["rules"][rule] for result in metrics["targets"].values() if rule in result["rules"]]
            data = "; ".join(dict.fromkeys(entry["data"] for entry in used))
            looked = any(entry.get("looked_at_target", rule == TEST_EER) for entry in used)
            found[rule] = RuleTable(rule, shown.label, shown.text, data, looked, table)
    return found


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
    form = FORMATS.get(key, ".2f")
    interval = result.get("ci95", {}).get(key)
    return Cell(
        text=f"{result[key]:{form}}",
        spread=f"± {result['std'][key]:{form}}" if key in result.get("std", {}) else "",
        interval=f"{interval[0]:.1f} – {interval[1]:.1f}" if interval else "",
    )
