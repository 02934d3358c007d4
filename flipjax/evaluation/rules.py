"""The threshold rules of metrics.json, by name: what each is called in a report and how it is chosen.

`test_eer` is the papers' rule: the EER threshold of the target test set itself, which has seen the labels it is judged
by. The others are fixed on source validation before the target is seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics import thresholds
from flipjax.metrics.pooling import pool_videos
from flipjax.metrics.thresholds import ThresholdRule

TEST_EER = "test_eer"
SOURCE_VAL = "source_val"
SOURCE_VAL_BPCER1 = "source_val_bpcer1"
SOURCE_VAL_APCER1 = "source_val_apcer1"
LIMIT = 0.01


@dataclass(frozen=True)
class Shown:
    """How a report names a rule: a short label, and a sentence on how its threshold is chosen."""

    label: str
    text: str


SHOWN: Mapping[str, Shown] = {
    SOURCE_VAL: Shown("source validation", "Both error rates are equal on source validation (exact EER)."),
    SOURCE_VAL_BPCER1: Shown(
        "1 % BPCER on source validation", "At most 1 % of the bona fide of source validation is rejected."
    ),
    SOURCE_VAL_APCER1: Shown(
        "1 % APCER on source validation", "At most 1 % of every instrument’s attacks in source validation is accepted."
    ),
    TEST_EER: Shown("own EER", "Both error rates are equal on the target’s own test set."),
}


def source_rules(source_val: ScoreTable | None) -> dict[str, ThresholdRule]:
    """Returns the rules fixed on source validation, by name; none without source validation scores.

    Raises:
      MetricError: source validation lacks a class, or mixes classes within a video.
    """
    if source_val is None or not len(source_val):
        return {}
    try:
        videos = pool_videos(source_val)
        return {name: replace(choose(videos), name=name) for name, choose in _CHOICES.items()}
    except MetricError as error:
        raise MetricError(f"source validation: {error}") from error


def own_rule(videos: ScoreTable) -> ThresholdRule:
    """Returns `test_eer`: by the papers' grid, or exact where scores are no probabilities, for which there is no grid.

    Raises:
      MetricError: a class is missing or a score is not a finite number.
    """
    if videos.is_probability:
        return thresholds.at_test_eer(videos.score, videos.is_bona_fide)
    data = "the target test set itself, without the papers' grid, which needs probabilities"
    rule = thresholds.eer_exact(videos.score, videos.is_bona_fide, data=data)
    return replace(rule, name=TEST_EER, looked_at_target=True)


def _data(videos: ScoreTable) -> str:
    domains = ", ".join(sorted({str(name) for name in videos.domain if name}))
    return f"source validation, {len(videos)} videos" + (f" of {domains}" if domains else "")


def _equal_errors(videos: ScoreTable) -> ThresholdRule:
    return thresholds.at_dev_eer(videos.score, videos.is_bona_fide, data=_data(videos))


def _bpcer(videos: ScoreTable) -> ThresholdRule:
    return thresholds.at_bpcer(videos.score, videos.is_bona_fide, limit=LIMIT, data=_data(videos))


def _apcer(videos: ScoreTable) -> ThresholdRule:
    return thresholds.at_apcer(videos.score, videos.is_bona_fide, videos.attack_type, limit=LIMIT, data=_data(videos))


_CHOICES: Mapping[str, Callable[[ScoreTable], ThresholdRule]] = {
    SOURCE_VAL: _equal_errors,
    SOURCE_VAL_BPCER1: _bpcer,
    SOURCE_VAL_APCER1: _apcer,
}
