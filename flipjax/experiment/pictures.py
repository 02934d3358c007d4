"""Heat maps and answers of a few telling faces per target, and how their crops were made.

Each face leaves explain/<target>/<number>_<class>_<score>.png, crop and overlay side by side, and a JSON file of the same
stem with the heat map's name and the answers, so that a report can be made again without the model.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flax.struct
import jax
import numpy as np

from flipjax.core.method import Batch, Tree
from flipjax.core.schemas import ScoreTable
from flipjax.data.overlay import overlay, save_png
from flipjax.data.source import Index, Records
from flipjax.data.transforms import eval_view
from flipjax.evaluation.answers import AnswerTable
from flipjax.evaluation.answers_shown import Picture
from flipjax.evaluation.protocol import write_json
from flipjax.serving.predictor import told
from flipjax.training.state import TrainState

if TYPE_CHECKING:
    from flipjax.experiment.run import Run

PREDICT_FOLDER = "predict"


@flax.struct.dataclass
class HeatMap:
    """One heat map per face, [b gh gw] in [0, 1], and what it is called."""

    values: jax.Array
    name: str = flax.struct.field(pytree_node=False)


def most_telling(explain: Callable[[Tree, Batch], dict[str, jax.Array]]) -> Callable[..., HeatMap]:
    """Returns the compiled function (prepared, batch) -> first heat map of a method's `explain`.

    Compiled dicts come back in alphabetical order, hence the choice inside.
    """

    def first(prepared: Tree, batch: Batch) -> HeatMap:
        name, values = next(iter(explain(prepared, batch).items()))
        return HeatMap(values, name)

    return jax.jit(first)


def telling_rows(table: ScoreTable, count: int) -> list[int]:
    """Returns rows of the lowest-scored bona fide and highest-scored attack frames, worst first, then the best of each."""
    order = np.argsort(table.score, kind="stable")
    bona_fide = [int(row) for row in order if table.is_bona_fide[row]]
    attacks = [int(row) for row in order[::-1] if not table.is_bona_fide[row]]
    queue = [bona_fide[0], attacks[0], bona_fide[-1], attacks[-1], *bona_fide[1:2], *attacks[1:2]]
    return list(dict.fromkeys(queue))[:count]


def save_explanations(
    run: "Run", state: TrainState, tables: dict[str, ScoreTable], answers: dict[str, AnswerTable]
) -> None:
    """Writes the pictures and what is said beside them, where the method can explain itself or answers questions."""
    if not run.config.log.pictures or (run.method.explain is None and not answers):
        return
    explain = None if run.method.explain is None else most_telling(run.method.explain)
    prepared = None if explain is None else run.scorer.prepare(state.params, state.frozen, state.model_state)
    size, augment = run.config.method.clip.image_size, run.config.data.augment
    for name, table in tables.items():
        records = Records(run.data_dir, run.selection.targets[name])
        rows = telling_rows(table, run.config.log.pictures)
        images = np.stack([eval_view(records.image(row), size=size, augment=augment) for row in rows])
        shown = None if explain is None else explain(prepared, {"image": images})
        for number, row in enumerate(rows):
            label = table.attack_type[row] or "bona_fide"
            path = run.workdir / "explain" / name / f"{number}_{label}_{table.score[row]:.3f}.png"
            parts = [images[number]]
            if shown is not None:
                parts.append(overlay(images[number], np.asarray(shown.values[number])))
            save_png(path, np.concatenate(parts, axis=1))
            said = {"sample_id": str(table.sample_id[row]), "heat_map": "" if shown is None else shown.name}
            write_json(path.with_suffix(".json"), said | _answered(answers.get(name), row))


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
    for path in sorted((workdir / "explain").glob("*/*.png")):
        number, _, rest = path.stem.partition("_")
        label, _, score = rest.rpartition("_")
        if number.isdigit() and path.parent.name != PREDICT_FOLDER:
            beside = path.with_suffix(".json")
            said = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
            caption = f"{path.parent.name}: {label.replace('_', ' ')}, score {score}"
            found.append(Picture(path.read_bytes(), caption, said.get("heat_map", ""), said.get("answers", {})))
    return found


def crop_facts(index: Index) -> dict[str, Any]:
    """Returns detector and padding of the training crops, which prediction on photographs must repeat."""
    detectors, counts = np.unique(index["detector"].astype(str), return_counts=True)
    return {"detector": str(detectors[counts.argmax()]), "padding": round(float(np.median(index["padding"])), 6)}
