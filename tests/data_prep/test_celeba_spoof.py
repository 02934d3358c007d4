"""CelebA-Spoof: names, rows, boxes and qualities, the same unpacked and from the parts of the archive."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from data_prep.datasets import celeba_spoof
from data_prep.entries import Listing
from flipjax.core.errors import DataError

ROOT = Path(__file__).parents[2]
LIVE_ROW = [0, 1] * 20 + [0, 0, 0, 0]
# Names in the data set's own style (the first five are from its issue threads): ends of a row -> what must come of them.
NAMES: list[tuple[str, tuple[int, int, int, int], tuple[str, str, str, int, int, int]]] = [
    ("Data/train/7870/spoof/000097.jpg", (8, 4, 1, 1), ("train", "7870", "pad", 8, 3, 0)),
    ("Data/train/4980/spoof/000003.jpg", (5, 1, 2, 1), ("train", "4980", "upper body mask", 5, 0, 1)),
    ("Data/train/3329/spoof/004046.jpg", (1, 1, 1, 1), ("train", "3329", "photo", 1, 0, 0)),
    ("Data/train/3025/spoof/029572.jpg", (3, 2, 1, 1), ("train", "3025", "a4", 3, 1, 0)),
    ("Data/train/940/spoof/167212.jpg", (2, 3, 2, 1), ("train", "940", "poster", 2, 2, 1)),
    ("Data/train/1/live/000184.png", (0, 0, 0, 0), ("train", "1", "", 0, -1, -1)),
    ("Data/train/1/live/000185.jpg", (0, 0, 0, 0), ("train", "1", "", 0, -1, -1)),
    ("Data/train/10/live/494405.jpg", (0, 0, 0, 0), ("train", "10", "", 0, -1, -1)),
    ("Data/train/10177/live/505815.png", (0, 0, 0, 0), ("train", "10177", "", 0, -1, -1)),
    ("Data/train/2880/live/552109.jpg", (0, 0, 0, 0), ("train", "2880", "", 0, -1, -1)),
    ("Data/train/99/spoof/000001.png", (4, 1, 1, 1), ("train", "99", "face mask", 4, 0, 0)),
    ("Data/train/6001/spoof/120987.jpg", (6, 2, 2, 1), ("train", "6001", "region mask", 6, 1, 1)),
    ("Data/train/7300/spoof/231445.jpg", (7, 3, 1, 1), ("train", "7300", "pc", 7, 2, 0)),
    ("Data/train/8011/spoof/300000.jpg", (9, 4, 2, 1), ("train", "8011", "phone", 9, 3, 1)),
    ("Data/train/9003/spoof/412345.jpg", (10, 1, 1, 1), ("train", "9003", "3d mask", 10, 0, 0)),
    ("Data/train/9003/spoof/412346.jpg", (10, 0, 0, 1), ("train", "9003", "3d mask", 10, -1, -1)),
    ("Data/test/5028/live/496660.png", (0, 0, 0, 0), ("test", "5028", "", 0, -1, -1)),
    ("Data/test/7332/live/508796.jpg", (0, 0, 0, 0), ("test", "7332", "", 0, -1, -1)),
    ("Data/test/9735/spoof/512684.jpg", (9, 1, 1, 1), ("test", "9735", "phone", 9, 0, 0)),
    ("Data/test/10001/spoof/561574.png", (10, 4, 2, 1), ("test", "10001", "3d mask", 10, 3, 1)),
    ("Data/test/4923/spoof/000000.jpg", (3, 3, 1, 1), ("test", "4923", "a4", 3, 2, 0)),
]


def write(root: Path, rows: dict[str, Any], *, pictures: list[str] | None = None, test: Any = None) -> Path:
    """An archive of these rows, the test ones apart, with empty pictures; `test` replaces the test rows."""
    for name in list(rows) if pictures is None else pictures:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "Data").mkdir(parents=True, exist_ok=True)
    folder = root / "metas/intra_test"
    folder.mkdir(parents=True, exist_ok=True)
    rows_of = {split: {k: v for k, v in rows.items() if f"/{split}/" in k} for split in ("train", "test")}
    (folder / "train_label.json").write_text(json.dumps(rows_of["train"]))
    (folder / "test_label.json").write_text(json.dumps(rows_of["test"] if test is None else test))
    return root


def row(*ends: int) -> list[int]:
    return [0] * 40 + list(ends)


def only_problem(listing: Listing) -> tuple[str, str]:
    (problem,) = listing.problems
    return problem.name, problem.reason


def test_names_and_rows_become_fields(tmp_path: Path) -> None:
    listing = celeba_spoof.read(write(tmp_path, {name: row(*ends) for name, ends, _ in NAMES}))
    assert (listing.problems, listing.strays, len(listing.entries)) == ([], [], len(NAMES))
    found = {entry.path.relative_to(tmp_path).as_posix(): entry for entry in listing.entries}
    for name, _, (split, subject, species, instrument, illumination, environment) in NAMES:
        entry, sample_id = found[name], name.removeprefix("Data/").rpartition(".")[0]
        assert (entry.split, entry.subject_id, entry.domain, entry.member) == (split, subject, "CA", "")
        assert (entry.sample_id, entry.video_id, entry.has_frames) == (sample_id, sample_id, False)
        assert (entry.is_bona_fide, entry.attack_instrument) == ("/live/" in name, instrument)
        assert (entry.illumination, entry.environment, entry.camera_quality) == (illumination, environment, -1)
        assert entry.pai_species == species
        flat = "_".join(sample_id.split("/")[1:])
        assert entry.source_name == (flat if split == "train" else "")


@pytest.mark.parametrize(
    "name",
    [
        "Data/train/1/real/000001.jpg",
        "Data/train/1/live/1.jpg",
        "Data/train/1/live/000001.jpeg",
        "Data/train/1/live/000001.jpg.bak",
        "Data/train/one/live/000001.jpg",
        "Data/train/1/000001.jpg",
        "Data/val/1/live/000001.jpg",
        "Data/train/1/live/000001.txt",
        "Data/train/1/live/000001_bb.txt",
        "Data/list.txt",
    ],
)
def test_names_that_match_no_rule_are_strays(tmp_path: Path, name: str) -> None:
    good = "Data/train/1/live/000002.jpg"
    listing = celeba_spoof.read(write(tmp_path, {good: LIVE_ROW}, pictures=[good, name]))
    assert (listing.strays, len(listing.entries), listing.unused) == ([name], 1, [])


@pytest.mark.parametrize(
    ("key", "values", "reason"),
    [
        ("spoof/000001.jpg", [0] * 43, "43 values, expected 44 whole numbers"),
        ("spoof/000001.jpg", [], "0 values, expected 44"),
        ("spoof/000001.jpg", None, "a NoneType, expected 44"),
        ("spoof/000001.jpg", [0.0] * 40 + [1, 1, 1, 1], "0.0 is not a whole number"),
        ("spoof/000001.jpg", [*row(1, 1, 1), True], "True is not a whole number"),
        ("spoof/000001.jpg", [*row(1, 1, 1), "1"], "'1' is not a whole number"),
        ("spoof/000001.jpg", row(11, 1, 1, 1), "value 40 is 11, expected 0 to 10"),
        ("spoof/000001.jpg", row(1, 5, 1, 1), "value 41 is 5, expected 0 to 4"),
        ("spoof/000001.jpg", row(1, -1, 1, 1), "value 41 is -1, expected 0 to 4"),
        ("spoof/000001.jpg", row(1, 1, 3, 1), "value 42 is 3, expected 0 to 2"),
        ("spoof/000001.jpg", row(1, 1, 1, 2), "value 43 is 2, expected 0 to 1"),
        ("spoof/000001.jpg", row(0, 1, 1, 1), r"class \(43\) 1 contradicts instrument \(40\) 0"),
        ("spoof/000001.jpg", row(1, 1, 1, 0), r"class \(43\) 0 contradicts instrument \(40\) 1"),
        ("live/000001.jpg", row(3, 0, 0, 0), r"class \(43\) 0 contradicts instrument \(40\) 3"),
    ],
)
def test_a_bad_row_costs_only_its_picture(tmp_path: Path, key: str, values: Any, reason: str) -> None:
    bad, good = f"Data/train/1/{key}", "Data/train/2/live/000002.jpg"
    listing = celeba_spoof.read(write(tmp_path, {bad: values, good: LIVE_ROW}))
    assert [entry.sample_id for entry in listing.entries] == ["train/2/live/000002"]
    name, said = only_problem(listing)
    assert name == bad
    assert said.startswith(f"row '{bad}' of metas/intra_test/train_label.json: ")
    assert re.search(reason, said)
    assert listing.strays == []


@pytest.mark.parametrize("key", ["Data/test/1/live/000001.jpg", "../1/live/000001.jpg", "Data/train/1/live/1.jpg", ""])
def test_a_key_that_names_no_picture_of_the_split_is_a_problem(tmp_path: Path, key: str) -> None:
    root = write(tmp_path, {}, pictures=["Data/train/1/live/000002.jpg"])
    (root / "metas/intra_test/train_label.json").write_text(json.dumps({key: LIVE_ROW}))
    listing = celeba_spoof.read(root)
    assert listing.strays == ["Data/train/1/live/000002.jpg"]
    assert only_problem(listing) == (
        key,
        f"row '{key}' of metas/intra_test/train_label.json: expected "
        "'Data/train/SUBJECT/live or spoof/NNNNNN.jpg or .png'",
    )


def test_a_row_without_a_picture_is_a_problem_and_a_picture_without_a_row_a_stray(tmp_path: Path) -> None:
    there, missing = "Data/train/1/live/000001.jpg", "Data/train/1/live/000002.jpg"
    listing = celeba_spoof.read(write(tmp_path, {missing: LIVE_ROW}, pictures=[there]))
    assert (listing.entries, listing.strays) == ([], [there])
    assert only_problem(listing)[0] == missing
    assert "there is no such picture" in only_problem(listing)[1]


def test_no_two_entries_share_an_id(tmp_path: Path) -> None:
    first, second = "Data/train/1/live/000001.png", "Data/train/1/live/000001.jpg"
    root = write(tmp_path, {first: LIVE_ROW, second: LIVE_ROW})
    text = json.dumps(LIVE_ROW)
    twice = f'{{"{first}": {text}, "{second}": {text}, "{first}": {text}}}'
    (root / "metas/intra_test/train_label.json").write_text(twice)
    listing = celeba_spoof.read(root)
    assert [entry.path.name for entry in listing.entries] == ["000001.png"]
    assert [problem.name for problem in listing.problems] == [second, first]
    assert all("second row or picture for 'train/1/live/000001'" in problem.reason for problem in listing.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1, 2', "'metas/intra_test/train_label.json' is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "holds a list, expected an object"),
        ("null", "holds a NoneType, expected an object"),
    ],
)
def test_a_label_file_that_cannot_be_parsed_ends_the_reading(tmp_path: Path, text: str, message: str) -> None:
    root = write(tmp_path, {NAMES[0][0]: row(*NAMES[0][1])})
    (root / "metas/intra_test/train_label.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        celeba_spoof.read(root)


def test_pictures_need_their_label_file_and_an_absent_split_needs_none(tmp_path: Path) -> None:
    root = write(tmp_path, {NAMES[0][0]: row(*NAMES[0][1])})
    (root / "metas/intra_test/test_label.json").unlink()
    assert len(celeba_spoof.read(root).entries) == 1
    (root / "metas/intra_test/train_label.json").unlink()
    with pytest.raises(
        DataError, match=r"'metas/intra_test/train_label\.json' is missing; the pictures have no labels"
    ):
        celeba_spoof.read(root)


def test_totals_are_those_of_the_maintainer() -> None:
    totals = celeba_spoof.FACTS.totals
    assert (sum(totals["train"].values()), sum(totals["test"].values())) == (494_405, 67_170)


def test_the_label_counts_where_the_folder_contradicts_it(tmp_path: Path) -> None:
    listing = celeba_spoof.read(write(tmp_path, {"Data/train/1/live/000001.jpg": row(4, 1, 1, 1)}))
    (entry,) = listing.entries
    assert (entry.is_bona_fide, entry.attack_instrument, entry.source_name) == (False, 4, "1_live_000001")
    assert listing.problems == []
