"""What a report draws and breaks down per target: curves with bands, histograms, rates by instrument and by condition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.conditions import Breakdown, breakdowns, instrument_cells
from flipjax.evaluation.curve_figures import Curve, det_figure, roc_figure
from flipjax.evaluation.figures import histogram_figure
from flipjax.evaluation.gallery import Face, misclassified
from flipjax.evaluation.rules import SHOWN, SOURCE_VAL, TEST_EER
from flipjax.evaluation.tables import Cell, cell_of
from flipjax.metrics.bands import roc_band
from flipjax.metrics.curves import roc

Metrics = Mapping[str, Any]
WORST = 5  # errors of each kind listed per target


@dataclass(frozen=True)
class Drawn:
    """One target's ROC, DET curve and histogram as SVG, and its thresholds as (rule, label, value)."""

    name: str
    roc: str
    det: str
    histogram: str
    thresholds: list[tuple[str, str, str]]
    has_band: bool


@dataclass(frozen=True)
class Instrument:
    """Attack videos of one instrument, and the share accepted at the honest and at the papers' threshold."""

    instrument: str
    count: int
    honest: Cell
    papers: Cell


@dataclass(frozen=True)
class WorstError:
    """A video decided wrongly: what it is, its score, how far beyond the threshold that lies, and its conditions as text."""

    video: str
    kind: str
    score: str
    beyond: str
    conditions: str


def curves_of(videos: Mapping[str, ScoreTable], targets: Metrics) -> list[Curve]:
    """Returns the curve of every target with its operating points, and its band where one is defined.

    Rates averaged over seeds lie on no single run's curve: such targets get neither points nor a band.
    """
    found = []
    for series, (name, table) in enumerate(videos.items()):
        single = "std" not in targets[name]
        rules = targets[name]["rules"] if single else {}
        points = [(rule, at["apcer_pooled"] / 100, 1 - at["bpcer"] / 100) for rule, at in rules.items()]
        bona_fide = int(table.is_bona_fide.sum())
        band = roc_band(table) if single and min(bona_fide, len(table) - bona_fide) > 1 else None
        found.append(Curve(name, roc(table.score, table.is_bona_fide), tuple(points), band, series))
    return found


def overview(curves: list[Curve]) -> str:
    """Returns all ROCs in one picture, without bands, which would hide each other."""
    return roc_figure([replace(curve, band=None) for curve in curves])


def drawn(curve: Curve, table: ScoreTable, result: Metrics) -> Drawn:
    """Returns the pictures of one target."""
    cuts = {rule: result["rules"][rule]["threshold"] for rule in SHOWN if rule in result["rules"]}
    span = (0.0, 1.0) if table.is_probability else (float(table.score.min()), float(table.score.max()))
    return Drawn(
        name=curve.name,
        roc=roc_figure([curve]),
        det=det_figure([curve]),
        histogram=histogram_figure(table.score, table.is_bona_fide, cuts, curve.name, span=span),
        thresholds=[(rule, SHOWN[rule].label, f"{value:.4g}") for rule, value in cuts.items()],
        has_band=curve.band is not None,
    )


def instruments(targets: Metrics, videos: Mapping[str, ScoreTable]) -> Iterator[tuple[str, list[Instrument]]]:
    """Yields (target, a row per instrument); shares have intervals where the scores are of one run and at hand."""
    for name, result in targets.items():
        cells = {rule: _pai_cells(result, rule, videos.get(name)) for rule in (SOURCE_VAL, TEST_EER)}
        rows = []
        for pai, count in result["counts"]["attack_per_pai"].items():
            at = {rule: found.get(pai, Cell("–")) for rule, found in cells.items()}
            rows.append(Instrument(pai.replace("_", " "), count, at[SOURCE_VAL], at[TEST_EER]))
        yield name, rows


def _pai_cells(result: Metrics, rule: str, table: ScoreTable | None) -> Mapping[str, Cell]:
    at = result["rules"].get(rule)
    if at is None:
        return {}
    if table is None or "std" in result:
        return {pai: cell_of(at["apcer_per_pai"], pai) for pai in at["apcer_per_pai"]}
    return instrument_cells(table, at["threshold"])


def by_condition(targets: Metrics, videos: Mapping[str, ScoreTable]) -> Iterator[tuple[str, str, list[Breakdown]]]:
    """Yields (target, rule, breakdowns) of every target of one run that knows some condition, at the honest rule if any."""
    for name, table, rule, threshold in _honest(targets, videos):
        found = list(breakdowns(table, threshold))
        if found:
            yield name, rule, found


def worst_errors(targets: Metrics, videos: Mapping[str, ScoreTable]) -> Iterator[tuple[str, str, list[WorstError]]]:
    """Yields (target, rule, errors) of every target of one run, the worst attacks accepted and bona fide rejected in turn."""
    for name, table, rule, threshold in _honest(targets, videos):
        faces = misclassified(table, threshold, count=WORST)
        yield name, rule, [_worst(table, face) for face in faces]


def _honest(targets: Metrics, videos: Mapping[str, ScoreTable]) -> Iterator[tuple[str, ScoreTable, str, float]]:
    """(target, videos, rule, threshold) at the honest rule, or the papers' where there is none; no means over seeds."""
    for name, table in videos.items():
        rules = targets[name]["rules"]
        rule = SOURCE_VAL if SOURCE_VAL in rules else TEST_EER
        if "std" not in targets[name]:
            yield name, table, rule, rules[rule]["threshold"]


def _worst(table: ScoreTable, face: Face) -> WorstError:
    row = face.row
    kind = str(table.attack_type[row]).replace("_", " ") or "attack"
    return WorstError(
        video=str(table.video_id[row] or table.sample_id[row]),
        kind="bona fide, rejected" if table.is_bona_fide[row] else f"{kind}, accepted",
        score=f"{table.score[row]:.4f}",
        beyond=f"{face.margin:.4f}",
        conditions=", ".join(f"{name} {value}" for name, value in face.conditions.items()).replace("_", " "),
    )
