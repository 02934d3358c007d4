"""A method that answers questions, from the checkpoint to the report: files, numbers, a refreshed page, prediction.

The method is FLIP-V with two questions answered from the picture's brightness; its answers need frozen weights, its scores
do not.
"""

import csv
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import picture, png, shrink, write_data

from configs.flip_v import get_config
from flipjax.core.method import Answering, Method
from flipjax.core.schemas import Question
from flipjax.data.source import Records
from flipjax.experiment import assemble, inference, pictures, run
from flipjax.serving.predictor import predict
from flipjax.training.checkpoints import open_checkpoints

KIND = Question("content", "content", "attack_instrument", "What is it?", tuple(f"({i + 1}) k{i}" for i in range(9)))
LIGHT = Question("illumination", "style", "illumination", "What light?", ("(1) low", "(2) high"))
TARGET = "syn_a"


def shares(image: Any, count: int, weights: Any) -> Any:
    """P(option): the option whose share of the range holds the mean brightness is likeliest."""
    place = jnp.mean(image.astype(jnp.float32), axis=(1, 2, 3)) / 256 * count - 0.5
    return jax.nn.softmax(-jnp.sum(weights) * jnp.abs(place[:, None] - jnp.arange(count)), axis=1)


def answering_method(config: Any) -> Method:
    plain = original(config)

    def init(rng: jax.Array) -> dict[str, Any]:
        return {**plain.init(rng), "frozen": {"language": jnp.full(3, 0.4)}}

    def explain(prepared: Any, batch: Any) -> dict[str, jax.Array]:
        is_dark = shares(batch["image"], 2, jnp.ones(3))[:, :1]
        return {"cue_map": jnp.broadcast_to(is_dark[:, None], (len(is_dark), 2, 2)), **plain.explain(prepared, batch)}

    answering = Answering(
        questions=(KIND, LIGHT),
        prepare=lambda params, frozen, model_state: {"weights": frozen["language"]},
        answer=lambda prepared, batch: {
            question.name: shares(batch["image"], len(question.options), prepared["weights"])
            for question in (LIGHT, KIND)
        },
    )
    return dataclasses.replace(plain, init=init, explain=explain, answering=answering)


original = assemble.method_of


@dataclasses.dataclass(frozen=True)
class Finished:
    config: Any
    workdir: Path
    metrics: dict[str, Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("answering")
    config = shrink(get_config("tiny"))
    config.data.dir = str(write_data(folder / "data"))
    config.eval.batch_size = 16
    config.train.steps = 3
    config.log.pictures = 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "method_of", answering_method)
        started = run.start(config, folder / "run")
        checkpoints = open_checkpoints(folder / "run" / "checkpoints")
        state = assemble.initial_state(config, started.method, started.mesh)
        checkpoints.save(3, state.replace(step=jnp.int32(3)), {}, None)
        checkpoints.wait()
        checkpoints.close()
        metrics = run.train_and_report(config, folder / "run", overrides={}, config_file="")
        yield Finished(config, folder / "run", metrics)


def target_images(finished: Finished) -> tuple[Any, np.ndarray]:
    index = assemble.select(finished.config).targets[TARGET]
    records = Records(Path(finished.config.data.dir), index)
    return index, np.stack([records.image(row) for row in range(len(index))])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_target_row_is_answered_once_with_its_own_picture(finished: Finished):
    index, images = target_images(finished)
    rows = rows_of(finished.workdir / "answers" / f"{TARGET}.csv")
    assert [row["sample_id"] for row in rows] == index["sample_id"].tolist() and len(rows) % 16, (
        "the last batch is padded"
    )
    expected = np.asarray(shares(images, 9, jnp.full(3, 0.4)))
    found = np.array([[float(row[f"content_probability {option}"]) for option in KIND.options] for row in rows])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert [row["content"] for row in rows] == [KIND.options[right] for right in index["attack_instrument"]]
    assert {row["illumination"] for row in rows} == {""}, "this data does not know the light"


