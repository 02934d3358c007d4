"""The numbers of a robustness sweep worked by hand, and its page: well-formed, complete, asking for nothing."""

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.data.corruptions import Corruption
from flipjax.evaluation import robustness
from flipjax.evaluation.robustness_page import level_text, look_of, render, summary

UP_AND_DOWN = Corruption("margin", "Room.", "×", "width", 1.0, (0.8, 0.9, 1.0, 1.1, 1.2), lambda image, *_: image)
ONE_WAY = Corruption("jpeg", "Again.", "quality", "quality", None, (None, 75.0, 15.0), lambda image, *_: image)


def frames(scores: list[float], bona_fide: list[bool], videos: list[str]) -> ScoreTable:
    ids = np.array([f"f{number}" for number in range(len(scores))], dtype=object)
    same = np.full(len(scores), "m", dtype=object)
    label = np.array(bona_fide)
    kinds = np.where(label, "", "photo").astype(object)
    return ScoreTable(ids, np.array(videos, dtype=object), same, same, label, kinds, np.array(scores))


def at(hter: float, auc: float = 90.0) -> robustness.Rates:
    return {"hter": hter, "apcer_pooled": hter / 2, "bpcer": 1.5 * hter, "auc": auc}


def test_rates_are_those_of_videos_at_the_threshold():
    # Bona fide videos: 0.7 and 0.4; attack videos: 0.5 (mean of 0.2 and 0.8), 0.1, 0.3 and 0.6.
    table = frames([0.7, 0.4, 0.2, 0.8, 0.1, 0.3, 0.6], [True, True] + 5 * [False], ["a", "b", "c", "c", "d", "e", "f"])
    found = robustness.rates_of(table, 0.5, "m")
    assert found == {"hter": 50.0, "apcer_pooled": 50.0, "bpcer": 50.0, "auc": 100 * 6 / 8}
    assert robustness.counts_of(table) == {
        "frames": 7, "bona_fide_videos": 2, "attack_videos": 4, "hter_step": 25.0,
    }  # fmt: skip


def test_a_target_of_one_class_is_named():
    with pytest.raises(MetricError, match=r"target 'oulu': .*no attack presentation"):
        robustness.rates_of(frames([0.1], [True], ["a"]), 0.5, "oulu")


def test_breaks_are_the_nearest_levels_on_either_side():
    rising = [at(30.0), at(15.1), at(10.0), at(15.0), at(15.2)]
    curve = robustness.curve_of(UP_AND_DOWN, [{"a": rates, "b": at(10.0)} for rates in rising])
    assert curve["neutral"] == 2 and curve["targets"]["a"]["hter"] == [30.0, 15.1, 10.0, 15.0, 15.2]
    assert curve["breaks"] == {"a": [0.9, 1.2], "b": []}, "five points are not more than five points"
    assert curve["largest"]["a"] == {"rise": 20.0, "level": 0.8, "stored": at(10.0), "there": at(30.0)}
    assert curve["largest"]["b"]["rise"] == 0.0


def test_a_rise_beyond_a_first_break_does_not_hide_it():
    curve = robustness.curve_of(ONE_WAY, [{"a": at(10.0)}, {"a": at(16.0)}, {"a": at(5.0)}])
    assert curve["breaks"] == {"a": [75.0]} and curve["largest"]["a"]["level"] == 75.0


def test_a_corruption_that_only_helps_has_a_negative_rise():
    curve = robustness.curve_of(ONE_WAY, [{"a": at(10.0)}, {"a": at(8.0)}, {"a": at(9.0)}])
    assert curve["largest"]["a"]["rise"] == -1.0 and curve["largest"]["a"]["level"] == 15.0


def swept() -> dict[str, Any]:
    margin = [
        {"a": at(h), "b": at(g)}
        for h, g in zip((12.0, 11.0, 10.0, 11.0, 30.0), (20.0, 21.0, 20.0, 24.0, 26.0), strict=True)
    ]
    jpeg = [{"a": at(10.0), "b": at(20.0)}, {"a": at(9.0), "b": at(35.0)}, {"a": at(8.0), "b": at(44.0, 55.0)}]
    return {"margin": robustness.curve_of(UP_AND_DOWN, margin), "jpeg": robustness.curve_of(ONE_WAY, jpeg)}


def test_ranking_has_every_pair_and_targets_by_their_mean_rise():
    found = robustness.rankings(swept())
    pairs = [(entry["target"], entry["corruption"], entry["rise"]) for entry in found["ranking"]]
    assert pairs == [("b", "jpeg", 24.0), ("a", "margin", 20.0), ("b", "margin", 6.0), ("a", "jpeg", -1.0)]
    means = [(entry["target"], entry["corruption"], entry["mean_rise"]) for entry in found["by_target"]]
    assert means == [("b", "jpeg", 15.0), ("a", "margin", 10.0)], "a fall of HTER does not make up for a rise"


