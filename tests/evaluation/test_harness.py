"""The question harness: reading labels and answers, hand-worked scores, and the page side by side."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flipjax.core.errors import ConfigError, DataError, MetricError
from flipjax.evaluation import harness
from flipjax.evaluation.answer_files import Given, Truth, read_answers, read_truth, write_table
from flipjax.metrics.answers import balanced_accuracy
from flipjax.prompts.instruct import PUBLISHED, questions

LABELS = """path,label,attack_instrument,illumination,environment,camera_quality
p/a.png,bona_fide,,normal,indoor,low
p/b.png,attack,photo,dark,outdoor,
p/c.png,attack,,,,
p/d.png,bona_fide,bona_fide,back,,
clip.mp4,attack,photo,,,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text(LABELS, encoding="utf-8")
    (tmp_path / "p").mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(rng.integers(0, 255, (48, 400, 3), dtype=np.uint8)).save(tmp_path / "p" / f"{name}.png")
    return tmp_path


def _answers(path: Path, *rows: tuple[str, str, str]) -> Path:
    write_table(path, ("image", "question", "answer"), rows)
    return path


def _content(*texts: str, start: str = "p/") -> list[tuple[str, str, str]]:
    return [(f"{start}{name}.png", "content", text) for name, text in zip("abcd", texts, strict=False)]


def test_truth_of_a_labels_file(folder: Path) -> None:
    truth = read_truth(folder / "labels.csv")
    assert [picture.image for picture in truth] == ["p/a.png", "p/b.png", "p/c.png", "p/d.png"]
    assert [picture.is_bona_fide for picture in truth] == [True, False, False, True]
    assert [picture.right["attack_instrument"] for picture in truth] == [0, 1, -1, 0]
    assert [picture.right["illumination"] for picture in truth] == [0, 3, -1, 2]
    assert [picture.right["camera_quality"] for picture in truth] == [0, -1, -1, -1]
    assert truth[0].file == folder / "p" / "a.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\n", "has no column label"),
        ("path,label\n", "lists no picture"),
        ("path,label\nv.mp4,attack\n", "lists no picture"),
        ("path,label,iluminatio\na,attack,\n", "line 2: unknown column 'iluminatio'.*did you mean 'illumination'"),
        ("path,label\na,live\n", "line 2: label 'live'"),
        ("path,label\na,attack\na,attack\n", "line 3: path 'a' occurs twice"),
        ("path,label\n,attack\n", "line 2: path is empty"),
        ("path,label,attack_instrument\na,bona_fide,photo\n", "'photo' given for a bona fide row"),
        ("path,label,attack_instrument\na,attack,bona_fide\n", "'bona_fide' given for an attack"),
        ("path,label,attack_instrument\na,attack,foto\n", "did you mean 'photo'"),
        ("path,label,camera_quality\na,attack,good\n", "camera_quality 'good' unknown"),
    ],
)
def test_bad_labels_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_truth(tmp_path / "labels.csv")


@pytest.mark.parametrize("start", ["p/", "", "/data/x/p/", "p\\", "./p/"])
def test_pictures_are_found_from_another_folder(folder: Path, start: str) -> None:
    truth = read_truth(folder / "labels.csv")
    path = _answers(folder / "m.csv", *_content("(1) Real face", "2", start=start))
    found = read_answers(path, truth, PUBLISHED, outside="error")
    assert found == {
        ("p/a.png", "content"): Given("(1) Real face", 0),
        ("p/b.png", "content"): Given("2", 1),
    }


def test_a_name_that_fits_two_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(
        "path,label\nx/a.png,attack\ny/a.png,attack\na.png,attack\nx/b.png,attack\ny/b.png,attack\n"
    )
    truth = read_truth(tmp_path / "l.csv")
    path = _answers(tmp_path / "m.csv", ("a.png", "content", "2"), ("z/a.png", "content", "3"))
    with pytest.raises(DataError, match="answered twice"):
        read_answers(path, truth, PUBLISHED, outside="error")
    with pytest.raises(DataError, match=r"'b\.png': the name fits several"):
        read_answers(_answers(tmp_path / "n.csv", ("b.png", "content", "2")), truth, PUBLISHED, outside="error")


