"""Heat maps and answers of a few telling faces per target, and how their crops were made.

Each face leaves in explain/<target>/, so that a report can be made again without the model:

- <number>_<class>_<score>.png: the crop, and beside it the most telling heat map laid over it;
- the same name with .crop.jpg, and .<map>.jpg for the overlay of every heat map;
- the same name with .json: `sample_id`, `outcome` and `margin` (see `flipjax.evaluation.gallery`), `score`, `threshold`,
  `threshold_rule`, `is_bona_fide`, `attack_type`, `conditions`, `heat_map` (the name of the most telling one, empty if
  none), `crop` (file), `heat_maps` (name -> file, the most telling first) and, where the method answers, `answers`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flax.struct
import jax
import numpy as np
from jaxtyping import Float, UInt8

from flipjax.core.method import Batch, Tree
from flipjax.core.schemas import ScoreTable
from flipjax.data.overlay import overlay, save_jpeg, save_png
from flipjax.data.source import Index, Records
from flipjax.data.transforms import eval_view
from flipjax.evaluation.answers import AnswerTable
from flipjax.evaluation.answers_shown import Picture
from flipjax.evaluation.gallery import Face, telling
from flipjax.evaluation.protocol import write_json
from flipjax.serving.predictor import read_decision, told
from flipjax.training.state import TrainState

if TYPE_CHECKING:
    from flipjax.experiment.run import Run

EXPLAIN_FOLDER, PREDICT_FOLDER = "explain", "predict"
AT_ONCE = 8  # explaining holds every block's attention and gradients, see flipjax.models.relevance

Explain = Callable[[Tree, Batch], dict[str, jax.Array]]
Maps = Mapping[str, Float[np.ndarray, "gh gw"]]


@flax.struct.dataclass
class HeatMap:
    """One heat map per face, [b gh gw] in [0, 1], and what it is called."""

    values: jax.Array
    name: str = flax.struct.field(pytree_node=False)


def most_telling(explain: Explain) -> Callable[..., HeatMap]:
    """Returns the compiled function (prepared, batch) -> first heat map of a method's `explain`.

    Compiled dicts come back in alphabetical order, hence the choice inside.
    """

    def first(prepared: Tree, batch: Batch) -> HeatMap:
        name, values = next(iter(explain(prepared, batch).items()))
        return HeatMap(values, name)

    return jax.jit(first)


def every_map(explain: Explain) -> Callable[[Tree, UInt8[np.ndarray, "b h w 3"]], list[Maps]]:
    """Returns the function (prepared, images) -> the heat maps of each image by name, the most telling first.

    However many images, the compiled part sees at most AT_ONCE of them, and always as many.
    """

    @jax.jit
    def in_order(prepared: Tree, batch: Batch) -> tuple[HeatMap, ...]:
        return tuple(HeatMap(values, name) for name, values in explain(prepared, batch).items())

    def shown(prepared: Tree, images: np.ndarray) -> list[Maps]:
        found: list[Maps] = []
        size = min(AT_ONCE, len(images))
        for start in range(0, len(images), AT_ONCE):
            rows = np.minimum(np.arange(start, start + size), len(images) - 1)
            maps = {heat.name: np.asarray(heat.values) for heat in in_order(prepared, {"image": images[rows]})}
            count = min(size, len(images) - start)
            found += [{name: values[row] for name, values in maps.items()} for row in range(count)]
        return found

    return shown


def save_explanations(
    run: "Run", state: TrainState, tables: dict[str, ScoreTable], answers: dict[str, AnswerTable]
) -> None:
    """Writes the pictures and what is said beside them, where the method can explain itself or answers questions.

    Faces are the telling ones at the threshold of the workdir's decision.json, which must be there.

    Raises:
      DataError: it is not.
    """
    if not run.config.log.pictures or (run.method.explain is None and not answers):
        return
    threshold, rule = read_decision(run.workdir)
    explain = None if run.method.explain is None else every_map(run.method.explain)
    prepared = None if explain is None else run.scorer.prepare(state.params, state.frozen, state.model_state)
    for name, table in tables.items():
        faces = telling(table, threshold, count=run.config.log.pictures)
        images = _crops(run, name, [face.row for face in faces])
        maps = [{}] * len(faces) if explain is None else explain(prepared, images)
        for number, (face, image, shown) in enumerate(zip(faces, images, maps, strict=True)):
            said = _said(table, face) | {"threshold": threshold, "threshold_rule": rule}
            label = said["attack_type"] or "bona_fide"
            path = run.workdir / EXPLAIN_FOLDER / name / f"{number:02d}_{label}_{said['score']:.3f}.png"
            files = _save_pictures(path, image, shown)
            write_json(path.with_suffix(".json"), said | files | _answered(answers.get(name), face.row))


def _crops(run: "Run", target: str, rows: list[int]) -> UInt8[np.ndarray, "b h w 3"]:
    """What the model saw of some rows of a target."""
    size, augment = run.config.method.clip.image_size, run.config.data.augment
    records = Records(run.data_dir, run.selection.targets[target])
    return np.stack([eval_view(records.image(row), size=size, augment=augment) for row in rows])


def _said(table: ScoreTable, face: Face) -> dict[str, Any]:
    return {
        "sample_id": str(table.sample_id[face.row]),
        "is_bona_fide": bool(table.is_bona_fide[face.row]),
        "attack_type": str(table.attack_type[face.row]),
        "score": float(table.score[face.row]),
        "outcome": face.outcome,
        "margin": face.margin,
        "conditions": dict(face.conditions),
    }


def _save_pictures(path: Path, image: UInt8[np.ndarray, "h w 3"], maps: Maps) -> dict[str, Any]:
    """Writes crop and overlays; returns what the JSON file says of them."""
    overlays = {name: overlay(image, values) for name, values in maps.items()}
    save_png(path, np.concatenate([image, *list(overlays.values())[:1]], axis=1))
    files = {name: f"{path.stem}.{name}.jpg" for name in ("crop", *overlays)}
    for name, picture in {"crop": image, **overlays}.items():
        save_jpeg(path.with_name(files[name]), picture)
    return {"heat_map": next(iter(maps), ""), "crop": files.pop("crop"), "heat_maps": files}


def _answered(table: AnswerTable | None, row: int) -> dict[str, Any]:
    """The answers about one frame, in the form of `flipjax.predict`, each with the right option (empty: unknown)."""
    if table is None:
        return {}
    found = {}
    for question in table.questions:
        right = table.labels[question.name][row]
        said = told(question, table.probabilities[question.name][row])
        found[question.name] = {**said, "right": question.options[right] if right >= 0 else ""}
    return {"answers": found}


def read_explanations(workdir: Path) -> list[Picture]:
    """Returns what `save_explanations` wrote."""
    found = []
    for path in sorted((workdir / EXPLAIN_FOLDER).glob("*/*.png")):
        number, _, rest = path.stem.partition("_")
        label, _, score = rest.rpartition("_")
        if number.isdigit() and path.parent.name != PREDICT_FOLDER:
            beside = path.with_suffix(".json")
            said = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
            caption = f"{path.parent.name}: {label.replace('_', ' ')}, score {score}"
            files = {"crop": said["crop"], **said["heat_maps"]} if "crop" in said else {}
            views = {name: path.with_name(file).read_bytes() for name, file in files.items()}
            heat_map, answers, outcome = said.get("heat_map", ""), said.get("answers", {}), said.get("outcome", "")
            found.append(Picture(path.read_bytes(), caption, heat_map, answers, outcome, views))
    return found


def crop_facts(index: Index) -> dict[str, Any]:
    """Returns detector and padding of the training crops, which prediction on photographs must repeat."""
    detectors, counts = np.unique(index["detector"].astype(str), return_counts=True)
    return {"detector": str(detectors[counts.argmax()]), "padding": round(float(np.median(index["padding"])), 6)}