def result(**changes: Any) -> dict[str, Any]:
    count = {"frames": 40, "bona_fide_videos": 10, "attack_videos": 10, "hter_step": 5.0}
    whole = {
        "method": "flip_v", "targets": ["a", "b"], "sources": ["c", "d"], "selection": "source_val", "step": 40, "seed": 0,
        "threshold": 0.8155, "rule": "source_val", "threshold_data": "source validation, 10 videos", "rise_points": 5.0,
        "frames_limit": 0, "data": "data", "command": "python -m flipjax.evaluate",
        "cost": {"frames": 560, "levels": 7, "seconds": 10.0, "devices": 1, "device": "cpu"},
        "counts": {"a": count, "b": count}, "corruptions": swept(), **robustness.rankings(swept()),
    }  # fmt: skip
    return json.loads(json.dumps({**whole, **changes}))


class Balance(HTMLParser):
    """Collects tags closed out of order or left open, and every address."""

    void = frozenset({"meta", "line", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def test_page_is_well_formed_and_asks_for_nothing():
    page = render(result())
    parser = Balance()
    parser.feed(page)
    assert not parser.open and not parser.wrong and not parser.addresses
    assert all(word not in page.replace("http-equiv", "") for word in ("<script", "@import", "url(", "http", "<link"))
    figures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S) if "role=" in svg]
    assert len(figures) == 2
    assert [sum("marker" in path.get("class", "") for path in svg.iter("path")) for svg in figures] == [10, 6]


def test_page_shows_every_number_and_marks_rises_beyond_five_points():
    page = render(result())
    for curve in swept().values():
        for rates in curve["targets"].values():
            assert all(f"{value:.1f}" in page for values in rates.values() for value in values)
    assert page.count('risen">30.0') == 2, "in the short and in the full table"
    assert 'risen">24.0' not in page
    assert "560 frames scored in 10 s" in page and "56 frames/s on 1 × cpu" in page
    assert "0.8155" in page and "source validation, 10 videos" in page


def test_curves_lie_where_their_numbers_are():
    svg = ElementTree.fromstring(re.findall(r"<svg[^>]*role=.*?</svg>", render(result()), flags=re.S)[0])
    lines = [path.get("d") for path in svg.iter("path") if path.get("stroke-dasharray")]
    points = [[tuple(map(float, point.split())) for point in line[1:].split("L")] for line in lines]
    heights = {
        float(text.text): float(text.get("y")) - 4 for text in svg.iter("text") if text.get("text-anchor") == "end"
    }
    assert heights[0] > heights[40], "zero is at the bottom"
    per_percent = (heights[0] - heights[40]) / 40
    assert [round((heights[0] - y) / per_percent, 1) for _, y in points[0]] == pytest.approx(
        [12, 11, 10, 11, 30], abs=0.1
    )
    assert points[0][2][0] == float(svg.find("line[@class='neutral-line']").get("x1"))


def test_every_look_differs_without_its_colour():
    looks = [look_of(index, "x") for index in range(35)]
    assert len({(look.dash, look.marker) for look in looks}) == 35


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rule": "fixed"}, "by rule “fixed”"),
        ({"selection": "target"}, "selected on the target test sets"),
        ({"frames_limit": 60}, "At most 60 frames per target"),
        ({"sources": ["c"]}, "c alone was trained on"),
        ({"sources": ["c", "d"]}, "which of c, d taught the model that"),
        ({"sources": ["a", "c"]}, "a was trained on as well: its curve"),
        ({"sources": ["a", "b"]}, "a, b were trained on as well: their curves"),
        ({"method": "<b>"}, "Robustness of &lt;b&gt;"),
    ],
)
def test_page_says_what_a_reader_must_know(changes: dict[str, Any], text: str):
    assert text in render(result(**changes))
    assert text not in render(result(sources=["e", "f"]))


def test_synthetic_targets_are_called_so():
    renamed = json.loads(json.dumps(result()).replace('"a"', '"syn_a"'))
    assert "Synthetic data (syn_a)" in render(renamed)


def test_a_plain_sweep_needs_no_warning():
    assert '<ul class="notes">' not in render(result())


def test_terminal_says_breaks_and_ranking():
    lines = summary(result()).splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["corruption", "a", "b"],
        ["margin", "×1.2", "×1.2"],
        ["jpeg", "–", "quality", "75"],
    ]
    assert lines[5] == "b: jpeg +24.0 points at quality 15, 20.0 → 44.0 %"
    assert lines[-1] == "a: jpeg −1.0 points at quality 75, 10.0 → 9.0 %"


def test_levels_as_text():
    texts = [level_text(*pair) for pair in ((0.025, "of the side"), (-5.0, "°"), (None, "px"), (2.0, "px"), (0.71,))]
    assert texts == ["0.025 of the side", "−5°", "stored", "2 px", "0.71"]
