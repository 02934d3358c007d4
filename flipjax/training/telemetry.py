"""What a run says while it trains: one log line, one JSON line and optional TensorBoard scalars per logged step."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from absl import logging


@dataclass
class Telemetry:
    """Writes `train.jsonl` (step, loss, terms, lr, images_per_s) and the progress line; silent where `path` is None."""

    path: Path | None
    total_steps: int
    images_per_step: int
    tensorboard: Any | None
    start_step: int
    started: float = field(default_factory=time.monotonic)
    last: tuple[float, int] | None = None

    def log(self, step: int, terms: dict[str, float], lr: float) -> None:
        """Records update number `step` (1 = the first)."""
        if self.path is None:
            return
        now = time.monotonic()
        since, before = self.last or (self.started, self.start_step)
        rate = (step - before) / max(now - since, 1e-9)
        self.last = (now, step)
        loss = terms["loss"]
        parts = {name: value for name, value in terms.items() if name != "loss"}
        row = {"step": step, "loss": loss, "terms": parts, "lr": lr, "images_per_s": rate * self.images_per_step}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.tensorboard is not None:
            for name, value in {**terms, "lr": lr, "images_per_s": row["images_per_s"]}.items():
                self.tensorboard.add_scalar(f"train/{name}", value, step)
        left = (self.total_steps - step) / max(rate, 1e-9)
        shown = " ".join(f"{name} {value:.4f}" for name, value in parts.items())
        logging.info(
            "step %d/%d  loss %.4f  %s  lr %.2e  %.0f images/s  %s left",
            step, self.total_steps, loss, shown, lr, row["images_per_s"], clock(left),
        )  # fmt: skip

    def close(self) -> None:
        """Flushes the TensorBoard file."""
        if self.tensorboard is not None:
            self.tensorboard.close()


def clock(seconds: float) -> str:
    """Returns h:mm:ss, or m:ss below an hour.

    Example:
      >>> clock(75.4), clock(3661.0)
      ('1:15', '1:01:01')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def open_telemetry(
    workdir: Path | None, *, start_step: int, total_steps: int, images_per_step: int, tensorboard: bool
) -> Telemetry:
    """Opens the logs of a run that goes on after `start_step`; later lines of an interrupted run are dropped first.

    `workdir` None says nothing: the processes of a run other than the first.
    """
    if workdir is None:
        return Telemetry(None, total_steps, images_per_step, None, start_step)
    path = workdir / "train.jsonl"
    _keep_until(path, start_step)
    writer = None
    if tensorboard:
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(str(workdir / "tensorboard"), purge_step=start_step or None)
    return Telemetry(path, total_steps, images_per_step, writer, start_step)


def _keep_until(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the line a kill cut short
            continue
        if row["step"] <= step:
            kept.append(line)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    os.replace(temporary, path)
