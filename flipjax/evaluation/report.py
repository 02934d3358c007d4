"""metrics.json and scores to one self-contained HTML page: no script, no font, no request to anywhere.

Every table says by which rule and on which data its threshold was chosen; what has looked at the target is marked in
colour and in words. The page is built from plain rows here; `report.html` only lays them out, escaping everything.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flipjax.core.schemas import SYNTHETIC_PREFIX, ScoreTable
from flipjax.evaluation import curve_figures, target_figures
from flipjax.evaluation.answers_shown import (
    CUE_MAP,
    Picture,
    accuracies,
    bars_by_question,
    questions,
    run_accuracies,
    shown,
)
from flipjax.evaluation.figures import series_class
from flipjax.evaluation.pages import render
from flipjax.evaluation.protocol import LEFT_OUT
from flipjax.evaluation.rules import SHOWN, SOURCE_VAL, SOURCE_VAL_APCER1, SOURCE_VAL_BPCER1, TEST_EER
from flipjax.evaluation.score_files import write_text
from flipjax.evaluation.tables import Cell, cell_of, rule_tables, table_of
from flipjax.metrics.pooling import pool_videos

RANKING_COLUMNS = {"auc": "AUC, %", "calibration_error": "calibration error (ECE), %", "brier": "Brier score, 0 to 1"}
# Read off the target's own curve, so the labels have been seen.
OPERATING_COLUMNS = {
    "tpr_at_fpr1_bona_fide": "bona fide accepted at 1\N{NO-BREAK SPACE}% of attacks accepted,\N{NO-BREAK SPACE}%",
    "tpr_at_fpr1_attack": "attacks detected at 1\N{NO-BREAK SPACE}% of bona fide rejected,\N{NO-BREAK SPACE}%",
    "bpcer20": "BPCER20, %",
    "bpcer100": "BPCER100, %",
}
MADE_ROWS = (
    "command",
    "method",
    "protocol",
    "profile",
    "seed",
    "selection",
    "steps",
    "checkpoint",
    "data",
    "lists",
    "device",
    "revision",
)


def write_report(
    path: Path,
    *,
    title: str,
    metrics: Mapping[str, Any],
    tables: Mapping[str, ScoreTable],
    context: Mapping[str, Any],
    pictures: Sequence[Picture] = (),
) -> None:
    """Writes the report of one run or sweep to `path`, at once.

    Args:
      title: page title.
      metrics: content of metrics.json (of a run, or of a sweep with `runs`).
      tables: frame scores by target, for the figures; targets without scores get none.
      context: how this was made; all keys optional: `config` (mapping), `versions` (mapping), `notes` (texts to show
        loudly), `data_uses` (as of `flipjax.evaluation.repeat`), and any of `MADE_ROWS`.
      pictures: telling faces; those with answers appear beside the accuracies.

    Raises:
      MetricError: scores of `tables` cannot define a curve.
      ConfigError: the file cannot be written.
    """
    write_text(path, render_report(title=title, metrics=metrics, tables=tables, context=context, pictures=pictures))


def render_report(
    *,
    title: str,
    metrics: Mapping[str, Any],
    tables: Mapping[str, ScoreTable],
    context: Mapping[str, Any],
    pictures: Sequence[Picture] = (),
) -> str:
    """Returns the page of `write_report` as text."""
    targets = metrics["targets"]
    videos = {name: pool_videos(tables[name]) for name in targets if name in tables}
    return render(
        "report.html",
        title=title,
        tiles=list(_tiles(metrics)),
        notes=list(_notes(metrics, context)),
        questions=questions(targets),
        accuracies=list(accuracies(metrics)),
        faces=[(shown(picture), bars_by_question(picture)) for picture in pictures if picture.answers],
        pictures=[shown(picture) for picture in pictures if not picture.answers],
        has_heat_map=any(picture.heat_map for picture in pictures),
        has_cue_map=any(picture.heat_map == CUE_MAP for picture in pictures),
        run_columns=[text for _, text in run_accuracies(metrics)],
        runs=_runs(metrics),
        counts=[(name, result["counts"], result.get("failure_to_acquire", {})) for name, result in targets.items()],
        data_uses=context.get("data_uses", ()),
        made=_made(context),
        config=_config(context),
        synthetic=_synthetic(targets),
        averaged=any("std" in result for result in targets.values()),
        **_numbers(metrics),
        **_figures(targets, videos),
    )


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of rates."""
    by_rule = rule_tables(metrics)
    return {
        "honest": by_rule.get(SOURCE_VAL),
        "papers": by_rule[TEST_EER],
        "strict": [by_rule[rule] for rule in (SOURCE_VAL_BPCER1, SOURCE_VAL_APCER1) if rule in by_rule],
        "ranking": table_of(metrics, RANKING_COLUMNS),
        "operating": table_of(metrics, OPERATING_COLUMNS),
    }


