"""A raw data set under examination: every check fires on what it is for, and stays silent on a clean set."""

import io
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep.doctor import looking, raw_data
from data_prep.doctor.diagnosis import Diagnosis, Options
from data_prep.doctor.looking import Task
from data_prep.entries import Entry, Facts, Listing, Problem
from flipjax.core.errors import ImageError

NAMES = ("train/anna_live_1.png", "train/anna_photo_1.png", "train/ben_live_1.png", "test/cleo_live_1.png")
TOTALS = {"train": {"bona_fide": 2, "photo": 1}, "test": {"bona_fide": 1}}
FACTS = Facts("Fake", "F", "secret", "ask", "", "", totals=TOTALS)


def scene(name: str, px: tuple[int, int] = (96, 64)) -> np.ndarray:
    coarse = np.random.default_rng(list(name.encode())).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(coarse, px, interpolation=cv2.INTER_CUBIC)


def write(path: Path, image: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def entry_of(root: Path, name: str) -> Entry:
    split, file = name.split("/")
    subject, kind, _ = file.split("_")
    kinds = {"live": 0, "photo": 1}
    return Entry(root / name, split, "F", name, subject, name, kinds[kind] == 0, kinds[kind])


def read_fake(root: Path) -> Listing:
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*_*_*.*"))
    return Listing([entry_of(root, name) for name in names])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A data set module of pictures `split/subject_kind_number.png`."""
    module: Any = ModuleType("fake_set")
    module.FACTS = FACTS
    module.read = read_fake
    monkeypatch.setitem(sys.modules, "fake_set", module)
    return module


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A clean data set of four pictures."""
    for name in NAMES:
        write(tmp_path / name, scene(name))
    return tmp_path


def fired(diagnosis: Diagnosis) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f.title: (f.level, f.items) for f in diagnosis.findings if f.level in ("error", "warning")}


def examine(module: Any, raw: Path, **options: Any) -> Diagnosis:
    return raw_data.examine_raw(module, raw, Options(**options))


def test_clean_set_has_nothing_to_say(fake: Any, raw: Path) -> None:
    diagnosis = examine(fake, raw)
    assert fired(diagnosis) == {}
    assert len([finding for finding in diagnosis.findings if finding.level == "good"]) >= 10
    assert dict(diagnosis.examined)["files"] == "4 of this data set, 4 of them opened"


def test_missing_file_shows_in_the_counts(fake: Any, raw: Path) -> None:
    (raw / NAMES[1]).unlink()
    assert fired(examine(fake, raw)) == {"F: presentations missing: 1": ("error", ("train, photo: 0 of 1 (-1)",))}


def test_what_the_listing_says_is_passed_on(fake: Any, raw: Path) -> None:
    entries = read_fake(raw).entries
    unused = ["depth/1.jpg", "depth/2.jpg", "readme.txt", "AF/x/depth"]
    problem = Problem("x.avi", f"{raw}/x.avi: the label is missing")
    fake.read = lambda _: Listing(entries, unused, ["odd.txt"], [problem, Problem("y.avi", "no label")])
    diagnosis = examine(fake, raw)
    assert fired(diagnosis) == {
        "files that cannot be used: 2": ("error", ("x.avi: the label is missing", "y.avi: no label")),
        "files that match no rule: 1": ("warning", ("odd.txt",)),
    }
    note = next(finding for finding in diagnosis.findings if finding.level == "note")
    assert note.items == ("2 *.jpg in depth", "1 *.txt in .", "1 others in AF")


def test_repeated_sample_ids_and_an_empty_set_are_errors(fake: Any, raw: Path) -> None:
    entries = read_fake(raw).entries
    fake.read = lambda _: Listing([*entries, entries[0]])
    assert fired(examine(fake, raw))["sample ids that occur twice: 1"] == ("error", (f"F/{entries[0].sample_id}",))
    fake.read = lambda _: Listing([])
    assert "no file of this data set was found" in fired(examine(fake, raw))


def test_damaged_file_is_named_without_the_folder(fake: Any, raw: Path) -> None:
    (raw / NAMES[0]).write_bytes((raw / NAMES[0]).read_bytes()[:80])
    ((title, (level, items)),) = fired(examine(fake, raw)).items()
    assert (title, level) == ("files that cannot be read: 1", "error")
    assert items[0].startswith(f"{NAMES[0]}: cannot be read")


