"""Answer tables: every row once, accuracies worked by hand, files that come back as they were."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipjax.core.errors import DataError, MetricError
from flipjax.core.schemas import Question
from flipjax.evaluation import protocol
from flipjax.evaluation.answers import AnswerTable, answer_rows, read_answers, summary, write_answers

PLACE = Question("place", "style", "environment", "Where?", ("(1) in, here", "(2) out"))
KIND = Question("kind", "content", "attack_instrument", "What?\n(1) a (2) b (3) c", ("(1) a", "(2) b", "(3) c"))


def one_hot(answers: list[int], options: int) -> np.ndarray:
    return 0.1 + np.eye(options)[answers] * (1 - 0.1 * options)


def table(kinds: list[int], right: list[int], places: list[int] | None = None) -> AnswerTable:
    count = len(kinds)
    return AnswerTable(
        sample_id=np.array([f"s{i}" for i in range(count)], dtype=object),
        questions=(KIND, PLACE),
        probabilities={"kind": one_hot(kinds, 3), "place": np.full((count, 2), 0.5)},
        labels={"kind": np.array(right), "place": np.array(places or [-1] * count)},
    )


def batches(rows: list[list[int]]) -> Iterator[dict[str, np.ndarray]]:
    yield from ({"row": np.array(group)} for group in rows)


def ask(batch: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A model whose answer is told by the row number."""
    rows = batch["row"]
    places = np.stack([rows / 10, 1 - rows / 10], axis=1).astype(np.float32)
    return rows, {"kind": one_hot([int(row) % 3 for row in rows], 3), "place": places}


COLUMNS = {
    "sample_id": np.array(["s0", "s1", "s2", "s3", "s4"], dtype=object),
    "environment": np.array([0, 1, -1, 0, -1], np.int32),
    "attack_instrument": np.array([0, 1, 2, 10, -1], np.int32),
}


def asked(rows: list[list[int]]) -> AnswerTable:
    return answer_rows(ask, batches(rows), COLUMNS, (KIND, PLACE), total_batches=2, label="t")


def test_every_row_is_answered_where_it_belongs_and_padding_nowhere():
    found = asked([[4, 2, -1], [0, 3, 1], [-1, -1, -1]])
    np.testing.assert_allclose(found.probabilities["place"][:, 0], np.arange(5) / 10, rtol=1e-6)
    assert found.predicted("kind").tolist() == [0, 1, 2, 0, 1]
    assert found.probabilities["kind"].shape == (5, 3) and len(found) == 5


def test_a_label_that_is_no_option_is_unknown_and_never_an_answer():
    found = asked([[0, 1, 2, 3, 4]])
    assert found.labels["kind"].tolist() == [0, 1, 2, -1, -1], (
        "10 is beyond the three options, -1 is another instrument"
    )
    assert found.labels["place"].tolist() == [0, 1, -1, 0, -1]


