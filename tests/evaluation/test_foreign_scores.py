"""Files of other projects: polarity, videos, domains and classes as they say, and errors that name the place."""

import json
from pathlib import Path

import pytest

from flipjax.core.errors import DataError
from flipjax.core.labels import ATTACK, BONA_FIDE
from flipjax.evaluation.foreign_scores import (
    GROUPINGS,
    Convention,
    header_of,
    parse_path,
    read_bob,
    read_flip,
    read_instructflip,
)
from flipjax.evaluation.score_cells import ANY, PROBABILITY

REAL, FAKE = "casia/test/real/1_1_frame0.png", "casia/test/fake/1_3_frame0.png"
BOB = Convention(BONA_FIDE, ANY, "")


def _flip(positive: int = BONA_FIDE, grouping: str = "mcio") -> Convention:
    return Convention(positive, PROBABILITY, grouping)


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _log(path: Path, picture: str, label: str, score: float) -> Path:
    head = {"pred": "fake" if score > 0.5 else "real", "label": label, "score": score}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"img_path": picture, "content_head": {}, "binary_head": head, "style_head": []}))
    return path


def test_bob_rows_keep_person_sample_and_video(tmp_path: Path) -> None:
    header = "claimed_id,test_label,is_bonafide,attack_type,score,video_key,frame_id,device,age"
    rows = ["7,real/a,True,,2.5,a,0,phone,30", "7,real/a,true,,-3,a,4,,30", "8,print/b,FALSE,print,-3.25,b,0,tablet,"]
    table = read_bob(_write(tmp_path / "scores-dev.csv", header, *rows), BOB)
    assert list(table.sample_id) == ["real/a#0", "real/a#4", "print/b#0"] and list(table.video_id) == ["a", "a", "b"]
    assert list(table.subject_id) == ["7", "7", "8"] and list(table.domain) == ["", "", ""]
    assert list(table.is_bona_fide) == [True, True, False] and list(table.attack_type) == ["", "", "print"]
    assert list(table.score) == [2.5, -3, -3.25] and not table.is_probability
    assert {name: list(values) for name, values in table.conditions.items()} == {"device": ["phone", "", "tablet"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "], ids=["comma", "semicolon", "tab", "comma and space"])
def test_bob_needs_three_columns_in_any_dialect(tmp_path: Path, delimiter: str) -> None:
    lines = [("score", "is_bonafide", "attack_type"), ("0.5", "1", ""), ("0.5", "0", "mask")]
    table = read_bob(_write(tmp_path / "s.csv", *map(delimiter.join, lines)), BOB)
    assert list(table.sample_id) == list(table.video_id) == ["", ""]
    assert list(table.is_bona_fide) == [True, False] and list(table.attack_type) == ["", "mask"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["is_bonafide,score", "True,1"], "has no column attack_type"),
        (["is_bonafide,attack_type,score", "yes,,1"], "line 2: is_bonafide 'yes' is neither True nor False"),
        (["is_bonafide,attack_type,score", "True,,1", "True,,nan"], "line 3: score 'nan' is not a finite number"),
        (["is_bonafide,attack_type,score"], "no rows below its header"),
        (
            ["is_bonafide,attack_type,score,test_label", "True,,1,k", "True,,2,k"],
            "line 3: sample 'k' is also in .*line 2",
        ),
    ],
)
def test_bad_bob_files_are_named_by_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_bob(_write(tmp_path / "s.csv", *lines), BOB)


def test_flip_paths_tell_domain_class_and_video(tmp_path: Path) -> None:
    rows = [f"/data/frame/{REAL},1,0.75", f"/data/frame/{REAL.replace('frame0', 'frame1')},1.0,0.5", f"{FAKE},0,0.25"]
    table = read_flip(_write(tmp_path / "s.csv", "path,label,score", *rows), _flip())
    assert list(table.sample_id) == [row.split(",")[0] for row in rows] and list(table.domain) == ["C"] * 3
    assert list(table.is_bona_fide) == [True, True, False] and list(table.score) == [0.75, 0.5, 0.25]
    assert table.video_id[0] == table.video_id[1] != table.video_id[2] and table.is_probability
    assert list(table.attack_type) == list(table.subject_id) == [""] * 3


