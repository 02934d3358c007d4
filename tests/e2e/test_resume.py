"""A run that is killed and started again ends as one that was not, bit for bit; a workdir belongs to one run."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

if TYPE_CHECKING:
    from conftest import Commands, Finished

STEPS = 40
OneLine = Callable[[subprocess.CompletedProcess[str]], str]


def parameters(workdir: Path) -> dict[str, np.ndarray]:
    """Returns every array of the final checkpoint: parameters, statistics, optimizer state, step."""
    with ocp.CheckpointManager((workdir / "checkpoints").absolute()) as manager:
        assert manager.latest_step() == STEPS
        state = manager.restore(STEPS, args=ocp.args.Composite(state=ocp.args.StandardRestore()))["state"]
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def logged(workdir: Path) -> list[dict[str, Any]]:
    """Returns train.jsonl without the one number that depends on the clock."""
    rows = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "images_per_s"} for row in rows]


def results(workdir: Path) -> dict[str, bytes]:
    """Returns the bytes of the files that hold results."""
    files = [
        *workdir.glob("scores/*.csv"),
        *(workdir / name for name in ("source_val.csv", "metrics.json", "decision.json")),
    ]
    return {str(file.relative_to(workdir)): file.read_bytes() for file in files}


def assert_same_run(workdir: Path, expected: Path) -> None:
    ours, theirs = parameters(workdir), parameters(expected)
    assert ours.keys() == theirs.keys()
    for path, value in theirs.items():
        np.testing.assert_array_equal(ours[path], value, err_msg=path)
    assert logged(workdir) == logged(expected)
    assert results(workdir) == results(expected)
    partial = [
        path.name for path in workdir.rglob("*") if path.name.endswith(".tmp") or "orbax-checkpoint-tmp" in path.name
    ]
    assert not partial, "a finished workdir holds no remains of a killed run"


def kill_when(process: subprocess.Popen[str], is_time: Callable[[], bool]) -> bool:
    """Sends SIGKILL as soon as `is_time()`; False when the process ended before that."""
    while process.poll() is None and not is_time():
        time.sleep(0.002)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def after(seconds: float) -> Callable[[], bool]:
    moment = time.monotonic() + seconds
    return lambda: time.monotonic() >= moment


def count_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def test_killed_run_ends_as_an_uninterrupted_one(commands: "Commands", finished: "Finished", tmp_path: Path):
    step = random.Random().randint(6, STEPS - 5)
    workdir = tmp_path / "killed"
    process = commands.start(commands.train_words(workdir))

    def is_time() -> bool:
        has_checkpoint = any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))
        return has_checkpoint and count_lines(workdir / "train.jsonl") >= step

    assert kill_when(process, is_time), "it ended before it was killed"
    assert not (workdir / "metrics.json").exists()
    done = commands.train(workdir)
    assert "going on from step" in done.stderr, f"killed at step {step}: {done.stderr[-2000:]}"
    assert_same_run(workdir, finished.workdir)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_run_killed_at_many_moments_ends_as_an_uninterrupted_one(
    commands: "Commands", finished: "Finished", tmp_path: Path, seed: int
):
    """Kills at random delays: while starting, training, saving, scoring and writing the report."""
    rng = random.Random(seed)
    started = time.monotonic()
    commands.train(tmp_path / "timed")
    duration = time.monotonic() - started
    workdir = tmp_path / "killed"
    for _ in range(6):
        kill_when(commands.start(commands.train_words(workdir)), after(rng.uniform(0.3, 1.0) * duration))
    commands.train(workdir)
    assert_same_run(workdir, finished.workdir)


def test_finished_run_only_refreshes_its_report(commands: "Commands", copied: Path):
    """Also: another data folder, another mesh and other logging are the same run."""
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    (copied / "report.html").unlink()
    moved = commands.folder / "moved"
    if not moved.exists():
        moved.symlink_to(commands.data)
    done = commands.train(copied, data__dir=moved, mesh__data=1, train__log_every=7)
    assert "is finished" in done.stderr and "HTER" in done.stdout
    changed = {
        str(path.relative_to(copied))
        for path in copied.rglob("*")
        if path.is_file() and before.get(path) != path.stat().st_mtime_ns
    }
    assert changed == {"report.html"}


def test_another_config_in_the_workdir_is_refused(commands: "Commands", copied: Path, one_line_error: OneLine):
    before = (copied / "config.json").read_bytes()
    words = commands.train_words(copied, seed=1, optim__lr=0.5, train__log_every=3)
    error = one_line_error(commands.run(*words))
    assert "seed (there 0, now 1)" in error and "optim.lr" in error and "log_every" not in error
    assert str(copied) in error and "--workdir" in error
    assert (copied / "config.json").read_bytes() == before
