"""The training log: what a line holds, rates, and how a resumed run cuts off what it will write again."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from flipjax.training import telemetry
from flipjax.training.telemetry import clock, open_telemetry


@pytest.fixture
def timer(monkeypatch) -> SimpleNamespace:
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: now.seconds)
    return now


def opened(workdir: Path | None, start_step: int = 0, tensorboard: bool = False) -> telemetry.Telemetry:
    log = open_telemetry(workdir, start_step=start_step, total_steps=100, images_per_step=24, tensorboard=tensorboard)
    log.started = telemetry.time.monotonic()
    return log


def rows(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]


def write(workdir: Path, steps: list[int], tail: str = "") -> Path:
    path = workdir / "train.jsonl"
    path.write_text("".join(json.dumps({"step": step, "loss": 0.1}) + "\n" for step in steps) + tail)
    return path


def test_a_line_holds_step_loss_terms_rate_and_speed(tmp_path, timer) -> None:
    log = opened(tmp_path, start_step=10)
    timer.seconds += 2
    log.log(14, {"loss": 1.5, "ce": 1.0, "mse": 0.5}, 1e-6)
    timer.seconds += 5
    log.log(24, {"loss": 1.0, "ce": 0.75, "mse": 0.25}, 2e-6)
    log.close()
    # Four updates in two seconds, then ten in five: 48 images a second both times.
    assert rows(tmp_path) == [
        {"step": 14, "loss": 1.5, "terms": {"ce": 1.0, "mse": 0.5}, "lr": 1e-6, "images_per_s": 48.0},
        {"step": 24, "loss": 1.0, "terms": {"ce": 0.75, "mse": 0.25}, "lr": 2e-6, "images_per_s": 48.0},
    ]


def test_resuming_drops_the_lines_after_the_checkpoint(tmp_path) -> None:
    write(tmp_path, [1, 20, 40, 50, 60])
    opened(tmp_path, start_step=50).log(51, {"loss": 2.0}, 0.1)
    assert [row["step"] for row in rows(tmp_path)] == [1, 20, 40, 50, 51]
    assert [file.name for file in tmp_path.iterdir()] == ["train.jsonl"], "no temporary file is left"


@pytest.mark.parametrize("tail", ['{"step": 40, "lo', "{", '{"step": 40, "loss": 0.1'])
def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path, tail) -> None:
    write(tmp_path, [1, 20], tail)
    opened(tmp_path, start_step=50).log(51, {"loss": 2.0}, 0.1)
    assert [row["step"] for row in rows(tmp_path)] == [1, 20, 51]


def test_a_fresh_run_starts_a_fresh_log(tmp_path) -> None:
    write(tmp_path, [1, 20])
    opened(tmp_path)
    assert rows(tmp_path) == []


def test_opening_writes_nothing_before_the_first_line(tmp_path) -> None:
    opened(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_processes_other_than_the_first_say_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = opened(None, tensorboard=True)
    log.log(1, {"loss": 1.0}, 0.1)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_scalars_reach_tensorboard(tmp_path, timer) -> None:
    log = opened(tmp_path, tensorboard=True)
    assert log.tensorboard is not None
    scalars = []
    log.tensorboard.add_scalar = lambda name, value, step: scalars.append((name, value, step))
    timer.seconds += 1
    log.log(1, {"loss": 1.5, "ce": 1.25}, 0.1)
    log.close()
    assert scalars == [
        ("train/loss", 1.5, 1),
        ("train/ce", 1.25, 1),
        ("train/lr", 0.1, 1),
        ("train/images_per_s", 24.0, 1),
    ]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    "seconds,shown", [(0.0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.6, "1:00:00"), (36061.0, "10:01:01")]
)
def test_clock(seconds, shown) -> None:
    assert clock(seconds) == shown
