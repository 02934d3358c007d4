"""Formats by name and by look, and the targets that files hold."""

import json
from pathlib import Path

import numpy as np
import pytest
from absl import logging

from flipjax.core.errors import ConfigError, DataError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.score_files import COLUMNS, write_scores
from flipjax.evaluation.score_sources import FORMATS, Reading, read_table, read_targets, recognise

FLIP_ROWS = ("path,label,score", "casia/test/real/1_frame0.png,1,0.75", "casia/test/real/1_frame1.png,1,0.25")
BOB_ROWS = ("is_bonafide,attack_type,score", "True,,0.75", "False,print,0.5")


def _own(path: Path, scores: list[float], domains: tuple[str, ...] = ("m",)) -> Path:
    count = len(scores)
    ids = np.array([f"f{i}" for i in range(count)], dtype=object)
    videos = np.full(count, "v", dtype=object)
    domain = np.array([domains[i % len(domains)] for i in range(count)], dtype=object)
    write_scores(
        path, ScoreTable(ids, videos, ids, domain, np.ones(count, bool), ids, np.array(scores), {"device": ids})
    )
    return path


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _json(path: Path) -> Path:
    item = {"img_path": "casia/test/fake/1_frame0.png", "binary_head": {"label": "fake", "score": 0.75}}
    path.write_text(json.dumps([item]))
    return path


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(logging, "info", lambda text, *values: lines.append(text % values))
    return lines


def test_every_format_is_recognised_and_said(tmp_path: Path, log: list[str]) -> None:
    files = {
        "flipjax": _own(tmp_path / "own.csv", [0.5]),
        "bob": _write(tmp_path / "bob.csv", *BOB_ROWS),
        "flip": _write(tmp_path / "flip.csv", *FLIP_ROWS),
        "instructflip": _json(tmp_path / "log.json"),
    }
    assert tuple(files) == FORMATS[1:]
    for name, path in files.items():
        assert recognise(path) == name
        by_look, by_name = read_table(path, Reading()), read_table(path, Reading(format=name))
        np.testing.assert_array_equal(by_look.score, by_name.score)
    assert recognise(tmp_path) == "instructflip"
    said = [line.removeprefix(f"{tmp_path}/") for line in log[::2]]
    assert said == [
        "bob.csv: read as bob, 2 rows, scores of bona_fide, videos by column video_key, if any",
        "flip.csv: read as flip, 2 rows, scores of bona_fide, videos by the rule mcio",
        "log.json: read as instructflip, 1 rows, scores of attack, videos by the rule stem",
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("claimed_id,test_label,is_bonafide,attack_type,score,filename,path", "bob"),
        ("sample_id,is_bonafide,score", "flipjax"),
        ("video_path\tprob", "flip"),
        ("path,score,label,sample_id", "flip"),
    ],
)
def test_headers_with_more_or_fewer_columns(tmp_path: Path, header: str, expected: str) -> None:
    assert recognise(_write(tmp_path / "s.csv", header)) == expected


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,label,score,is_bonafide", "its header 'path,label,score,is_bonafide' fits bob and flip of the formats"),
        ("a,b", "its header 'a,b' fits none of the formats flipjax, bob, flip, instructflip; name the format"),
        ("", "is empty"),
    ],
)
def test_what_fits_several_formats_or_none_is_an_error(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(_write(tmp_path / "s.csv", header), Reading())
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        recognise(tmp_path / "none.csv")


def test_polarity_is_the_formats_own_unless_said(tmp_path: Path) -> None:
    logs, flip = _json(tmp_path / "log.json"), _write(tmp_path / "flip.csv", "path,score", "m/real/a.png,0.75")
    bob, own = _write(tmp_path / "bob.csv", *BOB_ROWS), _own(tmp_path / "own.csv", [0.75])
    expected = {logs: (0.25, 0.25, 0.75), flip: (0.75, 0.25, 0.75), bob: (0.75, 0.25, 0.75), own: (0.75, 0.25, 0.75)}
    for path, scores in expected.items():
        found = [read_table(path, Reading(positive=positive)).score[0] for positive in ("", "attack", "bona_fide")]
        assert tuple(found) == scores


def test_level_and_grouping_choose_the_presentation(tmp_path: Path, log: list[str]) -> None:
    path = _write(tmp_path / "flip.csv", *FLIP_ROWS)
    videos = {
        name: list(read_table(path, Reading(grouping=name)).video_id) for name in ("", "mcio", "wcs", "stem", "none")
    }
    assert videos[""] == videos["mcio"] == ["casia/test/real/1_"] * 2 and videos["stem"] == ["1", "1"]
    assert len(set(videos["wcs"])) == 2 and videos["none"] == ["", ""]
    assert list(read_table(path, Reading(level="frame")).video_id) == ["", ""] and log[-1].endswith("videos left aside")
    own = _own(tmp_path / "own.csv", [0.5, 0.25])
    assert list(read_table(own, Reading()).video_id) == ["v", "v"]
    assert list(read_table(own, Reading(level="frame")).video_id) == ["", ""]


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", "bop"), ("positive", "atack"), ("score_range", "prob"), ("grouping", "mci"), ("level", "vid")],
)
def test_unknown_choices_are_errors_with_a_suggestion(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} '{value}' unknown; expected .*did you mean"):
        Reading(**{name: value})


def test_scores_of_another_kind_only_when_said(tmp_path: Path) -> None:
    path = _write(tmp_path / "bob.csv", "is_bonafide,attack_type,score", "True,,12.5")
    with pytest.raises(DataError, match=r"line 2: score '12\.5' is not a probability in \[0, 1\]; score_range=any"):
        read_table(path, Reading())
    targets = read_targets([path], Reading(score_range="any"))
    assert targets["bob"].score[0] == 12.5 and not targets["bob"].is_probability
    own = _write(tmp_path / "own.csv", ",".join(COLUMNS), "a,,,m,True,,12.5")
    assert not read_table(own, Reading(score_range="any")).is_probability


def test_targets_are_named_by_file_or_by_domain(tmp_path: Path) -> None:
    paths = [_own(tmp_path / "one.csv", [0.5] * 4), _own(tmp_path / "two.csv", [0.1, 0.2, 0.3, 0.4], ("x", "y", ""))]
    targets = read_targets(paths, Reading())
    assert {name: list(table.score) for name, table in targets.items()} == {
        "one": [0.5] * 4,
        "two": [0.3],
        "x": [0.1, 0.4],
        "y": [0.2],
    }
    assert list(targets["x"].conditions["device"]) == ["f0", "f3"]
    with pytest.raises(ConfigError, match="two targets are named 'one'"):
        read_targets(paths[:1] * 2, Reading())


def test_fixed_columns_are_named_where_no_format_fits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=",".join(COLUMNS)):
        read_table(_write(tmp_path / "s.csv", "score", "0.5"), Reading())
