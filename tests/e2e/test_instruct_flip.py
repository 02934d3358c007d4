"""InstructFLIP as a user runs it: answers, accuracies and cue maps beside the scores, and what can go wrong with its settings."""

import csv
import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_runs import SMALL, picture, png

from configs.instruct_flip import get_config
from flipjax.experiment.workdir import as_json, flat

if TYPE_CHECKING:
    from conftest import Commands

OneLine = Callable[[subprocess.CompletedProcess[str]], str]
CONFIG = "--config=configs/instruct_flip.py:tiny"
SCHEDULE = {
    "train.steps": 4,
    "train.batch_size": 12,
    "train.checkpoint_every": 4,
    "eval.every": 4,
    "train.log_every": 1,
}


def words_for(commands: "Commands", workdir: Path, config: str = CONFIG, **changes: object) -> list[str]:
    """Returns the words of a training command; `changes` are dotted keys with __ for the dot."""
    known = flat(as_json(get_config("tiny")))
    values: dict[str, object] = {key: value for key, value in SMALL.items() if key in known}
    values |= {**SCHEDULE, "data.dir": commands.data, "log.tensorboard": False, "log.pictures": 2}
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    overrides = [f"--config.{key}={value}" for key, value in values.items()]
    return ["-m", "flipjax.main", config, f"--workdir={workdir}", *overrides]


@pytest.fixture(scope="module")
def quick(commands: "Commands") -> "Commands":
    """The commands with little optimisation, since compilation is most of the time."""
    flags = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    return dataclasses.replace(commands, xla_flags=flags)


@pytest.fixture(scope="module")
def workdir(quick: "Commands") -> Path:
    """A finished run of the whole method with its language model."""
    folder = quick.folder / "instruct_flip"
    done = quick.run(*words_for(quick, folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_finished_workdir_holds_answers_and_their_accuracy(workdir: Path):
    rows = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    assert [row["terms"].keys() for row in rows] == [{"content", "style", "cls", "cue", "grad_norm"}] * 4
    with (workdir / "answers" / "syn_a.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 20 == len({row["sample_id"] for row in answers})
    options = [name for name in answers[0] if name.startswith("content_probability ")]
    assert len(options) == 11 and "content_probability (9) Pad screen" in options
    for row in answers:
        assert sum(float(row[name]) for name in options) == pytest.approx(1, abs=1e-4)
    metrics = load(workdir / "metrics.json")
    for numbers in (metrics["mean"], metrics["targets"]["syn_a"]):
        assert 0 <= numbers["content_accuracy"] <= 100 and 0 <= numbers["hter"] <= 100
        assert "illumination_accuracy" not in numbers, "these pictures have no such label"


def test_pictures_and_report_show_the_cue_map_and_the_questions(workdir: Path):
    shown = [load(file) for file in sorted((workdir / "explain" / "syn_a").glob("*.json"))]
    assert len(shown) == 2 == len(list((workdir / "explain" / "syn_a").glob("*.png")))
    for picture_of in shown:
        assert list(picture_of["answers"]) == ["content", "illumination", "environment", "camera_quality"]
        assert picture_of["answers"]["content"]["answer"].startswith("(")
    page = (workdir / "report.html").read_text(encoding="utf-8")
    assert "Which type of spoof type is in this image?" in page and "1 = attack" in page


def test_predict_answers_and_saves_the_cue_map(quick: "Commands", workdir: Path, tmp_path: Path):
    file = tmp_path / "crop.png"
    file.write_bytes(png(picture("anybody", False)))
    done = quick.run("-m", "flipjax.predict", f"--workdir={workdir}", "--detector=none", "--explain", file)
    assert done.returncode in (0, 3), done.stderr[-2000:]
    (line,) = [json.loads(text) for text in done.stdout.splitlines()]
    assert list(line["answers"]) == ["content", "illumination", "environment", "camera_quality"]
    assert sum(line["answers"]["environment"]["options"].values()) == pytest.approx(1, abs=1e-4)
    assert (workdir / "explain" / "predict" / "crop.png").is_file()


def wrong_t5(folder: Path) -> Path:
    """A file in the format of a FLAN-T5 whose width is 24; the method wants 16."""
    width, inner, hidden = 24, 16, 32
    shapes = {"shared.weight": (32128, width), "lm_head.weight": (32128, width)}
    for stack, parts in {"encoder": ("SelfAttention",), "decoder": ("SelfAttention", "EncDecAttention")}.items():
        shapes[f"{stack}.final_layer_norm.weight"] = (width,)
        shapes[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (32, 2)
        for number, part in enumerate((*parts, "DenseReluDense")):
            layer = f"{stack}.block.0.layer.{number}"
            shapes[f"{layer}.layer_norm.weight"] = (width,)
            if part == "DenseReluDense":
                shapes |= {f"{layer}.{part}.{name}.weight": (hidden, width) for name in ("wi_0", "wi_1")}
                shapes[f"{layer}.{part}.wo.weight"] = (width, hidden)
            else:
                shapes |= {f"{layer}.{part}.{name}.weight": (inner, width) for name in "qkv"}
                shapes[f"{layer}.{part}.o.weight"] = (width, inner)
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


WRONG = {
    "profile": ([f"{CONFIG},profile=papers"], {}, ["'profile=papers'", "default|released|paper"]),
    "language model": ([CONFIG], {"method__llm": "bse"}, ["method.llm 'bse' unknown", "did you mean 'base'"]),
    "long question": ([CONFIG], {"text__limit": 50}, ["'Choose the correct option", "needs 82 tokens but at most 50"]),
    "branch": ([CONFIG], {"method__branches": "('content','colour')"}, ["'colour'", "content", "style"]),
    "t5 of another size": ([CONFIG], {}, ["model.safetensors", "(27 problems)", "shape (24, 16)", "of shape (16, 16)"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_can_be_wrong_is_one_clear_line(commands: "Commands", tmp_path: Path, one_line_error: OneLine, case: str):
    (config,), changes, expected = WRONG[case]
    if case.startswith("t5"):
        changes = {"weights__t5": wrong_t5(tmp_path), "text__used_words_only": False}
    error = one_line_error(commands.run(*words_for(commands, tmp_path / "run", config, **changes)))
    assert all(text in error for text in expected), error
    assert len(error) < 700, "a line that a person reads"
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
