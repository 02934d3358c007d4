"""One target measured: its frame scores under every threshold rule, as an entry of metrics.json.

Rates are percent, thresholds are scores, the Brier score lies in [0, 1]; one presentation is one video.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from flipjax.core.schemas import ScoreTable
from flipjax.evaluation.rules import TEST_EER, own_rule
from flipjax.metrics import calibration, curves, rates
from flipjax.metrics.intervals import bootstrap
from flipjax.metrics.non_response import non_response_rate
from flipjax.metrics.operating_points import APCER_LIMITS, bpcer_at_apcer
from flipjax.metrics.pooling import pool_videos
from flipjax.metrics.resampling import Measure
from flipjax.metrics.thresholds import ThresholdRule
from flipjax.metrics.weighted import all_rates, threshold_rates

RATE_KEYS = ("hter", "apcer_max", "apcer_pooled", "bpcer", "acer", "accuracy")
RECHOSEN, KEPT = "chosen again on every resample", "kept fixed"

Metrics = dict[str, Any]


def measure(frames: ScoreTable, fixed: Mapping[str, ThresholdRule], *, seed: int, resamples: int) -> Metrics:
    """Returns counts, flat keys of the rule test_eer, `rules` and `ci95` of one target.

    Calibration is left out where scores are no probabilities; `ci95` is empty where a class has a single presentation,
    whose spread is not defined.

    Args:
      frames: one row per frame.
      fixed: rules chosen before, by name.
      seed: of the bootstrap.
      resamples: bootstrap draws; 0 leaves `ci95` empty.

    Raises:
      MetricError: a class is missing, a video mixes classes, or a score is not a finite number.
    """
    videos = pool_videos(frames)
    own = own_rule(videos)
    # The grid is what can be chosen again; an exact threshold stays.
    rechosen = None if videos.is_probability else own.threshold
    ci95 = _intervals(videos, rechosen, seed, resamples)
    rules = {TEST_EER: at_rule(videos, own) | _ci95_of_rule(ci95, RECHOSEN if rechosen is None else KEPT)}
    for name, rule in fixed.items():
        found = _intervals(videos, rule.threshold, seed, resamples, rates=threshold_rates)
        rules[name] = at_rule(videos, rule) | _ci95_of_rule(found, KEPT)
    flat = {key: value for key, value in rules[TEST_EER].items() if isinstance(value, float)}
    flat |= {"eer": flat["hter"]} | _ranking(videos) | _calibration(videos)
    return {"counts": _counts(frames, videos)} | flat | {"rules": rules, "ci95": ci95}


def at_rule(videos: ScoreTable, rule: ThresholdRule) -> Metrics:
    """Returns threshold, data and every error rate in percent at a rule.

    Raises:
      MetricError: a class is missing or a score is not a finite number.
    """
    pair = (videos.score, videos.is_bona_fide)
    per_pai = rates.apcer_per_pai(*pair, videos.attack_type, rule.threshold)
    return {
        "threshold": rule.threshold,
        "data": rule.data,
        "looked_at_target": rule.looked_at_target,
        "hter": 100 * rates.hter(*pair, rule.threshold),
        "apcer_max": 100 * max(per_pai.values()),
        "apcer_pooled": 100 * rates.apcer_pooled(*pair, rule.threshold),
        "bpcer": 100 * rates.bpcer(*pair, rule.threshold),
        "acer": 100 * rates.acer(*pair, videos.attack_type, rule.threshold),
        "accuracy": 100 * rates.accuracy(*pair, rule.threshold),
        "apcer_per_pai": {name: 100 * value for name, value in per_pai.items()},
    }


def failure_to_acquire(dropped: Mapping[str, int], counts: Mapping[str, int]) -> Metrics:
    """Returns per class the pictures in which no face was found and their share in percent of all pictures.

    Args:
      dropped: class name -> pictures without a face, which have no score.
      counts: `counts` of the target.

    Raises:
      MetricError: a class has no picture at all, or a count is negative.
    """
    kept = {"bona_fide": counts["bona_fide_frames"], "attack": counts["attack_frames"]}
    return {
        name: {
            "dropped": dropped.get(name, 0),
            "percent": 100 * non_response_rate(dropped.get(name, 0), dropped.get(name, 0) + scored),
        }
        for name, scored in kept.items()
    }


def _ranking(videos: ScoreTable) -> Metrics:
    pair = (videos.score, videos.is_bona_fide)
    found = {"auc": curves.auc(*pair)}
    for positive in curves.POSITIVE_CLASSES:
        found[f"tpr_at_fpr1_{positive}"] = curves.tpr_at_fpr(*pair, positive=positive)
    for name, limit in APCER_LIMITS.items():
        found[name] = bpcer_at_apcer(*pair, videos.attack_type, limit=limit)
    return {key: 100 * value for key, value in found.items()}


def _calibration(videos: ScoreTable) -> Metrics:
    if not videos.is_probability:
        return {}
    pair = (videos.score, videos.is_bona_fide)
    return {
        "calibration_error": 100 * calibration.expected_calibration_error(*pair),
        "brier": calibration.brier(*pair),
    }


def _ci95_of_rule(ci95: Mapping[str, list[float]], threshold: str) -> Metrics:
    return {"ci95": {key: ci95[key] for key in RATE_KEYS if key in ci95}, "ci95_threshold": threshold}


def _intervals(
    videos: ScoreTable,
    threshold: float | None,
    seed: int,
    resamples: int,
    *,
    rates: Callable[..., Measure] = all_rates,
) -> dict[str, list[float]]:
    bona_fide = int(videos.is_bona_fide.sum())
    if not resamples or min(bona_fide, len(videos) - bona_fide) < 2:
        return {}
    found = bootstrap(videos, threshold=threshold, resamples=resamples, seed=seed, rates=rates)
    return {key: [100 * low, 100 * high] for key, (low, high) in found.items()}


def _counts(frames: ScoreTable, videos: ScoreTable) -> Metrics:
    """Videos of either class, frames of either class, known subjects, and attack videos per instrument."""
    subjects = {key for key in zip(videos.domain, videos.subject_id, strict=True) if key[1]}
    bona_fide, frame_bona_fide = int(videos.is_bona_fide.sum()), int(frames.is_bona_fide.sum())
    return {
        "bona_fide": bona_fide,
        "attack": len(videos) - bona_fide,
        "bona_fide_frames": frame_bona_fide,
        "attack_frames": len(frames) - frame_bona_fide,
        "subjects": len(subjects),
        "attack_per_pai": dict(sorted(Counter(rates.pai_names(videos.is_bona_fide, videos.attack_type)).items())),
    }
