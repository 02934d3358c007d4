from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flipjax.core.errors import ConfigError, DataError
from flipjax.core.schemas import CONDITIONS, ScoreTable
from flipjax.evaluation.score_files import COLUMNS, csv_rows, read_scores, write_scores, write_text

HEADER = ",".join(COLUMNS)


def _table(scores: np.ndarray, domains: tuple[str, ...] = ("m",)) -> ScoreTable:
    count = len(scores)
    ids = np.array([f'f{i},"é' for i in range(count)], dtype=object)
    people = np.array(["", "p1"] * count, dtype=object)[:count]
    domain = np.array([domains[i % len(domains)] for i in range(count)], dtype=object)
    label = np.arange(count) % 2 == 0
    return ScoreTable(ids, ids, people, domain, label, np.where(label, "", "photo").astype(object), scores)


def _write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip_keeps_every_bit(tmp_path: Path, dtype: type) -> None:
    values = np.append(np.random.default_rng(0).random(50), [0.0, 1.0, 1e-30, 0.4752]).astype(dtype)
    table = _table(values)
    write_scores(tmp_path / "deep" / "m.csv", table)
    back = read_scores(tmp_path / "deep" / "m.csv")
    np.testing.assert_array_equal(back.score, values.astype(np.float64))
    for name in ("sample_id", "video_id", "subject_id", "domain", "is_bona_fide", "attack_type"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["m.csv"]


def test_file_has_exactly_the_documented_form(tmp_path: Path) -> None:
    names, videos = (np.array(values, dtype=object) for values in (["a", "b"], ["v", ""]))
    write_scores(tmp_path / "m.csv", replace(_table(np.array([0.25, 0.5])), sample_id=names, video_id=videos))
    expected = f"{HEADER}\na,v,,m,True,,0.25\nb,,p1,m,False,photo,0.5\n"
    assert (tmp_path / "m.csv").read_text() == expected
    assert HEADER == "sample_id,video_id,subject_id,domain,is_bonafide,attack_type,score"


def test_positive_attack_flips_once(tmp_path: Path) -> None:
    path = _write(tmp_path / "m.csv", "a,,,m,True,,0.25")
    assert read_scores(path, "attack").score[0] == 0.75
    assert read_scores(path, "attack").is_bona_fide[0]


def test_other_column_orders_extra_columns_and_byte_order_marks_are_fine(tmp_path: Path) -> None:
    header = "\ufeff" + ",".join(reversed(COLUMNS)) + ",extra"
    table = read_scores(_write(tmp_path / "m.csv", "0.5,photo,False,m,s,v,a,?", header=header))
    assert (table.sample_id[0], table.attack_type[0], table.score[0]) == ("a", "photo", 0.5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,,,m,true,,0.5"], "line 2: is_bonafide 'true' is neither True nor False"),
        (["a,,,m,True,,0.5", "b,,,m,1,,0.5"], "line 3: is_bonafide '1'"),
        (["a,,,m,True,,high"], "line 2: score 'high' is not a number"),
        (["a,,,m,True,,1.5"], r"line 2: score '1.5' is not a probability in \[0, 1\]; score_range=any reads"),
        (["a,,,m,True,,0.5", "b,,,m,True,,nan"], r"line 3: score 'nan' is not a probability in \[0, 1\]$"),
        (["a,,,m,True,,-0.1"], "line 2: score '-0.1' is not a probability"),
        (["a,,,m,True,,"], "line 2: score '' is not a number; expected a probability"),
        (
            ["a,,,m,True,,0.5", "b,,,m,True,,0.5", "", "a,v,,m,False,,0.1"],
            "line 5: sample 'a' is also in .*, line 2; keep",
        ),
        (['"a\nb",,,m,True,,0.5', "c,,,m,True,,2"], "line 4: score '2'"),
        (["a,,,m,True,"], "line 2: the row has more or fewer fields"),
        (["a,,,m,True,,0.5,more"], "line 2: the row has more or fewer fields"),
        ([], "no rows below its header"),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_scores(_write(tmp_path / "m.csv", *rows))


def test_missing_file_column_and_content_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_scores(tmp_path / "none.csv")
    with pytest.raises(DataError, match="has no column video_id, score"):
        read_scores(_write(tmp_path / "m.csv", header="sample_id,subject_id,domain,is_bonafide,attack_type"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="is empty"):
        read_scores(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_scores(tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a UTF-8 CSV"):
        read_scores(tmp_path / "binary.csv")


def test_unknown_polarity_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'attack'"):
        read_scores(tmp_path / "m.csv", "atack")


@pytest.mark.parametrize("bad", [np.nan, 1.1, -0.1])
def test_scores_outside_the_unit_interval_are_not_written(tmp_path: Path, bad: float) -> None:
    with pytest.raises(DataError, match="was not written"):
        write_scores(tmp_path / "m.csv", _table(np.array([0.5, bad])))
    assert not list(tmp_path.iterdir())


def test_the_same_name_in_two_domains_or_no_name_at_all_is_no_duplicate(tmp_path: Path) -> None:
    rows = ["a,,,m,True,,0.5", "a,,,c,True,,0.5", ",,,m,True,,0.5", ",,,m,True,,0.5"]
    assert len(read_scores(_write(tmp_path / "m.csv", *rows))) == 4


def test_scores_of_another_kind_are_marked_and_never_bent(tmp_path: Path) -> None:
    path = _write(tmp_path / "m.csv", "a,,,m,True,,7.25", "b,,,m,False,,-1e3", "c,,,m,False,,0.5")
    table = read_scores(path, score_range="any")
    assert list(table.score) == [7.25, -1000, 0.5] and not table.is_probability
    assert list(read_scores(path, "attack", score_range="any").score) == [-7.25, 1000, -0.5]
    with pytest.raises(DataError, match=r"line 2: score 'inf' is not a finite number$"):
        read_scores(_write(tmp_path / "i.csv", "a,,,m,True,,inf"), score_range="any")
    with pytest.raises(ConfigError, match="score_range 'all' unknown"):
        read_scores(path, score_range="all")
    with pytest.raises(DataError, match=r"no probabilities have no place in a score file; o\.csv was not written"):
        write_scores(tmp_path / "o.csv", replace(table, score=np.full(3, 0.5)))


def test_conditions_follow_the_fixed_columns_where_a_row_knows_them(tmp_path: Path) -> None:
    light, place, nothing = (np.array(values, dtype=object) for values in (["dark", ""], ["a,b", "é"], ["", ""]))
    table = replace(
        _table(np.array([0.25, 0.5])), conditions={"session": place, "illumination": light, "device": nothing}
    )
    write_scores(tmp_path / "m.csv", table)
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == f"{HEADER},illumination,session"
    back = read_scores(tmp_path / "m.csv").conditions
    assert list(back) == ["illumination", "session"]
    np.testing.assert_array_equal(back["illumination"], light)
    np.testing.assert_array_equal(back["session"], place)
    assert read_scores(_write(tmp_path / "none.csv", "a,,,m,True,,0.5")).conditions == {}
    assert read_scores(_write(tmp_path / "none.csv", "a,,,m,True,,0.5,", header=f"{HEADER},device")).conditions == {}
    assert not set(CONDITIONS) & set(COLUMNS)


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has two columns named 'score'"):
        read_scores(_write(tmp_path / "m.csv", "a,,,m,True,,0.5,0.6", header=f"{HEADER},score"))


def test_csv_rows_give_text_and_place(tmp_path: Path) -> None:
    rows = list(csv_rows(_write(tmp_path / "t.csv", "1,2", "", "3,4", header="a,b"), ("b",), "table"))
    assert [(place.rpartition(", ")[2], row) for place, row in rows] == [
        ("line 2", {"a": "1", "b": "2"}),
        ("line 4", {"a": "3", "b": "4"}),
    ]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flipjax.evaluation.score_files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_file_in_the_way_of_the_folder_is_a_readable_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="choose a folder"):
        write_text(tmp_path / "out" / "metrics.json", "{}")
