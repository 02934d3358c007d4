"""Sweeps of a toy scorer, the mean brightness of a crop, whose curve a plain loop can follow; and of a finished run."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import shrink, write_data
from tqdm import tqdm

from configs.flip_v import get_config
from flipjax.core.errors import ConfigError, DataError
from flipjax.data.corruptions import Corruption, chosen
from flipjax.data.source import Index, Records, read_index
from flipjax.experiment import assemble, robustness, run
from flipjax.experiment.inference import Trained
from flipjax.training import optim
from flipjax.training.checkpoints import open_checkpoints
from flipjax.training.sharding import make_mesh
from flipjax.training.state import init_state
from toy_method import make

THRESHOLD = 0.4


def silent_bar() -> tqdm:
    return tqdm(file=io.StringIO())


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("robustness"))


@pytest.fixture(scope="module")
def config(data: Path) -> Any:
    config = shrink(get_config("tiny,syn_b_to_ab"))
    config.data.dir, config.eval.batch_size, config.data.threads = str(data), 16, 0
    return config


def trained_on_brightness(config: Any, threads: int = 0) -> Trained:
    def score(prepared: Any, batch: Any) -> jax.Array:
        return batch["image"].astype(jnp.float32).mean(axis=(1, 2, 3)) / 255

    own = config.copy_and_resolve_references()
    own.data.threads = threads
    method = dataclasses.replace(make(), score=score)
    state = init_state(method, jax.random.key(0), optim.build(method.stages[0]))
    return Trained(own, method, assemble.scorer_of(own, method, make_mesh(-1, 1)), state, 3)


@pytest.fixture(scope="module")
def targets(data: Path) -> dict[str, Index]:
    return {name: read_index(data, name) for name in ("syn_a", "syn_c")}


def swept(config: Any, targets: dict[str, Index], names: list[str]) -> tuple[dict[str, Any], tqdm]:
    trained, bar, corruptions = trained_on_brightness(config), silent_bar(), chosen(names)
    scores = robustness.scores_of(trained, targets, Path(config.data.dir), bar)
    return robustness.sweep(scores, corruptions, THRESHOLD), bar


def plain_rates(data: Path, index: Index, factor: float) -> tuple[float, float]:
    """APCER pooled and BPCER in percent, frame by frame and video by video."""
    videos: dict[str, list[float]] = {}
    records = Records(data, index)
    for row in range(len(index)):
        share = records.image(row) / 255
        light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) * factor
        light = np.minimum(light, 1)
        shown = np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))
        videos.setdefault(index["video_id"][row], []).append(float(shown.mean()) / 255)
    accepted = {name: sum(scores) / len(scores) >= THRESHOLD for name, scores in videos.items()}
    attacks = [name for name in videos if name.endswith("attack")]
    genuine = [name for name in videos if name.endswith("bona_fide")]
    apcer = 100 * sum(accepted[name] for name in attacks) / len(attacks)
    return apcer, 100 * sum(not accepted[name] for name in genuine) / len(genuine)


@pytest.fixture(scope="module")
def brightness(config: Any, targets: dict[str, Index]) -> dict[str, Any]:
    return swept(config, targets, ["brightness"])[0]["corruptions"]["brightness"]


def test_curve_of_mean_brightness_is_the_one_of_a_plain_loop(data: Path, targets: dict[str, Index], brightness: Any):
    for name, index in targets.items():
        plain = [plain_rates(data, index, factor) for factor in brightness["levels"]]
        assert list(zip(*(brightness["targets"][name][key] for key in ("apcer_pooled", "bpcer")), strict=True)) == plain
        assert brightness["targets"][name]["hter"] == [(apcer + bpcer) / 2 for apcer, bpcer in plain]


def test_more_light_accepts_more_and_leaves_the_order_alone(brightness: Any):
    for rates in brightness["targets"].values():
        assert rates["apcer_pooled"] == sorted(rates["apcer_pooled"]) and rates["apcer_pooled"][-1] == 100
        assert rates["bpcer"] == sorted(rates["bpcer"], reverse=True) and rates["bpcer"][0] == 100
        assert min(rates["auc"]) > 90


def test_neutral_levels_are_the_plain_scores_and_nothing_compiles_twice(config: Any, targets: dict[str, Index]):
    trained, data, target = trained_on_brightness(config), Path(config.data.dir), {"syn_c": targets["syn_c"]}
    score = robustness.scores_of(trained, target, data, silent_bar())
    plain = trained.scorer.table(trained.state, targets["syn_c"], data, "syn_c").score
    for corruption in chosen([]):
        np.testing.assert_array_equal(score(corruption, corruption.neutral)["syn_c"].score, plain, corruption.name)
        changed = score(corruption, corruption.levels[-1])["syn_c"].score
        assert not np.array_equal(changed, plain), f"{corruption.name} changes nothing"
    assert trained.scorer.score._cache_size() == 1  # type: ignore[attr-defined]


def test_the_crops_as_stored_are_scored_once(config: Any, targets: dict[str, Index]):
    found, bar = swept(config, targets, ["shift", "jpeg"])
    levels = 1 + 4 + 5
    assert (
        bar.n == levels * sum(map(len, targets.values())) and robustness.levels_of(chosen(["shift", "jpeg"])) == levels
    )
    neutral = [found["corruptions"][name]["targets"]["syn_a"]["hter"][0] for name in ("shift", "jpeg")]
    assert neutral[0] == neutral[1] and found["counts"]["syn_a"]["frames"] == len(targets["syn_a"])


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_change_nothing(config: Any, targets: dict[str, Index], threads: int):
    def scores(count: int) -> np.ndarray:
        trained = trained_on_brightness(config, count)
        score = robustness.scores_of(trained, targets, Path(config.data.dir), silent_bar())
        return score(chosen(["shift"])[0], 0.15)["syn_c"].score

    np.testing.assert_array_equal(scores(threads), scores(0))


def index_of(videos: list[tuple[bool, int]]) -> Index:
    """Videos of (is bona fide, frames), row by row."""
    rows = [(label, f"v{number}") for number, (label, frames) in enumerate(videos) for _ in range(frames)]
    return Index(
        {
            "position": np.arange(len(rows)),
            "is_bona_fide": np.array([label for label, _ in rows]),
            "video_id": np.array([name for _, name in rows], dtype=object),
            "domain": np.full(len(rows), "m", dtype=object),
        }
    )


def test_frames_are_taken_evenly_by_video_from_both_classes():
    index = index_of([(False, 3), (True, 4), (False, 3), (False, 1), (True, 1)])
    # rows: attacks 0-2, 7-9 and 10; bona fide 3-6 and 11
    assert robustness.evenly(index, 0).tolist() == list(range(12))
    assert robustness.evenly(index, 6).tolist() == [0, 3, 4, 7, 10, 11]
    assert robustness.evenly(index, 8).tolist() == [0, 1, 3, 4, 5, 7, 10, 11], "one of the two second frames"
    assert robustness.evenly(index, 2).tolist() == [0, 3], "one frame of either class"
    assert robustness.evenly(index, 400).tolist() == list(range(12))
    with pytest.raises(ConfigError, match="1 frames per target cannot hold both classes"):
        robustness.evenly(index, 1)


def test_videos_left_over_are_spaced_evenly():
    index = index_of([(False, 2)] * 8 + [(True, 1)] * 4)
    assert robustness.evenly(index, 8).tolist() == [0, 4, 8, 12, 16, 17, 18, 19]


def test_frames_without_a_video_are_videos_of_their_own():
    index = index_of([(False, 4), (True, 4)])
    nameless = Index({**index.columns, "video_id": np.full(8, "", dtype=object)})
    assert robustness.evenly(nameless, 4).tolist() == [0, 2, 4, 6]
    assert robustness.evenly(index, 4).tolist() == [0, 1, 4, 5]


@pytest.fixture(scope="module")
def finished(config: Any, data: Path, tmp_path_factory) -> Path:
    """The workdir of a run that ends where it starts."""
    own = config.copy_and_resolve_references()
    own.train.steps, own.log.pictures = 3, 0
    workdir = tmp_path_factory.mktemp("run")
    started = run.start(own, workdir)
    checkpoints = open_checkpoints(workdir / "checkpoints")
    state = assemble.initial_state(own, started.method, started.mesh)
    checkpoints.save(3, state.replace(step=jnp.int32(3)), {}, None)
    checkpoints.wait()
    checkpoints.close()
    run.train_and_report(own, workdir, overrides={}, config_file="")
    return workdir


def sweep_of(workdir: Path, **changes: Any) -> tuple[dict[str, Any], Path]:
    asked: dict[str, Any] = {"names": ["blur"], "frames": 0, "protocol": "", "records": "", "checkpoint": "best"}
    return robustness.sweep_workdir(workdir, **{**asked, "data_dir": "", **changes})


def test_a_finished_run_is_swept_at_its_frozen_threshold(finished: Path):
    result, folder = sweep_of(finished)
    assert folder == finished / "evaluations" / "syn_b_to_ab_step3"
    assert json.loads((folder / "robustness.json").read_text()) == result
    assert "Robustness of flip_v on syn_a, syn_b" in (folder / "robustness.html").read_text()
    assert result["threshold"] == json.loads((finished / "decision.json").read_text())["threshold"]
    metrics = json.loads((finished / "metrics.json").read_text())["targets"]
    for name, rates in result["corruptions"]["blur"]["targets"].items():
        own = metrics[name]["rules"]["source_val"]
        assert [rates[key][0] for key in ("hter", "apcer_pooled", "bpcer")] == [
            own[key] for key in ("hter", "apcer_pooled", "bpcer")
        ], "the crop as stored gives what the run reported"
        assert rates["auc"][0] == metrics[name]["auc"]
    frames = sum(count["frames"] for count in result["counts"].values())
    assert result["cost"]["frames"] == 6 * frames and result["cost"]["levels"] == 6
    assert result["sources"] == ["syn_b"] and not list(folder.glob(".*.tmp"))


def test_other_data_and_fewer_frames(finished: Path, data: Path):
    result, folder = sweep_of(finished, records=str(data / "syn_d"), frames=4)
    assert folder.name == "records_syn_d_step3" and list(result["counts"]) == ["syn_d"]
    assert result["counts"]["syn_d"]["frames"] == 4 and result["frames_limit"] == 4
    other, folder = sweep_of(finished, protocol="syn_b_to_cd", frames=4)
    assert folder.name == "syn_b_to_cd_step3" and list(other["counts"]) == ["syn_c", "syn_d"]


def test_a_checkpoint_without_a_frozen_threshold_is_refused(finished: Path):
    decision = finished / "decision.json"
    before = decision.read_text()
    decision.write_text(json.dumps({**json.loads(before), "step": 2}))
    try:
        with pytest.raises(ConfigError, match=r"step 3 has no frozen threshold.*belongs to step 2; leave out"):
            sweep_of(finished)
    finally:
        decision.write_text(before)


def test_mistakes_are_found_before_weights_are_loaded(finished: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="corruption 'fog' unknown"):
        sweep_of(tmp_path, names=["fog"])
    with pytest.raises(DataError, match="finish the training run"):
        sweep_of(tmp_path)


def test_the_command_needs_no_value_for_all():
    from flipjax.evaluate import name_all

    words = ["evaluate", "--workdir=x", "--robustness", "--robustness_frames=4"]
    assert name_all(words) == ["evaluate", "--workdir=x", "--robustness=all", "--robustness_frames=4"]
    assert name_all(["--robustness=blur"]) == ["--robustness=blur"]


def test_corruptions_take_crops_of_any_shape():
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    changes: list[Corruption] = chosen([])
    assert all(c.apply(image, c.levels[-1], np.random.default_rng(0)).shape == (40, 30, 3) for c in changes)
