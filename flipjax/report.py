"""Reports from files alone, of our systems or anyone's.

python -m flipjax.report --scores=FILE [--scores=FILE ...] --out=DIR [--dev=FILE]       metrics.json, report.html
python -m flipjax.report --scores=FILE --against=FILE --out=DIR [--dev=FILE --against_dev=FILE]     versus.html
python -m flipjax.report --page=runs/mine/report.html --no-images --out=DIR        a page without its pictures
"""

import sys
from pathlib import Path

from absl import flags

from flipjax.core import command
from flipjax.core.errors import ConfigError

# Flags that become a flipjax.evaluation.score_sources.Reading, which says what they mean and checks them.
_READING = ("format", "positive", "score_range", "grouping", "level")


def _define_flags() -> None:
    flags.DEFINE_multi_string("scores", [], "Score file of a target (CSV, JSON or a folder); repeat for more targets.")
    flags.DEFINE_string("out", None, "Folder for what is written.")
    flags.DEFINE_string("dev", None, "Score file of the source validation data; it chooses the honest threshold.")
    flags.DEFINE_string("format", "auto", "auto (by the header), flipjax, bob, flip or instructflip.")
    flags.DEFINE_string("positive", "", "Class that is scored: bona_fide or attack; empty: as usual in the format.")
    flags.DEFINE_string("score_range", "probability", "probability, or any: what needs probabilities is not defined.")
    flags.DEFINE_string("grouping", "", "How a path tells its video: mcio, wcs, stem, none; empty: the released rule.")
    flags.DEFINE_string("level", "video", "video, or frame: every row is a presentation of its own.")
    flags.DEFINE_multi_string("against", [], "Another system's score file of the same data, one for each --scores.")
    flags.DEFINE_string("against_dev", None, "The other system's scores of the source validation data.")
    flags.DEFINE_string("page", None, "A report to copy without its pictures.")
    flags.DEFINE_bool("images", True, "--no-images: leave thumbnails out, whose licence may forbid to pass them on.")


def _prepare(argv: list[str]) -> list[str]:
    """Returns the words with --no-images as absl spells it."""
    return ["--noimages" if word == "--no-images" else word for word in argv]


def _check(argv: list[str]) -> None:
    options = flags.FLAGS
    if argv[1:] or bool(options.scores) == bool(options.page) or not options.out:
        extra = f"; '{argv[1]}' is no flag" if argv[1:] else ""
        raise ConfigError(f"give --scores=FILE (once per target) or --page=FILE, and --out=DIR{extra}")
    if options.page and options.images:
        raise ConfigError("--page copies a page without its pictures; give --no-images as well")
    if options.against and not options.scores:
        raise ConfigError("--against compares with --scores; give both")
    if bool(options.against_dev) != bool(options.dev and options.against):
        raise ConfigError("a comparison needs both --dev and --against_dev, or neither; --against_dev is for --against")


def main(argv: list[str]) -> None:
    """Files in; pages and a few lines out."""
    _check(argv)
    from flipjax.evaluation.score_sources import Reading
    from flipjax.experiment import score_report

    options, out = flags.FLAGS, Path(flags.FLAGS.out)
    if options.page:
        sys.stdout.write(f"wrote {score_report.page_without_images(Path(options.page), out=out)}\n")
        return
    reading = Reading(**{name: getattr(options, name) for name in _READING})
    dev, other = (Path(path) if path else None for path in (options.dev, options.against_dev))
    if options.against:
        pairs = score_report.pairs_of(options.scores, options.against)
        for each in score_report.report_versus(pairs, (dev, other), reading, out=out):
            sys.stdout.write(f"{each.target}: HTER {each.rates[0].first:.2f} % and {each.rates[0].second:.2f} %\n")
        sys.stdout.write(f"wrote {out / score_report.VERSUS_FILE}\n")
        return
    metrics = score_report.report_scores([Path(path) for path in options.scores], dev, reading, out=out)
    sys.stdout.writelines(score_report.headline(metrics))
    sys.stdout.write(f"wrote {out / score_report.METRICS_FILE}\nwrote {out / score_report.REPORT_FILE}\n")


if __name__ == "__main__":
    _define_flags()
    command.run(main, prepare=_prepare)