def test_a_missed_row_or_a_value_that_is_no_number_is_named():
    with pytest.raises(MetricError, match="about t: 2 of 5 samples have no finite kind, such as s1, s4"):
        asked([[0, 2, 3]])

    def broken(batch: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows, found = ask(batch)
        found["place"][2, 1] = np.nan
        return rows, found

    with pytest.raises(MetricError, match="1 of 5 samples have no finite place, such as s2"):
        answer_rows(broken, batches([[0, 1, 2, 3, 4]]), COLUMNS, (KIND, PLACE), total_batches=1, label="t")


def test_balanced_accuracy_worked_by_hand():
    """Of three `a` two are right, of one `b` none: (2/3 + 0) / 2; the unlabelled frame counts for nothing."""
    found = summary(table([0, 0, 1, 0, 2], [0, 0, 0, 1, -1]))
    assert found["kind_accuracy"] == pytest.approx(100 / 3)
    assert found["answers"]["kind"] == {
        "question": KIND.text, "options": 3, "options_present": 2, "labelled": 4, "constant": 50.0,
        "chance": pytest.approx(100 / 3),
    }  # fmt: skip


def test_a_question_without_labels_has_no_accuracy_but_is_described():
    found = summary(table([0, 1], [0, 1]))
    assert "place_accuracy" not in found
    assert found["answers"]["place"]["labelled"] == 0 and "constant" not in found["answers"]["place"]
    assert found["answers"]["place"]["chance"] == 50


def test_mean_is_over_the_targets_that_have_the_accuracy():
    targets = {
        "a": {"hter": 1.0, **summary(table([0, 0], [0, 1], [0, 1]))},
        "b": {"hter": 3.0, **summary(table([0, 1], [0, 1]))},
    }
    mean = protocol.mean_over(targets.values())
    assert mean == {"hter": 2.0, "kind_accuracy": 75.0, "place_accuracy": 50.0}


def test_accuracies_travel_through_a_sweep():
    def run(seed: int, kinds: list[int], places: list[int] | None) -> protocol.Run:
        result = {
            "counts": {"bona_fide": 1}, "rules": {"test_eer": {"hter": 10.0}}, "hter": 10.0,
            **summary(table(kinds, [0, 1], places)),
        }  # fmt: skip
        return protocol.Run(f"r{seed}", seed, {"targets": {"t": result}, "mean": protocol.mean_over([result])})

    merged = protocol.merge_runs([run(0, [0, 1], None), run(1, [0, 0], [0, 1]), run(2, [0, 1], None)])
    target = merged["targets"]["t"]
    assert target["kind_accuracy"] == pytest.approx(250 / 3) and target["place_accuracy"] == 50
    assert target["std"]["kind_accuracy"] == pytest.approx(np.std([100, 50, 100], ddof=1))
    assert "place_accuracy" not in target["std"], "one value has no spread"
    assert target["answers"]["kind"]["labelled"] == 2 and isinstance(target["answers"]["kind"]["labelled"], int)
    assert merged["mean"]["kind_accuracy"] == target["kind_accuracy"]
    assert merged["per_seed"]["1"]["targets"]["t"]["place_accuracy"] == 50
    assert [round(one["mean"]["kind_accuracy"]) for one in merged["runs"]] == [100, 50, 100]


def test_file_comes_back_as_it_was(tmp_path: Path):
    found = asked([[0, 1, 2], [3, 4, -1]])
    write_answers(tmp_path / "answers" / "t.csv", found)
    again = read_answers(tmp_path / "answers" / "t.csv", (KIND, PLACE))
    assert again.sample_id.tolist() == found.sample_id.tolist()
    for name in ("kind", "place"):
        np.testing.assert_array_equal(again.labels[name], found.labels[name])
        np.testing.assert_allclose(again.probabilities[name], found.probabilities[name], rtol=1e-8)
    assert [file.name for file in (tmp_path / "answers").iterdir()] == ["t.csv"]
    assert summary(again) == summary(found)


def test_columns_of_the_file(tmp_path: Path):
    write_answers(tmp_path / "t.csv", table([0, 2], [1, -1]))
    with (tmp_path / "t.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == [
        "sample_id",
        *("kind", "kind_answer", "kind_probability (1) a", "kind_probability (2) b", "kind_probability (3) c"),
        *("place", "place_answer", "place_probability (1) in, here", "place_probability (2) out"),
    ]
    assert (first["sample_id"], first["kind"], first["kind_answer"]) == ("s0", "(2) b", "(1) a")
    assert (second["kind"], second["kind_answer"], second["kind_probability (3) c"]) == ("", "(3) c", "0.8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.8", "1.2", "line 2: '1.2' is not a probability"),
        ("0.8", "much", "line 2: 'much' is not a probability"),
        ("(2) b,(1) a", "b,(1) a", "line 2: kind 'b' is no option"),
        ("kind_answer", "other", "has no column kind_answer"),
        ("s1,", "s1,,", "line 3: the row has more or fewer fields"),
    ],
)
def test_damaged_file_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "t.csv"
    write_answers(path, table([0, 2], [1, -1]))
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError) as error:
        read_answers(path, (KIND, PLACE))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_missing_file_is_said_to_be_an_answer_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"answer file .* does not exist"):
        read_answers(tmp_path / "t.csv", (KIND,))
