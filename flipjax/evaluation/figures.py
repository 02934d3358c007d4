"""Score histograms as SVG.

Style classes used, beside those of svg.py: `cut`, `bona-fide`, `attack`, and the rule names for thresholds.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from flipjax.evaluation import svg
from flipjax.evaluation.rules import SHOWN

COLOURS = 8
BINS = 40


def series_class(index: int) -> str:
    """Returns the style classes of the series `index`; the page's legend uses the same."""
    return f"series s{index % COLOURS}" + (" dashed" if index >= COLOURS else "")


def histogram_figure(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    thresholds: Mapping[str, float],
    name: str,
    *,
    span: tuple[float, float] = (0.0, 1.0),
) -> str:
    """Returns the score histogram of one target, bona fide above the axis and attacks below, with the thresholds by rule.

    Bar heights are shares of the class on a square-root scale, so that the few wrong ones stay visible. `span` is the
    lowest and the highest score that the axis shows.
    """
    frame = svg.Frame(width=440.0, height=224.0, left=48.0, top=12.0, right=428.0, bottom=180.0)
    low, high = span if span[0] < span[1] else (span[0] - 0.5, span[1] + 0.5)
    across = svg.linear_axis("score = P(bona fide)" if (low, high) == (0, 1) else "score", low, high)
    middle = (frame.top + frame.bottom) / 2
    half = middle - frame.top
    parts = [_axes(frame, across, middle, half)]
    for style, members, sign in (("bona-fide", is_bona_fide, -1), ("attack", ~is_bona_fide, 1)):
        counts, _ = np.histogram(scores[members], bins=BINS, range=(low, high))
        heights = np.sqrt(counts / max(1, counts.sum())) * half
        parts.append(_bars(frame, middle, heights, style, sign))
    for rule, value in thresholds.items():
        x = frame.x(across.share(value))
        title = f"threshold by {SHOWN[rule].label}: {value:.4g}"
        parts.append(svg.line(f"cut {rule}", x, frame.top, x, frame.bottom, title))
    return svg.picture(frame, f"Histogram of scores of {name}", parts)


def _axes(frame: svg.Frame, across: svg.Axis, middle: float, half: float) -> str:
    parts = []
    for share in (0.01, 0.1, 0.5, 1.0):
        for sign in (-1, 1):
            y = middle + sign * half * share**0.5
            parts.append(svg.line("grid", frame.left, y, frame.right, y))
            if share != 0.01:
                parts.append(svg.text(frame.left - 6, y + 4, f"{100 * share:g}", "end"))
    parts += [
        svg.line("base", frame.left, middle, frame.right, middle),
        svg.text(frame.left - 6, middle + 4, "0", "end"),
    ]
    for value, label in across.ticks:
        parts.append(svg.text(frame.x(across.share(value)), frame.bottom + 16, label))
    parts.append(svg.text((frame.left + frame.right) / 2, frame.height - 10, across.title))
    return "".join(parts) + svg.turned(frame, "% of class (sqrt)")


def _bars(frame: svg.Frame, middle: float, heights: Float[np.ndarray, "bins"], style: str, sign: int) -> str:
    width = (frame.right - frame.left) / len(heights)
    bars = []
    for index, height in enumerate(heights):
        if height > 0:
            top = middle - height if sign < 0 else middle
            x = frame.left + index * width
            bars.append(f'<rect x="{x + 0.5:.1f}" y="{top:.1f}" width="{width - 1:.1f}" height="{height:.1f}"/>')
    return f'<g class="{style}">{"".join(bars)}</g>'
