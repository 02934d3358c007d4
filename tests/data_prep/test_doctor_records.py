"""Records under examination: every check fires on what it is for, and stays silent on a clean data set."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.doctor import conversion_checks, record_checks, record_data
from data_prep.doctor.diagnosis import Diagnosis, Options
from data_prep.entries import Facts
from data_prep.records import write_domain
from flipjax.core import schemas
from flipjax.core.errors import DataError

TOTALS = {"train": {"bona_fide": 2, "photo": 1}, "test": {"bona_fide": 1}}
KNOWN = Facts("Fake", "F", "secret", "ask", "", "", totals=TOTALS)
PLAIN = Facts("Own", "own", "yours", "ask", "", "")
CLEAN = (("train", "anna", 0), ("train", "anna", 1), ("train", "ben", 0), ("test", "cleo", 0))


def scene(seed: int, px: int = 48) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(coarse, (px, px), interpolation=cv2.INTER_CUBIC)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def clip(number: int, subject: str, instrument: int, images: Sequence[np.ndarray] = (), **changes: Any) -> list[dict]:
    """Two records of one clip; all questions are answered."""
    frames = images or (scene(2 * number), scene(2 * number + 1))
    return [
        {
            "image": png(image),
            "box": (0.0, 0.0, 8.0, 8.0),
            "landmarks": (0.0,) * 10,
            "is_bona_fide": instrument == 0,
            "attack_instrument": instrument,
            "illumination": 0,
            "environment": 0,
            "camera_quality": 0,
            "subject_id": subject,
            "video_id": f"clip{number}",
            "sample_id": f"clip{number}#{frame}",
            "source_name": f"clip{number}_frame{place}",
            **changes,
        }
        for place, (frame, image) in enumerate(zip((6, 56), frames, strict=True))
    ]


def clean() -> list[tuple[str, list[dict]]]:
    return [(split, clip(n, *who)) for n, (split, *who) in enumerate(CLEAN)]


def write(root: Path, domain: str = "F", clips: Sequence[tuple[str, list[dict]]] | None = None) -> Path:
    splits: dict[str, list[dict]] = {}
    for split, records in clips or clean():
        splits.setdefault(split, []).extend(records)
    folder = write_domain(root, domain, splits)
    (folder / conversion_checks.CONVERSION_FILE).write_text("{}")
    return folder


def fired(diagnosis: Diagnosis) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f.title: (f.level, f.items) for f in diagnosis.findings if f.level in ("error", "warning")}


def examine(folder: Path, facts: Facts = KNOWN, **options: Any) -> Diagnosis:
    record_checks.opened.cache_clear()
    return record_data.examine_records(facts, folder, Options(**options))


def test_clean_set_has_nothing_to_say(tmp_path: Path) -> None:
    diagnosis = examine(write(tmp_path))
    assert fired(diagnosis) == {}
    assert {finding.level for finding in diagnosis.findings} == {"good"}
    assert [group.title for group in diagnosis.groups] == [
        "F, train, bona fide",
        "F, train, attack",
        "F, test, bona fide",
    ]


def test_counts_are_of_clips_not_of_records(tmp_path: Path) -> None:
    (part,) = examine(write(tmp_path)).counts
    assert [(row.split, row.rows, row.ours) for row in part.rows] == [("train", 4, 2), ("train", 2, 1), ("test", 2, 1)]


def test_published_counts_take_a_clip_by_its_first_frame(tmp_path: Path) -> None:
    used = {("train", "bona_fide"): 3, ("train", "attack"): 2}
    extracted = {("extracted", "bona_fide"): 6, ("extracted", "attack"): 2}
    facts = Facts("Fake", "F", "", "", "", "", flip_counts=used, instruct_flip_counts=extracted)
    diagnosis = examine(write(tmp_path), facts)
    assert fired(diagnosis) == {
        "F: other counts than FLIP’s": ("warning", ("attack: 1 here, 2 lines of its train list",))
    }
    assert "F: as many pictures as InstructFLIP uses" in {finding.title for finding in diagnosis.findings}


def test_missing_clip_is_an_error_and_a_warning_where_the_conversion_explains_it(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=clean()[:3])
    missing = ("test, bona fide: 0 of 1 (-1)",)
    assert fired(examine(folder)) == {"F: presentations missing: 1": ("error", missing)}
    dropped = {"dropped": ["clip3#6", "clip3#56", "clip0#99"], "records": {"train": {"bona_fide": 4}}}
    account = {**dropped, "dropped_records": {"test": {"bona_fide": 1}}, "failures": []}
    (folder / conversion_checks.CONVERSION_FILE).write_text(json.dumps(account))
    diagnosis = examine(folder)
    assert fired(diagnosis)["F: presentations missing: 1"] == ("warning", missing)
    lost = next(finding for finding in diagnosis.findings if finding.title.startswith("F: pictures dropped"))
    assert (lost.level, len(lost.items), lost.detail) == ("warning", 3, "failure to acquire: bona fide 20.00%")


def test_failed_files_are_named_and_explain_a_gap(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=clean()[:3])
    account = {"failures": [{"name": "clip3.avi", "reason": "no frame"}]}
    (folder / conversion_checks.CONVERSION_FILE).write_text(json.dumps(account))
    told = fired(examine(folder))
    assert told["F: files that the conversion could not use: 1"] == ("warning", ("clip3.avi: no frame",))
    assert told["F: presentations missing: 1"][0] == "warning"


def test_dropped_frame_of_a_clip_that_is_there_explains_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=[clean()[0], *clean()[2:]])
    (folder / conversion_checks.CONVERSION_FILE).write_text(json.dumps({"dropped": ["clip0#99"]}))
    assert fired(examine(folder))["F: presentations missing: 1"][0] == "error"


def test_absent_account_is_a_note_and_a_broken_one_an_error(tmp_path: Path) -> None:
    path = write(tmp_path) / conversion_checks.CONVERSION_FILE
    path.unlink()
    notes = [finding.check for finding in examine(tmp_path).findings if finding.level == "note"]
    assert notes == ["conversion"]
    path.write_text("[1")
    with pytest.raises(DataError, match=r"conversion\.json: not a JSON object"):
        examine(tmp_path)


def test_person_in_two_splits_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=[*clean()[:3], ("test", clip(3, "anna", 0))])
    assert fired(examine(folder)) == {"people in more than one split: 1": ("error", ("F: anna in test, train",))}


def test_copy_in_another_split_is_an_error_and_shown(tmp_path: Path) -> None:
    copy = cv2.resize(cv2.resize(scene(0), (40, 40)), (48, 48))
    folder = write(tmp_path, clips=[*clean()[:3], ("test", clip(3, "cleo", 0, (copy, scene(7))))])
    diagnosis = examine(folder)
    pair = "F train: clip0#6 (anna, bona fide) = F test: clip3#6 (cleo, bona fide)"
    ((title, (level, items)),) = fired(diagnosis).items()
    assert (title, level) == ("crops that are copies across splits or classes: 1", "error")
    assert set(items[0].split(" = ")) == set(pair.split(" = "))
    assert {picture.caption for picture in diagnosis.groups[0].pictures} == set(pair.split(" = "))


def test_frames_of_one_clip_may_be_alike(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=[*clean()[:3], ("test", clip(3, "cleo", 0, (scene(9), scene(9))))])
    assert fired(examine(folder)) == {}


def test_crops_of_one_colour_and_mostly_black_ones_are_warnings(tmp_path: Path) -> None:
    black, third = np.zeros((48, 48, 3), np.uint8), np.clip(scene(8), 20, 255)
    third[:16] = 1
    folder = write(tmp_path, clips=[*clean()[:3], ("test", clip(3, "cleo", 0, (black, third)))])
    assert fired(examine(folder)) == {
        "F: crops of one colour: 1": ("warning", ("clip3#6",)),
        "F: crops more than 30% black: 1": ("warning", ("clip3#56: 33%",)),
    }


def test_crop_of_another_size_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=[*clean()[:3], ("test", clip(3, "cleo", 0, (scene(8), scene(9, 40))))])
    assert fired(examine(folder)) == {"F: crops that are not 48x48 like the others: 1": ("error", ("clip3#56: 40x40",))}


def test_unknown_answers_are_a_note(tmp_path: Path) -> None:
    unknown = clip(1, "anna", -1, environment=-1)
    diagnosis = examine(write(tmp_path, clips=[clean()[0], ("train", unknown)]), PLAIN)
    (note,) = (finding for finding in diagnosis.findings if finding.check == "labels")
    assert (note.level, note.items) == ("note", ("attack_instrument: 2 of 2", "environment: 2 of 4"))


def test_index_of_another_conversion_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path)
    table = pq.read_table(folder / schemas.INDEX_FILE)
    pq.write_table(table.slice(0, len(table) - 1), folder / schemas.INDEX_FILE)
    (told,) = fired(examine(folder)).items()
    assert told == (
        "F: splits whose index does not point at every record once: 1",
        ("error", ("test: 1 rows in the index, 2 records in the shards",)),
    )


def test_index_that_names_other_samples_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path)
    table = pq.read_table(folder / schemas.INDEX_FILE)
    names = [f"other{i}" for i in range(len(table))]
    pq.write_table(
        table.set_column(table.column_names.index("sample_id"), "sample_id", [names]), folder / schemas.INDEX_FILE
    )
    told = fired(examine(folder, PLAIN))
    assert told["F: records that cannot be read or are not the index’s: 8"][0] == "error"


def test_damaged_shards_are_an_error_and_the_page_is_made_all_the_same(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for shard in folder.glob("*test*array_record*"):
        shard.write_bytes(shard.read_bytes()[:40])
    told = fired(examine(folder))
    assert told["F: records that cannot be read or are not the index’s: 2"][0] == "error"
    (folder / "features.json").unlink()
    assert fired(examine(folder))["F: the shards cannot be opened"][0] == "error"


def test_domains_of_a_folder_are_compared_with_each_other(tmp_path: Path) -> None:
    write(tmp_path)
    again = clip(0, "anna", 0, (scene(100), scene(3)))
    write(tmp_path, "G", clips=[("test", again), ("test", clip(1, "dan", 1, (scene(101), scene(102))))])
    diagnosis = examine(tmp_path)
    assert list(fired(diagnosis)) == ["crops that are copies across splits or classes: 1"]
    names = [f.items for f in diagnosis.findings if f.title == "subject names in more than one domain: 1"]
    assert names == [("anna in F, G",)]
    assert [part.domain for part in diagnosis.counts] == ["F", "G"]
    assert len(diagnosis.counts[1].rows) == 2


def test_sample_opens_few_records_but_counts_all(tmp_path: Path) -> None:
    folder = write(tmp_path, clips=[*clean()[:3], ("test", clip(3, "cleo", 0, (scene(8), scene(8, 40))))])
    diagnosis = examine(folder, sample=1)
    assert fired(diagnosis) == {}
    assert dict(diagnosis.examined)["records"] == "8, 1 of them opened"


def test_no_images_leaves_pictures_out(tmp_path: Path) -> None:
    assert examine(write(tmp_path), images=False).groups == []


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_folder_without_a_data_set_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="--records") as caught:
        examine(tmp_path / name)
    assert "\n" not in str(caught.value)
