"""Frames to videos: the score of a video is the mean over its frames (SSDG, FLIP and InstructFLIP alike)."""

from dataclasses import replace

import numpy as np

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.rates import require_finite


def pool_videos(frames: ScoreTable) -> ScoreTable:
    """Returns one row per (domain, video_id), in order of first appearance, with the float64 mean of the frame scores.

    The other columns are those of the video's first frame; a condition in which its frames differ is empty. A frame
    without a video_id is its own video.

    Raises:
      MetricError: a video holds both classes or two attack types, or a score is not a finite number.
    """
    require_finite(frames.score)
    first, video = _video_rows(frames)
    for column in ("is_bona_fide", "attack_type"):
        _require_agreement(frames, first, video, column)
    means = np.bincount(video, weights=frames.score.astype(np.float64)) / np.bincount(video)
    agreed = {name: _agreed(values, first, video) for name, values in frames.conditions.items()}
    return replace(frames.take(first), score=means, conditions=agreed)


def _agreed(values: np.ndarray, first: np.ndarray, video: np.ndarray) -> np.ndarray:
    """The value that all frames of a video share, empty where they differ."""
    kept = values[first]
    kept[video[values != kept[video]]] = ""
    return kept


def _video_rows(frames: ScoreTable) -> tuple[np.ndarray, np.ndarray]:
    """The first row of every video, and the video number of every row."""
    numbers: dict[tuple[str, str] | int, int] = {}
    first, video = [], np.empty(len(frames), dtype=np.int64)
    for row, key in enumerate(zip(frames.domain, frames.video_id, strict=True)):
        number = numbers.setdefault(key if key[1] else row, len(first))
        if number == len(first):
            first.append(row)
        video[row] = number
    return np.array(first, dtype=np.int64), video


def _require_agreement(frames: ScoreTable, first: np.ndarray, video: np.ndarray, column: str) -> None:
    values = getattr(frames, column)
    wrong = np.flatnonzero(values != values[first][video])
    if len(wrong):
        row = wrong[0]
        raise MetricError(
            f"video '{frames.video_id[row]}' of domain '{frames.domain[row]}' has frames of different {column}: "
            f"'{values[first[video[row]]]}' and '{values[row]}'; give every video its own video_id"
        )
