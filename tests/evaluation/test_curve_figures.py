"""ROC and DET figures: places of known points, bands, and marks that differ by shape."""

from statistics import NormalDist
from xml.etree import ElementTree

import numpy as np
import pytest

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import curve_figures, svg
from flipjax.evaluation.rules import SHOWN
from flipjax.metrics.bands import roc_band
from flipjax.metrics.curves import Roc, roc

STEP = Roc(np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.8, 1.0]), np.array([np.inf, 0.5, 0.1]))


def paths(picture: str, style: str) -> list[str]:
    found = ElementTree.fromstring(picture).iter("path")
    return [path.get("d", "") for path in found if style in path.get("class", "").split()]


def test_det_axes_are_normal_deviates_of_both_errors() -> None:
    deviate = NormalDist().inv_cdf
    left, right = deviate(1e-3), deviate(0.9)
    (curve,) = paths(curve_figures.det_figure([curve_figures.Curve("a", STEP)]), "series")
    x = 48 + 380 * (deviate(0.1) - left) / (right - left)
    y = 282 - 270 * (deviate(0.2) - left) / (right - left)
    assert curve == f"M48 12L{round(x, 1):g} {round(y, 1):g}L428 282"


def test_equal_errors_lie_on_the_diagonal() -> None:
    across, up = svg.deviate_axis(""), svg.deviate_axis("")
    assert across.share(0.2) == up.share(0.2) and across.share(0.0) == 0 and across.share(1.0) == 1


def test_every_rule_has_a_shape_of_its_own() -> None:
    shapes = [curve_figures.mark(rule, 0.0, 0.0).split('d="')[1] for rule in SHOWN]
    assert len(set(shapes)) == len(SHOWN)


def test_band_is_drawn_around_its_curve_and_only_there() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(80) < 30
    ids = np.array([f"v{i}" for i in range(80)], dtype=object)
    kinds = np.where(label, "", "photo").astype(object)
    table = ScoreTable(ids, ids, ids, ids, label, kinds, np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1))
    curve = curve_figures.Curve("a", roc(table.score, label), band=roc_band(table, resamples=20), series=2)
    for draw in (curve_figures.roc_figure, curve_figures.det_figure):
        picture = draw([curve])
        (band,) = paths(picture, "band")
        assert band.endswith("Z") and len(paths(picture, "s2")) == 2
        heights = [float(pair.split()[1]) for pair in band[1:-1].split("L")]
        assert all(12 <= height <= 282 for height in heights)
    assert paths(curve_figures.roc_figure([curve_figures.Curve("a", STEP)]), "band") == []


def test_points_are_placed_on_their_rates_and_named() -> None:
    curve = curve_figures.Curve("a<b", STEP, (("source_val", 0.1, 0.8),))
    picture = curve_figures.roc_figure([curve])
    (mark,) = paths(picture, "mark")
    corners = np.array([[float(number) for number in pair.split()] for pair in mark[1:-1].split("L")])
    assert corners.mean(axis=0) == pytest.approx([48 + 380 * 2 / 3, 282 - 0.8 * 270], abs=0.1)
    assert "a&lt;b, threshold by source validation: 10.00 % of attacks and 80.00 % of bona fide accepted" in picture
