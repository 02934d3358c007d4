"""The two stages: what is cached is not made again, what cannot be used is named, and how the work is shared changes nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data_prep import cache, conversion, stage
from data_prep.conversion import Conversion
from data_prep.entries import Problem
from data_prep.recipes import CropOptions
from flipjax.core import schemas
from flipjax.core.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
WHOLE = CropOptions(detector="none", size=32, no_face="error")
Records = dict[str, tuple[Any, ...]]


def write_pictures(folder: Path, count: int, side: int = 40) -> Path:
    """`count` pictures of ten people in one CSV; every picture has its own colours."""
    rows = ["path,label,subject_id"]
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{'attack' if i % 2 else 'bona_fide'},p{i % 10}")
    (folder / "own.csv").write_text("\n".join(rows) + "\n")
    return folder / "own.csv"


def records_of(folder: Path) -> Records:
    """Everything about every record, by sample id."""
    found: Records = {}
    for row in pq.read_table(folder / schemas.INDEX_FILE).to_pylist():
        source = tfds.builder_from_directory(str(folder)).as_data_source(split=row["split"])
        record = source[row["position"]]
        pixels, box = record["image"].tobytes(), tuple(record["box"].tolist())
        found[row["sample_id"]] = (*(row[k] for k in schemas.SCALAR_FIELDS), row["split"], pixels, box)
    return found


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return write_pictures(tmp_path, 20)


def plan(csv: Path, **changes: Any) -> Conversion:
    return Conversion(**{"dataset": "own", "raw": csv, "out": csv.parent / "out", "options": WHOLE, **changes})


def count_crops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The list that grows with the name of every file that is cropped in this process."""
    made: list[str] = []
    crop_entry = stage.crop_entry

    def counted(module: Any, entry: Any, options: Any) -> Any:
        made.append(entry.path.name)
        return crop_entry(module, entry, options)

    monkeypatch.setattr(stage, "crop_entry", counted)
    return made


def test_finished_conversion_is_not_made_again(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = conversion.convert(plan(csv))
    made = count_crops(monkeypatch)
    assert conversion.convert(plan(csv)) == json.loads(json.dumps(first))
    assert made == []


@pytest.mark.parametrize("changed", ["pixels", "options", "label"])
def test_changed_data_or_options_are_converted_anew(csv: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    conversion.convert(plan(csv, keep_crops=True))
    made = count_crops(monkeypatch)
    if changed == "pixels":
        Image.fromarray(np.full((41, 40, 3), 7, np.uint8)).save(csv.parent / "3.png")
    if changed == "label":
        csv.write_text(csv.read_text().replace("3.png,attack", "3.png,bona_fide"))
    options = CropOptions(detector="none", size=24, no_face="error") if changed == "options" else WHOLE
    conversion.convert(plan(csv, options=options))
    records = records_of(csv.parent / "out/own")
    assert sorted(made) == {"pixels": ["3.png"], "label": [], "options": sorted(f"{i}.png" for i in range(20))}[changed]
    is_bona_fide = list(schemas.SCALAR_FIELDS).index("is_bona_fide")
    assert records["3.png"][is_bona_fide] == (changed == "label")


def test_failure_goes_on_where_it_stopped(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (csv.parent / "11.png").write_bytes(b"damaged")
    made = count_crops(monkeypatch)
    with pytest.raises(DataError, match=r"11\.png.*1 of 20 files cannot be used.*--max_failures"):
        conversion.convert(plan(csv, max_failures=0.04))
    assert made == [f"{i}.png" for i in range(12)]
    assert not (csv.parent / "out/own").exists()
    made.clear()
    summary = conversion.convert(plan(csv, max_failures=0.05))
    assert made == [f"{i}.png" for i in range(11, 20)]
    (failure,) = summary["own"]["failures"]
    assert failure["name"].endswith("11.png") and "not a picture" in failure["reason"]
    assert len(records_of(csv.parent / "out/own")) == 19


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:-9] + b"x" * 9, lambda data: data[:3]])
def test_damaged_cache_files_never_become_records(csv: Path, damage: Callable[[bytes], bytes]) -> None:
    listing = conversion.load_dataset("own").read(csv)
    store = plan(csv).cache
    outcome = stage.crop_one("own", store, listing.entries[0])
    assert isinstance(outcome, cache.Outcome) and outcome.frames == 1
    path = store.path(listing.entries[0])
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(DataError, match="run the conversion again"):
        list(store.read(listing.entries[0]))
    conversion.convert(plan(csv))
    assert len(records_of(csv.parent / "out/own")) == 20