def test_flip_columns_of_our_names_add_what_a_path_does_not_say(tmp_path: Path) -> None:
    header = "video_path;prob;label;attack_type;subject_id;domain;session"
    table = read_flip(
        _write(tmp_path / "s.csv", header, "a.mp4;0.9;real;;p;x;2", "b.mp4;0.1;spoof;print;q;x;"), _flip()
    )
    assert list(table.domain) == ["x", "x"] and list(table.subject_id) == ["p", "q"]
    assert list(table.attack_type) == ["", "print"] and list(table.conditions["session"]) == ["2", ""]
    assert list(table.is_bona_fide) == [True, False] and list(table.video_id) == ["a.mp4", "b.mp4"]


def test_flip_classes_come_from_the_path_without_labels(tmp_path: Path) -> None:
    assert list(
        read_flip(_write(tmp_path / "s.csv", "path,score", f"{FAKE},0.5", f"{REAL},0.5"), _flip()).is_bona_fide
    ) == [
        False,
        True,
    ]


def test_positive_turns_score_and_label_together_but_no_word(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.csv", "path,label,score", f"{FAKE},1,0.75", f"{REAL},0,0.25", "a/b.png,real,0.5")
    table = read_flip(path, _flip(ATTACK))
    assert list(table.score) == [0.25, 0.75, 0.5] and list(table.is_bona_fide) == [False, True, True]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label,p", "a,1,0.5"], "has no column, expected exactly one of score, prob"),
        (["path,img_path,score", "a,b,0.5"], "has columns path, img_path, expected exactly one of path, video_path"),
        (["path,score", f"{REAL},0.5", "x.png,0.5"], "line 3: there is no column label, and 'x.png' lies in no folder"),
        (["path,label,score", "x.png,2,0.5"], "line 2: label '2' is neither 1, 0, real nor fake"),
        (
            ["path,label,score", f"{FAKE},1,0.5"],
            f"line 2: label '1' means bona_fide, but '{FAKE}' lies with the attack ones",
        ),
        (["path,label,score", f"{REAL},1,0.5", f"{REAL},1,0.6"], f"line 3: sample '{REAL}' is also in .*line 2"),
        (["path,label,score", f"{REAL},1,1.01"], "line 2: score '1.01' is not a probability"),
        (["path,label,score"], "no rows below its header"),
        (["path;label;score", f"{REAL};1;0,5"], "line 2: score '0,5' is not a number"),
    ],
)
def test_bad_flip_files_are_named_by_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_flip(_write(tmp_path / "s.csv", *lines), _flip())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (REAL, {"mcio": "casia/test/real/1_1_", "wcs": REAL, "stem": "1_1", "none": ""}),
        (
            "wmca/test/fake/5_2_07.jpg",
            {"mcio": "wmca/test/fake/5_2_07.jpg", "wcs": "wmca/test/fake/5_2_", "stem": "5_2_07"},
        ),
        ("wmca/test/fake/5_2_10.jpg", {"wcs": "wmca/test/fake/5_2_10.jpg"}),
        ("name", {"stem": "name"}),
        ("a.b/c.d_frame1.png", {"stem": "c.d", "mcio": "a.b/c.d_"}),
    ],
)
def test_grouping_rules_by_name(path: str, expected: dict[str, str]) -> None:
    assert {name: GROUPINGS[name](path) for name in expected} == expected


def test_the_rule_by_stem_merges_clips_of_one_name(tmp_path: Path) -> None:
    other = REAL.replace("test", "train")
    path = _write(tmp_path / "s.csv", "path,score", f"{REAL},0.5", f"{other},0.5")
    assert len(set(read_flip(path, _flip(grouping="stem")).video_id)) == 1
    assert len(set(read_flip(path, _flip()).video_id)) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("cefa/train/fake/1_2.jpg", ("Ce", False)),
        ("/x/surf/test/real/a.jpg", ("S", True)),
        ("/x/celeb/real/a.jpg", ("CA", True)),
        ("mine/test/real/a.jpg", ("mine", True)),
        ("train/real/a.jpg", ("", True)),
        ("real/a.jpg", ("", True)),
        ("casia/test/live/a.jpg", ("", None)),
        ("a.jpg", ("", None)),
    ],
)
def test_paths_of_the_published_lists(path: str, expected: tuple[str, bool | None]) -> None:
    assert parse_path(path) == expected


