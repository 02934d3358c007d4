"""CelebA-Spoof's files, unpacked and in the parts of the archive: pictures, boxes, camera quality, damage, other processes."""

import json
import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.datasets import celeba_spoof
from data_prep.entries import Entry
from flipjax.core.errors import ImageError
from raw_archives.celeba_spoof import BAD_BOX, EMPTY_BOX, PICTURES, STRAY, write_celeba_spoof

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celeba_spoof(tmp_path_factory.mktemp("unpacked"), devices=True)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celeba_spoof(tmp_path_factory.mktemp("parts"), devices=True, as_parts=4)


def facts(entry: Entry) -> dict[str, Any]:
    return {**entry.scalars(), "split": entry.split, "frames": entry.frames, "has_frames": entry.has_frames}


def test_archive_and_folder_give_the_same_entries(unpacked: Path, parts: Path) -> None:
    one, other = celeba_spoof.read(unpacked), celeba_spoof.read(parts)
    assert [facts(entry) for entry in one.entries] == [facts(entry) for entry in other.entries]
    assert (one.unused, one.strays, one.problems) == (other.unused, other.strays, other.problems)
    assert {entry.path for entry in other.entries} == {parts / "CelebA_Spoof.zip.001"}
    assert Counter(entry.split for entry in one.entries) == PICTURES
    assert {entry.attack_instrument for entry in one.entries} == set(range(11))
    assert (one.strays, one.problems) == ([STRAY], [])
    assert one.unused[:2] == ["Data/train_2/1/live/000001.png", "metas/intra_test/train_label.txt"]
    assert len(one.unused) == 5


def test_device_protocols_tell_the_camera_quality(unpacked: Path, tmp_path: Path) -> None:
    expected = {3: 0, 4: 1, 5: 2}  # the attacks of the first subject; its bona fide pictures are in no list
    found = {e.sample_id: e.camera_quality for e in celeba_spoof.read(unpacked).entries if e.subject_id == "1"}
    assert found == {f"train/1/{'live' if n < 3 else 'spoof'}/{n:06d}": expected.get(n, -1) for n in range(1, 6)}
    root = write_celeba_spoof(tmp_path, devices=True)
    low, high = (root / f"metas/protocol2/test_on_{d}_quality_device/test_label.json" for d in ("low", "high"))
    high.write_bytes(low.read_bytes())
    listing = celeba_spoof.read(root)
    assert len(listing.problems) == 6
    assert listing.problems[0].name == "Data/test/4980/spoof/000023.jpg"
    assert {e.camera_quality for e in listing.entries} == {1, -1}


@pytest.mark.parametrize("which", ["unpacked", "parts"])
def test_pictures_and_boxes_are_read(which: str, request: pytest.FixtureRequest) -> None:
    entries = {entry.sample_id: entry for entry in celeba_spoof.read(request.getfixturevalue(which)).entries}
    for entry in entries.values():
        clip = celeba_spoof.open_entry(entry)
        ((number, image),) = clip.read(clip.numbers)
        assert (number, image.shape) == (0, (56, 48, 3))
        stem = f"Data/{entry.sample_id}"
        box = celeba_spoof.face_box(entry)
        assert box == (None if stem in (EMPTY_BOX, BAD_BOX) else (61 / 224, 45 / 224, 161 / 224, 157 / 224))


def test_a_face_given_is_the_picture_shown(tmp_path: Path) -> None:
    face = np.full((120, 90, 3), (200, 120, 60), np.uint8)
    for entry in celeba_spoof.read(write_celeba_spoof(tmp_path, face=face)).entries[:3]:
        ((_, image),) = celeba_spoof.open_entry(entry).read((0,))
        assert np.abs(image.mean(axis=(0, 1)) - (200, 120, 60)).max() < 3


