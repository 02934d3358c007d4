"""Which rows make the batch of a step: balanced over groups of rows, from (seed, step) alone, with no hidden state.

A stream is one group: a (domain, class) pair of FLIP or a (class, camera quality) pair of InstructFLIP. Slot g =
step * batch_size + slot of the endless sequence of slots belongs to stream g % S at stream position g // S, so every
batch is balanced to within one row per stream, and exactly where S divides the batch. Inside a stream every epoch is a
fresh permutation without replacement.

Difference from the FLIP code: its loaders drop the last incomplete batch of every pass and need S to divide the batch;
cycling "drop_last" does the same, "continuous" (default) uses every row of every pass. Differences from the InstructFLIP
code: it draws with replacement, and loses its filters by class and quality, so that each of its six groups is the whole
table; `uniform` stands for that.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from flipjax.core import labels
from flipjax.core.errors import ConfigError, suggest
from flipjax.core.rng import host_stream
from flipjax.data.source import Index

CYCLINGS = ("continuous", "drop_last")
DOMAIN_CLASS = ("domain", "is_bona_fide")
CLASS_QUALITY = ("is_bona_fide", "camera_quality")
_CACHED_PERMUTATIONS = 64
_COLUMN_NAMES = {"is_bona_fide": "class", "camera_quality": "camera quality"}


@dataclass(frozen=True, eq=False)
class Sampler:
    """Streams of index rows and how batches are drawn from them.

    Errors call one stream by its entry of `names`, such as "(M, attack)", and all of them `groups` streams.
    """

    streams: tuple[Int[np.ndarray, "_"], ...]
    names: tuple[str, ...]
    batch_size: int
    seed: int
    cycling: str = "continuous"
    groups: str = "(domain, class)"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch size {self.batch_size} is not positive; expected at least 1")
        if self.cycling not in CYCLINGS:
            known = ", ".join(CYCLINGS)
            raise ConfigError(f"cycling '{self.cycling}' unknown; expected {known}{suggest(self.cycling, CYCLINGS)}")
        if not self.streams or not all(len(rows) for rows in self.streams):
            raise ConfigError("there is no row to sample from; expected at least one training record per stream")
        if self.cycling == "drop_last":
            self._check_drop_last()

    def row(self, step: int, slot: int) -> int:
        """Returns the index row of one slot (0 <= slot < batch_size) of a step."""
        position, stream = divmod(step * self.batch_size + slot, len(self.streams))
        rows = self.streams[stream]
        if self.cycling == "drop_last":
            per_batch = self.batch_size // len(self.streams)
            epoch, batch = divmod(step, len(rows) // per_batch)
            offset = batch * per_batch + position % per_batch
        else:
            epoch, offset = divmod(position, len(rows))
        return int(rows[_permutation(self.seed, stream, epoch, len(rows))[offset]])

    def global_indices(self, step: int) -> Int[np.ndarray, "b"]:
        """Returns the index rows of the global batch of `step`, the same whatever was asked before."""
        return np.array([self.row(step, slot) for slot in range(self.batch_size)], np.int64)

    def _check_drop_last(self) -> None:
        per_batch, rest = divmod(self.batch_size, len(self.streams))
        if rest:
            raise ConfigError(
                f"batch size {self.batch_size} does not divide into {len(self.streams)} {self.groups} streams as "
                "cycling 'drop_last' needs; use a multiple of that number or cycling 'continuous'"
            )
        for name, rows in zip(self.names, self.streams, strict=True):
            if len(rows) < per_batch:
                raise ConfigError(
                    f"stream {name} has {len(rows)} rows, fewer than its {per_batch} per batch under cycling "
                    "'drop_last'; use a smaller batch or cycling 'continuous'"
                )


@dataclass(frozen=True)
class VirtualEpoch:
    """Epochs of `samples` samples that end with the update in which the samples end, as a loader of that many would.

    An update is `accumulate` micro-batches of `batch_size`; slots behind an epoch's last sample stay empty.
    """

    samples: int
    batch_size: int
    accumulate: int

    @property
    def updates(self) -> int:
        """Updates of one epoch.

        Example:
          >>> VirtualEpoch(samples=12800, batch_size=24, accumulate=10).updates
          54
        """
        return math.ceil(math.ceil(self.samples / self.batch_size) / self.accumulate)

    def has(self, step: int, slot: int) -> bool:
        """True where slot `slot` of micro-batch `step`, counted from the start of training, holds a sample."""
        within = step % (self.updates * self.accumulate)
        return within * self.batch_size + slot < self.samples


def balanced(
    index: Index,
    *,
    batch_size: int,
    seed: int,
    cycling: str = "continuous",
    by: tuple[str, ...] = DOMAIN_CLASS,
) -> Sampler:
    """Returns a sampler with one stream per combination of the columns `by` that occurs, in sorted order, attacks first.

    Unknown camera quality (-1) is a value like any other.

    Raises:
      ConfigError: no rows, an unknown cycling, or a batch size that does not fit them.
    """
    columns = [index[name] for name in by]
    present = sorted(set(zip(*(values.tolist() for values in columns), strict=True)))
    rows = [
        np.flatnonzero(np.logical_and.reduce([values == value for values, value in zip(columns, group, strict=True)]))
        for group in present
    ]
    names = tuple(f"({', '.join(map(_value_name, by, group))})" for group in present)
    groups = f"({', '.join(_COLUMN_NAMES.get(name, name) for name in by)})"
    return Sampler(tuple(rows), names, batch_size, seed, cycling, groups)


def uniform(index: Index, *, batch_size: int, seed: int, cycling: str = "continuous") -> Sampler:
    """Returns a sampler with a single stream over all rows: every row once per pass, classes as they come."""
    return Sampler((np.arange(len(index)),), ("(all rows)",), batch_size, seed, cycling)


def _value_name(column: str, value: str | bool | int) -> str:
    if column == "is_bona_fide":
        return labels.CLASS_NAMES[int(value)]
    if column == "camera_quality":
        return "unknown" if value == labels.UNKNOWN else labels.CAMERA_QUALITIES[int(value)]
    return str(value)


@functools.lru_cache(maxsize=_CACHED_PERMUTATIONS)
def _permutation(seed: int, stream: int, epoch: int, count: int) -> np.ndarray:
    return host_stream("order", seed, stream, epoch).permutation(count)
