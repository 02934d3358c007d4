"""`python -m flipjax.questions` from a folder of pictures to scores side by side, and the errors on the way."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flipjax.core.errors import ConfigError
from flipjax.evaluation import harness
from flipjax.experiment.answering import pictures_of, questions_of, write_own_answers
from flipjax.prompts.instruct import PUBLISHED
from flipjax.serving.predictor import Predictor

CONTENT, _, ENVIRONMENT, _ = PUBLISHED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose mean grey is 10 (bona fide, indoor), 200 (photo, outdoor) and one file that is no picture."""
    (tmp_path / "pictures" / "sub").mkdir(parents=True)
    for name, grey in (("a.png", 10), ("sub/b.png", 200)):
        Image.fromarray(np.full((48, 48, 3), grey, np.uint8)).save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "pictures" / "labels.csv").write_text(
        "path,label,attack_instrument,environment\na.png,bona_fide,,indoor\nsub/b.png,attack,photo,outdoor\n"
    )
    return tmp_path


def _run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flipjax.questions", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _predictor(**changes: object) -> Predictor:
    """Answers by the mean grey of the crop: dark is bona fide and indoor."""

    def answers(images: np.ndarray) -> dict[str, np.ndarray]:
        dark = images.mean(axis=(1, 2, 3)) < 100
        content = np.where(dark[:, None], np.eye(11)[0], np.eye(11)[1]) * 0.9 + 0.1 / 11
        return {"content": content, "environment": np.where(dark[:, None], [0.75, 0.25], [0.25, 0.75])}

    values = {
        "score": lambda images: np.full(len(images), 0.5),
        "image_size": 32,
        "detector": "none",
        "padding": 0.2,
        "threshold": 0.5,
        "threshold_rule": "test",
        "questions": (CONTENT, ENVIRONMENT),
        "answers": answers,
        "batch_size": 2,
    }
    return Predictor(**(values | changes))  # type: ignore[arg-type]


def test_export_answer_by_hand_and_score(folder: Path) -> None:
    done = _run("export", "--images=pictures", "--out=q.csv", "--wording=paper", cwd=folder)
    assert done.returncode == 0 and "wrote q.csv: 12 rows" in done.stdout, done.stderr
    rows = _rows(folder / "q.csv")
    assert list(rows[0]) == ["image", "question", "text"]
    assert [row["image"] for row in rows[::4]] == ["a.png", "broken.jpg", "sub/b.png"]
    assert [row["question"] for row in rows[:4]] == [question.name for question in PUBLISHED]
    assert rows[2]["text"] == "What is the environment in this image? (1) Indoor (2) Outdoor"

    answers = {"content": "Photo", "environment": "It looks like an outdoor place."}
    with (folder / "chat.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["image", "question", "text", "answer"])
        writer.writeheader()
        writer.writerows(row | {"answer": answers[row["question"]]} for row in rows if row["question"] in answers)
    done = _run("score", "--truth=pictures/labels.csv", "--answers=chat.csv", "--out=out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "out/answers.json" in done.stdout and "out/answers.html" in done.stdout
    model = json.loads((folder / "out" / "answers.json").read_text())["models"]["chat"]
    assert model["questions"]["content"]["balanced_accuracy"] == 50.0 and model["verdict"]["hter"] == 50.0
    assert sorted(file.name for file in (folder / "out").iterdir()) == ["answers.html", "answers.json"]


def test_released_wording_keeps_the_line_break(folder: Path) -> None:
    assert _run("export", "--images=pictures", "--out=q.csv", cwd=folder).returncode == 0
    assert [row["text"] for row in _rows(folder / "q.csv")[:4]] == [question.text for question in PUBLISHED]


def test_own_answers_are_read_back_and_scored(folder: Path) -> None:
    write_own_answers(folder / "ours.csv", _predictor(), folder / "pictures")
    rows = _rows(folder / "ours.csv")
    assert list(rows[0]) == ["image", "question", "answer", "probability", *(f"p{i}" for i in range(1, 12))]
    by_key = {(row["image"], row["question"]): row for row in rows}
    assert len(by_key) == len(rows) == 6
    assert by_key["sub/b.png", "content"]["answer"] == "(2) Photo"
    assert float(by_key["sub/b.png", "content"]["p2"]) == float(by_key["sub/b.png", "content"]["probability"]) > 0.9
    assert by_key["a.png", "environment"]["answer"] == "(1) Indoor" and by_key["a.png", "environment"]["p3"] == ""
    assert set(list(by_key["broken.jpg", "content"].values())[2:]) == {""}
    labels = folder / "pictures" / "labels.csv"
    # The empty answers are about a picture that is not labelled.
    content = harness.write_comparison(
        folder / "out", labels, [folder / "ours.csv"], PUBLISHED, outside="error", pictures=9
    )
    ours = content["models"]["ours"]
    assert ours["questions"]["content"]["balanced_accuracy"] == ours["questions"]["environment"]["accuracy"] == 100.0
    assert ours["verdict"]["hter"] == 0.0 and ours["questions"]["content"]["unparsed"] == 0


def test_free_text_is_what_the_model_wrote_and_is_parsed_like_anybody_elses(folder: Path) -> None:
    def speak(images: np.ndarray) -> np.ndarray:
        dark = images.mean(axis=(1, 2, 3)) < 100
        return np.array([["real face." if d else "photo", "I cannot tell"] for d in dark], dtype=object)

    write_own_answers(folder / "ours.csv", _predictor(speak=speak), folder / "pictures", free_text=True)
    by_key = {(row["image"], row["question"]): row["answer"] for row in _rows(folder / "ours.csv")}
    assert by_key["a.png", "content"] == "real face." and by_key["sub/b.png", "content"] == "photo"
    assert by_key["a.png", "environment"] == "I cannot tell"
    with pytest.raises(ConfigError, match="--free_text needs a language model"):
        write_own_answers(folder / "ours.csv", _predictor(), folder / "pictures", free_text=True)


def test_a_method_without_answers_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="answers no questions"):
        write_own_answers(folder / "ours.csv", _predictor(answers=None), folder / "pictures")
    assert questions_of(None) == PUBLISHED and len(pictures_of(folder / "pictures")) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scores"], "action 'scores' unknown; expected export, answer or score; did you mean 'score'"),
        (["score", "--truth=pictures/labels.csv", "--out=o"], "score needs --answers"),
        (["answer", "--workdir=w", "--images=nowhere", "--out=o.csv"], "--images=nowhere holds no picture"),
        (["export", "--workdir=w", "--images=pictures", "--out=o.csv"], "'w' is not a workdir"),
        (["score", "--truth=t.csv", "--answers=a.csv", "--out=o"], "labels file t.csv does not exist"),
        (["export", "extra", "--images=pictures", "--out=q.csv"], "unexpected argument 'extra'"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(folder: Path, words: list[str], message: str) -> None:
    done = _run(*words, cwd=folder)
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert [file.name for file in folder.iterdir()] == ["pictures"]
