"""Reports from files alone: of a finished run, with and without pictures, and of two systems."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from flipjax.core.errors import ConfigError, DataError, MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import protocol
from flipjax.evaluation.answers_shown import Picture
from flipjax.evaluation.report import write_report
from flipjax.evaluation.score_files import write_scores
from flipjax.evaluation.score_sources import Reading
from flipjax.experiment import provenance, score_report


def scores(seed: int, count: int = 40) -> ScoreTable:
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 3 == 0
    ids = np.array([f"f{i}" for i in range(count)], dtype=object)
    kinds = np.where(label, "", "photo").astype(object)
    domain = np.full(count, "m", dtype=object)
    return ScoreTable(ids, ids, ids, domain, label, kinds, np.clip(rng.normal(0.4 + 0.3 * label, 0.2), 0, 1))


def test_a_page_without_pictures_keeps_its_words(tmp_path: Path) -> None:
    evil = '"><img src="x'
    table = scores(0)
    said = {"quality": {"answer": "low", "options": {"low": 1.0}, "right": "low"}}
    write_report(
        tmp_path / "report.html",
        title=evil,
        metrics=protocol.evaluate({"m": table}, None, resamples=0),
        tables={"m": table},
        context={},
        pictures=[Picture(b"x", f"first {evil}"), Picture(b"y", "second", "cue_map", said)],
    )
    before = (tmp_path / "report.html").read_text(encoding="utf-8")
    path = score_report.page_without_images(tmp_path / "report.html", out=tmp_path / "out")
    page = path.read_text(encoding="utf-8")
    assert path == tmp_path / "out" / "report.html" and before.count("<img") == 2
    assert "<img" not in page and "base64" not in page and page.count("picture left out") == 2
    assert re.sub(r"<p class=\"soft\">picture left out</p>", "", page) == re.sub(r"<img [^>]*>", "", before)
    assert "first" in page and "right answer" in page and page.count("<svg") == before.count("<svg")


def test_a_page_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.html' cannot be read"):
        score_report.page_without_images(tmp_path / "none.html", out=tmp_path)


def test_two_systems_are_compared_from_their_files(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1), ("dev_a", 2), ("dev_b", 3)):
        write_scores(tmp_path / f"{name}.csv", scores(seed))
    write_scores(tmp_path / "part.csv", scores(1, count=38))
    pairs = score_report.pairs_of([str(tmp_path / "a.csv")], [str(tmp_path / "b.csv")])
    devs = tmp_path / "dev_a.csv", tmp_path / "dev_b.csv"
    (found,) = score_report.report_versus(pairs, devs, Reading(), out=tmp_path / "out")
    assert found.systems == ("a", "b") and found.target == "m"
    assert not any(rule.looked_at_target for rule in found.rules)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["versus.html"]
    with pytest.raises(MetricError, match="2 presentations that a has are missing from part, such as m/f38"):
        score_report.report_versus([(pairs[0][0], tmp_path / "part.csv")], (None, None), Reading(), out=tmp_path)


def test_pairs_need_a_partner() -> None:
    with pytest.raises(ConfigError, match="2 --scores and 1 --against"):
        score_report.pairs_of(["a", "b"], ["c"])


def test_dropped_faces_of_the_splits_that_a_target_draws_on(tmp_path: Path) -> None:
    from flipjax.data.source import Index

    def index(folder: str, splits: list[str]) -> Index:
        named = np.array([folder] * len(splits), dtype=object)
        return Index({"folder": named, "split": np.array(splits, dtype=object)})

    (tmp_path / "m").mkdir()
    dropped = {"train": {"attack": 2}, "dev": {"attack": 50}, "test": {"attack": 1, "bona_fide": 3}}
    (tmp_path / "m" / "conversion.json").write_text(json.dumps({"dropped_records": dropped}))
    targets = {"m": index("m", ["test", "train", "test"]), "x": index("x", ["test"])}
    assert provenance.dropped_faces(tmp_path, targets) == {"m": {"attack": 3, "bona_fide": 3}}
