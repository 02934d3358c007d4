"""robustness.json as one self-contained HTML page, a panel of curves per corruption above its numbers, and as text.

Targets differ by colour, dash and marker, so that the curves read without colour; levels stand evenly spaced, not to
scale. The page carries no script and loads nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flipjax.core.schemas import SYNTHETIC_PREFIX
from flipjax.data.corruptions import Level
from flipjax.evaluation import pages
from flipjax.evaluation.figures import series_class
from flipjax.evaluation.robustness import RATES, is_risen
from flipjax.evaluation.rules import SOURCE_VAL

WIDTH, HEIGHT = 360.0, 232.0
LEFT, RIGHT, TOP, BOTTOM = 36.0, 346.0, 22.0, 184.0
INSET = 14.0  # from the ends of the axis to the first and last level
# Outlines in steps from the centre: circle, square, triangle, diamond, triangle down, plus, cross. With five dashes, which
# share no factor with seven, 35 targets differ in one of the two.
MARKERS = (
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "m-3.5 -3.5h7v7h-7z",
    "m0 -5l4.6 8.4h-9.2z",
    "m0 -5l5 5l-5 5l-5 -5z",
    "m0 5l4.6 -8.4h-9.2z",
    "m-4.5 0h9m-4.5 -4.5v9",
    "m-3.6 -3.6l7.2 7.2m-7.2 0l7.2 -7.2",
)
DASHES = ("none", "8 3", "2 3", "9 3 2 3", "14 4")
RATE_NAMES = ("HTER", "attacks accepted", "bona fide rejected", "AUC")


@dataclass(frozen=True)
class Look:
    """How a target is drawn: style classes, dash and marker outline."""

    name: str
    style: str
    dash: str
    marker: str


@dataclass(frozen=True)
class Line:
    """One target in a panel: its look, the path, and (x, y, text) of every level."""

    look: Look
    path: str
    points: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class Cell:
    """A rate as text, and whether HTER has risen by more than the stated points there."""

    text: str
    is_risen: bool = False


@dataclass(frozen=True)
class Panel:
    """One corruption: ticks (x, text, whether neutral), lines, and rows of (target, rate, cells), four a target."""

    name: str
    meaning: str
    axis: str
    ticks: Sequence[tuple[float, str, bool]]
    lines: Sequence[Line]
    rows: Sequence[tuple[str, str, Sequence[Cell]]]


@dataclass(frozen=True)
class Largest:
    """The largest rise of HTER of a target under a corruption; `rates` are RATES as stored → there."""

    target: str
    corruption: str
    level: str
    rise: str
    rates: Sequence[str]
    is_rise: bool


def render(result: Mapping[str, Any]) -> str:
    """Returns the page of a sweep, whose robustness.json is `result`."""
    swept, targets = result["corruptions"], result["targets"]
    looks, top = [look_of(index, name) for index, name in enumerate(targets)], _top(swept)
    return pages.render(
        "robustness.html",
        result=result,
        notes=list(_notes(result)),
        tiles=[(largest_of(entry, swept), f"{entry['mean_rise']:.1f}") for entry in result["by_target"]],
        looks=looks,
        panels=[_panel(name, curve, looks, top) for name, curve in swept.items()],
        grid=[(_y(float(tick), top), tick) for tick in range(0, top + 1, 10 if top <= 60 else 20)],
        frame={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        breaks=[(name, [breaks_of(curve, target) for target in targets]) for name, curve in swept.items()],
        ranking=[largest_of(entry, swept) for entry in result["ranking"]],
        rate_names=RATE_NAMES,
        trained_on=[name for name in targets if name in result["sources"]],
        synthetic=_synthetic(result),
        made=list(_made(result)),
    )


def summary(result: Mapping[str, Any]) -> str:
    """Returns the sweep as lines for a terminal: where HTER breaks by corruption and target, then the largest rises."""
    swept, targets = result["corruptions"], result["targets"]
    rows = [["corruption", *targets]]
    rows += [[name, *(breaks_of(curve, target) for target in targets)] for name, curve in swept.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"first level with HTER more than {result['rise_points']:g} points above the crop as stored (–: none)"]
    lines += ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"largest rise of HTER at the frozen threshold {result['threshold']:.4g}, highest first")
    for largest in (largest_of(entry, swept) for entry in result["ranking"]):
        lines.append(
            f"{largest.target}: {largest.corruption} {largest.rise} points at {largest.level}, {largest.rates[0]} %"
        )
    return "\n".join(lines) + "\n"


def look_of(index: int, name: str) -> Look:
    """Returns the look of the target `index` (from 0)."""
    return Look(name, series_class(index), DASHES[index % len(DASHES)], MARKERS[index % len(MARKERS)])


def level_text(level: Level, unit: str = "") -> str:
    """Returns a level for people.

    Example:
      >>> level_text(0.8, "×"), level_text(-10.0, "°"), level_text(56.0, "px"), level_text(None, "px")
      ('×0.8', '−10°', '56 px', 'stored')
    """
    if level is None:
        return "stored"
    number = f"{level:g}".replace("-", "\N{MINUS SIGN}")
    return {"×": f"×{number}", "°": f"{number}°", "quality": f"quality {number}"}.get(unit, f"{number} {unit}".strip())


def breaks_of(curve: Mapping[str, Any], target: str) -> str:
    """Returns the levels from which a target's HTER has risen by more than the stated points; a dash where it never does."""
    return " and ".join(level_text(level, curve["unit"]) for level in curve["breaks"][target]) or "–"


