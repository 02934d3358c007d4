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

from data_prep import conversion, crops, records
from data_prep.catalogue import dataset_names, load_dataset
from data_prep.conversion import Conversion, Summary
from data_prep.entries import ANY_ATTACK, ANY_SPLIT
from data_prep.recipes import PRESETS, CropOptions, options_for
from flipjax.core import schemas
from flipjax.core.errors import ConfigError, DataError
from flipjax.core.labels import ATTACK_INSTRUMENTS, OTHER_INSTRUMENT
from flipjax.data import align

ROOT = Path(__file__).parents[2]
WHOLE = CropOptions(detector="none", size=32, no_face="error")


def convert(dataset: str, raw: Path, out: Path, options: CropOptions, **changes: object) -> Summary:
    return conversion.convert(Conversion(dataset, raw, out, options, **changes))  # type: ignore[arg-type]


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
    summary = convert("own", csv, tmp_path / "out", WHOLE)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["office", "own"]
    index = pq.read_table(tmp_path / "out/own" / schemas.INDEX_FILE).to_pylist()
    facts = {r["sample_id"]: (r["is_bona_fide"], r["attack_instrument"], r["frame_index"]) for r in index}
    assert facts == {"a.png": (True, 0, 0), "b.png": (False, 2, 0)}
    source = tfds.builder_from_directory(str(tmp_path / "out/own")).as_data_source(split="train")
    for row in index:
        record = source[row["position"]]
        assert record["sample_id"].decode() == row["sample_id"]
        assert record["image"].tolist() == np.full((32, 32, 3), 50 if row["is_bona_fide"] else 100).tolist()
        assert record["box"].tolist() == [0, 0, 40, 40]
    written = json.loads((tmp_path / "out/own/conversion.json").read_text())
    assert written == json.loads(json.dumps(summary["own"]))
    assert written["records"]["train"] == {"bona_fide": 1, "attack": 1}
    assert (written["options"]["detector"], written["dataset"]) == ("none", "own")


def test_clip_gives_two_records_of_one_video(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (48, 48))
    for i in range(20):
        writer.write(np.full((48, 48, 3), 10 * i, np.uint8))
    writer.release()
    (tmp_path / "own.csv").write_text("path,label\nv.avi,attack\n")
    convert("own", tmp_path / "own.csv", tmp_path / "out", WHOLE)
    rows = pq.read_table(tmp_path / "out/own" / schemas.INDEX_FILE).to_pylist()
    assert sorted((r["sample_id"], r["video_id"], r["frame_index"]) for r in rows) == [
        ("v.avi#16", "v.avi", 16),
        ("v.avi#6", "v.avi", 6),
    ]


def test_failure_in_any_domain_leaves_no_data_set(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"c\.png"):
        convert("own", csv, tmp_path / "out", WHOLE)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [conversion.CACHE_FOLDER]


def test_failure_while_writing_leaves_the_earlier_data_sets(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert("own", csv, out, WHOLE)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    write_domain = records.write_domain

    def failing(root: Path, domain: str, splits: dict, encoding: str) -> Path:
        if domain == "own":
            raise OSError(28, "No space left on device")
        return write_domain(root, domain, splits, encoding=encoding)

    monkeypatch.setattr(records, "write_domain", failing)
    photo(tmp_path / "c.png", 9)
    with pytest.raises(OSError, match="No space left"):
        convert("own", csv, out, WHOLE)
    after = {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and conversion.CACHE_FOLDER not in p.parts}
    assert after == before


def test_second_conversion_replaces_its_domains_only(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert("own", csv, out, WHOLE)
    (tmp_path / "two.csv").write_text("path,label,domain\nc.png,attack,office\na.png,bona_fide,office\n")
    convert("own", tmp_path / "two.csv", out, WHOLE)
    assert pq.read_table(out / "office" / schemas.INDEX_FILE).num_rows == 2
    assert all((out / name / schemas.CONVERSION_FILE).exists() for name in ("office", "own"))


def test_picture_without_a_face_is_an_error_that_says_what_to_do(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: no face found.*--no_face=drop.*--detector=none"):
        convert("own", csv, tmp_path / "out", CropOptions(no_face="error"))
    assert not (tmp_path / "out/own").exists()


def test_dropped_pictures_are_counted_and_named(csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def finds_only_the_bright(image: np.ndarray, **options: object) -> list[schemas.Crop]:
        return [align.whole_image(image, size=32)] if image.mean() > 75 else []

    monkeypatch.setattr(crops.align, "align", finds_only_the_bright)
    convert("own", csv, tmp_path / "out", CropOptions(no_face="drop"))
    facts = json.loads((tmp_path / "out/own/conversion.json").read_text())
    assert (facts["dropped_count"], facts["dropped"]) == (1, ["a.png"])
    assert facts["dropped_records"]["train"] == {"bona_fide": 1}
    assert json.loads((tmp_path / "out/office/conversion.json").read_text())["dropped_count"] == 0


def test_domain_without_any_face_is_an_error(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="domain 'office': no face was found in any of its 1 pictures"):
        convert("own", csv, tmp_path / "out", CropOptions(no_face="drop"))
    assert [p.name for p in (tmp_path / "out").iterdir()] == [conversion.CACHE_FOLDER]


def test_foreign_folder_is_never_replaced(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "out/own").mkdir(parents=True)
    (tmp_path / "out/own/thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="exists and is not a data set"):
        convert("own", csv, tmp_path / "out", WHOLE)
    assert (tmp_path / "out/own/thesis.txt").exists()


def test_output_that_is_a_file_is_named(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: no folder can be made there"):
        convert("own", csv, tmp_path / "a.png", WHOLE)


def test_unknown_data_set_is_named(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset 'owm' unknown; expected one of .*own.*did you mean 'own'"):
        convert("owm", csv, tmp_path / "out", WHOLE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", dataset_names())
def test_every_data_set_says_what_it_is(name: str) -> None:
    module = load_dataset(name)
    facts = module.FACTS
    assert callable(module.read)
    assert "obtain" in (module.__doc__ or "").lower()
    assert all((facts.name, facts.domain, facts.licence, facts.obtain, facts.flip, facts.instruct_flip))
    for preset in PRESETS:
        options_for(facts, preset, {})
    for counts in facts.totals.values():
        assert set(counts) <= {*ATTACK_INSTRUMENTS, OTHER_INSTRUMENT, ANY_ATTACK}
    assert set(facts.totals) <= {*schemas.SPLITS, ANY_SPLIT}


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


def test_given_thresholds_leave_the_rest_of_a_presets_search() -> None:
    chosen = options_for(load_dataset("wmca").FACTS, "instruct_flip", {"thresholds": (0.1, 0.2, 0.3)}).search
    assert (chosen.thresholds, chosen.limit) == ((0.1, 0.2, 0.3), "height")
    assert options_for(load_dataset("wmca").FACTS, "default", {"thresholds": (0.1, 0.2, 0.3)}).search.limit == "side"
