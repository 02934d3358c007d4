"""Which presentations hang together, and how often a bootstrap draws each group of them.

Presentations of one person are not independent, so whole people are drawn. A person who gives both bona fide and attack
presentations is drawn once for both: what makes a face hard in one class makes it easier or harder in the other, and
drawing the classes apart gets the sum of the two errors wrong by exactly that much. People are stratified by the classes
they give (both, bona fide alone, attack alone), so every resample holds as many of each as the data.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable

MATRIX_CELLS = 1_000_000  # weights held at a time, 4 MB

Weights = Int[np.ndarray, "r g"]
Measure = Callable[[Weights], Mapping[str, Float[np.ndarray, "r"]]]


@dataclass(frozen=True)
class Clusters:
    """The group of every presentation; groups of one stratum are numbered in a row.

    `strata` is the number of groups in each stratum; `fewest` the number of groups that show the class shown by fewer.
    """

    group: Int[np.ndarray, "b"]
    strata: tuple[int, ...]
    fewest: int

    def __len__(self) -> int:
        return sum(self.strata)


def person_of(videos: ScoreTable) -> Int[np.ndarray, "b"]:
    """Returns a number per row that rows of the same (domain, subject) share; rows of unknown subject stand alone."""
    numbers: dict[tuple[str, str] | int, int] = {}
    keys = enumerate(zip(videos.domain, videos.subject_id, strict=True))
    return np.array([numbers.setdefault(key if key[1] else row, len(numbers)) for row, key in keys], dtype=np.int64)


def clusters_of(videos: ScoreTable) -> Clusters:
    """Returns the groups that a bootstrap draws whole.

    A group is a person; a presentation of unknown subject is a group by itself. Where one person alone gives both
    classes, that person is drawn in either class apart; a stratum of one person is drawn by presentation.
    """
    person, label = person_of(videos), videos.is_bona_fide
    group, strata = np.empty(len(videos), dtype=np.int64), []
    for members in _strata(person, label):
        people, number = np.unique(person[members], return_inverse=True)
        if len(people) == 1:
            number = np.arange(len(number))
        group[members] = number + sum(strata)
        strata.append(int(number.max()) + 1)
    fewest = min(len(np.unique(group[label])), len(np.unique(group[~label])))
    return Clusters(group, tuple(strata), fewest)


def resample(clusters: Clusters, measure: Measure, *, resamples: int, seed: int) -> dict[str, Float[np.ndarray, "r"]]:
    """Returns what `measure` says of every resample; the same seed gives the same resamples.

    Raises:
      MetricError: fewer than two resamples, or a class that a single group shows: its spread is not defined.
    """
    if resamples < 2:
        raise MetricError(f"{resamples} bootstrap resamples have no spread; ask for 2 or more, better 1000")
    if clusters.fewest < 2:
        raise MetricError("a class has a single presentation; the spread of its error rate is not defined")
    parts = [measure(weights) for weights in draws(clusters, resamples, np.random.default_rng(seed))]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def draws(clusters: Clusters, resamples: int, rng: np.random.Generator) -> Iterator[Weights]:
    """Yields how often each group is drawn, for some resamples at a time; a stratum keeps its number of groups."""
    step = max(1, MATRIX_CELLS // len(clusters.group))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        yield np.concatenate([_draw(size, count, rng) for size in clusters.strata], axis=1)


def _strata(person: Int[np.ndarray, "b"], label: Bool[np.ndarray, "b"]) -> Iterator[Int[np.ndarray, "_rows"]]:
    """Rows of the people who give both classes, then of the others by class; empty ones are left out."""
    shows = np.zeros((person.max() + 1, 2), dtype=bool)
    shows[person, label.astype(int)] = True
    both = shows[:, 0] & shows[:, 1]
    joint = both[person] if both.sum() > 1 else np.zeros(len(person), dtype=bool)
    for members in (joint, ~joint & label, ~joint & ~label):
        if members.any():
            yield np.flatnonzero(members)


def _draw(size: int, count: int, rng: np.random.Generator) -> Weights:
    picks = rng.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
    return np.bincount(picks.ravel(), minlength=size * count).reshape(count, size).astype(np.int32)