def largest_of(entry: Mapping[str, Any], swept: Mapping[str, Mapping[str, Any]]) -> Largest:
    """Returns an entry of `ranking` or `by_target` as text."""
    return Largest(
        target=entry["target"],
        corruption=entry["corruption"],
        level=level_text(entry["level"], swept[entry["corruption"]]["unit"]),
        rise=f"{entry['rise']:+.1f}".replace("-", "\N{MINUS SIGN}"),
        rates=[f"{entry['stored'][rate]:.1f} → {entry['there'][rate]:.1f}" for rate in RATES],
        is_rise=entry["rise"] > 0,
    )


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know before the curves."""
    if synthetic := _synthetic(result):
        yield f"Synthetic data ({synthetic}): simulated attacks. These numbers are not real-world error rates."
    if result["rule"] != SOURCE_VAL:
        yield f"The threshold is by rule “{result['rule']}”, not from source validation scores."
    if result["selection"] == "target":
        yield "The checkpoint was selected on the target test sets: the level of every curve is optimistic."
    if result["frames_limit"]:
        yield f"At most {result['frames_limit']} frames per target were scored, up to half of either class, evenly by video."


def _synthetic(result: Mapping[str, Any]) -> str:
    return ", ".join(name for name in result["targets"] if name.startswith(SYNTHETIC_PREFIX))


def _made(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    cost = result["cost"]
    for key in ("command", "method", "step", "seed", "data"):
        yield key, str(result[key])
    yield "trained on", ", ".join(result["sources"])
    yield "threshold", f"{result['threshold']:.6g}, rule {result['rule']}: {result['threshold_data']}"
    rate = cost["frames"] / max(cost["seconds"], 1e-9)
    yield (
        "cost",
        f"{cost['levels']} levels, {cost['frames']} frames scored in {cost['seconds']:.0f} s, compilation included: "
        f"{rate:.0f} frames/s on {cost['devices']} × {cost['device']}",
    )


def _top(swept: Mapping[str, Mapping[str, Any]]) -> int:
    """The end of every HTER axis, percent: the highest rate, rounded up to tens."""
    highest = max(max(rates["hter"]) for curve in swept.values() for rates in curve["targets"].values())
    return 10 * max(1, math.ceil(highest / 10))


def _panel(name: str, curve: Mapping[str, Any], looks: Sequence[Look], top: int) -> Panel:
    levels, neutral, targets = curve["levels"], curve["neutral"], curve["targets"]
    step = (RIGHT - LEFT - 2 * INSET) / (len(levels) - 1)
    ticks = [
        (round(LEFT + INSET + place * step, 1), level_text(level), place == neutral)
        for place, level in enumerate(levels)
    ]
    return Panel(
        name=name,
        meaning=curve["meaning"],
        axis=curve["axis"],
        ticks=ticks,
        lines=[_line(look, ticks, targets[look.name]["hter"], top) for look in looks],
        rows=[row for look in looks for row in _rows(look.name, targets[look.name], neutral)],
    )


def _line(look: Look, ticks: Sequence[tuple[float, str, bool]], hter: Sequence[float], top: int) -> Line:
    points = [
        (x, _y(value, top), f"{look.name} at {text}: HTER {value:.2f} %")
        for (x, text, _), value in zip(ticks, hter, strict=True)
    ]
    return Line(look, "M" + "L".join(f"{x:g} {y:g}" for x, y, _ in points), points)


def _rows(target: str, rates: Mapping[str, Sequence[float]], neutral: int) -> Iterator[tuple[str, str, Sequence[Cell]]]:
    risen = [is_risen(value, rates["hter"][neutral]) for value in rates["hter"]]
    for rate, name in zip(RATES, RATE_NAMES, strict=True):
        marks = risen if rate == "hter" else [False] * len(risen)
        yield target, name, [Cell(f"{value:.1f}", mark) for value, mark in zip(rates[rate], marks, strict=True)]


def _y(percent: float, top: int) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * percent / top, 1)
