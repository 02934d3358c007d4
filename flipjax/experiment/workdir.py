"""The files of a workdir: who it belongs to, and what a finished one holds."""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from flipjax.core.errors import ConfigError, DataError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.answers import AnswerTable, write_answers
from flipjax.evaluation.protocol import write_json
from flipjax.evaluation.score_files import read_scores, write_scores

# An ml_collections.ConfigDict, whose attributes have no static types.
Config = Any

CONFIG_FILE, METRICS_FILE, DECISION_FILE, REPORT_FILE = "config.json", "metrics.json", "decision.json", "report.html"
SOURCE_VAL_FILE = "source_val.csv"
# A run may go on elsewhere: other data folder, other devices, other logging.
HISTORY = ("overrides", "config_file")  # how the config came about
FREE_KEYS = ("data.dir", "data.lists_dir", "mesh.", "train.log_every", *HISTORY)


def as_json(config: Config) -> dict[str, Any]:
    """Returns the config as plain JSON values (tuples become lists)."""
    return json.loads(json.dumps(config.to_dict()))


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns dotted key -> value.

    Example:
      >>> flat({"a": {"b": 1}})
      {'a.b': 1}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def check_owner(workdir: Path, config: dict[str, Any]) -> None:
    """Checks that the config.json of `workdir`, if there is one, is of the same run.

    Raises:
      ConfigError: the workdir belongs to a run whose config differs; the keys are named.
    """
    if not (workdir / CONFIG_FILE).exists():
        return
    there, here = flat(load_config_dict(workdir)), flat(config)
    keys = sorted(key for key in there.keys() | here.keys() if not key.startswith(FREE_KEYS))
    differing = [key for key in keys if there.get(key) != here.get(key)]
    if differing:
        shown = ", ".join(f"{key} (there {there.get(key)!r}, now {here.get(key)!r})" for key in differing)
        raise ConfigError(f"workdir '{workdir}' holds a run with another config: {shown}; choose another --workdir")


def claim(workdir: Path, config: dict[str, Any], *, overrides: dict[str, Any], config_file: str) -> None:
    """Writes config.json, unless it is there; what it says can no longer be changed by a later command."""
    path = workdir / CONFIG_FILE
    if not path.exists():
        write_json(path, {**config, "overrides": overrides, "config_file": config_file})


def load_config_dict(workdir: Path) -> dict[str, Any]:
    """Returns config.json.

    Raises:
      DataError: no such workdir, or its config.json is missing or damaged.
    """
    path = workdir / CONFIG_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"'{workdir}' is not a workdir (no {CONFIG_FILE}); train one with flipjax.main first"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(f"'{path}' is damaged ({error}); train in a new workdir") from error


def load_config(workdir: Path) -> Config:
    """Returns the config that `workdir` was trained with."""
    stored = load_config_dict(workdir)
    return ConfigDict({key: value for key, value in stored.items() if key not in HISTORY})


def read_metrics(workdir: Path) -> dict[str, Any] | None:
    """Returns metrics.json, which is written last, or None while the run is not finished."""
    path = workdir / METRICS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_tables(workdir: Path, targets: dict[str, ScoreTable], source_val: ScoreTable) -> None:
    """Writes scores/<target>.csv and source_val.csv."""
    for name, table in targets.items():
        write_scores(workdir / "scores" / f"{name}.csv", table)
    write_scores(workdir / SOURCE_VAL_FILE, source_val)


def write_answer_tables(folder: Path, answers: dict[str, AnswerTable]) -> None:
    """Writes answers/<target>.csv."""
    for name, table in answers.items():
        write_answers(folder / "answers" / f"{name}.csv", table)


def read_tables(workdir: Path, targets: list[str]) -> dict[str, ScoreTable]:
    """Returns the score tables of `targets`."""
    return {name: read_scores(workdir / "scores" / f"{name}.csv") for name in targets}