def test_person_in_two_splits_is_an_error(fake: Any, raw: Path) -> None:
    (raw / NAMES[3]).rename(raw / "test/anna_live_1.png")
    assert fired(examine(fake, raw)) == {"people in more than one split: 1": ("error", ("F: anna in test, train",))}


def test_same_file_again_is_found_once(fake: Any, raw: Path) -> None:
    (raw / NAMES[3]).write_bytes((raw / NAMES[0]).read_bytes())
    assert list(fired(examine(fake, raw))) == ["files with the same content but another class, person or split: 1"]


def test_same_picture_stored_again_is_found(fake: Any, raw: Path) -> None:
    write(raw / NAMES[3], cv2.resize(scene(NAMES[0]), (48, 32), interpolation=cv2.INTER_AREA))
    diagnosis = examine(fake, raw)
    assert list(fired(diagnosis)) == ["first frames that are copies across splits or classes: 1"]
    assert diagnosis.groups[0].title == "copies, pair 1"


def test_black_picture_is_a_warning(fake: Any, raw: Path) -> None:
    write(raw / NAMES[2], np.zeros((64, 96, 3), np.uint8))
    assert list(fired(examine(fake, raw))) == ["files whose first frame is of one colour: 1"]


def test_stored_rotation_is_a_warning(fake: Any, raw: Path) -> None:
    exif = Image.Exif()
    exif[274] = 3
    write(raw / NAMES[2], scene(NAMES[2]), exif=exif)
    assert fired(examine(fake, raw)) == {
        "files that store a rotation: 1": ("warning", (f"{NAMES[2]}: EXIF orientation 3",))
    }


def test_few_pictures_on_their_side_are_a_warning(fake: Any, raw: Path) -> None:
    for number in range(8):
        write(raw / f"train/ben_live_{number + 2}.png", scene(str(number)))
    assert not any("side" in title for title in fired(examine(fake, raw)))
    write(raw / "train/ben_live_9.png", scene("9", (64, 96)))
    sided = fired(examine(fake, raw))["files that lie on their side beside the others: 1"]
    assert sided == ("warning", ("train/ben_live_9.png: 64x96",))


def test_set_of_both_orientations_is_left_alone(fake: Any, raw: Path) -> None:
    for number in range(4):
        write(raw / f"train/ben_live_{number + 2}.png", scene(str(number), (64, 96)))
    assert not any("side" in title for title in fired(examine(fake, raw)))


def test_face_boxes_are_looked_at_where_there_are_any(fake: Any, raw: Path) -> None:
    def face_box(entry: Entry) -> tuple[float, float, float, float] | None:
        if "ben" in entry.sample_id:
            raise ImageError("ben_BB.txt: the box file cannot be read")
        return None if "cleo" in entry.sample_id else (0.0, 0.0, 1.0, 1.0)

    fake.face_box = face_box
    assert fired(examine(fake, raw)) == {
        "files without a usable face box: 2": (
            "warning",
            (f"{NAMES[3]}: no box, or an empty one", f"{NAMES[2]}: ben_BB.txt: the box file cannot be read"),
        )
    }
    fake.face_box = lambda _: (0.0, 0.0, 1.0, 1.0)
    assert fired(examine(fake, raw)) == {}


def test_faces_are_looked_for_only_when_asked(fake: Any, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.ndarray] = []

    def detect(image: np.ndarray) -> list[str]:
        asked.append(image)
        return [] if len(asked) == 2 else ["a face"]

    monkeypatch.setattr(looking.align, "detect", detect)
    assert fired(examine(fake, raw)) == {}
    assert asked == []
    (finding,) = (f for f in examine(fake, raw, faces=True).findings if f.check == "faces")
    assert (finding.level, finding.title, finding.detail) == (
        "warning",
        "first frames in which no face is found: 1",
        "25.0% of 4 files",
    )