def _figures(targets: Mapping[str, Any], videos: Mapping[str, ScoreTable]) -> dict[str, Any]:
    """Curves, histograms and breakdowns; SVG is our own text, escaped where it was made."""
    from markupsafe import Markup

    curves = target_figures.curves_of(videos, targets)
    found = [target_figures.drawn(curve, videos[curve.name], targets[curve.name]) for curve in curves]
    rules = [rule for rule in SHOWN if any(rule in result["rules"] for result in targets.values())]
    return {
        "overview": Markup(target_figures.overview(curves)) if len(curves) > 1 else "",
        "legend": [(series_class(curve.series), curve.name) for curve in curves],
        "marks": [(Markup(curve_figures.mark(rule, 8.0, 8.0)), SHOWN[rule].label, rule == TEST_EER) for rule in rules],
        "drawn": [(each, Markup(each.roc), Markup(each.det), Markup(each.histogram)) for each in found],
        "instruments": list(target_figures.instruments(targets, videos)),
        "conditions": list(target_figures.by_condition(targets, videos)),
        "worst": list(target_figures.worst_errors(targets, videos)),
    }


def _tiles(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """(style, value, interval, caption, rule and data) of the headline numbers."""
    targets, mean = metrics["targets"], metrics["mean"]
    count = len(targets) - len(metrics.get(LEFT_OUT, ()))
    over = f", mean of {count} targets" if count > 1 else ""
    # The mean of several targets has no interval of its own.
    alone = next(iter(targets.values())) if len(targets) == 1 else mean
    by_rule = rule_tables(metrics)
    for rule, style, caption in ((SOURCE_VAL, "honest", "HTER"), (TEST_EER, "papers", "HTER by the papers’ rule")):
        if rule in mean.get("rules", {}):
            cell = cell_of(alone["rules"][rule], "hter")
            yield style, f"{cell.text} %", cell.interval, f"{caption}{over}", f"threshold from {by_rule[rule].data}"
    cell = cell_of(alone, "auc")
    yield "", f"{cell.text} %", cell.interval, f"AUC{over}", "no threshold"


def _notes(metrics: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[str]:
    targets = metrics["targets"]
    if synthetic := _synthetic(targets):
        names = ", ".join(synthetic)
        yield f"Synthetic data ({names}): simulated attacks. These numbers are not real-world error rates."
    if str(context.get("selection", "")).startswith(("target", "oracle")):
        yield "The checkpoint was selected on the target test sets: every number here is optimistic, by either rule."
    if context.get("profile") == "released":
        yield "Profile “released” copies the published code, known faults included: compare with the papers only."
    if lone := [name for name, result in targets.items() if _is_lone(result["counts"])]:
        yield f"A class has a single presentation ({', '.join(lone)}): intervals and bands are not defined there."
    if uncalibrated := [name for name, result in targets.items() if "brier" not in result and "bpcer20" in result]:
        names = ", ".join(uncalibrated)
        yield f"Scores that are no probabilities ({names}): calibration and the papers’ threshold grid are not defined."
    if any(SOURCE_VAL not in result["rules"] for result in targets.values()):
        yield "No source validation scores: only the papers’ rule is left, and its threshold has looked at the target."
    nameless = [name for name, result in targets.items() if not result["counts"]["subjects"]]
    if nameless:
        yield f"Subjects unknown ({', '.join(nameless)}): intervals treat videos as independent and are too narrow."
    yield from context.get("notes", ())


def _is_lone(counts: Mapping[str, Any]) -> bool:
    return min(counts["bona_fide"], counts["attack"]) < 2


def _synthetic(targets: Mapping[str, Any]) -> list[str]:
    return [name for name in targets if name.startswith(SYNTHETIC_PREFIX)]


def _runs(metrics: Mapping[str, Any]) -> list[tuple[str, int, str, list[Cell]]]:
    """(run, seed, targets, cells) of a sweep; cells are HTER by either rule, AUC, and accuracies of answers."""
    rows = []
    for run in metrics.get("runs", ()):
        mean = run["mean"]
        honest = mean.get("rules", {}).get(SOURCE_VAL, {})
        cells = [cell_of(honest, "hter"), cell_of(mean, "hter"), cell_of(mean, "auc")]
        cells += [cell_of(mean, key) for key, _ in run_accuracies(metrics)]
        rows.append((run["name"], run["seed"], ", ".join(run["targets"]), cells))
    return rows


def _made(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(key, str(context[key])) for key in MADE_ROWS if context.get(key) not in (None, "")]
    versions = ", ".join(f"{name} {version}" for name, version in (context.get("versions") or {}).items())
    return rows + ([("versions", versions)] if versions else [])


def _config(context: Mapping[str, Any]) -> str:
    config = context.get("config")
    return json.dumps(config, indent=2, default=str) if config else ""
