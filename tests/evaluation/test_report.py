import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from flipjax.core.schemas import Question, ScoreTable
from flipjax.evaluation import curve_figures, figures, protocol, report
from flipjax.evaluation.answers import AnswerTable
from flipjax.evaluation.answers_shown import Picture, bars_by_question
from flipjax.metrics.curves import roc


def _frames(seed: int, *, subjects: bool = True, saturated: bool = False) -> ScoreTable:
    rng = np.random.default_rng(seed)
    label = np.arange(60) < 20
    scores = np.round(label + 0.0, 1) if saturated else np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1)
    kinds = np.where(label, "", np.where(np.arange(60) % 2 == 0, "photo", "phone_screen")).astype(object)
    ids = np.array([f"f{i}" for i in range(60)], dtype=object)
    people = np.array([f"p{i % 7}" if subjects else "" for i in range(60)], dtype=object)
    return ScoreTable(ids, ids, people, np.full(60, "m", dtype=object), label, kinds, scores)


KIND = Question(
    "camera_quality", "style", "camera_quality", "How good?\n(1) a (2) b", ("(1) a", "(2) b", "(3) c", "(4) d")
)
SAID = {
    "camera_quality": {
        "answer": "(2) b",
        "probability": 0.5,
        "options": {"(1) a": 0.3, "(2) b": 0.5, "(3) c": 0.15, "(4) d": 0.05},
        "right": "(4) d",
    }
}
FACE = Picture(b"\x89PNG", "a face", "cue_map", SAID)


def _answers(right: list[int]) -> AnswerTable:
    """Everything is answered with the first option."""
    ids = np.array([f"f{i}" for i in range(len(right))], dtype=object)
    shares = np.tile([0.7, 0.1, 0.1, 0.1], (len(right), 1))
    return AnswerTable(ids, (KIND,), {KIND.name: shares}, {KIND.name: np.array(right)})


def _page(tables: dict[str, ScoreTable], dev: ScoreTable | None = None, pictures=(), **context) -> str:
    metrics = protocol.evaluate(tables, dev, resamples=20)
    return report.render_report(title="A title", metrics=metrics, tables=tables, context=context, pictures=pictures)


class _Balance(HTMLParser):
    """Collects the tags left open or closed out of order, and every address the page refers to."""

    void = frozenset({"meta", "img", "line", "rect", "circle", "path", "br"})

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
        if tag in self.void:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def _parse(page: str) -> _Balance:
    parser = _Balance()
    parser.feed(page)
    return parser


def test_page_is_well_formed_and_asks_for_nothing() -> None:
    page = _page({"a": _frames(1), "syn_b": _frames(2)}, _frames(3), pictures=[Picture(b"\x89PNG", "a picture"), FACE])
    parsed = _parse(page)
    assert not parsed.open and not parsed.wrong
    assert parsed.addresses and all(address.startswith("data:image/png;base64,") for address in parsed.addresses)
    assert (
        "<script" not in page
        and "@import" not in page
        and "url(" not in page
        and "http" not in page.replace("http-equiv", "")
    )
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        ElementTree.fromstring(svg)


def test_both_rules_stand_side_by_side_with_their_numbers() -> None:
    tables = {"a": _frames(1), "b": _frames(2)}
    metrics = protocol.evaluate(tables, _frames(3), resamples=20)
    page = report.render_report(title="t", metrics=metrics, tables=tables, context={})
    assert "has looked at the target" in page and "honest-panel" in page
    for result in metrics["targets"].values():
        for rule in result["rules"].values():
            assert f"<b>{rule['hter']:.2f}</b>" in page and f"<b>{rule['threshold']:.4g}</b>" in page
    assert f"{metrics['mean']['rules']['source_val']['hter']:.2f}" in page
    assert "phone screen" in page and 'data-label="HTER, %"' in page


def test_without_source_validation_the_page_says_so() -> None:
    page = _page({"a": _frames(1)})
    assert "No source validation scores" in page and '<div class="honest-panel">' not in page


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({"selection": "target"}, "selected on the target test sets"),
        ({"profile": "released"}, "Profile “released”"),
        ({"notes": ["beware & see"]}, "beware &amp; see"),
    ],
)
def test_loud_notes(context: dict, text: str) -> None:
    assert text in _page({"a": _frames(1)}, _frames(2), **context)
    assert text not in _page({"a": _frames(1)}, _frames(2), selection="source_val", profile="default")


