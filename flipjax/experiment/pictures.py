"""Attention overlays of a few telling faces per target, and how their crops were made."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from flipjax.core.schemas import ScoreTable
from flipjax.data.overlay import overlay, save_png
from flipjax.data.source import Index, Records
from flipjax.data.transforms import eval_view
from flipjax.training.state import TrainState

if TYPE_CHECKING:
    from flipjax.experiment.run import Run


def telling_rows(table: ScoreTable, count: int) -> list[int]:
    """Returns rows of the lowest-scored bona fide and highest-scored attack frames, worst first, then the best of each."""
    order = np.argsort(table.score, kind="stable")
    bona_fide = [int(row) for row in order if table.is_bona_fide[row]]
    attacks = [int(row) for row in order[::-1] if not table.is_bona_fide[row]]
    queue = [bona_fide[0], attacks[0], bona_fide[-1], attacks[-1], *bona_fide[1:2], *attacks[1:2]]
    return list(dict.fromkeys(queue))[:count]


def save_explanations(run: "Run", state: TrainState, tables: dict[str, ScoreTable]) -> None:
    """Writes explain/<target>/<number>_<class>_<score>.png, where the method can explain itself."""
    if run.method.explain is None or not run.config.log.pictures:
        return
    explain = jax.jit(run.method.explain)
    prepared = run.scorer.prepare(state.params, state.frozen, state.model_state)
    size = run.config.method.clip.image_size
    for name, table in tables.items():
        records = Records(run.data_dir, run.selection.targets[name])
        rows = telling_rows(table, run.config.log.pictures)
        images = np.stack([eval_view(records.image(row), size=size) for row in rows])
        heat = np.asarray(explain(prepared, {"image": images})["attention"])
        for number, (row, image, values) in enumerate(zip(rows, images, heat, strict=True)):
            label = table.attack_type[row] or "bona_fide"
            file = f"{number}_{label}_{table.score[row]:.3f}.png"
            save_png(run.workdir / "explain" / name / file, np.concatenate([image, overlay(image, values)], axis=1))


def read_explanations(workdir: Path) -> list[tuple[bytes, str]]:
    """Returns (PNG bytes, caption) of what `save_explanations` wrote."""
    found = []
    for path in sorted((workdir / "explain").glob("*/*.png")):
        number, _, rest = path.stem.partition("_")
        label, _, score = rest.rpartition("_")
        if number.isdigit() and path.parent.name != "predict":
            found.append((path.read_bytes(), f"{path.parent.name}: {label.replace('_', ' ')}, score {score}"))
    return found


def crop_facts(index: Index) -> dict[str, Any]:
    """Returns detector and padding of the training crops, which prediction on photographs must repeat."""
    detectors, counts = np.unique(index["detector"].astype(str), return_counts=True)
    return {"detector": str(detectors[counts.argmax()]), "padding": round(float(np.median(index["padding"])), 6)}
