"""A tiny data set, the commands as a user starts them, and one finished run that the tests share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_runs import SMALL, write_data

from configs.flip_mcl import get_config
from flipjax.experiment.workdir import as_json, flat

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = "--config=configs/flip_mcl.py:tiny"
STEPS = 40
SCHEDULE = {
    "train.steps": STEPS,
    "train.batch_size": 12,
    "train.checkpoint_every": 5,
    "train.log_every": 1,
    "eval.every": 20,
}


@dataclass(frozen=True)
class Commands:
    """Starts commands in a folder of their own, on one CPU device, with a compilation cache for the session."""

    folder: Path
    data: Path
    xla_flags: str = ""

    def overrides(self, **changes: object) -> list[str]:
        """Returns the flags of the tiny run; `changes` are dotted keys with __ for the dot, None leaves a key out."""
        known = flat(as_json(get_config("tiny")))
        values: dict[str, object] = {key: value for key, value in SMALL.items() if key in known}
        values |= {**SCHEDULE, "data.dir": self.data}
        values |= {key.replace("__", "."): value for key, value in changes.items()}
        return [f"--config.{key}={value}" for key, value in values.items() if value is not None]

    def train_words(self, workdir: Path, **changes: object) -> list[str]:
        """Returns the words of a training command behind `python`."""
        return ["-m", "flipjax.main", CONFIG, f"--workdir={workdir}", *self.overrides(**changes)]

    def start(self, words: list[str], **options: object) -> subprocess.Popen[str]:
        """Starts `python WORDS`."""
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": self.xla_flags,
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "cache"),
        }
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,  # type: ignore[arg-type]
        )

    def run(self, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs `python WORDS` to its end."""
        texts = [str(word) for word in words]
        with self.start(texts, **options) as process:
            try:
                out, err = process.communicate(timeout=240)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(texts, process.returncode, out, err)

    def train(self, workdir: Path, **changes: object) -> subprocess.CompletedProcess[str]:
        """Trains to the end and expects success."""
        done = self.run(*self.train_words(workdir, **changes))
        assert done.returncode == 0, done.stderr[-3000:]
        return done


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("elsewhere")
    return Commands(folder, write_data(folder / "data"))


@dataclass(frozen=True)
class Finished:
    """A finished workdir, which tests must not change, and what the command said."""

    workdir: Path
    said: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def finished(commands: Commands) -> Finished:
    workdir = commands.folder / "finished"
    return Finished(workdir, commands.train(workdir))


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished workdir, to be changed."""
    return Path(shutil.copytree(finished.workdir, tmp_path / "copied"))


@pytest.fixture(scope="session")
def one_line_error() -> Callable[[subprocess.CompletedProcess[str]], str]:
    """one_line_error(done) -> the error of a command that failed as it should."""

    def check(done: subprocess.CompletedProcess[str]) -> str:
        lines = [line for line in done.stderr.splitlines() if line]
        assert done.returncode == 1, f"exit code {done.returncode}: {done.stderr[-2000:]}"
        assert "Traceback" not in done.stderr, done.stderr[-2000:]
        errors = [line for line in lines if line.startswith("error: ")]
        assert len(errors) == 1 and lines[-1] == errors[0], done.stderr[-2000:]
        return errors[0]

    return check
