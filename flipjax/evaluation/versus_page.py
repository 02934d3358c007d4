"""The comparison of two systems as one self-contained HTML page, in plain words first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flipjax.evaluation import svg
from flipjax.evaluation.pages import render
from flipjax.evaluation.tables import Cell
from flipjax.evaluation.versus import Compared, Comparison, Repeats, repeats
from flipjax.metrics.delong import AucDifference
from flipjax.metrics.paired import Difference
from flipjax.metrics.seeds import SeedSpread

NAMES = {
    "hter": "HTER",
    "acer": "ACER",
    "apcer_max": "APCER max",
    "apcer_pooled": "APCER pooled",
    "bpcer": "BPCER",
    "accuracy": "accuracy",
    "auc": "AUC",
}
MOST_POINTS = 2000
MOST_CHANGED = 40
FRAME = svg.Frame(width=440.0, height=430.0, left=52.0, top=12.0, right=428.0, bottom=382.0)


@dataclass(frozen=True)
class Changed:
    """A video on which the decisions differ: its name, class or instrument, both scores, and who is right."""

    video: str
    kind: str
    scores: tuple[str, str]
    right: str


def render_versus(comparisons: Sequence[Comparison], *, title: str, command: str) -> str:
    """Returns the page of one or several pairs of score files.

    Args:
      comparisons: of the pairs, in the order shown.
      title: page title.
      command: that makes the page again.
    """
    return render(
        "versus.html",
        title=title,
        command=command,
        pairs=[_pair(each) for each in comparisons],
        repeats=[_repeats(each) for each in repeats(comparisons)],
    )


def _pair(each: Comparison) -> dict[str, object]:
    from markupsafe import Markup

    right = each.right
    changed = list(_changed(each))
    return {
        "target": each.target,
        "systems": each.systems,
        "rules": each.rules,
        "looked": any(rule.looked_at_target for rule in each.rules),
        "counts": (int(each.first.is_bona_fide.sum()), int((~each.first.is_bona_fide).sum())),
        "verdicts": [_verdict(each.rates[0], each.systems), _verdict(each.auc, each.systems, higher_is_better=True)],
        "rates": [_row(rate, NAMES[rate.name]) for rate in each.rates],
        "auc": _row(each.auc, NAMES["auc"]),
        "delong": each.auc_test and (_points(each.auc_test), p_text(each.auc_test.p)),
        "table": [[int(np.sum((right[0] == a) & (right[1] == b))) for b in (True, False)] for a in (True, False)],
        "decisions": each.decisions,
        "decisions_p": p_text(each.decisions.p),
        "instruments": [(_row(rate, rate.name.replace("_", " ")), rate.count) for rate in each.instruments],
        "scatter": Markup(scatter_figure(each)),
        "shown_points": min(MOST_POINTS, len(each.first)),
        "changed": changed[:MOST_CHANGED],
        "changed_count": len(changed),
    }


def _row(rate: Compared, name: str) -> tuple[str, str, str, Cell, str]:
    """(name, first, second, difference with its interval, p value)."""
    values = f"{rate.first:.2f}", f"{rate.second:.2f}"
    if rate.difference is None:
        text = signed(rate.second - rate.first, 2)
        return name, *values, Cell(text, interval="too few people for an interval"), "–"
    return name, *values, _points(rate.difference), p_text(rate.difference.p)


def _points(found: Difference | AucDifference) -> Cell:
    """A difference in percent points with its interval."""
    return Cell(signed(100 * found.difference, 2), interval=f"{signed(100 * found.low)} to {signed(100 * found.high)}")


def signed(value: float, digits: int = 1) -> str:
    """Returns a number with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def p_text(p: float | None) -> str:
    """Returns a p value with two digits that mean something; a dash where it is not defined."""
    if p is None:
        return "–"
    return "<\N{NO-BREAK SPACE}0.001" if p < 0.001 else f"{p:.2g}"