@pytest.mark.parametrize("as_parts", [0, 2])
def test_an_entry_whose_files_are_gone(tmp_path: Path, as_parts: int) -> None:
    listing = celeba_spoof.read(write_celeba_spoof(tmp_path, as_parts=as_parts))
    entry = listing.entries[0]
    gone = Entry(
        **{
            **vars(entry),
            "path": entry.path if as_parts else tmp_path / "Data/x.jpg",
            "member": entry.member and "x.jpg",
        }
    )
    assert celeba_spoof.face_box(gone) is None
    with pytest.raises(ImageError, match=r"x\.jpg: no such"):
        celeba_spoof.open_entry(gone)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    entry = celeba_spoof.read(write_celeba_spoof(tmp_path)).entries[0]
    entry.path.write_bytes(entry.path.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"000001\.png: cannot be read as a picture"):
        list(celeba_spoof.open_entry(entry).read((0,)))


def test_entries_work_in_another_process(parts: Path) -> None:
    entry = celeba_spoof.read(parts).entries[-1]
    code = (
        "import pickle, sys\nfrom data_prep.datasets.celeba_spoof import face_box, open_entry\n"
        "e = pickle.load(sys.stdin.buffer)\n((_, p),) = open_entry(e).read((0,))\n"
        "print(int(p.sum()), round(face_box(e)[0] * 224))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(entry), capture_output=True, cwd=ROOT, check=True
    )
    ((_, image),) = celeba_spoof.open_entry(entry).read((0,))
    assert ran.stdout.split() == [str(int(image.sum())).encode(), b"61"]


@pytest.mark.parametrize(
    ("damage", "as_parts", "name"),
    [
        ("short_row", 0, "Data/train/1/live/000001.png"),
        ("short_row", 3, "Data/train/1/live/000001.png"),
        ("escaping_member", 3, "../escaped.jpg"),
        ("bomb", 3, "Data/train/1/spoof/999999.jpg"),
    ],
)
def test_damage_is_named_once_and_the_rest_goes_on(tmp_path: Path, damage: str, as_parts: int, name: str) -> None:
    raw = write_celeba_spoof(tmp_path / "raw", as_parts=as_parts, damage=damage)
    listing = celeba_spoof.read(raw)
    assert [problem.name for problem in listing.problems] == [name]
    assert len(listing.entries) == sum(PICTURES.values()) - (damage == "short_row")
    assert listing.strays == [STRAY]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_refused_member_with_a_row_is_one_problem(tmp_path: Path) -> None:
    key = "Data/train/1/spoof/000001.jpg"
    with zipfile.ZipFile(tmp_path / "CelebA_Spoof.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(key, bytes(11_000_000))
        archive.writestr("Data/train/1/spoof/000001_BB.txt", b"")
        archive.writestr("metas/intra_test/train_label.json", json.dumps({key: [0] * 40 + [1] * 4}))
    listing = celeba_spoof.read(tmp_path)
    assert listing.entries == []
    (problem,) = listing.problems
    assert "it claims 11000000 bytes" in problem.reason


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (b"56 28 112 168 0.9970805", (0.25, 0.125, 0.75, 0.875)),
        (b" 56  28 112 168 0.99\r\n", (0.25, 0.125, 0.75, 0.875)),
        (b"-56 -28 224 168 0.9", (-0.25, -0.125, 0.75, 0.625)),
        (b"56.0 28.0 224 224 1", (0.25, 0.125, 1.25, 1.125)),
        (b"", None),
        (b"\n", None),
        (b"56 28 112 168", None),
        (b"56 28 112 168 0.9 1", None),
        (b"56 28 0 168 0.9", None),
        (b"56 28 112 -1 0.9", None),
        (b"224 28 112 168 0.9", None),
        (b"-56 28 56 168 0.9", None),
        (b"nan 28 112 168 0.9", None),
        (b"56 28 inf 168 0.9", None),
        (b"a b c d e", None),
        (b"\xff\xfe5", None),
    ],
)
def test_box_files(text: bytes, box: tuple[float, ...] | None) -> None:
    assert celeba_spoof.parse_box(text) == box
