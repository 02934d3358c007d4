"""The robustness sweep of a finished workdir: every target scored at every level of every corruption of its crops.

The scorer is compiled once, since all batches have one shape; crops are changed in the read threads. The threshold is the
one in decision.json, which was frozen on source validation before any target was seen.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from flipjax.core.errors import ConfigError
from flipjax.core.schemas import ScoreTable
from flipjax.data import corruptions
from flipjax.data.corruptions import Corruption, Level
from flipjax.data.source import Index, Records
from flipjax.evaluation import robustness
from flipjax.evaluation.protocol import write_json
from flipjax.evaluation.robustness_page import render
from flipjax.evaluation.score_files import write_text
from flipjax.experiment import assemble
from flipjax.experiment import workdir as files
from flipjax.experiment.inference import Trained, load_trained, targets_of
from flipjax.serving.predictor import read_decision

RESULT_FILE, PAGE_FILE = "robustness.json", "robustness.html"

# (corruption, level) -> frame scores by target
Score = Callable[[Corruption, Level], dict[str, ScoreTable]]


@dataclass(frozen=True)
class Frozen:
    """The threshold of decision.json, the rule that chose it, and on which data."""

    threshold: float
    rule: str
    data: str


def sweep_workdir(
    workdir: Path,
    *,
    names: Sequence[str],
    frames: int,
    protocol: str,
    records: str,
    checkpoint: str,
    data_dir: str,
) -> tuple[dict[str, Any], Path]:
    """Sweeps the targets of a trained workdir; returns robustness.json and the folder that it and its page went to.

    Args:
      names: corruptions, see `flipjax.data.corruptions.CORRUPTIONS`; none means all.
      frames: frames per target, see `evenly`; 0 takes all.
      protocol, records, checkpoint, data_dir: as of `flipjax.experiment.inference.evaluate_workdir`.

    Raises:
      DataError, ConfigError, CheckpointError: workdir, decision, corruption, protocol, records or checkpoint do not exist
        or fit.
      MetricError: a target lacks a class.
    """
    chosen = corruptions.chosen(names)
    read_decision(workdir)  # before the minutes that loading weights may take
    trained = load_trained(workdir, checkpoint, answering=False)
    frozen = _frozen(workdir, trained.step)
    name, data, targets = targets_of(trained.config, protocol=protocol, records=records, data_dir=data_dir)
    targets = {target: index.take(evenly(index, frames)) for target, index in targets.items()}
    begin, passes = time.monotonic(), levels_of(chosen) * sum(map(len, targets.values()))
    with tqdm(total=passes, desc="robustness", unit="frame", unit_scale=True, delay=5, leave=False) as bar:
        found = sweep(scores_of(trained, targets, data, bar), chosen, frozen.threshold)
    result = {
        **_described(trained, targets, frozen, data, frames),
        "cost": {"frames": passes, "levels": levels_of(chosen), "seconds": time.monotonic() - begin, **_device()},
        **found,
    }
    folder = workdir / "evaluations" / f"{name}_step{trained.step}"
    if jax.process_index() == 0:
        write_text(folder / PAGE_FILE, render(result))
        write_json(folder / RESULT_FILE, result)
    return result, folder


def sweep(score: Score, chosen: Sequence[Corruption], threshold: float) -> dict[str, Any]:
    """Returns `counts` by target, `corruptions` by name, `ranking` and `by_target` of robustness.json.

    The crops as stored are scored once, for all corruptions alike.
    """

    def rated(tables: Mapping[str, ScoreTable]) -> dict[str, robustness.Rates]:
        return {name: robustness.rates_of(table, threshold, name) for name, table in tables.items()}

    stored = score(chosen[0], chosen[0].neutral)
    neutral, swept = rated(stored), {}
    for corruption in chosen:
        levels = corruption.levels
        found = [neutral if level == corruption.neutral else rated(score(corruption, level)) for level in levels]
        swept[corruption.name] = robustness.curve_of(corruption, found)
    counts = {name: robustness.counts_of(table) for name, table in stored.items()}
    return {"counts": counts, "corruptions": swept, **robustness.rankings(swept)}


def levels_of(chosen: Sequence[Corruption]) -> int:
    """Returns the number of levels that `sweep` scores: the neutral one, and all others of every corruption."""
    return 1 + sum(len(corruption.levels) - 1 for corruption in chosen)


def scores_of(trained: Trained, targets: Mapping[str, Index], data_dir: Path, bar: tqdm) -> Score:
    """Returns the function that scores all targets at a level; `bar` counts the frames."""
    state = trained.state
    prepared = trained.scorer.prepare(state.params, state.frozen, state.model_state)

    def score(corruption: Corruption, level: Level) -> dict[str, ScoreTable]:
        tables = {}
        for name, index in targets.items():
            records = corruptions.changed(Records(data_dir, index), corruption, level, seed=trained.config.seed)
            bar.set_postfix_str(f"{name}, {corruption.name}", refresh=False)
            tables[name] = trained.scorer.table_of(prepared, records, f"{name} at {corruption.name} {level}")
            bar.update(len(index))
        return tables

    return score


def evenly(index: Index, frames: int) -> Int[np.ndarray, "_rows"]:
    """Returns sorted rows of at most `frames` frames, up to half of either class, taken evenly from its videos.

    Every video gives its first frame before any gives its second; where a round does not fit, evenly spaced videos of it
    do. 0 takes all rows.

    Raises:
      ConfigError: too few frames for one of either class.
    """
    if not frames:
        return np.arange(len(index))
    if frames < 2:
        raise ConfigError(f"{frames} frames per target cannot hold both classes; give 2 or more, or 0 for all")
    classes = (np.flatnonzero(index["is_bona_fide"] == label) for label in (False, True))
    return np.sort(np.concatenate([_spread(index, rows, frames // 2) for rows in classes]))


def _spread(index: Index, rows: Int[np.ndarray, "_all"], count: int) -> Int[np.ndarray, "_rows"]:
    if len(rows) <= count:
        return rows
    # Without a video_id a frame is its own video.
    videos = [(index["domain"][row], index["video_id"][row]) if index["video_id"][row] else row for row in rows]
    rounds, seen = np.empty(len(rows), np.int64), Counter[Any]()
    for place, video in enumerate(videos):
        rounds[place] = seen[video]
        seen[video] += 1
    order = np.argsort(rounds, kind="stable")
    last = rounds[order[count - 1]]
    whole, partial = rows[rounds < last], rows[rounds == last]
    return np.concatenate([whole, partial[np.arange(count - len(whole)) * len(partial) // (count - len(whole))]])


def _frozen(workdir: Path, step: int) -> Frozen:
    threshold, rule = read_decision(workdir)
    facts = json.loads((workdir / files.DECISION_FILE).read_text(encoding="utf-8"))
    if facts["step"] != step:
        raise ConfigError(
            f"step {step} has no frozen threshold: {files.DECISION_FILE} belongs to step {facts['step']}; leave out --checkpoint"
        )
    return Frozen(threshold, rule, facts["data"])


def _described(
    trained: Trained, targets: Mapping[str, Index], frozen: Frozen, data: Path, frames: int
) -> dict[str, Any]:
    """What was swept, with which model and threshold, so that the page can be made from robustness.json alone."""
    config = trained.config
    return {
        "method": config.method.name,
        "targets": list(targets),
        "sources": list(assemble.sources(config)),
        "selection": config.eval.selection,
        "step": trained.step,
        "seed": config.seed,
        "threshold": frozen.threshold,
        "rule": frozen.rule,
        "threshold_data": frozen.data,
        "rise_points": robustness.RISE_POINTS,
        "frames_limit": frames,
        "data": str(data),
        "command": " ".join(["python -m flipjax." + Path(sys.argv[0]).stem, *sys.argv[1:]]),
    }


def _device() -> dict[str, Any]:
    return {"devices": jax.device_count(), "device": jax.devices()[0].device_kind}
