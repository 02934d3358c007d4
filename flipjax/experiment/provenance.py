"""What a report says about how its run was made, in a form that lets anyone repeat it."""

import dataclasses
import importlib.metadata
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from flipjax.core import schemas
from flipjax.data.protocols import Selection
from flipjax.data.source import FOLDER, Index
from flipjax.evaluation import repeat
from flipjax.evaluation.repeat import DataUse
from flipjax.experiment import workdir as files
from flipjax.experiment.workdir import Config

VERSIONED = ("flipjax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def describe(config: Config, *, step: int, notes: Sequence[str], data: Sequence[DataUse]) -> dict[str, Any]:
    """Returns the context of `flipjax.evaluation.report.write_report`, plain JSON values.

    Args:
      config: of the run.
      step: the checkpoint that was scored.
      notes: what a reader must know before the numbers.
      data: rows used.
    """
    return {
        "command": repeat.command_of(sys.argv),
        "method": config.method.name,
        "protocol": config.protocol,
        "profile": config.profile,
        "seed": config.seed,
        "selection": config.eval.selection,
        "steps": config.train.steps,
        "checkpoint": step,
        "data": config.data.dir,
        "lists": config.data.lists,
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "revision": repeat.revision(),
        "config": files.flat(files.as_json(config)),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONED},
        "notes": list(notes),
        "data_uses": [dataclasses.asdict(use) for use in data],
    }


def data_of(selection: Selection) -> list[DataUse]:
    """Returns the rows that a run trains on, validates on and is tested on."""
    parts = [(repeat.TRAIN, selection.train), (repeat.VALIDATION, selection.source_val)]
    own = [use for purpose, index in parts for use in repeat.data_uses(purpose, index.columns)]
    return own + data_of_targets(selection.targets)


def data_of_targets(targets: Mapping[str, Index]) -> list[DataUse]:
    """Returns the rows that are scored."""
    return [use for index in targets.values() for use in repeat.data_uses(repeat.TARGET, index.columns)]


def dropped_faces(data_dir: Path, targets: Mapping[str, Index]) -> dict[str, dict[str, int]]:
    """Returns target -> class name -> pictures in which the conversion found no face, for targets whose folders say so.

    Counted are the splits that a target draws on, whole, also where the target takes only some of their rows.
    """
    found = {}
    for name, index in targets.items():
        counts: Counter[str] = Counter()
        pairs = set(zip(index[FOLDER].tolist(), index["split"].tolist(), strict=True))
        files_there = {folder: data_dir / folder / schemas.CONVERSION_FILE for folder, _ in pairs}
        if all(path.is_file() for path in files_there.values()):
            for folder, split in pairs:
                account = json.loads(files_there[folder].read_text(encoding="utf-8"))
                counts.update(account.get("dropped_records", {}).get(split, {}))
            found[name] = dict(counts)
    return found
