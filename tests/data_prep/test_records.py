"""The written data set is what TFDS reads, its index agrees with it row by row, nothing half done is left behind."""

import io
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data_prep import records
from flipjax.core import schemas
from flipjax.core.errors import DataError


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def record(number: int, **changes) -> dict:
    """A 6x8 image whose every pixel is `number`."""
    base = {
        "image": png(np.full((6, 8, 3), number, np.uint8)),
        "box": (1.0, 2.0, 30.0, 40.0),
        "landmarks": tuple(range(10)),
        "is_bona_fide": number % 2 == 0,
        "sample_id": f"sample{number}",
        "subject_id": f"person{number // 4}",
        "video_id": f"video{number // 2}",
    }
    return {**base, **changes}


def read_index(folder) -> list[dict]:
    return pq.read_table(folder / schemas.INDEX_FILE).to_pylist()


def test_index_positions_point_at_the_very_record(tmp_path):
    folder = records.write_domain(
        tmp_path, "syn_a", {"train": (record(i) for i in range(30)), "test": [record(i) for i in range(30, 40)]}
    )
    builder = tfds.builder_from_directory(str(folder))
    rows = read_index(folder)
    assert len(rows) == 40
    assert [row["sample_id"] for row in rows[:30]] != [f"sample{i}" for i in range(30)], "TFDS no longer shuffles"
    for row in rows:
        stored = builder.as_data_source(row["split"])[row["position"]]
        assert stored["sample_id"].decode() == row["sample_id"]
        assert stored["image"].shape == (6, 8, 3)
        assert row["sample_id"] == f"sample{stored['image'][0, 0, 0]}"
        assert stored["subject_id"].decode() == row["subject_id"]
    assert tuple(rows[0]) == schemas.INDEX_COLUMNS
    assert {row["domain"] for row in rows} == {"syn_a"}


def test_empty_splits_are_absent_and_tensorflow_stays_away(tmp_path):
    folder = records.write_domain(tmp_path, "M", {"train": [record(1)], "dev": [], "test": iter(())})
    assert list(tfds.builder_from_directory(str(folder)).info.splits) == ["train"]
    assert "tensorflow" not in sys.modules


def test_unknown_values_are_filled_and_given_ones_kept(tmp_path):
    mask = png(np.full((3, 3), 255, np.uint8))
    given = record(1, attack_instrument=7, environment=1, padding=0.25, detector="mtcnn", attack_mask=mask)
    folder = records.write_domain(tmp_path, "M", {"dev": [record(2), given, record(3)]})
    by_id = {row["sample_id"]: row for row in read_index(folder)}
    assert by_id["sample1"]["attack_instrument"] == 7
    assert by_id["sample1"]["environment"] == 1
    assert by_id["sample1"]["padding"] == 0.25
    assert by_id["sample1"]["detector"] == "mtcnn"
    assert by_id["sample2"]["attack_instrument"] == 0, "a bona fide presentation has no instrument"
    assert by_id["sample3"]["attack_instrument"] == -1
    assert by_id["sample2"]["illumination"] == -1
    assert by_id["sample2"]["device"] == ""
    source = tfds.builder_from_directory(str(folder)).as_data_source("dev")
    masks = {item["sample_id"].decode(): item["attack_mask"] for item in source}
    assert masks == {"sample1": mask, "sample2": b"", "sample3": b""}
    boxes = [tuple(item["box"]) for item in source]
    assert boxes == [(1.0, 2.0, 30.0, 40.0)] * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"video_id": ""}, "video_id"),
        ({"is_bona_fide": None}, "is_bona_fide"),
        ({"box": (1, 2, 3)}, "box"),
        ({"landmarks": None}, "landmarks"),
        ({"is_bona_fide": 1}, "expected bool"),
        ({"frame_index": "3"}, "expected int"),
        ({"environment": 2}, "environment is 2"),
        ({"attack_instrument": 0}, "attack_instrument 0"),
        ({"is_bona_fide": True, "attack_instrument": 3}, "attack_instrument 3"),
        ({"domain": "C"}, "domain 'C'"),
        ({"image": b"not a picture"}, "not a readable PNG"),
        ({"image": png(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))[:-30]}, "not a readable PNG"),
        ({"image": png(np.zeros((4, 4), np.uint8))}, "mode L"),
        ({"attack_mask": b"x"}, "attack_mask"),
    ],
)
def test_a_bad_record_is_named_and_leaves_the_old_data_set(tmp_path, changes, said):
    folder = records.write_domain(tmp_path, "M", {"train": [record(2)]})
    with pytest.raises(DataError, match="sample101") as caught:
        records.write_domain(tmp_path, "M", {"train": [record(4), record(101, **changes)]})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [row["sample_id"] for row in read_index(folder)] == ["sample2"]
    assert [path.name for path in tmp_path.iterdir()] == ["M"]


def test_sample_ids_are_unique_across_splits(tmp_path):
    with pytest.raises(DataError, match="'sample1' occurs twice"):
        records.write_domain(tmp_path, "M", {"train": [record(1)], "test": [record(1)]})
    assert list(tmp_path.iterdir()) == []


def test_a_new_data_set_replaces_the_old_one(tmp_path):
    records.write_domain(tmp_path, "M", {"train": [record(1)], "test": [record(2)]})
    folder = records.write_domain(tmp_path, "M", {"dev": [record(3)]})
    assert [row["sample_id"] for row in read_index(folder)] == ["sample3"]
    assert list(tfds.builder_from_directory(str(folder)).info.splits) == ["dev"]
    assert [path.name for path in tmp_path.iterdir()] == ["M"]


def test_an_error_of_the_caller_passes_through_and_leaves_nothing(tmp_path):
    def broken():
        yield record(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records.write_domain(tmp_path, "M", {"train": broken()})
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_only_a_folder_that_the_next_run_clears(tmp_path):
    (tmp_path / ".M.partial" / "face_records").mkdir(parents=True)
    records.write_domain(tmp_path, "M", {"train": [record(1)]})
    assert [path.name for path in tmp_path.iterdir()] == ["M"]


def test_a_folder_that_is_not_ours_is_never_deleted(tmp_path):
    (tmp_path / "M").mkdir()
    (tmp_path / "M" / "holiday.txt").write_text("keep")
    with pytest.raises(DataError, match="move it away"):
        records.write_domain(tmp_path, "M", {"train": [record(1)]})
    assert (tmp_path / "M" / "holiday.txt").read_text() == "keep"


@pytest.mark.parametrize("domain", ["", "..", "a/b", "a+b", "a_to_b", "M_shots", ".hidden"])
def test_domain_names_that_protocols_or_paths_cannot_carry_are_refused(tmp_path, domain):
    with pytest.raises(DataError, match="domain name"):
        records.write_domain(tmp_path, domain, {"train": [record(1)]})


def test_no_record_and_unknown_split_are_errors(tmp_path):
    with pytest.raises(DataError, match="no records"):
        records.write_domain(tmp_path, "M", {"train": []})
    with pytest.raises(DataError, match="split 'val'"):
        records.write_domain(tmp_path, "M", {"val": [record(1)]})


def test_writing_is_quiet(tmp_path, capsys):
    records.write_domain(tmp_path, "M", {"train": [record(1)]})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""