def test_instructflip_logs_of_a_folder(tmp_path: Path) -> None:
    _log(tmp_path / "casia" / "epoch=3" / "gpu_id=0_batch=0.json", f"aligned/RGB/{REAL}", "real", 0.25)
    _log(tmp_path / "casia" / "epoch=3" / "gpu_id=0_batch=1.json", f"aligned/RGB/{FAKE}", "fake", 1)
    table = read_instructflip(tmp_path, _flip(ATTACK, "stem"))
    assert list(table.sample_id) == [f"aligned/RGB/{REAL}", f"aligned/RGB/{FAKE}"]
    assert list(table.score) == [0.75, 0] and list(table.is_bona_fide) == [True, False]
    assert list(table.video_id) == ["1_1", "1_3"] and list(table.domain) == ["C", "C"]


def test_instructflip_logs_as_one_list(tmp_path: Path) -> None:
    files = [_log(tmp_path / "0.json", REAL, "real", 0.25), _log(tmp_path / "1.json", FAKE, "fake", 0.5)]
    whole = tmp_path / "whole.json"
    whole.write_text(f"[{','.join(file.read_text() for file in files)}]")
    assert list(read_instructflip(whole, _flip(ATTACK, "stem")).score) == [0.75, 0.5]
    assert list(read_instructflip(whole, _flip(BONA_FIDE, "stem")).score) == [0.25, 0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "score file .*1.json is not a UTF-8 JSON file"),
        ("3", "1.json: expected an object with img_path and binary_head"),
        ('{"img_path": "a", "binary_head": {"label": "real"}}', "1.json: expected an object with img_path"),
        ('[{"img_path": "a", "binary_head": 3}]', "1.json, item 1: expected an object"),
        (
            '{"img_path": "a", "binary_head": {"label": "real", "score": NaN}}',
            "1.json: score 'nan' is not a probability",
        ),
        ('{"img_path": "a", "binary_head": {"label": "real", "score": [1]}}', r"1.json: score '\[1\]' is not a number"),
        (
            '{"img_path": "a", "binary_head": {"label": "?", "score": 1}}',
            "1.json: label '\\?' is neither 1, 0, real nor fake",
        ),
        (f'{{"img_path": "{REAL}", "binary_head": {{"label": "fake", "score": 1}}}}', "lies with the bona_fide ones"),
        (
            f'{{"img_path": "{REAL}", "binary_head": {{"label": "real", "score": 1}}}}',
            "1.json: sample .* also in .*0.json",
        ),
        ("[]", None),
    ],
)
def test_bad_instructflip_logs_are_named_by_file(tmp_path: Path, content: str, message: str | None) -> None:
    _log(tmp_path / "0.json", REAL, "real", 0.25)
    (tmp_path / "1.json").write_text(content)
    if message is None:
        assert len(read_instructflip(tmp_path, _flip(ATTACK, "stem"))) == 1
        return
    with pytest.raises(DataError, match=message):
        read_instructflip(tmp_path, _flip(ATTACK, "stem"))


def test_a_folder_without_logs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no scores; expected"):
        read_instructflip(tmp_path, _flip(ATTACK, "stem"))


def test_headers_tell_their_delimiter(tmp_path: Path) -> None:
    assert header_of(_write(tmp_path / "a.csv", "path;a,b;score")) == (";", ["path", "a,b", "score"])
    assert header_of(_write(tmp_path / "a.csv", "\ufeffpath , score")) == (",", ["path", "score"])
    with pytest.raises(DataError, match="is empty; expected a header"):
        header_of(_write(tmp_path / "a.csv", ""))
