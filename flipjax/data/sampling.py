"""Which rows make the batch of a step: class- and domain-balanced, from (seed, step) alone, with no hidden state.

A stream is one (domain, class) pair. Slot g = step * batch_size + slot of the endless sequence of slots belongs to
stream g % S at stream position g // S, so every batch is balanced to within one row per stream, and exactly where S
divides the batch. Inside a stream every epoch is a fresh permutation without replacement.

Difference from the FLIP code: its loaders drop the last incomplete batch of every pass and need S to divide the batch;
cycling "drop_last" does the same, "continuous" (default) uses every row of every pass.
"""

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from flipjax.core.errors import ConfigError, suggest
from flipjax.core.rng import host_stream
from flipjax.data.source import Index

CYCLINGS = ("continuous", "drop_last")
_CACHED_PERMUTATIONS = 64


@dataclass(frozen=True, eq=False)
class Sampler:
    """Streams of index rows and how batches are drawn from them; `names` labels the streams in errors."""

    streams: tuple[Int[np.ndarray, "_"], ...]
    names: tuple[str, ...]
    batch_size: int
    seed: int
    cycling: str = "continuous"

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
                f"batch size {self.batch_size} does not divide into {len(self.streams)} (domain, class) streams as "
                "cycling 'drop_last' needs; use a multiple of that number or cycling 'continuous'"
            )
        for name, rows in zip(self.names, self.streams, strict=True):
            if len(rows) < per_batch:
                raise ConfigError(
                    f"stream {name} has {len(rows)} rows, fewer than its {per_batch} per batch under cycling "
                    "'drop_last'; use a smaller batch or cycling 'continuous'"
                )


def balanced(index: Index, *, batch_size: int, seed: int, cycling: str = "continuous") -> Sampler:
    """Returns a sampler with one stream per (domain, class) of `index`, in sorted order, attacks first.

    Raises:
      ConfigError: no rows, an unknown cycling, or a batch size that does not fit them.
    """
    domain, is_bona_fide = index["domain"], index["is_bona_fide"]
    pairs = [(name, flag) for name in sorted(set(domain)) for flag in (False, True)]
    rows = {pair: np.flatnonzero((domain == pair[0]) & (is_bona_fide == pair[1])) for pair in pairs}
    present = [pair for pair in pairs if len(rows[pair])]
    names = tuple(f"({name}, {'bona_fide' if flag else 'attack'})" for name, flag in present)
    return Sampler(tuple(rows[pair] for pair in present), names, batch_size, seed, cycling)


def uniform(index: Index, *, batch_size: int, seed: int, cycling: str = "continuous") -> Sampler:
    """Returns a sampler with a single stream over all rows: every row once per pass, classes as they come."""
    return Sampler((np.arange(len(index)),), ("(all rows)",), batch_size, seed, cycling)


@functools.lru_cache(maxsize=_CACHED_PERMUTATIONS)
def _permutation(seed: int, stream: int, epoch: int, count: int) -> np.ndarray:
    return host_stream("order", seed, stream, epoch).permutation(count)