def test_synthetic_data_is_named_only_where_it_is() -> None:
    assert "not real-world error rates" in _page({"syn_a": _frames(1)})
    assert "real-world" not in _page({"a": _frames(1)})


def test_unknown_subjects_are_said_to_narrow_the_intervals() -> None:
    assert "too narrow" in _page({"a": _frames(1, subjects=False)})
    assert "too narrow" not in _page({"a": _frames(1)})


def test_everything_from_outside_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    table = _frames(1)
    kinds = np.where(table.is_bona_fide, "", evil).astype(object)
    said = {"answer": evil, "options": {evil: 1.0}, "right": evil}
    pictures = [Picture(b"x", evil), Picture(b"x", evil, evil, {evil: said})]
    tables = {evil: ScoreTable(**{**table.__dict__, "attack_type": kinds})}
    page = _page(tables, _frames(2), pictures=pictures, config={"a": evil}, command=evil, versions={evil: "1"})
    assert "<script" not in page and "&lt;script&gt;" in page


def test_how_it_was_made_is_shown() -> None:
    page = _page(
        {"a": _frames(1)}, seed=0, command="python -m x", versions={"jax": "1.2"}, config={"train": {"steps": 7}}
    )
    for text in ("python -m x", "jax 1.2", "&#34;steps&#34;: 7", "<dt>seed</dt><dd>0</dd>"):
        assert text in page


def test_sweep_lists_its_runs_and_their_spread() -> None:
    runs = [protocol.Run(f"run{i}", i, protocol.evaluate({"a": _frames(i)}, _frames(9), resamples=20)) for i in (0, 1)]
    metrics = protocol.merge_runs(runs)
    page = report.render_report(title="t", metrics=metrics, tables={}, context={})
    assert "run0" in page and "run1" in page and f"± {metrics['targets']['a']['std']['auc']:.2f}" in page
    assert "ROC per target" not in page
    assert "mean over seeds" in report.render_report(title="t", metrics=metrics, tables={"a": _frames(0)}, context={})