def test_metrics_hold_the_accuracy_where_labels_are_known(finished: Finished):
    index, images = target_images(finished)
    answers = np.asarray(shares(images, 9, jnp.full(3, 0.4))).argmax(axis=1)
    right = index["attack_instrument"]
    expected = 100 * np.mean([np.mean(answers[right == kind] == kind) for kind in np.unique(right)])
    target = finished.metrics["targets"][TARGET]
    assert target["content_accuracy"] == pytest.approx(expected) == finished.metrics["mean"]["content_accuracy"]
    assert "illumination_accuracy" not in target and "illumination_accuracy" not in finished.metrics["mean"]
    assert target["answers"]["content"]["chance"] == pytest.approx(100 / 9)
    assert json.loads((finished.workdir / "metrics.json").read_text()) == finished.metrics


def test_pictures_carry_the_cue_map_and_the_answers(finished: Finished):
    shown = pictures.read_explanations(finished.workdir)
    assert len(shown) == 3 and {picture.heat_map for picture in shown} == {"cue_map"}, (
        "the first map, not the first name"
    )
    files = sorted((finished.workdir / "explain" / TARGET).glob("*.json"))
    rows = {row["sample_id"]: row for row in rows_of(finished.workdir / "answers" / f"{TARGET}.csv")}
    for file in files:
        said = json.loads(file.read_text())
        row = rows[said["sample_id"]]
        assert said["answers"]["content"]["answer"] == row["content_answer"]
        assert said["answers"]["content"]["right"] == row["content"]
        assert said["answers"]["illumination"]["right"] == ""


def body(page: str) -> str:
    return re.sub(r"<dt>command</dt><dd>.*?</dd>", "", page, flags=re.S)


def test_a_refreshed_report_is_the_same_page(finished: Finished):
    path = finished.workdir / "report.html"
    before = path.read_text(encoding="utf-8")
    assert before.count("<article>") == 3 and "What is it?" in before and "1 = attack" in before
    path.unlink()
    run.train_and_report(finished.config, finished.workdir, overrides={}, config_file="")
    assert body(path.read_text(encoding="utf-8")) == body(before)


def test_evaluate_answers_again_and_reads_no_optimizer(finished: Finished):
    metrics, folder = inference.evaluate_workdir(
        finished.workdir, protocol="", records="", checkpoint="best", data_dir=""
    )
    assert metrics == finished.metrics
    name = f"answers/{TARGET}.csv"
    assert rows_of(folder / name) == rows_of(finished.workdir / name)
    trained = inference.load_trained(finished.workdir, "best")
    assert trained.state.opt_state == {} and set(trained.state.frozen) == {"language"}


def test_switched_off_nothing_is_asked(finished: Finished):
    config = finished.config.copy_and_resolve_references()
    config.eval.answers = False
    scorer = run.start(config, finished.workdir).scorer
    assert scorer.answering is None
    trained = inference.load_trained(finished.workdir, "best")
    assert scorer.answers(trained.state, assemble.select(config).targets, Path(config.data.dir)) == {}


def test_plain_prediction_never_reads_what_only_answers_need(finished: Finished, tmp_path: Path):
    trained = inference.load_trained(finished.workdir, "best", devices=jax.devices()[:1], answering=False)
    assert trained.state.frozen == {}
    predictor = inference.load_predictor(finished.workdir)
    assert predictor.answers is None and predictor.explain is None
    file = tmp_path / "a.png"
    file.write_bytes(png(picture("x", True)))
    (prediction,) = predict(predictor, [file], tmp_path / "explain")
    assert "answers" not in json.loads(prediction.to_json()) and not (tmp_path / "explain").exists()


def test_prediction_with_explanations_answers_like_the_model(finished: Finished, tmp_path: Path):
    predictor = inference.load_predictor(finished.workdir, explain=True)
    images = [picture("x", True), picture("y", False)]
    for name, image in zip("ab", images, strict=True):
        (tmp_path / f"{name}.png").write_bytes(png(image))
    found = list(predict(predictor, [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "explain"))
    plain = predict(inference.load_predictor(finished.workdir), [tmp_path / "a.png", tmp_path / "b.png"])
    assert [f.score for f in found] == [f.score for f in plain]
    for prediction in found:
        answers = json.loads(prediction.to_json())["answers"]
        assert list(answers) == ["content", "illumination"]
        assert list(answers["content"]["options"]) == list(KIND.options)
        assert sum(answers["content"]["options"].values()) == pytest.approx(1, abs=1e-5)
    assert len(list((tmp_path / "explain").glob("*.png"))) == 2