def test_one_conversion_at_a_time(csv: Path) -> None:
    with conversion._alone(plan(csv)), pytest.raises(ConfigError, match=r"a conversion of own into .* is running"):
        conversion.convert(plan(csv))
    conversion.convert(plan(csv))


def test_jpeg_crops_are_stored_as_such_and_read_alike(csv: Path) -> None:
    conversion.convert(plan(csv, options=CropOptions(detector="none", size=32, no_face="error", encoding="jpeg")))
    features = json.loads((csv.parent / "out/own/features.json").read_text())
    assert features["featuresDict"]["features"]["image"]["image"]["encodingFormat"] == "jpeg"
    assert len(records_of(csv.parent / "out/own")) == 20


def test_processes_change_nothing(csv: Path) -> None:
    conversion.convert(plan(csv))
    conversion.convert(plan(csv, out=csv.parent / "two", processes=2))
    assert records_of(csv.parent / "out/own") == records_of(csv.parent / "two/own")


@pytest.mark.slow
def test_four_processes_and_beam_workers_change_nothing(csv: Path) -> None:
    pytest.importorskip("apache_beam", reason="the extra beam is not installed")
    (csv.parent / "5.png").write_bytes(b"damaged")
    conversion.convert(plan(csv, max_failures=0.5))
    conversion.convert(plan(csv, max_failures=0.5, out=csv.parent / "four", processes=4))
    workers = "--runner=DirectRunner --direct_num_workers=3 --direct_running_mode=multi_processing"
    said = conversion.convert(plan(csv, max_failures=0.5, out=csv.parent / "beam", beam_options=workers))
    expected = records_of(csv.parent / "out/own")
    assert len(expected) == 19
    assert records_of(csv.parent / "four/own") == expected
    assert records_of(csv.parent / "beam/own") == expected
    assert [Path(failure["name"]).name for failure in said["own"]["failures"]] == ["5.png"]


def test_beam_in_one_process_fills_the_same_cache(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apache_beam", reason="the extra beam is not installed")
    conversion.convert(plan(csv, beam_options="--runner=DirectRunner", keep_crops=True))
    made = count_crops(monkeypatch)
    entries = conversion.load_dataset("own").read(csv).entries
    results = [stage.crop_one("own", plan(csv).cache, entry) for entry in entries]
    assert made == [] and not any(isinstance(result, Problem) for result in results)


def test_missing_beam_says_what_to_install(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ConfigError, match=r"pip install 'flipjax\[prep,beam\]'"):
        conversion.convert(plan(csv, beam_options=""))


def start(csv: Path, out: Path, processes: int) -> subprocess.Popen[bytes]:
    words = [
        "--dataset=own",
        f"--raw={csv}",
        f"--out={out}",
        "--detector=none",
        "--size=32",
        f"--processes={processes}",
    ]
    command = [sys.executable, "-m", "data_prep.convert", *words]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)


def children(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.slow
def test_killed_at_ten_random_moments_and_started_again_gives_the_same_data(tmp_path: Path) -> None:
    csv = write_pictures(tmp_path, 600, side=400)
    began = time.monotonic()
    assert start(csv, tmp_path / "whole", 2).wait(timeout=300) == 0
    took = time.monotonic() - began
    expected = records_of(tmp_path / "whole/own")
    moments = np.random.default_rng(5).uniform(0.1, 1.0, 10) * took
    for number, moment in enumerate(moments):
        out = tmp_path / f"killed_{number}"
        process = start(csv, out, 2)
        time.sleep(moment)
        left = children(process.pid)
        process.kill()
        process.wait(timeout=60)
        if (out / "own").exists():
            assert records_of(out / "own") == expected, "a folder that is there is whole"
        assert start(csv, out, 2).wait(timeout=300) == 0
        assert records_of(out / "own") == expected
        assert sorted(path.name for path in out.iterdir()) == ["own"]
        for child in left:
            assert not Path(f"/proc/{child}").exists(), "workers end with the process that started them"


@pytest.mark.slow
def test_a_killed_worker_ends_the_conversion_with_one_line(tmp_path: Path) -> None:
    csv = write_pictures(tmp_path, 600, side=400)
    words = ["--dataset=own", f"--raw={csv}", f"--out={tmp_path / 'out'}", "--detector=none", "--processes=2"]
    command = [sys.executable, "-m", "data_prep.convert", *words]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "out").rglob("*.crops")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(children(process.pid)[-1], signal.SIGKILL)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "error: a worker process was killed" in err and "Traceback" not in err
