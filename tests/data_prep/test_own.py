"""The CSV of own data: what is filled in, and one clear line with the line number for everything that is wrong."""

from collections import Counter
from pathlib import Path

import pytest

from data_prep.datasets import own
from data_prep.entries import split_of
from flipjax.core.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.png", "c.MP4"):
        (tmp_path / name).write_bytes(b"not looked into yet")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "own.csv"
    path.write_bytes(text.encode())
    return path


def test_only_path_and_label_are_needed(folder: Path) -> None:
    (entry,) = own.read(write(folder, "path,label\na.jpg,bona_fide\n")).entries
    assert (entry.path, entry.is_bona_fide, entry.attack_instrument) == (folder / "a.jpg", True, 0)
    assert (entry.sample_id, entry.video_id, entry.subject_id, entry.domain) == ("a.jpg", "a.jpg", "a.jpg", "own")
    assert (entry.illumination, entry.environment, entry.camera_quality) == (-1, -1, -1)


def test_names_become_option_indices(folder: Path) -> None:
    header = "label,path,subject_id,video_id,attack_instrument,domain,illumination,environment,camera_quality"
    (entry,) = own.read(write(folder, f"{header}\nattack,b.png,s,v,pc_screen,office,back,outdoor,high\n")).entries
    assert (entry.is_bona_fide, entry.attack_instrument) == (False, 7)
    assert (entry.illumination, entry.environment, entry.camera_quality) == (2, 1, 2)
    assert (entry.subject_id, entry.video_id, entry.domain, entry.split) == ("s", "v", "office", split_of("s"))


def test_video_id_stands_in_for_a_missing_subject(folder: Path) -> None:
    first, second = own.read(write(folder, "path,label,video_id\na.jpg,attack,v\nb.png,attack,v\n")).entries
    assert (first.subject_id, second.subject_id) == ("v", "v")
    assert first.split == second.split


def test_spreadsheet_habits_are_accepted(folder: Path) -> None:
    text = "\ufeffpath, label ,subject_id\r\n\r\n a.jpg ,bona_fide,\r\n,,\r\n"
    (entry,) = own.read(write(folder, text)).entries
    assert entry.path == folder / "a.jpg"


def test_other_instrument_is_known_to_be_outside_the_named_ones(folder: Path) -> None:
    (entry,) = own.read(write(folder, "path,label,attack_instrument\na.jpg,attack,other\n")).entries
    assert entry.attack_instrument == -1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"own\.csv: the file is empty"),
        ("\n", "no header"),
        ("path,label\n", "no row below the header"),
        ("path;label\na.jpg;attack\n", "not separated by commas"),
        ("path\na.jpg\n", "column 'label' is missing"),
        ("path,lable\na.jpg,attack\n", r"unknown column 'lable'; expected .*; did you mean 'label'\?"),
        ("path,label,path\na.jpg,attack,b.png\n", "column 'path' occurs twice"),
        ("path,label\na.jpg,attack\nb.png,live\n", "line 3: label 'live' is neither"),
        ("path,label\na.jpg,1\n", "line 2: label '1' is neither"),
        ("path,label\na.jpg,\n", "line 2: label '' is neither"),
        ("path,label\n,attack\n", "line 2: path is empty"),
        ("path,label\na.jpg,attack,x\n", "line 2: 3 cells, the header has 2"),
        ("path,label\na.jpg\n", "line 2: 1 cells, the header has 2"),
        ("path,label\nz.jpg,attack\n", r"line 2: .*z\.jpg: no such file"),
        ("path,label\n.,attack\n", "line 2: .*not a file"),
        ("path,label\nown.csv,attack\n", r"line 2: .*file type '\.csv' is not read here"),
        ("path,label\na.jpg,attack\n./a.jpg,attack\n", "line 3: path 'a.jpg' is also in line 2"),
        ("path,label,attack_instrument\na.jpg,attack,3\n", "line 2: attack_instrument '3' unknown; expected"),
        ("path,label,attack_instrument\na.jpg,bona_fide,photo\n", "line 2: .* given for a bona fide row"),
        ("path,label,attack_instrument\na.jpg,attack,bona_fide\n", "line 2: .* given for an attack"),
        ("path,label,illumination\na.jpg,attack,2\n", "line 2: illumination '2' unknown"),
        (
            "path,label,environment\na.jpg,attack,outdoors\n",
            r"'outdoors' unknown.*did you mean 'outdoor'\?",
        ),
        ("path,label,camera_quality\na.jpg,attack,good\n", "line 2: camera_quality 'good' unknown"),
        ("path,label,domain\na.jpg,attack,../x\n", r"line 2: domain name '\.\./x' cannot be used"),
        ("path,label,video_id\na.jpg,attack,v\nb.png,bona_fide,v\n", "line 3: video_id 'v' has another label"),
        ('path,label\n"a.jpg,attack\n', "not a CSV file"),
    ],
)
def test_every_mistake_is_one_line_with_its_place(folder: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        own.read(write(folder, text))
    assert "\n" not in str(caught.value)
    assert "own.csv" in str(caught.value)


def test_line_numbers_count_lines_of_the_file(folder: Path) -> None:
    with pytest.raises(DataError, match="line 4: label 'x'"):
        own.read(write(folder, "path,label\na.jpg,attack\n\nb.png,x\n"))


def test_other_encodings_are_named(folder: Path) -> None:
    (folder / "own.csv").write_bytes("path,label\ngrün.jpg,attack\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text"):
        own.read(folder / "own.csv")


def test_missing_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        own.read(tmp_path / "nowhere.csv")


def test_splits_are_stable_and_near_seventy_ten_twenty() -> None:
    counts = Counter(split_of(f"subject {i}") for i in range(5000))
    assert abs(counts["train"] - 3500) < 120
    assert abs(counts["dev"] - 500) < 80
    assert [split_of(name) for name in ("anna", "ben", "001", "002")] == ["train", "train", "train", "train"]
