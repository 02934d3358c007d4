"""Conversion: pictures and clips become checked data sets, all of them or none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data_prep import convert
from data_prep.convert import CropOptions
from flipjax.core import schemas
from flipjax.core.errors import ConfigError, DataError, ImageError
from flipjax.data import align

ROOT = Path(__file__).parents[2]
WHOLE = CropOptions(detector="none", size=32)


def photo(path: Path, brightness: int, side: int = 40) -> Path:
    Image.fromarray(np.full((side, side, 3), brightness, np.uint8)).save(path)
    return path


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Two domains, three pictures of two subjects whose hashes both fall into train."""
    for i, name in enumerate(("a.png", "b.png", "c.png")):
        photo(tmp_path / name, 50 * (i + 1))
    text = "path,label,subject_id,attack_instrument,domain\n"
    text += "a.png,bona_fide,anna,,\nb.png,attack,anna,poster,\nc.png,attack,ben,,office\n"
    (tmp_path / "own.csv").write_text(text)
    return tmp_path / "own.csv"


def test_pictures_become_readable_data_sets(csv: Path, tmp_path: Path) -> None:
    summary = convert.convert("own", csv, tmp_path / "out", WHOLE)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["conversion.json", "office", "own"]
    index = pq.read_table(tmp_path / "out/own" / schemas.INDEX_FILE).to_pylist()
    facts = {r["sample_id"]: (r["is_bona_fide"], r["attack_instrument"], r["frame_index"]) for r in index}
    assert facts == {"a.png": (True, 0, 0), "b.png": (False, 2, 0)}
    source = tfds.builder_from_directory(str(tmp_path / "out/own")).as_data_source(split="train")
    for row in index:
        record = source[row["position"]]
        assert record["sample_id"].decode() == row["sample_id"]
        assert record["image"].tolist() == np.full((32, 32, 3), 50 if row["is_bona_fide"] else 100).tolist()
        assert record["box"].tolist() == [0, 0, 40, 40]
    written = json.loads((tmp_path / "out/conversion.json").read_text())
    assert written == summary
    assert written["own"]["records"]["train"] == {"bona_fide": 1, "attack": 1}
    assert (written["own"]["detector"], written["own"]["dataset"]) == ("none", "own")


def test_clip_gives_two_records_of_one_video(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (48, 48))
    for i in range(20):
        writer.write(np.full((48, 48, 3), 10 * i, np.uint8))
    writer.release()
    (tmp_path / "own.csv").write_text("path,label\nv.avi,attack\n")
    convert.convert("own", tmp_path / "own.csv", tmp_path / "out", WHOLE)
    rows = pq.read_table(tmp_path / "out/own" / schemas.INDEX_FILE).to_pylist()
    assert sorted((r["sample_id"], r["video_id"], r["frame_index"]) for r in rows) == [
        ("v.avi#16", "v.avi", 16),
        ("v.avi#6", "v.avi", 6),
    ]


def test_failure_in_any_domain_leaves_no_data_set(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match=r"c\.png"):
        convert.convert("own", csv, tmp_path / "out", WHOLE)
    assert list((tmp_path / "out").iterdir()) == []


def test_failure_while_writing_leaves_the_earlier_data_sets(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert.convert("own", csv, out, WHOLE)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    write_domain = convert.records.write_domain

    def failing(root: Path, domain: str, splits: dict) -> Path:
        if domain == "own":
            raise OSError(28, "No space left on device")
        return write_domain(root, domain, splits)

    monkeypatch.setattr(convert.records, "write_domain", failing)
    photo(tmp_path / "c.png", 9)
    with pytest.raises(OSError, match="No space left"):
        convert.convert("own", csv, out, WHOLE)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_second_conversion_replaces_its_domains_only(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert.convert("own", csv, out, WHOLE)
    (tmp_path / "two.csv").write_text("path,label,domain\nc.png,attack,office\na.png,bona_fide,office\n")
    convert.convert("own", tmp_path / "two.csv", out, WHOLE)
    assert pq.read_table(out / "office" / schemas.INDEX_FILE).num_rows == 2
    assert sorted(json.loads((out / "conversion.json").read_text())) == ["office", "own"]


def test_picture_without_a_face_is_an_error_that_says_what_to_do(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.png: no face found.*--no_face=drop.*--detector=none"):
        convert.convert("own", csv, tmp_path / "out", CropOptions())
    assert not (tmp_path / "out/own").exists()


def test_dropped_pictures_are_counted_and_named(csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def finds_only_the_bright(image: np.ndarray, **options: object) -> list[schemas.Crop]:
        return [align.whole_image(image, size=32)] if image.mean() > 75 else []

    monkeypatch.setattr(convert.align, "align", finds_only_the_bright)
    convert.convert("own", csv, tmp_path / "out", CropOptions(no_face="drop"))
    facts = json.loads((tmp_path / "out/conversion.json").read_text())
    assert (facts["own"]["dropped_count"], facts["own"]["dropped"]) == (1, ["a.png"])
    assert facts["office"]["dropped_count"] == 0


def test_domain_without_any_face_is_an_error(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="domain 'office': no face was found in any of its 1 pictures"):
        convert.convert("own", csv, tmp_path / "out", CropOptions(no_face="drop"))
    assert list((tmp_path / "out").iterdir()) == []


def test_foreign_folder_is_never_replaced(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "out/own").mkdir(parents=True)
    (tmp_path / "out/own/thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="exists and is not a data set"):
        convert.convert("own", csv, tmp_path / "out", WHOLE)
    assert (tmp_path / "out/own/thesis.txt").exists()


def test_output_that_is_a_file_is_named(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: no folder can be made there"):
        convert.convert("own", csv, tmp_path / "a.png", WHOLE)


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("owm", WHOLE, r"dataset 'owm' unknown; expected one of .*own.*did you mean 'own'"),
        ("own", CropOptions(detector="dlib"), "detector 'dlib' unknown"),
        ("own", CropOptions(detector="none", no_face="skip"), "no_face 'skip' unknown; expected error or drop"),
        ("own", CropOptions(detector="none", size=0), "leave no crop"),
    ],
)
def test_wrong_options_are_named(csv: Path, tmp_path: Path, dataset: str, options: CropOptions, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        convert.convert(dataset, csv, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_every_data_set_module_offers_read_and_says_how_to_obtain() -> None:
    for name in convert.dataset_names():
        module = convert.load_dataset(name)
        assert callable(module.read), name
        assert "obtain" in (module.__doc__ or ""), name


@pytest.mark.slow
def test_command_reports_errors_in_one_line(csv: Path, tmp_path: Path) -> None:
    def run(*flags: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "data_prep.convert", f"--out={tmp_path / 'out'}", *flags]
        return subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=120)

    bad = run("--dataset=own", f"--raw={tmp_path / 'nowhere.csv'}")
    assert bad.returncode == 1
    assert bad.stderr.strip().splitlines() == [f"error: {tmp_path / 'nowhere.csv'}: no such file; check the path"]
    assert not (tmp_path / "out").exists()
    good = run("--dataset=own", f"--raw={csv}", "--detector=none", "--size=32")
    assert good.returncode == 0, good.stderr
    assert (tmp_path / "out/own" / schemas.INDEX_FILE).exists()
