"""Asks a model about every row of an index exactly once: scores, or any other numbers per row."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from tqdm import tqdm

from flipjax.core.errors import MetricError
from flipjax.core.labels import OPTIONS, instrument_name
from flipjax.core.schemas import CONDITIONS, ScoreTable

Batch = Mapping[str, np.ndarray]
Compute = Callable[[Batch], tuple[np.ndarray, Mapping[str, np.ndarray]]]


def gather_rows(
    compute: Compute,
    batches: Iterable[Batch],
    sample_ids: np.ndarray,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    total_batches: int,
    label: str,
) -> dict[str, np.ndarray]:
    """Returns name -> float64 array with one entry of `shapes[name]` per index row.

    Args:
      compute: batch -> (rows [b], name -> values [b ...]) of all processes; row -1 marks padding.
      batches: cover every row of the index once.
      sample_ids: of the index rows.
      shapes: what `compute` gives per row.
      total_batches: for the progress bar, which appears after five seconds.
      label: what is computed from which data, for the bar and errors.

    Raises:
      MetricError: a row was missed or holds something that is not a number.
    """
    count = len(sample_ids)
    gathered = {name: np.full((count, *shape), np.nan) for name, shape in shapes.items()}
    for batch in tqdm(batches, total=total_batches, desc=label, unit="batch", delay=5, leave=False):
        rows, values = compute(batch)
        for name, whole in gathered.items():
            whole[rows[rows >= 0]] = values[name][rows >= 0]
    for name, whole in gathered.items():
        missing = np.flatnonzero(~np.isfinite(whole.reshape(count, -1)).all(axis=1)) if count else ()
        if len(missing):
            names = ", ".join(sample_ids[missing[:3]])
            raise MetricError(f"{label}: {len(missing)} of {count} samples have no finite {name}, such as {names}")
    return gathered


def score_rows(
    compute: Compute, batches: Iterable[Batch], columns: Mapping[str, np.ndarray], *, total_batches: int, label: str
) -> ScoreTable:
    """Returns one row per index row.

    Args:
      compute: as of `gather_rows`, with P(bona fide) [b] under the name "score".
      batches: cover every row of the index once.
      columns: index columns by name.
      total_batches: for the progress bar.
      label: what is scored.

    Raises:
      MetricError: a row was missed or its score is not a number.
    """
    ids, shapes = columns["sample_id"], {"score": ()}
    found = gather_rows(compute, batches, ids, shapes, total_batches=total_batches, label=f"scoring {label}")
    instruments = np.array([instrument_name(int(index)) for index in columns["attack_instrument"]], dtype=object)
    return ScoreTable(
        sample_id=columns["sample_id"],
        video_id=columns["video_id"],
        subject_id=columns["subject_id"],
        domain=columns["domain"],
        is_bona_fide=columns["is_bona_fide"].astype(bool),
        attack_type=instruments,
        score=found["score"],
        conditions=conditions_of(columns),
    )


def conditions_of(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the conditions that some index row knows, by name; option fields become the names of their options."""
    found = {name: _names(name, columns[name]) for name in CONDITIONS if name in columns}
    return {name: values for name, values in found.items() if np.any(values != "")}


def _names(name: str, values: np.ndarray) -> np.ndarray:
    """Text as it is, option indices as names; the index -1 (unknown) meets the empty one at the end."""
    return np.array([*OPTIONS[name], ""], dtype=object)[values.astype(int)] if name in OPTIONS else values
