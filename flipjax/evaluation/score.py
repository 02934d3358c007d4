"""Scores every row of an index exactly once."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from tqdm import tqdm

from flipjax.core.errors import MetricError
from flipjax.core.labels import instrument_name
from flipjax.core.schemas import ScoreTable

Batch = Mapping[str, np.ndarray]


def score_rows(
    score: Callable[[Batch], tuple[np.ndarray, np.ndarray]],
    batches: Iterable[Batch],
    columns: Mapping[str, np.ndarray],
    *,
    total_batches: int,
    label: str,
) -> ScoreTable:
    """Returns one row per index row.

    Args:
      score: batch -> (rows [b], P(bona fide) [b]) of all processes; row -1 marks padding.
      batches: cover every row of the index once.
      columns: index columns by name.
      total_batches: for the progress bar, which appears after five seconds.
      label: what is scored, for the bar and errors.

    Raises:
      MetricError: a row was missed or its score is not a number.
    """
    count = len(columns["sample_id"])
    scores = np.full(count, np.nan)
    for batch in tqdm(batches, total=total_batches, desc=f"scoring {label}", unit="batch", delay=5, leave=False):
        rows, values = score(batch)
        scores[rows[rows >= 0]] = values[rows >= 0]
    missing = np.flatnonzero(~np.isfinite(scores))
    if len(missing):
        names = ", ".join(columns["sample_id"][missing[:3]])
        raise MetricError(f"{label}: {len(missing)} of {count} samples have no finite score, such as {names}")
    instruments = np.array([instrument_name(int(index)) for index in columns["attack_instrument"]], dtype=object)
    return ScoreTable(
        sample_id=columns["sample_id"],
        video_id=columns["video_id"],
        subject_id=columns["subject_id"],
        domain=columns["domain"],
        is_bona_fide=columns["is_bona_fide"].astype(bool),
        attack_type=instruments,
        score=scores,
    )
