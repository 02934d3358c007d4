"""What a user can get wrong: one line that names it and says what to do, exit code 1, nothing half-written."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_runs import picture, png

from data_prep.conversion import CACHE_FOLDER

if TYPE_CHECKING:
    from conftest import Commands, Finished

OneLine = Callable[[subprocess.CompletedProcess[str]], str]

# Flags behind `python -m flipjax.main` -> what the error must say: the name, and what would be right.
WRONG_FLAGS = {
    "unknown key": (["--config.train.stepz=3"], ["'train.stepz'", "did you mean 'train.steps'"]),
    "unknown section": (["--config.trane.steps=3"], ["'trane.steps'", "did you mean 'train.steps'"]),
    "unknown deep key": (["--config.method.clip.colour=3"], ["'method.clip.colour' does not exist"]),
    "wrong type": (["--config.train.steps=many"], ["--config.train.steps=many", "int"]),
    "unknown flag": (["--wrokdir=x"], ["wrokdir", "workdir"]),
    "stray word": (["configs/flip_v.py"], ["'configs/flip_v.py'", "--name=value"]),
    "unknown argument": (["--config=configs/flip_mcl.py:tinny"], ["'tinny'", "tiny", "profile="]),
    "unknown config file": (["--config=configs/flip_mlc.py"], ["'configs/flip_mlc.py'", "configs/flip_mcl.py"]),
}
WRONG_VALUES = {
    "unknown protocol": ({"protocol": "oci_m"}, ["'oci_m'", "did you mean 'oci_to_m'"]),
    "missing target": ({"protocol": "syn_bcd_to_e"}, ["'syn_bcd_to_e'", "syn_e' is missing", "data_prep.synthetic"]),
    "missing sources": ({"protocol": "oci_to_m"}, ["/O' is missing", "data_prep.convert"]),
    "missing weights": ({"weights.clip": "/nonexistent.pt"}, ["'/nonexistent.pt'", "give a file"]),
    "wrong weights": ({"weights.clip": __file__}, ["test_bad_input.py", "safetensors"]),
    "unknown value": ({"data.overflow": "clipp"}, ["data.overflow 'clipp'", "did you mean 'clip'"]),
    "no steps": ({"train.steps": 0}, ["train.steps=0", "at least 1"]),
    "heads": ({"method.clip.heads": 3}, ["width 32", "heads 3"]),
    "batch": ({"data.sampling": "drop_last", "train.batch_size": 13}, ["batch size 13", "6 (domain, class) streams"]),
    "mesh": ({"mesh.model": 5}, ["mesh.model=5", "1 devices"]),
}


@pytest.mark.parametrize("case", WRONG_FLAGS)
def test_wrong_flag(commands: "Commands", tmp_path: Path, one_line_error: OneLine, case: str):
    words, expected = WRONG_FLAGS[case]
    known = ["--config=configs/flip_mcl.py:tiny", f"--workdir={tmp_path / 'run'}"]
    error = one_line_error(commands.run("-m", "flipjax.main", *known, *words))
    assert all(text in error for text in expected), error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_wrong_value_leaves_the_workdir_free(commands: "Commands", tmp_path: Path, one_line_error: OneLine, case: str):
    changes, expected = WRONG_VALUES[case]
    words = commands.train_words(tmp_path / "run", **changes)
    error = one_line_error(commands.run(*words))
    assert all(text in error for text in expected), error
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()], (
        "the right command must be free to run"
    )


def test_missing_workdir(commands: "Commands", finished: "Finished", tmp_path: Path, one_line_error: OneLine):
    missing = tmp_path / "missing"
    for words in (["flipjax.evaluate"], ["flipjax.predict", "photo.png"]):
        error = one_line_error(commands.run("-m", words[0], f"--workdir={missing}", *words[1:]))
        assert str(missing) in error and "train" in error
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    shutil.copy(finished.workdir / "config.json", unfinished)
    error = one_line_error(commands.run("-m", "flipjax.evaluate", f"--workdir={unfinished}"))
    assert "checkpoint 'best'" in error and "train first" in error


def test_wrong_evaluation(commands: "Commands", copied: Path, one_line_error: OneLine):
    for flag, expected in {
        "--checkpoint=7": ["checkpoint '7'", "steps there:"],
        "--protocol=syn_ab_to_e": ["syn_e' is missing"],
        "--records=/": ["holds no data set"],
    }.items():
        error = one_line_error(commands.run("-m", "flipjax.evaluate", f"--workdir={copied}", flag))
        assert all(text in error for text in expected), error
    assert not (copied / "evaluations").exists()


def convert(commands: "Commands", raw: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = ["-m", "data_prep.convert", "--dataset=own", f"--raw={raw}", f"--out={out}", "--detector=none", "--size=32"]
    return commands.run(*words)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("", ["faces.csv", "empty"]),
        ("path,label\n", ["faces.csv", "no row"]),
        ("path,label\ngood.png,bona_fide\ngood2.png,spoof\n", ["faces.csv", "line 3", "'spoof'", "'attack'"]),
        ("path,label\ngood.png,bona_fide\nbad.png,attack\n", ["bad.png"]),
        ("path,label\ngood.png,bona_fide\nnowhere.png,attack\n", ["nowhere.png"]),
    ],
    ids=["empty", "header only", "label", "unreadable picture", "missing picture"],
)
def test_wrong_own_data(commands: "Commands", tmp_path: Path, one_line_error: OneLine, rows: str, expected: list[str]):
    for name in ("good.png", "good2.png"):
        (tmp_path / name).write_bytes(png(picture(name, True)))
    (tmp_path / "bad.png").write_bytes(png(picture("bad", True))[:200])
    raw, out = tmp_path / "faces.csv", tmp_path / "out"
    raw.write_text(rows)
    error = one_line_error(convert(commands, raw, out))
    assert all(text in error for text in expected), error
    assert not out.exists() or [path.name for path in out.iterdir()] in ([], [CACHE_FOLDER]), "nothing half-written"


def test_damaged_record_is_named_and_training_goes_on_once_mended(
    commands: "Commands", tmp_path: Path, one_line_error: OneLine
):
    data, workdir = tmp_path / "data", tmp_path / "run"
    shutil.copytree(commands.data, data)
    (shard,) = (data / "syn_c").glob("*train*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 64] = bytes(64)
    shard.write_bytes(content)
    error = one_line_error(commands.run(*commands.train_words(workdir, data__dir=data)))
    assert "sample 'syn_c/p" in error and str(data / "syn_c") in error and "make it with" in error
    assert not (workdir / "metrics.json").exists() and not (workdir / "decision.json").exists()
    commands.train(workdir)
    assert (workdir / "metrics.json").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root; the test with a file size limit stands in")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, free_kb: int) -> Path:
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(folder).free - 1024 * free_kb))
    return ballast


# Room for nothing; for the config; for part of a checkpoint; for one checkpoint and part of another.
@pytest.mark.parametrize(
    "free_kb", [pytest.param(k, marks=[] if k == 400 else pytest.mark.slow) for k in (0, 60, 150, 400, 700, 800, 1200)]
)
def test_full_disk_while_saving(commands: "Commands", small_disk: Path, one_line_error: OneLine, free_kb: int):
    workdir = small_disk / "run"
    ballast = fill(small_disk, free_kb)
    error = one_line_error(commands.run(*commands.train_words(workdir)))
    assert str(workdir) in error and "full" in error and "same command again" in error
    assert not (workdir / "metrics.json").exists()
    finished = [path.name for path in (workdir / "checkpoints").glob("*") if path.name.isdigit()]
    ballast.unlink()
    done = commands.train(workdir)
    goes_on = f"going on from step {max(finished, key=int)}" if finished else "training from scratch"
    assert goes_on in done.stderr


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE behaves as described on Linux")
def test_file_size_limit_while_saving(
    commands: "Commands", finished: "Finished", tmp_path: Path, one_line_error: OneLine
):
    """`finished` has filled the compilation cache, whose files would meet the limit first."""
    workdir = tmp_path / "run"
    options: dict[str, Any] = {"preexec_fn": limited(16_000)}
    error = one_line_error(commands.run(*commands.train_words(workdir), **options))
    assert str(workdir) in error and "run the same command again" in error
    assert not (workdir / "metrics.json").exists()
    commands.train(workdir)
