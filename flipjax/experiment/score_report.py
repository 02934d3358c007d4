"""Reports made from files alone: of score files, of two systems' score files, and a page without its pictures.

Nothing is written before all is computed.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flipjax import __version__
from flipjax.core.errors import ConfigError, DataError
from flipjax.evaluation import protocol, repeat, report, score_files, score_sources, versus
from flipjax.evaluation.score_sources import Reading
from flipjax.evaluation.versus_page import render_versus

METRICS_FILE, REPORT_FILE, VERSUS_FILE = "metrics.json", "report.html", "versus.html"
IMAGE = re.compile(r"<img\b[^>]*>")  # templates escape every > in an attribute
LEFT_OUT = '<p class="soft">picture left out</p>'


def report_scores(scores: Sequence[Path], dev: Path | None, reading: Reading, *, out: Path) -> dict[str, Any]:
    """Writes OUT/metrics.json and OUT/report.html of score files, one target each, and returns the metrics.

    Args:
      scores: files as of `score_sources.read_targets`.
      dev: source validation scores, on which the honest thresholds are chosen.
      reading: how all files are read.
      out: a folder.

    Raises:
      DataError, ConfigError, MetricError: a file cannot be read or does not define the rates, or OUT not be written.
    """
    targets = score_sources.read_targets(list(scores), reading)
    source_val = score_sources.read_table(dev, reading) if dev else None
    metrics = protocol.evaluate(targets, source_val)
    purposes = [(repeat.TARGET, table) for table in targets.values()]
    purposes += [(repeat.VALIDATION, source_val)] if source_val is not None else []
    context = {
        "command": repeat.command_of(sys.argv),
        "data": ", ".join(map(str, scores)) + (f"; source validation {dev}" if dev else ""),
        "revision": repeat.revision(),
        "versions": {"flipjax": __version__},
        "data_uses": [use for purpose, table in purposes for use in repeat.data_uses(purpose, vars(table))],
    }
    page = report.render_report(title="Score report", metrics=metrics, tables=targets, context=context)
    protocol.write_json(out / METRICS_FILE, metrics)
    score_files.write_text(out / REPORT_FILE, page)
    return metrics


def report_versus(
    pairs: Sequence[tuple[Path, Path]], devs: tuple[Path | None, Path | None], reading: Reading, *, out: Path
) -> list[versus.Comparison]:
    """Writes OUT/versus.html about pairs of score files, first and second system, and returns the comparisons.

    Args:
      pairs: score files of the same presentations.
      devs: source validation scores of the first and of the second system.
      reading: how all files are read.
      out: a folder.

    Raises:
      DataError, ConfigError, MetricError: as of `report_scores`, or the presentations of a pair differ.
    """
    first_dev, second_dev = (score_sources.read_table(path, reading) if path else None for path in devs)
    found = []
    for first, second in pairs:
        frames = score_sources.read_table(first, reading), score_sources.read_table(second, reading)
        domains = ", ".join(sorted({str(name) for name in frames[0].domain if name}))
        target = domains or first.stem
        systems = versus.names_of(first, second)
        found.append(versus.compare(frames, (first_dev, second_dev), target=target, systems=systems))
    page = render_versus(found, title="Two systems compared", command=repeat.command_of(sys.argv))
    score_files.write_text(out / VERSUS_FILE, page)
    return found


def page_without_images(page: Path, *, out: Path) -> Path:
    """Writes OUT/<name of the page> without its pictures, whose licence may forbid to pass them on; returns the path.

    Args:
      page: a report, or any other page of this project; captions, answers and figures stay.
      out: a folder; that of the page itself replaces it.

    Raises:
      DataError: the page cannot be read.
      ConfigError: OUT cannot be written.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"page '{page}' cannot be read ({error}); give the report.html of a run") from error
    score_files.write_text(out / page.name, IMAGE.sub(LEFT_OUT, text))
    return out / page.name


def headline(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of a short table of metrics.json, percent."""
    yield f"{'percent':24} {'HTER':>10} {'HTER':>10} {'AUC':>10}\n"
    yield f"{'target':24} {'source_val':>10} {'test_eer':>10}\n"
    rows = [*metrics["targets"].items()]
    for name, result in [*rows, ("mean", metrics["mean"])] if len(rows) > 1 else rows:
        honest = result["rules"].get("source_val")
        text = f"{honest['hter']:.2f}" if honest else "-"
        yield f"{name:24.24} {text:>10} {result['rules']['test_eer']['hter']:10.2f} {result['auc']:10.2f}\n"


def pairs_of(first: Sequence[str], second: Sequence[str]) -> list[tuple[Path, Path]]:
    """Returns the score files of two systems in pairs, in the order given.

    Raises:
      ConfigError: one system has more files than the other.
    """
    if len(first) != len(second):
        raise ConfigError(f"{len(first)} --scores and {len(second)} --against; give as many of one as of the other")
    return [(Path(one), Path(other)) for one, other in zip(first, second, strict=True)]