def test_sample_opens_few_files_but_counts_all(fake: Any, raw: Path) -> None:
    for name in NAMES:
        (raw / name).write_bytes(b"damaged")
    diagnosis = examine(fake, raw, sample=2)
    assert "files that cannot be read: 2" in fired(diagnosis)
    assert not any("presentations" in title for title in fired(diagnosis))


def test_other_processes_see_the_same(tmp_path: Path) -> None:
    from data_prep.datasets import own

    rows = [f"{number}.png,bona_fide,p{number}" for number in range(40)]
    for number in range(39):
        write(tmp_path / f"{number}.png", scene(str(number)))
    (tmp_path / "39.png").write_bytes(b"damaged")
    (tmp_path / "own.csv").write_text("\n".join(["path,label,subject_id", *rows]) + "\n")
    alone, together = (examine(own, tmp_path / "own.csv", processes=n) for n in (1, 2))
    assert alone.findings == together.findings
    assert "files that cannot be read: 1" in fired(alone)
    assert alone.groups == together.groups


def clip(path: Path, frames: int = 3) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for number in range(frames):
        writer.write(scene(f"frame {number}", (64, 48)))
    writer.release()
    return path


def test_rotation_of_a_clip_is_seen(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4")
    entry = Entry(path, "train", "F", "a", "anna", "a", True, 0)
    assert looking.look_at(ModuleType("plain"), Task(entry)).rotation == ""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)
    look = looking.look_at(ModuleType("plain"), Task(entry))
    assert (look.rotation, look.width, look.height) == ("turned by 90 degrees", 48, 64)


def test_clip_without_frames_is_a_problem(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=1)
    path.write_bytes(path.read_bytes()[:40])
    look = looking.look_at(ModuleType("plain"), Task(Entry(path, "train", "F", "a", "anna", "a", True, 0)))
    assert "a.mp4: no frame of this video can be decoded" in look.problem


@pytest.fixture
def packed(tmp_path: Path) -> Callable[[str], Entry]:
    """Entries inside an archive: `turned.jpg` and `again.jpg` hold the same picture, `other.jpg` another."""
    exif = Image.Exif()
    exif[274] = 6
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, seed in (("turned.jpg", "a"), ("again.jpg", "a"), ("other.jpg", "b")):
            buffer = io.BytesIO()
            Image.fromarray(scene(seed)).save(buffer, "JPEG", exif=exif if name != "other.jpg" else Image.Exif())
            archive.writestr(name, buffer.getvalue())
    return lambda name: Entry(tmp_path / "all.zip", "train", "F", name, "anna", name, True, 0, member=name)


def test_members_of_an_archive_are_compared_by_content(packed: Callable[[str], Entry]) -> None:
    from data_prep.datasets import celeba_spoof

    looks = [
        looking.look_at(celeba_spoof, Task(packed(name), wants_digest=True))
        for name in ("turned.jpg", "again.jpg", "other.jpg")
    ]
    assert [look.rotation for look in looks] == ["EXIF orientation 6", "EXIF orientation 6", ""]
    assert looks[0].digest == looks[1].digest != looks[2].digest
    assert looking.look_at(celeba_spoof, Task(packed("gone.jpg"))).problem


def test_folder_that_is_one_presentation_is_compared_by_its_first_picture(tmp_path: Path) -> None:
    from data_prep.datasets import casia_cefa

    for folder, seed in (("a", "x"), ("b", "x"), ("c", "y")):
        write(tmp_path / folder / "0001.jpg", scene(seed))
    entries = [Entry(tmp_path / name, "train", "Ce", name, "s", name, True, 0, has_frames=True) for name in "abc"]
    looks = [looking.look_at(casia_cefa, Task(entry, wants_digest=True)) for entry in entries]
    assert looks[0].digest == looks[1].digest != looks[2].digest


def test_only_files_of_equal_size_are_hashed(tmp_path: Path) -> None:
    for name, size in (("a", 5), ("b", 5), ("c", 6)):
        (tmp_path / name).write_bytes(bytes(size))
    entries = [Entry(tmp_path / name, "train", "F", name, "s", name, True, 0) for name in "abc"]
    tasks = raw_data.raw_checks.tasks_for(entries, wants_faces=False)
    assert [task.wants_digest for task in tasks] == [True, True, False]