def test_report_is_written_whole(tmp_path: Path) -> None:
    tables = {"a": _frames(1)}
    metrics = protocol.evaluate(tables, None, resamples=0)
    report.write_report(tmp_path / "x" / "report.html", title="t", metrics=metrics, tables=tables, context={})
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["report.html"]
    assert (tmp_path / "x" / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_saturated_scores_draw_inside_the_frame() -> None:
    table = _frames(1, saturated=True)
    svg = figures.histogram_figure(table.score, table.is_bona_fide, {"test_eer": 1.1}, "a")
    root = ElementTree.fromstring(svg)
    bars = [bar for group in root.iter("g") for bar in group.iter("rect")]
    assert len(bars) == 2 and len({bar.get("height") for bar in bars}) == 1
    assert all(0 <= float(line.get("x1", "")) <= 440 for line in root.iter("line"))


def test_roc_path_starts_at_reject_all_and_ends_at_accept_all() -> None:
    table = _frames(1)
    svg = curve_figures.roc_figure(
        [curve_figures.Curve("a", roc(table.score, table.is_bona_fide), (("test_eer", 0.1, 0.9),))]
    )
    path = ElementTree.fromstring(svg).find("path")
    assert path is not None and path.get("d", "").startswith("M48 282L") and path.get("d", "").endswith("L428 12")


def test_ninth_series_is_dashed() -> None:
    assert figures.series_class(0) == "series s0" and figures.series_class(8) == "series s0 dashed"


def test_accuracies_stand_beside_chance() -> None:
    tables = {"a": _frames(1), "b": _frames(2)}
    answers = {"a": _answers([0, 0, 1, 2]), "b": _answers([-1])}
    metrics = protocol.evaluate(tables, None, resamples=0, answers=answers)
    assert metrics["targets"]["a"]["camera_quality_accuracy"] == pytest.approx(100 / 3)
    assert metrics["mean"]["camera_quality_accuracy"] == pytest.approx(100 / 3)
    page = report.render_report(title="t", metrics=metrics, tables=tables, context={})
    (section,) = re.findall(r"<h2>Answers to the questions</h2>.*?</section>", page, flags=re.S)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', section, flags=re.S)
    assert [name for name, _ in rows] == ["a", "b", "mean"]
    assert "<b>33.33</b>" in rows[0][1] and ">25.0<" in rows[0][1] and ">33.3<" in rows[0][1]
    assert ">4<" in rows[0][1] and ">3 of 4<" in rows[0][1]
    assert "<b>–</b>" in rows[1][1] and ">0<" in rows[1][1], "no label is known"
    assert "<b>33.33</b>" in rows[2][1]
    assert "How good?" in section and "camera quality" in section
    assert not _parse(page).open and not _parse(page).wrong


def test_bars_are_the_likeliest_options_and_the_right_one() -> None:
    ((question, right, bars),) = bars_by_question(FACE)
    assert (question, right) == ("camera quality", "(4) d")
    assert [(bar.option, bar.percent) for bar in bars] == [
        ("(2) b", "50.0"), ("(1) a", "30.0"), ("(3) c", "15.0"), ("(4) d", "5.0")
    ]  # fmt: skip
    assert [bar.is_answer for bar in bars] == [True, False, False, False]
    assert [bar.is_right for bar in bars] == [False, False, False, True]


@pytest.mark.parametrize(
    ("right", "shown", "hidden"),
    [
        ("(4) d", ["✗ wrong answer", "right option"], ["✓", "not known"]),
        ("(2) b", ["✓ right answer"], ["✗", "right option", "not known", "(4) d"]),
        ("", ["right answer not known", ">answer<"], ["✓", "✗", "right option", "(4) d"]),
    ],
)
def test_right_and_wrong_are_said_in_words(right: str, shown: list[str], hidden: list[str]) -> None:
    face = Picture(b"x", "a face", "cue_map", {"camera_quality": {**SAID["camera_quality"], "right": right}})
    page = _page({"a": _frames(1)}, pictures=[face])
    (article,) = re.findall(r"<article>.*?</article>", page, flags=re.S)
    assert all(text in article for text in shown) and not any(text in article for text in hidden)


def test_cue_map_says_what_it_means_and_attention_does_not() -> None:
    page = _page({"a": _frames(1)}, pictures=[FACE])
    assert "a face; cue map: 1 = attack" in page and "the same fixed scale" in page
    page = _page({"a": _frames(1)}, pictures=[Picture(b"x", "a face", "attention")])
    assert "a face; attention" in page and "1 = attack" not in page and "fixed scale" not in page
    page = _page({"a": _frames(1)}, pictures=[Picture(b"x", "a face", "cue_map")])
    assert "1 = attack" in page and "the same fixed scale" in page and "Telling faces" not in page


def test_answers_that_are_no_numbers_do_not_break_the_page() -> None:
    silent = {"camera_quality": {"answer": None, "probability": None, "options": {"(1) a": None}, "right": "(1) a"}}
    assert "no answer" in _page({"a": _frames(1)}, pictures=[Picture(b"x", "a face", "", silent)])


def test_sweep_lists_accuracies_of_the_runs_that_have_them() -> None:
    tables = {"a": _frames(1)}
    plain = protocol.evaluate(tables, None, resamples=0)
    asked = protocol.evaluate(tables, None, resamples=0, answers={"a": _answers([0, 1])})
    metrics = protocol.merge_runs([protocol.Run("plain", 0, plain), protocol.Run("asked", 0, asked)])
    page = report.render_report(title="t", metrics=metrics, tables={}, context={})
    (section,) = re.findall(r"<h2>Runs</h2>.*?</section>", page, flags=re.S)
    assert "camera quality answers right, %" in section
    rows = dict(re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', section, flags=re.S))
    assert "<b>50.00</b>" in rows["asked"] and rows["plain"].count("<b>–</b>") == 2


def _section(page: str, heading: str) -> str:
    (found,) = re.findall(rf"<section>\s*<h2>{heading}.*?</section>", page, flags=re.S)
    return found


def test_rules_fixed_on_source_validation_state_their_data_and_the_others_are_marked() -> None:
    tables = {"a": _frames(1)}
    metrics = protocol.evaluate(tables, _frames(3), resamples=20)
    page = report.render_report(title="t", metrics=metrics, tables=tables, context={})
    panels = re.findall(r'<div class="(honest-panel|papers-panel seen)">(.*?)</table>', page, flags=re.S)
    assert [kind for kind, _ in panels] == [
        "honest-panel",
        "papers-panel seen",
        "honest-panel",
        "honest-panel",
        "papers-panel seen",
    ]
    for kind, text in panels:
        assert ("has looked at the target" in text) == (kind == "papers-panel seen")
        assert ("source validation, 60 videos of m" in text) == (kind == "honest-panel")
    for key in ("tpr_at_fpr1_bona_fide", "bpcer20", "bpcer100"):
        assert f"<b>{metrics['targets']['a'][key]:.2f}</b>" in panels[-1][1]


def test_curves_have_bands_and_a_mark_per_rule() -> None:
    page = _page({"a": _frames(1), "b": _frames(2)}, _frames(3))
    section = _section(page, "ROC per target")
    assert section.count('class="band') == 4 and section.count('aria-label="DET of') == 2
    assert section.count('aria-label="ROC of a, b"') == 1
    for rule in ("source_val", "source_val_bpcer1", "source_val_apcer1", "test_eer"):
        # In the legend; in the ROC of both, and in the ROC and the DET curve of either.
        assert len(re.findall(rf'class="[^"]*mark {rule}"', section)) == 1 + 2 + 4


def test_conditions_and_worst_errors_are_listed_at_the_honest_threshold() -> None:
    table = _frames(1)
    light = np.where(np.arange(60) < 30, "dark", "").astype(object)
    table = ScoreTable(**{**table.__dict__, "conditions": {"illumination": light}})
    metrics = protocol.evaluate({"a": table}, _frames(3), resamples=20)
    page = report.render_report(title="t", metrics=metrics, tables={"a": table}, context={})
    section = _section(page, "Errors by condition")
    assert "dark" in section and "unknown" in section and "At the source validation threshold" in section
    cut = metrics["targets"]["a"]["rules"]["source_val"]["threshold"]
    rejected = np.flatnonzero(table.is_bona_fide & (table.score < cut))
    worst = rejected[np.argmin(table.score[rejected])]
    section = _section(page, "Worst errors")
    assert (
        f"f{worst}</th>" in section and f"{cut - table.score[worst]:.4f}" in section and "illumination dark" in section
    )
    own = _page({"a": table})
    assert "has looked at the target" in _section(own, "Errors by condition")


def test_views_of_a_face_replace_its_picture_and_errors_are_said_in_words() -> None:
    views = {"crop": b"crop", "cue_map": b"cue", "attention": b"at"}
    face = Picture(b"png", "a: photo", "cue_map", {}, "attack_accepted", views)
    right = Picture(b"png", "a: poster", "cue_map", {}, "attack_rejected", views)
    section = _section(_page({"a": _frames(1)}, pictures=[face, right]), "Pictures")
    assert section.count("data:image/jpeg;base64,") == 6 and "image/png" not in section
    assert "<small>cue map: 1 = attack</small>" in section and "<small>attention</small>" in section
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", section)
    assert "✗ error" in captions[0] and "a: photo; attack accepted" in captions[0]
    assert captions[1] == "a: poster; attack rejected"


def test_data_used_stand_with_their_digests() -> None:
    use = {"purpose": "training", "domain": "m<", "splits": "", "bona_fide": 7, "attack": 8, "digest": "0123abcd"}
    section = _section(_page({"a": _frames(1)}, data_uses=[use], revision="abc"), "Repeat this run")
    assert (
        "m&lt;" in section
        and "<code>0123abcd</code>" in section
        and "not known" in section
        and "<code>abc</code>" in section
    )


def test_ten_thousand_samples_stay_below_five_megabytes() -> None:
    rng = np.random.default_rng(0)
    count = 10_000
    label = np.arange(count) % 4 == 0
    ids, people = (np.array([f"p{i % size}" for i in range(count)], dtype=object) for size in (count, 100))
    kinds = np.where(label, "", np.array(["photo", "pc_screen", "mask_3d"], dtype=object)[np.arange(count) % 3])
    conditions = {
        name: np.array([f"{name}{i % 40}" for i in range(count)], dtype=object) for name in ("device", "session")
    }
    scores = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1)
    table = ScoreTable(
        ids, ids, people, np.full(count, "m", dtype=object), label, kinds.astype(object), scores, conditions
    )
    metrics = protocol.evaluate({"a": table}, None, resamples=0)
    page = report.render_report(title="t", metrics=metrics, tables={"a": table}, context={})
    assert len(page.encode()) < 1_000_000, "leaves four of the five megabytes to pictures"