def _verdict(rate: Compared, systems: tuple[str, str], *, higher_is_better: bool = False) -> tuple[str, str, str]:
    """(rate, "apart" or "alike", sentence) on whether the difference can be told from none."""
    name, points = NAMES[rate.name], rate.second - rate.first
    difference = rate.difference
    assert difference is not None
    low, high = 100 * difference.low, 100 * difference.high
    if low <= 0 <= high:
        most = max(abs(low), abs(high))
        sentence = (
            f"{name} of {systems[1]} differs from that of {systems[0]} by {signed(points, 2)} percent points, which cannot "
            f"be told from none: other people could give anything from {signed(low)} to {signed(high)}. A true difference "
            f"of more than {most:.1f} points is unlikely; a smaller one would need more people to be seen."
        )
        return name, "alike", sentence
    better = systems[1] if (points > 0) == higher_is_better else systems[0]
    sentence = (
        f"{better} is better: {name} of {systems[1]} lies {abs(points):.2f} percent points "
        f"{'above' if points > 0 else 'below'} that of {systems[0]}, and other people would likely give "
        f"{signed(low)} to {signed(high)}. The two can be told apart on data like these."
    )
    return name, "apart", sentence


def _changed(each: Comparison) -> Iterator[Changed]:
    """Videos on which the decisions differ, the largest difference of scores first."""
    gap = np.abs(each.first.score - each.second.score)
    rows = np.flatnonzero(each.right[0] != each.right[1])
    for row in rows[np.argsort(-gap[rows], kind="stable")]:
        table = each.first
        kind = "bona fide" if table.is_bona_fide[row] else str(table.attack_type[row]).replace("_", " ") or "attack"
        yield Changed(
            video=str(table.video_id[row] or table.sample_id[row]),
            kind=kind,
            scores=(f"{each.first.score[row]:.4f}", f"{each.second.score[row]:.4f}"),
            right=each.systems[0] if each.right[0][row] else each.systems[1],
        )


def _repeats(found: Repeats) -> dict[str, object]:
    rows = [(" / ".join(each.systems), *_row(each.rates[0], "")[1:4]) for each in found.pairs]
    spreads = [_spread(each) for each in (found.first, found.second, found.difference)]
    return {"target": found.pairs[0].target, "rows": rows, "spreads": spreads, "count": found.difference.seeds}


def _spread(found: SeedSpread) -> Cell:
    return Cell(f"{found.mean:.2f}", spread=f"± {found.sd:.2f}", interval=f"standard error {found.standard_error:.2f}")


def scatter_figure(each: Comparison) -> str:
    """Returns the scores of both systems against each other: dots for bona fide, crosses for attacks, and the thresholds.

    At most 2,000 videos are drawn, always the same ones, evenly taken from the list in the order of its names.
    """
    tables, spans = (each.first, each.second), []
    for table in tables:
        spans.append((0.0, 1.0) if table.is_probability else (float(table.score.min()), float(table.score.max())))
    across, up = (svg.linear_axis(f"score of {name}", *span) for name, span in zip(each.systems, spans, strict=True))
    x = [FRAME.x(across.share(float(value))) for value in each.first.score]
    y = [FRAME.y(up.share(float(value))) for value in each.second.score]
    rows = _evenly(each)
    parts = [svg.axes(FRAME, across, up)]
    for style, wanted, shape in (("attack", False, "m-3-3l6 6m0-6l-6 6"), ("bona-fide", True, "h.01")):
        places = "".join(f"M{x[row]:.1f} {y[row]:.1f}{shape}" for row in rows if each.first.is_bona_fide[row] == wanted)
        parts.append(f'<path class="points {style}" d="{places or "M0 0"}"/>')
    cuts = FRAME.x(across.share(each.rules[0].threshold)), FRAME.y(up.share(each.rules[1].threshold))
    parts.append(svg.line("base cut", cuts[0], FRAME.top, cuts[0], FRAME.bottom, f"threshold of {each.systems[0]}"))
    parts.append(svg.line("base cut", FRAME.left, cuts[1], FRAME.right, cuts[1], f"threshold of {each.systems[1]}"))
    return svg.picture(FRAME, f"Scores of {' and '.join(each.systems)} on {each.target}", parts)


def _evenly(each: Comparison) -> list[int]:
    names = [f"{video}/{sample}" for video, sample in zip(each.first.video_id, each.first.sample_id, strict=True)]
    order = sorted(range(len(names)), key=names.__getitem__)
    count = min(MOST_POINTS, len(order))
    return [order[i * len(order) // count] for i in range(count)]
