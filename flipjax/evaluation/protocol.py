"""Scores to `metrics.json` and `decision.json`: every target under every threshold rule of rules.py.

Rates are percent, thresholds are scores; one presentation is one video. Answers to questions, where a method gives any,
add their accuracies.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.answers import ACCURACY_SUFFIX, SUMMARY, AnswerTable, summary
from flipjax.evaluation.measure import failure_to_acquire, measure
from flipjax.evaluation.rules import SOURCE_VAL, source_rules
from flipjax.evaluation.score_files import write_text
from flipjax.metrics.thresholds import ThresholdRule

LEFT_OUT = "left_out_of_mean"
FALLBACK_THRESHOLD = 0.5

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One finished run of a sweep: the content of its metrics.json, and its seed."""

    name: str
    seed: int
    metrics: Mapping[str, Any]


def evaluate(
    targets: Mapping[str, ScoreTable],
    source_val: ScoreTable | None,
    *,
    seed: int = 0,
    resamples: int = 1000,
    answers: Mapping[str, AnswerTable] | None = None,
    left_out: Collection[str] = (),
    dropped: Mapping[str, Mapping[str, int]] | None = None,
) -> Metrics:
    """Returns the content of metrics.json: per target the counts, flat keys of test_eer, `rules`, `ci95`; and the mean.

    Targets with answers also have `<question>_accuracy` in percent and `answers`, see `flipjax.evaluation.answers.summary`;
    targets whose data say what they dropped have `failure_to_acquire`.

    Args:
      targets: frame scores by target name.
      source_val: frame scores of the source validation data; None or no rows leaves its rules out.
      seed: of the bootstrap.
      resamples: bootstrap draws; 0 leaves `ci95` empty.
      answers: answers about the frames, by target name.
      left_out: targets that the mean leaves out, such as those trained on; then named under "left_out_of_mean".
      dropped: target -> class name -> pictures in which no face was found, where known.

    Raises:
      MetricError: a class is missing or a video mixes classes; the message names the target.
    """
    fixed = source_rules(source_val)
    results = {name: _named(name, table, fixed, seed, resamples) for name, table in targets.items()}
    for name, missed in (dropped or {}).items():
        results[name]["failure_to_acquire"] = failure_to_acquire(missed, results[name]["counts"])
    for name, table in (answers or {}).items():
        results[name] |= summary(table)
    return {"targets": results, **_mean_without(results, left_out)}


def decision(source_val: ScoreTable | None) -> dict[str, Any]:
    """Returns the content of decision.json: `threshold`, the `rule` that chose it and the `data` it was chosen on.

    Without source validation scores the threshold is 0.5, rule "fixed".

    Raises:
      MetricError: source validation lacks a class.
    """
    if source_val is None or not len(source_val):
        return {"threshold": FALLBACK_THRESHOLD, "rule": "fixed", "data": "none: no source validation scores"}
    rule = source_rules(source_val)[SOURCE_VAL]
    return {"threshold": rule.threshold, "rule": SOURCE_VAL, "data": rule.data}


def mean_over(results: Iterable[Mapping[str, Any]]) -> Metrics:
    """Returns the unweighted mean of every number that all results have, and of their `rules` alike.

    Accuracies of answers are averaged over the results that have them.
    """
    shared = _average(list(results))
    mean = {key: value for key, value in shared.items() if _is_number(value)}
    if "rules" in shared:
        mean["rules"] = {name: mean_over([rule]) for name, rule in shared["rules"].items()}
    return mean


def merge_runs(runs: Sequence[Run]) -> Metrics:
    """Returns one metrics.json for a sweep: `targets` and `mean` as in a run, plus `per_seed` and `runs`.

    A target's numbers are means over its runs, `std` their standard deviation (ddof 1, only where there are several)
    and `ci95` the mean of the runs' interval ends: sampling error and spread over seeds stay apart. What the mean of
    some run leaves out, the sweep's leaves out too, unless nothing would be left.

    Raises:
      MetricError: there is no run.
    """
    if not runs:
        raise MetricError("a sweep without a finished run has no metrics; run it first")
    targets = _merge_targets(runs)
    seeds = sorted({run.seed for run in runs})
    groups = {str(seed): _merge_targets([run for run in runs if run.seed == seed]) for seed in seeds}
    left_out = {name for run in runs for name in run.metrics.get(LEFT_OUT, ())}
    per_seed = {
        seed: {
            "targets": {name: mean_over([result]) for name, result in group.items()},
            **_mean_without(group, left_out),
        }
        for seed, group in groups.items()
    }
    table = [
        {"name": run.name, "seed": run.seed, "targets": list(run.metrics["targets"]), "mean": run.metrics["mean"]}
        for run in runs
    ]
    return {"targets": targets, **_mean_without(targets, left_out), "per_seed": per_seed, "runs": table}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` to `path` at once, indented, with a final newline.

    Raises:
      ConfigError: the file cannot be written.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _mean_without(results: Mapping[str, Metrics], left_out: Collection[str]) -> Metrics:
    """Returns `mean` over the results but those left out, which are then named; all of them where nothing would be left."""
    kept = [result for name, result in results.items() if name not in left_out]
    omitted = [name for name in results if name in left_out] if kept else []
    return {"mean": mean_over(kept or results.values())} | ({LEFT_OUT: omitted} if omitted else {})


def _named(name: str, frames: ScoreTable, fixed: Mapping[str, ThresholdRule], seed: int, resamples: int) -> Metrics:
    try:
        return measure(frames, fixed, seed=seed, resamples=resamples)
    except MetricError as error:
        raise MetricError(f"target '{name}': {error}") from error


def _merge_targets(runs: Sequence[Run]) -> dict[str, Metrics]:
    results: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        for name, result in run.metrics["targets"].items():
            results.setdefault(name, []).append(result)
    return {name: _merge_seeds(found) for name, found in results.items()}


def _merge_seeds(results: Sequence[Mapping[str, Any]]) -> Metrics:
    if len(results) == 1:
        return dict(results[0])
    described = {key: results[0][key] for key in ("counts", SUMMARY, "failure_to_acquire") if key in results[0]}
    merged = _with_std(results) | described
    ruled = {name: [result["rules"][name] for result in results] for name in merged["rules"]}
    return merged | {"rules": {name: _with_std(rules) for name, rules in ruled.items()}}


def _with_std(results: Sequence[Mapping[str, Any]]) -> Metrics:
    merged = _average(results)
    numbers = {key: [result[key] for result in results if key in result] for key in merged if _is_number(merged[key])}
    std = {key: float(np.std(found, ddof=1)) for key, found in numbers.items() if len(found) > 1}
    return merged | {"std": std}


def _average(values: Sequence[Any]) -> Any:
    """Numbers become their mean, lists and dicts are averaged item by item over what all share, text is the first's."""
    first = values[0]
    if isinstance(first, Mapping):
        keys = dict.fromkeys(key for value in values for key in value)
        found = {key: [value[key] for value in values if key in value] for key in keys}
        kept = [key for key in keys if len(found[key]) == len(values) or key.endswith(ACCURACY_SUFFIX)]
        return {key: _average(found[key]) for key in kept}
    if isinstance(first, list):
        return [_average(items) for items in zip(*values, strict=False)]
    return float(np.mean(values)) if _is_number(first) else first


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
