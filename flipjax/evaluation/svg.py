"""Pieces of hand-made SVG pictures as text: no plotting library, no fonts, colours from the page's style sheet.

Style classes used: `axis`, `grid`, `base`, `limit`. All text is escaped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from statistics import NormalDist

LOWEST = 1e-3  # of an axis that cannot show zero


@dataclass(frozen=True)
class Frame:
    """Plot area in SVG units; `width` and `height` are of the whole picture."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float

    def x(self, share: float) -> float:
        """Returns the horizontal place of a share in [0, 1] of the plot area."""
        return self.left + share * (self.right - self.left)

    def y(self, share: float) -> float:
        """Returns the vertical place of a share in [0, 1] of the plot area, from below."""
        return self.bottom - share * (self.bottom - self.top)


@dataclass(frozen=True)
class Axis:
    """A title, ticks as (value, label), and the share in [0, 1] of the axis at which a value lies, clipped to its ends."""

    title: str
    ticks: Sequence[tuple[float, str]]
    share: Callable[[float], float]


def linear_axis(title: str, low: float = 0.0, high: float = 1.0, *, percent: bool = False) -> Axis:
    """Returns an axis from `low` to `high` with six ticks, labelled with the values or with their percent."""
    values = [low + i / 5 * (high - low) for i in range(6)]
    ticks = [(value, f"{100 * value:.0f}" if percent else f"{value:.3g}") for value in values]
    return Axis(title, ticks, lambda value: min(max((value - low) / (high - low), 0.0), 1.0))


def log_axis(title: str) -> Axis:
    """Returns an axis of shares from 0.1 % to 100 %, logarithmic; smaller ones lie on its left end."""
    ticks = [(1e-3, "≤0.1"), (1e-2, "1"), (1e-1, "10"), (1.0, "100")]
    return Axis(title, ticks, lambda value: 1 - log10(min(max(value, LOWEST), 1.0)) / log10(LOWEST))


def deviate_axis(title: str) -> Axis:
    """Returns an axis of shares from 0.1 % to 90 %, spaced by normal deviates; others lie on its ends."""
    normal, highest = NormalDist(), 0.9
    start, end = normal.inv_cdf(LOWEST), normal.inv_cdf(highest)
    labels = [
        (1e-3, "≤0.1"),
        (1e-2, "1"),
        (0.05, "5"),
        (0.1, "10"),
        (0.2, "20"),
        (0.4, "40"),
        (0.6, "60"),
        (0.9, "≥90"),
    ]
    return Axis(title, labels, lambda value: (normal.inv_cdf(min(max(value, LOWEST), highest)) - start) / (end - start))


def picture(frame: Frame, label: str, parts: Sequence[str]) -> str:
    """Returns the SVG element; `label` is read aloud in its place."""
    head = f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" aria-label="{escape(label, quote=True)}">'
    return head + "".join(parts) + "</svg>"


def axes(frame: Frame, across: Axis, up: Axis, *, limits: Sequence[float] = ()) -> str:
    """Returns both axes with grid lines; ticks of `across` at a value of `limits` get the style `limit`."""
    parts = []
    for value, label in across.ticks:
        x = frame.x(across.share(value))
        style = "limit" if value in limits else "grid"
        parts += [line(style, x, frame.top, x, frame.bottom), text(x, frame.bottom + 16, label)]
    for value, label in up.ticks:
        y = frame.y(up.share(value))
        parts += [line("grid", frame.left, y, frame.right, y), text(frame.left - 6, y + 4, label, "end")]
    parts.append(text((frame.left + frame.right) / 2, frame.height - 12, across.title))
    return "".join(parts) + turned(frame, up.title)


def turned(frame: Frame, title: str) -> str:
    """Returns the title of the vertical axis."""
    middle = (frame.top + frame.bottom) / 2
    place = f'transform="translate(13 {middle:.1f}) rotate(-90)"'
    return f'<text class="axis" text-anchor="middle" {place}>{escape(title)}</text>'


def line(style: str, x1: float, y1: float, x2: float, y2: float, title: str = "") -> str:
    """Returns a line, with a title where one is given."""
    start = f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f"{start}><title>{escape(title)}</title></line>" if title else f"{start}/>"


def text(x: float, y: float, words: str, anchor: str = "middle", style: str = "axis") -> str:
    """Returns a line of text."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def path(style: str, places: Sequence[tuple[float, float]], title: str = "", *, closed: bool = False) -> str:
    """Returns a line through places in tenths of a unit, those that fall together drawn once."""
    points = dict.fromkeys((round(x, 1), round(y, 1)) for x, y in places)
    d = "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + ("Z" if closed else "")
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<path class="{style}" d="{d}">{inside}</path>'
