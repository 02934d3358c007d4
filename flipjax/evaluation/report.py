"""metrics.json and scores to one self-contained HTML page: no script, no font, no request to anywhere.

The honest rule (source_val) and the papers' rule (test_eer) stand side by side, the latter marked as having looked at
the target. The page is built from plain rows here; `report.html` only lays them out, escaping everything.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import figures
from flipjax.evaluation.answers_shown import (
    CUE_MAP,
    Picture,
    accuracies,
    bars_by_question,
    questions,
    run_accuracies,
    shown,
)
from flipjax.evaluation.protocol import LEFT_OUT, SOURCE_VAL, TEST_EER
from flipjax.evaluation.score_files import write_text
from flipjax.evaluation.tables import Cell, cell_of, table_of
from flipjax.metrics.curves import roc
from flipjax.metrics.pooling import pool_videos

SYNTHETIC_PREFIX = "syn_"
RATE_COLUMNS = {
    "hter": "HTER, %",
    "apcer_max": "APCER max, %",
    "bpcer": "BPCER, %",
    "acer": "ACER, %",
    "threshold": "threshold",
}
RANKING_COLUMNS = {
    "auc": "AUC, %",
    "tpr_at_fpr1_bona_fide": "bona fide accepted at 1\N{NO-BREAK SPACE}% of attacks accepted,\N{NO-BREAK SPACE}%",
    "tpr_at_fpr1_attack": "attacks detected at 1\N{NO-BREAK SPACE}% of bona fide rejected,\N{NO-BREAK SPACE}%",
}
MADE_ROWS = ("command", "method", "protocol", "profile", "seed", "selection", "steps", "checkpoint", "data")


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
        loudly), and any of `MADE_ROWS`.
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
    import jinja2
    from markupsafe import Markup

    targets = metrics["targets"]
    videos = {name: pool_videos(tables[name]) for name in targets if name in tables}
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    strict = jinja2.StrictUndefined
    environment = jinja2.Environment(autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title,
        tiles=list(_tiles(metrics)),
        notes=list(_notes(metrics, context)),
        honest=table_of(metrics, RATE_COLUMNS, SOURCE_VAL),
        papers=table_of(metrics, RATE_COLUMNS, TEST_EER),
        ranking=table_of(metrics, RANKING_COLUMNS),
        questions=questions(targets),
        accuracies=list(accuracies(metrics)),
        faces=[(shown(picture), bars_by_question(picture)) for picture in pictures if picture.answers],
        instruments=_instruments(targets),
        legend=[(figures.series_class(index), name) for index, name in enumerate(videos)],
        roc=Markup(_roc(videos, targets)) if videos else "",
        histograms=[
            (name, Markup(_histogram(name, table, targets[name])), _thresholds(targets[name]))
            for name, table in videos.items()
        ],
        run_columns=[text for _, text in run_accuracies(metrics)],
        runs=_runs(metrics),
        pictures=[shown(picture) for picture in pictures if not picture.answers],
        has_cue_map=any(picture.heat_map == CUE_MAP for picture in pictures),
        counts=[(name, result["counts"]) for name, result in targets.items()],
        made=_made(context),
        config=_config(context),
        synthetic=_synthetic(targets),
        averaged=any("std" in result for result in targets.values()),
    )


def _tiles(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(style, value, caption) of the headline numbers."""
    mean, count = metrics["mean"], len(metrics["targets"]) - len(metrics.get(LEFT_OUT, ()))
    over = f", mean of {count} targets" if count > 1 else ""
    honest = mean.get("rules", {}).get(SOURCE_VAL)
    if honest:
        yield "honest", f"{honest['hter']:.2f} %", f"HTER at the source validation threshold{over}"
    yield "papers", f"{mean['hter']:.2f} %", f"HTER by the papers’ rule{over}: its threshold has looked at the target"
    yield "", f"{mean['auc']:.2f} %", f"AUC{over}"


def _notes(metrics: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[str]:
    targets = metrics["targets"]
    if synthetic := _synthetic(targets):
        names = ", ".join(synthetic)
        yield f"Synthetic data ({names}): simulated attacks. These numbers are not real-world error rates."
    if str(context.get("selection", "")).startswith(("target", "oracle")):
        yield "The checkpoint was selected on the target test sets: every number here is optimistic, by either rule."
    if context.get("profile") == "released":
        yield "Profile “released” copies the published code, known faults included: compare with the papers only."
    if any(SOURCE_VAL not in result["rules"] for result in targets.values()):
        yield "No source validation scores: only the papers’ rule is left, and its threshold has looked at the target."
    nameless = [name for name, result in targets.items() if not result["counts"]["subjects"]]
    if nameless:
        yield f"Subjects unknown ({', '.join(nameless)}): intervals treat videos as independent and are too narrow."
    yield from context.get("notes", ())


def _synthetic(targets: Mapping[str, Any]) -> list[str]:
    return [name for name in targets if name.startswith(SYNTHETIC_PREFIX)]


def _instruments(targets: Mapping[str, Any]) -> list[tuple[str, str, int, Cell, Cell]]:
    """(target, instrument, attack videos, APCER at source_val, APCER at test_eer)."""
    rows = []
    for name, result in targets.items():
        at = {rule: result["rules"].get(rule, {}).get("apcer_per_pai", {}) for rule in (SOURCE_VAL, TEST_EER)}
        for pai, count in result["counts"]["attack_per_pai"].items():
            rows.append((name, pai.replace("_", " "), count, cell_of(at[SOURCE_VAL], pai), cell_of(at[TEST_EER], pai)))
    return rows


def _roc(videos: Mapping[str, ScoreTable], targets: Mapping[str, Any]) -> str:
    curves = []
    for name, table in videos.items():
        rules = targets[name]["rules"]
        # Rates averaged over seeds lie on no single run's curve.
        single = {} if "std" in targets[name] else rules
        points = [(rule, at["apcer_pooled"] / 100, 1 - at["bpcer"] / 100) for rule, at in single.items()]
        curves.append(figures.Curve(name, roc(table.score, table.is_bona_fide), tuple(points)))
    return figures.roc_figure(curves)


def _histogram(name: str, table: ScoreTable, result: Mapping[str, Any]) -> str:
    return figures.histogram_figure(table.score, table.is_bona_fide, _thresholds(result), name)


def _thresholds(result: Mapping[str, Any]) -> dict[str, float]:
    return {rule: result["rules"][rule]["threshold"] for rule in (SOURCE_VAL, TEST_EER) if rule in result["rules"]}


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