def test_an_answer_outside_the_options(folder: Path) -> None:
    truth = read_truth(folder / "labels.csv")
    path = _answers(folder / "m.csv", ("p/a.png", "content", "1"), ("p/b.png", "content", "a hologram,\n(12)"))
    with pytest.raises(DataError) as error:
        read_answers(path, truth, PUBLISHED, outside="error")
    for part in (
        "m.csv, line 4",
        "picture 'p/b.png'",
        "'content'",
        "'a hologram, (12)'",
        "(11) 3D mask",
        "--outside=wrong",
    ):
        assert part in str(error.value), part
    assert "\n" not in str(error.value)
    assert read_answers(path, truth, PUBLISHED, outside="wrong")["p/b.png", "content"].option == -1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("p/a.png", "contents", "1")], "line 2: question 'contents' unknown.*did you mean 'content'"),
        ([("q/z.png", "content", "1")], "about none of the labelled pictures; names must match, such as p/a.png"),
        ([], "about none of the labelled pictures"),
        ([("p/a.png", "content", "1"), ("a.png", "content", "2")], "line 3: picture 'a.png'.* answered twice"),
    ],
)
def test_bad_answers_files(folder: Path, rows: list[tuple[str, str, str]], message: str) -> None:
    truth = read_truth(folder / "labels.csv")
    with pytest.raises(DataError, match=message):
        read_answers(_answers(folder / "m.csv", *rows), truth, PUBLISHED, outside="wrong")
    with pytest.raises(ConfigError, match="outside 'ignore' unknown"):
        read_answers(folder / "m.csv", truth, PUBLISHED, outside="ignore")


def _truth(*instruments: int) -> list[Truth]:
    """Pictures 0, 1, ... with these attack instruments; 0 is bona fide, -1 an attack of unknown kind."""
    return [
        Truth(str(i), Path(str(i)), kind == 0, {"attack_instrument": kind, "is_bona_fide": int(kind == 0)})
        for i, kind in enumerate(instruments)
    ]


def test_scores_by_hand() -> None:
    truth = _truth(0, 0, 0, 1, 1, -1)
    chosen = [0, 0, 2, 1, 0, 4]
    answers = {(str(i), "content"): Given("", option) for i, option in enumerate(chosen)}
    result = harness.score(truth, answers, PUBLISHED, outside="error")
    assert list(result["questions"]) == ["content"]
    content = result["questions"]["content"]
    assert content["n"] == 5 and content["unparsed"] == 0
    assert content["accuracy"] == pytest.approx(60.0)
    assert content["balanced_accuracy"] == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    verdict = result["verdict"]
    assert verdict["n"] == 6 and verdict["apcer_pooled"] == pytest.approx(100 / 3)
    assert verdict["bpcer"] == pytest.approx(100 / 3) and verdict["hter"] == pytest.approx(100 / 3)


def test_outside_and_missing_answers_are_wrong_in_everything() -> None:
    truth = _truth(0, 0, 1, 1)
    answers = {("0", "content"): Given("?", -1), ("1", "content"): Given("1", 0), ("2", "content"): Given("2", 1)}
    result = harness.score(truth, answers, PUBLISHED, outside="wrong")
    assert result["questions"]["content"] == {"n": 4, "unparsed": 2, "accuracy": 50.0, "balanced_accuracy": 50.0}
    assert result["verdict"] == {
        "question": "content",
        "n": 4,
        "unparsed": 2,
        "apcer_pooled": 50.0,
        "bpcer": 50.0,
        "hter": 50.0,
    }
    with pytest.raises(DataError, match="picture '3' has no answer to question 'content'"):
        harness.score(truth, answers, PUBLISHED, outside="error")


