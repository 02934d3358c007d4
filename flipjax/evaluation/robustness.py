"""Scores of a robustness sweep to the content of robustness.json: error rates at one frozen threshold, level by level.

The threshold is never chosen again. A rise of HTER with AUC intact is scores that moved against the threshold; one with
a falling AUC is classes that are no longer told apart. Rates are percent, rises are points (percent minus percent); one
presentation is one video.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.data.corruptions import Corruption, Level
from flipjax.metrics import curves, rates
from flipjax.metrics.pooling import pool_videos

RISE_POINTS = 5.0
RATES = ("hter", "apcer_pooled", "bpcer", "auc")
_ROUNDING = 1e-9  # a rise of exactly RISE_POINTS is not more than that

Rates = dict[str, float]


def rates_of(frames: ScoreTable, threshold: float, target: str) -> Rates:
    """Returns RATES of the videos of `frames` in percent, all but `auc` at `threshold`.

    Raises:
      MetricError: a class is missing, a video mixes classes or a score is not a number; the target is named.
    """
    try:
        videos = pool_videos(frames)
        pair = (videos.score, videos.is_bona_fide)
        at = (rates.hter(*pair, threshold), rates.apcer_pooled(*pair, threshold), rates.bpcer(*pair, threshold))
        return {name: 100 * share for name, share in zip(RATES, (*at, curves.auc(*pair)), strict=True)}
    except MetricError as error:
        raise MetricError(f"target '{target}': {error}") from error


def counts_of(frames: ScoreTable) -> dict[str, Any]:
    """Returns what every level of a target holds, and `hter_step`: the points by which one video can move HTER."""
    videos = pool_videos(frames)
    bona_fide = int(videos.is_bona_fide.sum())
    attack = len(videos) - bona_fide
    return {
        "frames": len(frames),
        "bona_fide_videos": bona_fide,
        "attack_videos": attack,
        "hter_step": 50 / min(bona_fide, attack),
    }


def curve_of(corruption: Corruption, found: Sequence[Mapping[str, Rates]]) -> dict[str, Any]:
    """Returns one corruption's part of robustness.json.

    `targets` holds RATES by target, each a list along `levels` (null: the crop as stored); `neutral` is the place of the
    neutral level. `breaks` holds by target, for either side of the neutral level, the first level whose HTER is more than
    RISE_POINTS above the neutral one. `largest` holds by target the level of the largest rise of HTER, with the rates
    `stored` and `there`.

    Args:
      corruption: what was swept.
      found: rates by target at each of its levels.
    """
    levels, neutral = corruption.levels, corruption.levels.index(corruption.neutral)
    targets = {name: {rate: [at[name][rate] for at in found] for rate in RATES} for name in found[0]}
    return {
        "meaning": corruption.meaning,
        "unit": corruption.unit,
        "axis": corruption.axis,
        "levels": list(levels),
        "neutral": neutral,
        "targets": targets,
        "breaks": {name: _breaks(levels, neutral, curve["hter"]) for name, curve in targets.items()},
        "largest": {name: _largest_rise(levels, neutral, curve) for name, curve in targets.items()},
    }


def rankings(swept: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Returns `ranking`, every target and corruption by the largest rise of HTER, and `by_target`.

    The latter holds, for every target, its first entry of `ranking` and `mean_rise`, the mean over the corruptions of the
    largest rise (at least 0), highest first.

    Args:
      swept: what `curve_of` says, by corruption.
    """
    entries = [
        {"target": target, "corruption": name, **largest}
        for name, curve in swept.items()
        for target, largest in curve["largest"].items()
    ]
    ranking = sorted(entries, key=lambda entry: -entry["rise"])
    worst = {entry["target"]: entry for entry in reversed(ranking)}
    by_target = [
        {**entry, "mean_rise": float(np.mean([max(e["rise"], 0.0) for e in ranking if e["target"] == target]))}
        for target, entry in worst.items()
    ]
    return {"ranking": ranking, "by_target": sorted(by_target, key=lambda entry: -entry["mean_rise"])}


def is_risen(hter: float, neutral: float) -> bool:
    """Says whether `hter` is more than RISE_POINTS above the neutral one, both in percent."""
    return hter - neutral > RISE_POINTS + _ROUNDING


def _breaks(levels: Sequence[Level], neutral: int, hter: Sequence[float]) -> list[Level]:
    sides = (range(neutral - 1, -1, -1), range(neutral + 1, len(levels)))
    firsts = (next((place for place in side if is_risen(hter[place], hter[neutral])), None) for side in sides)
    return [levels[place] for place in firsts if place is not None]


def _largest_rise(levels: Sequence[Level], neutral: int, curve: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    rises = np.array(curve["hter"]) - curve["hter"][neutral]
    rises[neutral] = -np.inf
    worst = int(np.argmax(rises))
    stored, there = ({rate: values[place] for rate, values in curve.items()} for place in (neutral, worst))
    return {"rise": float(rises[worst]), "level": levels[worst], "stored": stored, "there": there}
