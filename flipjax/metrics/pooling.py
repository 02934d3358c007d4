"""Frames to videos: the score of a video is the mean over its frames (SSDG, FLIP and InstructFLIP alike)."""

import numpy as np

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable


def pool_videos(frames: ScoreTable) -> ScoreTable:
    """Returns one row per (domain, video_id), in order of first appearance, with the float64 mean of the frame scores.

    The other columns are those of the video's first frame. A frame without a video_id is its own video.

    Raises:
      MetricError: a video holds both classes or two attack types, or a score is not a number.
    """
    if np.isnan(frames.score).any():
        raise MetricError(
            f"{int(np.isnan(frames.score).sum())} of {len(frames)} scores are not numbers; score the data again"
        )
    first, video = _video_rows(frames)
    for column in ("is_bona_fide", "attack_type"):
        _require_agreement(frames, first, video, column)
    means = np.bincount(video, weights=frames.score.astype(np.float64)) / np.bincount(video)
    return ScoreTable(
        sample_id=frames.sample_id[first],
        video_id=frames.video_id[first],
        subject_id=frames.subject_id[first],
        domain=frames.domain[first],
        is_bona_fide=frames.is_bona_fide[first],
        attack_type=frames.attack_type[first],
        score=means,
    )


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
