"""Figures of the report as hand-made SVG text: no plotting library, no fonts, colours from the page's style sheet.

Style classes used: `axis`, `grid`, `base`, `limit`, `cut`, `series s0`..`s7` (dashed from the ninth on), `bona-fide`,
`attack`, and the rule names for thresholds and operating points. All text is escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Bool, Float

from flipjax.metrics.curves import Roc

COLOURS = 8
BINS = 40
LOWEST_FPR = 1e-3
RULE_LABELS = {"test_eer": "own EER", "source_val": "source validation"}


@dataclass(frozen=True)
class Curve:
    """One target's ROC and its operating points: (rule, share of attacks accepted, share of bona fide accepted)."""

    name: str
    roc: Roc
    points: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class _Frame:
    """Plot area in SVG units; `width` and `height` are of the whole picture."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float

    def x(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

    def y(self, share: float) -> float:
        return self.bottom - share * (self.bottom - self.top)


def series_class(index: int) -> str:
    """Returns the style classes of the series `index`; the page's legend uses the same."""
    return f"series s{index % COLOURS}" + (" dashed" if index >= COLOURS else "")


def roc_figure(curves: Sequence[Curve]) -> str:
    """Returns one ROC per target: attacks accepted (log, from 0.1 %) against bona fide accepted, with the 1 % line."""
    frame = _Frame(width=440.0, height=330.0, left=48.0, top=12.0, right=428.0, bottom=282.0)
    parts = [_roc_axes(frame)]
    for index, curve in enumerate(curves):
        style = series_class(index)
        parts.append(
            f'<path class="{style}" d="{_roc_path(frame, curve.roc)}"><title>{escape(curve.name)}</title></path>'
        )
    for index, curve in enumerate(curves):
        parts += [_point(frame, series_class(index), curve.name, point) for point in curve.points]
    names = ", ".join(curve.name for curve in curves)
    return _svg(frame, f"ROC on a logarithmic axis for {names}", parts)


def histogram_figure(
    scores: Float[np.ndarray, "b"], is_bona_fide: Bool[np.ndarray, "b"], thresholds: Mapping[str, float], name: str
) -> str:
    """Returns the score histogram of one target, bona fide above the axis and attacks below, with the thresholds.

    Bar heights are shares of the class on a square-root scale, so that the few wrong ones stay visible.
    """
    frame = _Frame(width=440.0, height=224.0, left=48.0, top=12.0, right=428.0, bottom=180.0)
    middle = (frame.top + frame.bottom) / 2
    half = middle - frame.top
    parts = [_histogram_axes(frame, middle, half)]
    for style, members, sign in (("bona-fide", is_bona_fide, -1), ("attack", ~is_bona_fide, 1)):
        counts, _ = np.histogram(scores[members], bins=BINS, range=(0.0, 1.0))
        heights = np.sqrt(counts / max(1, counts.sum())) * half
        parts.append(_bars(frame, middle, heights, style, sign))
    for rule, value in thresholds.items():
        x = frame.x(min(max(value, 0.0), 1.0))
        line = f'<line class="cut {rule}" x1="{x:.1f}" y1="{frame.top}" x2="{x:.1f}" y2="{frame.bottom}">'
        parts.append(f"{line}<title>threshold of {RULE_LABELS[rule]}: {value:.4g}</title></line>")
    return _svg(frame, f"Histogram of scores of {name}", parts)


def _svg(frame: _Frame, label: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" aria-label="{escape(label, quote=True)}">'
    return head + "".join(parts) + "</svg>"


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", style: str = "axis") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _log_share(fpr: float) -> float:
    return float(1 - np.log10(max(fpr, LOWEST_FPR)) / np.log10(LOWEST_FPR))


def _roc_axes(frame: _Frame) -> str:
    parts = []
    for fpr, label in ((1e-3, "≤0.1"), (1e-2, "1"), (1e-1, "10"), (1.0, "100")):
        x = frame.x(_log_share(fpr))
        style = "limit" if fpr == 1e-2 else "grid"
        parts += [_line(style, x, frame.top, x, frame.bottom), _text(x, frame.bottom + 16, label)]
    for percent in (0, 20, 40, 60, 80, 100):
        y = frame.y(percent / 100)
        parts += [_line("grid", frame.left, y, frame.right, y), _text(frame.left - 6, y + 4, str(percent), "end")]
    parts.append(_text((frame.left + frame.right) / 2, frame.height - 12, "attacks accepted (%, log)"))
    middle = (frame.top + frame.bottom) / 2
    turned = f'<text class="axis" text-anchor="middle" transform="translate(13 {middle:.1f}) rotate(-90)">'
    return "".join(parts) + turned + "bona fide accepted (%)</text>"


def _roc_path(frame: _Frame, roc: Roc) -> str:
    """The curve in steps of a tenth of a unit; points left of the axis collapse onto it, the highest one counts."""
    points: dict[tuple[float, float], None] = {}
    for fpr, tpr in zip(roc.fpr.tolist(), roc.tpr.tolist(), strict=True):
        points[round(frame.x(_log_share(fpr)), 1), round(frame.y(tpr), 1)] = None
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _point(frame: _Frame, style: str, name: str, point: tuple[str, float, float]) -> str:
    rule, fpr, tpr = point
    title = f"{name}, threshold of {RULE_LABELS[rule]}: {100 * fpr:.2f} % attacks, {100 * tpr:.2f} % bona fide accepted"
    place = f'cx="{frame.x(_log_share(fpr)):.1f}" cy="{frame.y(tpr):.1f}" r="4"'
    return f'<circle class="{style} at-{rule}" {place}><title>{escape(title)}</title></circle>'


def _histogram_axes(frame: _Frame, middle: float, half: float) -> str:
    parts = []
    for share in (0.01, 0.1, 0.5, 1.0):
        for sign in (-1, 1):
            y = middle + sign * half * share**0.5
            parts.append(_line("grid", frame.left, y, frame.right, y))
            if share != 0.01:
                parts.append(_text(frame.left - 6, y + 4, f"{100 * share:g}", "end"))
    parts += [_line("base", frame.left, middle, frame.right, middle), _text(frame.left - 6, middle + 4, "0", "end")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(frame.x(tick), frame.bottom + 16, f"{tick:g}"))
    parts.append(_text((frame.left + frame.right) / 2, frame.height - 10, "score = P(bona fide)"))
    turned = f'<text class="axis" text-anchor="middle" transform="translate(13 {middle:.1f}) rotate(-90)">'
    return "".join(parts) + turned + "% of class (sqrt)</text>"


def _bars(frame: _Frame, middle: float, heights: Float[np.ndarray, "bins"], style: str, sign: int) -> str:
    width = (frame.right - frame.left) / len(heights)
    bars = []
    for index, height in enumerate(heights):
        if height > 0:
            top = middle - height if sign < 0 else middle
            x = frame.left + index * width
            bars.append(f'<rect x="{x + 0.5:.1f}" y="{top:.1f}" width="{width - 1:.1f}" height="{height:.1f}"/>')
    return f'<g class="{style}">{"".join(bars)}</g>'
