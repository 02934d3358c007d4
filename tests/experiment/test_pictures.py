"""Pictures of telling faces: which maps are drawn in which order, a few at a time, and what the files say."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from flipjax.core.errors import DataError
from flipjax.core.schemas import ScoreTable
from flipjax.data.overlay import overlay
from flipjax.experiment import pictures
from flipjax.experiment.pictures import every_map, most_telling, read_explanations, save_explanations
from flipjax.training.state import TrainState

PX = 32


def explain(prepared: Any, batch: Any) -> dict[str, jax.Array]:
    """Two maps whose names are not in alphabetical order: brightness, and brightness times `prepared`."""
    level = jnp.mean(batch["image"].astype(jnp.float32), axis=(1, 2, 3))[:, None, None] / 255 * jnp.ones((1, 2, 2))
    return {"second": level, "first": level * prepared}


def crops(levels: Any) -> np.ndarray:
    """Even pictures of the given brightness in 0..255."""
    return np.broadcast_to(np.asarray(levels, np.uint8)[:, None, None, None], (len(levels), PX, PX, 3)).copy()


def test_every_map_of_every_image_in_the_order_of_the_method() -> None:
    found = every_map(explain)(jnp.float32(0.5), crops([0, 102, 204]))
    assert [list(maps) for maps in found] == [["second", "first"]] * 3
    np.testing.assert_allclose([maps["second"][0, 0] for maps in found], [0, 0.4, 0.8], atol=1e-6)
    np.testing.assert_allclose([maps["first"][1, 1] for maps in found], [0, 0.2, 0.4], atol=1e-6)
    assert most_telling(explain)(jnp.float32(0.5), {"image": crops([102])}).name == "second"


@pytest.mark.parametrize("count", [1, 8, 9, 21])
def test_images_are_explained_a_few_at_a_time_and_compiled_once(count: int) -> None:
    seen: list[int] = []

    def watched(prepared: Any, batch: Any) -> dict[str, jax.Array]:
        seen.append(batch["image"].shape[0])
        return explain(prepared, batch)

    levels = np.arange(count) * 10
    found = every_map(watched)(jnp.float32(1.0), crops(levels))
    assert seen == [min(count, 8)], "another shape is another compilation"
    np.testing.assert_allclose([maps["second"].mean() for maps in found], levels / 255, atol=1e-6)


def table_of(scores: list[float], is_bona_fide: list[bool]) -> ScoreTable:
    ids = np.array([f"s{row}" for row in range(len(scores))], object)
    return ScoreTable(
        sample_id=ids,
        video_id=ids,
        subject_id=ids,
        domain=np.array(["M"] * len(ids), object),
        is_bona_fide=np.array(is_bona_fide),
        attack_type=np.array(["" if good else "a4_paper" for good in is_bona_fide], object),
        score=np.array(scores),
        conditions={"illumination": np.array(["dark", *[""] * (len(ids) - 1)], object)},
    )


TABLE = table_of([0.3, 0.9, 0.1, 0.75], [True, True, False, False])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of a run as pictures read; row n of the target is a picture of brightness 20 n."""
    (tmp_path / "decision.json").write_text(json.dumps({"threshold": 0.5, "rule": "source_val"}))
    monkeypatch.setattr(pictures, "_crops", lambda run, target, rows: crops([20 * row for row in rows]))
    return SimpleNamespace(
        config=SimpleNamespace(log=SimpleNamespace(pictures=4)),
        workdir=tmp_path,
        method=SimpleNamespace(explain=explain),
        scorer=SimpleNamespace(prepare=lambda params, frozen, model_state: params),
    )


STATE = TrainState(jnp.int32(0), jnp.float32(0.5), {}, {}, ())


def test_worst_faces_come_first_with_every_map_and_what_was_decided(run: Any) -> None:
    save_explanations(run, STATE, {"M": TABLE}, {})
    folder = run.workdir / "explain" / "M"
    stems = [path.stem for path in sorted(folder.glob("*.png"))]
    assert stems == ["00_a4_paper_0.750", "01_bona_fide_0.300", "02_a4_paper_0.100", "03_bona_fide_0.900"]
    said = json.loads((folder / "01_bona_fide_0.300.json").read_text())
    files = {name: f"01_bona_fide_0.300.{name}.jpg" for name in ("second", "first")}
    assert said == {
        "sample_id": "s0",
        "is_bona_fide": True,
        "attack_type": "",
        "score": 0.3,
        "outcome": "bona_fide_rejected",
        "margin": pytest.approx(0.2),
        "conditions": {"illumination": "dark"},
        "threshold": 0.5,
        "threshold_rule": "source_val",
        "heat_map": "second",
        "crop": "01_bona_fide_0.300.crop.jpg",
        "heat_maps": files,
    }
    assert list(said["heat_maps"]) == ["second", "first"]
    assert len(list(folder.iterdir())) == 4 * (1 + 3 + 1)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_overlays_are_of_their_own_map_and_face(run: Any) -> None:
    save_explanations(run, STATE, {"M": TABLE}, {})
    folder = run.workdir / "explain" / "M"
    crop, stem = crops([60])[0], "00_a4_paper_0.750"
    level = 60 / 255
    expected = {"crop": crop, "second": overlay(crop, np.full((2, 2), level))}
    expected["first"] = overlay(crop, np.full((2, 2), level / 2))
    for name, picture in expected.items():
        assert np.abs(pixels(folder / f"{stem}.{name}.jpg") - picture).max() <= 3, name
    side_by_side = np.concatenate([crop, expected["second"]], axis=1)
    assert np.array_equal(pixels(folder / f"{stem}.png"), side_by_side)


def test_a_report_reads_the_most_telling_map_of_each_face_in_order(run: Any) -> None:
    run.config.log.pictures = 12
    rows = 12
    table = table_of(list(np.linspace(0.01, 0.99, rows)), [row % 2 == 0 for row in range(rows)])
    save_explanations(run, STATE, {"M": table}, {})
    (run.workdir / "explain" / "predict").mkdir()
    (run.workdir / "explain" / "predict" / "00_x_0.1.png").write_bytes(b"")
    found = read_explanations(run.workdir)
    assert len(found) == rows and {picture.heat_map for picture in found} == {"second"}
    shown = [f"score {table.score[row]:.3f}" for row in (11, 0, 9, 2, 7, 4, 1, 10, 5, 6, 3, 8)]
    assert [picture.caption.split(", ")[1] for picture in found] == shown, "number 10 stands behind number 9"
    assert found[0].caption.startswith("M: a4 paper") and found[1].caption.startswith("M: bona fide")
    sizes = {Image.open(io.BytesIO(picture.png)).size for picture in found}
    assert sizes == {(2 * PX, PX)}


def test_without_heat_maps_or_answers_nothing_is_written(run: Any) -> None:
    run.method.explain = None
    save_explanations(run, STATE, {"M": TABLE}, {})
    run.method.explain, run.config.log.pictures = explain, 0
    save_explanations(run, STATE, {"M": TABLE}, {})
    assert not (run.workdir / "explain").exists()


def test_the_threshold_must_have_been_decided(run: Any) -> None:
    (run.workdir / "decision.json").unlink()
    with pytest.raises(DataError, match=r"decision\.json"):
        save_explanations(run, STATE, {"M": TABLE}, {})