def test_a_question_without_labels_has_no_accuracy_and_no_verdict() -> None:
    answers = {("0", "environment"): Given("1", 0)}
    result = harness.score(_truth(0, 1), answers, PUBLISHED, outside="error")
    assert result == {"questions": {"environment": {"n": 0, "unparsed": 0}}, "verdict": None}


def test_verdict_of_a_question_on_the_class() -> None:
    custom = {
        "real": {"branch": "content", "field": "is_bona_fide", "text": "Real?", "options": ["attack", "bona fide"]}
    }
    answers = {(str(i), "real"): Given("", option) for i, option in enumerate([1, 0, 0, 1])}
    result = harness.score(_truth(0, 0, 1, -1), answers, questions(custom, ()), outside="error")
    assert result["questions"]["real"] == {"n": 4, "unparsed": 0, "accuracy": 50.0, "balanced_accuracy": 50.0}
    assert result["verdict"]["bpcer"] == 50.0 and result["verdict"]["apcer_pooled"] == 50.0


def test_comparison_files(folder: Path) -> None:
    ours = _answers(
        folder / "ours.csv", *_content("(1) Real face", "(2) Photo", "3", "1"), ("p/a.png", "environment", "Indoor")
    )
    other = _answers(folder / "<b>.csv", *_content("(2) Photo", "<script>hologram</script>", "(2)"))
    options = {"outside": "wrong", "pictures": 3}
    content = harness.write_comparison(folder / "out", folder / "labels.csv", [ours, other], PUBLISHED, **options)
    assert content == json.loads((folder / "out" / "answers.json").read_text())
    assert list(content["models"]) == ["ours", "<b>"]
    assert content["models"]["ours"]["questions"]["content"]["balanced_accuracy"] == 100.0
    assert content["models"]["<b>"]["questions"]["content"] == {
        "n": 3,
        "unparsed": 2,
        "accuracy": 0.0,
        "balanced_accuracy": 0.0,
    }
    page = (folder / "out" / "answers.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;hologram" in page and "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg;base64,") == 3 and "The first 3 of 4 pictures" in page
    assert (
        '<td class="wrong"><span class="mark" aria-hidden="true">✗</span> <span class="answer">(2) Photo</span>' in page
    )
    assert '<td class="outside"><span class="mark" aria-hidden="true">?</span>' in page
    assert '<td class="missing"><span class="mark" aria-hidden="true">–</span>' in page
    assert '<td class="unknown">' in page and "unknown</td>" in page


def test_errors_leave_nothing_behind(folder: Path) -> None:
    ours = _answers(folder / "ours.csv", *_content("1", "2", "3", "1"))
    bad = _answers(folder / "bad.csv", *_content("1", "2"))
    with pytest.raises(DataError, match=r"bad.csv: picture 'p/c.png' has no answer"):
        harness.write_comparison(
            folder / "out", folder / "labels.csv", [ours, bad], PUBLISHED, outside="error", pictures=3
        )
    (folder / "x").mkdir()
    again = _answers(folder / "x" / "ours.csv", *_content("1", "2", "3", "1"))
    with pytest.raises(ConfigError, match="two answers files are named 'ours'"):
        harness.write_comparison(
            folder / "out", folder / "labels.csv", [ours, again], PUBLISHED, outside="error", pictures=3
        )
    assert not (folder / "out").exists()


def test_balanced_accuracy() -> None:
    assert balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, -1])) == 50.0
    assert balanced_accuracy(np.array([-1, 3]), np.array([0, 3])) == 50.0
    labels = np.random.default_rng(0).integers(0, 4, 50)
    order = np.random.default_rng(1).permutation(50)
    predicted = np.random.default_rng(2).integers(0, 4, 50)
    from sklearn.metrics import balanced_accuracy_score

    assert balanced_accuracy(predicted, labels) == pytest.approx(100 * balanced_accuracy_score(labels, predicted))
    assert balanced_accuracy(predicted[order], labels[order]) == pytest.approx(balanced_accuracy(predicted, labels))
    with pytest.raises(MetricError, match="none of 2 labels is known"):
        balanced_accuracy(np.array([0, 1]), np.array([-1, -1]))
