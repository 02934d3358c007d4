"""ROC and DET curves with bands and operating points, as SVG.

Style classes used, beside those of svg.py: `series s0`..`s7` (dashed from the ninth on), `band`, `mark` and the rule names.
Every rule has a shape of its own, so that marks read without colour.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flipjax.evaluation import svg
from flipjax.evaluation.figures import series_class
from flipjax.evaluation.rules import SHOWN, SOURCE_VAL, SOURCE_VAL_APCER1, SOURCE_VAL_BPCER1, TEST_EER
from flipjax.metrics.bands import Band
from flipjax.metrics.curves import Roc

FRAME = svg.Frame(width=448.0, height=330.0, left=48.0, top=12.0, right=428.0, bottom=282.0)
# Corners of each rule's mark around its place; the papers' rule is the one left open.
SHAPES: Mapping[str, Sequence[tuple[float, float]]] = {
    SOURCE_VAL: ((-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)),
    SOURCE_VAL_BPCER1: ((0.0, -6.0), (5.0, 4.0), (-5.0, 4.0)),
    SOURCE_VAL_APCER1: ((0.0, 6.0), (5.0, -4.0), (-5.0, -4.0)),
    TEST_EER: ((0.0, -6.0), (6.0, 0.0), (0.0, 6.0), (-6.0, 0.0)),
}
Places = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One target's ROC, its band where it has one, and operating points.

    A point is (rule, share of attacks accepted, share of bona fide accepted); `series` chooses the colour.
    """

    name: str
    roc: Roc
    points: tuple[tuple[str, float, float], ...] = ()
    band: Band | None = None
    series: int = 0


def roc_figure(curves: Sequence[Curve]) -> str:
    """Returns one ROC per curve: attacks accepted (log, from 0.1 %) against bona fide accepted, with the 1 % line."""
    across, up = svg.log_axis("attacks accepted (%, log)"), svg.linear_axis("bona fide accepted (%)", percent=True)
    return _figure(curves, "ROC", across, up, lambda accepted: accepted)


def det_figure(curves: Sequence[Curve]) -> str:
    """Returns one DET curve per curve: attacks accepted against bona fide rejected, both spaced by normal deviates."""
    across = svg.deviate_axis("attacks accepted, pooled APCER (%)")
    up = svg.deviate_axis("bona fide rejected, BPCER (%)")
    return _figure(curves, "DET", across, up, lambda accepted: 1 - accepted)


def mark(rule: str, x: float, y: float, *, style: str = "", title: str = "") -> str:
    """Returns the mark of a rule, for figures and their legends."""
    corners = [(x + dx, y + dy) for dx, dy in SHAPES[rule]]
    return svg.path(f"{style} mark {rule}".strip(), corners, title, closed=True)


def _figure(
    curves: Sequence[Curve], kind: str, across: svg.Axis, up: svg.Axis, height: Callable[[float], float]
) -> str:
    def place(pair: tuple[float, float]) -> tuple[float, float]:
        return FRAME.x(across.share(pair[0])), FRAME.y(up.share(height(pair[1])))

    parts = [svg.axes(FRAME, across, up, limits=(0.01,))]
    for curve in curves:
        if curve.band is not None:
            corners = [place(pair) for pair in _outline(curve.band)]
            parts.append(svg.path(f"band {series_class(curve.series)}", corners, closed=True))
    for curve in curves:
        points = zip(curve.roc.fpr.tolist(), curve.roc.tpr.tolist(), strict=True)
        parts.append(svg.path(series_class(curve.series), [place(pair) for pair in points], curve.name))
    parts += [_mark(curve, point, place) for curve in curves for point in curve.points]
    return svg.picture(FRAME, f"{kind} of {', '.join(curve.name for curve in curves)}", parts)


def _outline(band: Band) -> Places:
    """The upper end from left to right, then the lower one back."""
    fpr = band.fpr.tolist()
    return [*zip(fpr, band.high.tolist(), strict=True), *zip(fpr[::-1], band.low.tolist()[::-1], strict=True)]


def _mark(
    curve: Curve, point: tuple[str, float, float], place: Callable[[tuple[float, float]], tuple[float, float]]
) -> str:
    rule, fpr, tpr = point
    rates = f"{100 * fpr:.2f} % of attacks and {100 * tpr:.2f} % of bona fide accepted"
    title = f"{curve.name}, threshold by {SHOWN[rule].label}: {rates}"
    x, y = place((fpr, tpr))
    return mark(rule, x, y, style=series_class(curve.series), title=title)
