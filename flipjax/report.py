"""Metrics and a report from score files alone, ours or anyone's: `python -m flipjax.report --scores=CSV --out=DIR`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from flipjax import __version__
from flipjax.core import command
from flipjax.core.errors import ConfigError
from flipjax.core.labels import CLASS_NAMES


def _define_flags() -> None:
    flags.DEFINE_multi_string("scores", [], "Score CSV of a target; repeat the flag for more targets.")
    flags.DEFINE_string("out", None, "Folder for metrics.json and report.html.")
    flags.DEFINE_string("dev", None, "Score CSV of the source validation data; it chooses the honest threshold.")
    flags.DEFINE_enum("positive", "bona_fide", CLASS_NAMES, "Class whose probability the score columns hold.")


def _headline(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Lines of the table printed at the end, percent."""
    yield f"{'percent':24} {'HTER':>10} {'HTER':>10} {'AUC':>10}\n"
    yield f"{'target':24} {'source_val':>10} {'test_eer':>10}\n"
    rows = [*metrics["targets"].items()]
    for name, result in [*rows, ("mean", metrics["mean"])] if len(rows) > 1 else rows:
        honest = result["rules"].get("source_val")
        text = f"{honest['hter']:.2f}" if honest else "-"
        yield f"{name:24.24} {text:>10} {result['rules']['test_eer']['hter']:10.2f} {result['auc']:10.2f}\n"


def main(argv: list[str]) -> None:
    """Scores in; metrics.json, report.html and a headline table out. Nothing is written before all is computed."""
    from flipjax.evaluation import protocol, report, score_files

    options = flags.FLAGS
    if argv[1:] or not options.scores or not options.out:
        extra = f"; '{argv[1]}' is no flag" if argv[1:] else ""
        raise ConfigError(f"give --scores=CSV (once per target) and --out=DIR{extra}")
    targets = score_files.read_targets([Path(path) for path in options.scores], options.positive)
    dev = score_files.read_scores(Path(options.dev), options.positive) if options.dev else None
    metrics = protocol.evaluate(targets, dev)
    context = {
        "command": "python -m flipjax.report",
        "data": ", ".join(options.scores) + (f"; source validation {options.dev}" if options.dev else ""),
        "versions": {"flipjax": __version__},
    }
    page = report.render_report(title="Score report", metrics=metrics, tables=targets, context=context)
    out = Path(options.out)
    protocol.write_json(out / "metrics.json", metrics)
    score_files.write_text(out / "report.html", page)
    sys.stdout.writelines(_headline(metrics))
    sys.stdout.write(f"wrote {out / 'metrics.json'}\nwrote {out / 'report.html'}\n")


if __name__ == "__main__":
    _define_flags()
    command.run(main)
