"""Batches of NumPy arrays from records: the position in the stream is the step, so nothing here is ever checkpointed.

A grain `MapDataset` over (step, slot) reads and augments in threads. What a slot holds depends on (seed, step, slot)
alone: any start, any number of threads and any number of processes see the same global batches.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np
from jaxtyping import Int

from flipjax.core import labels
from flipjax.core.errors import ConfigError, suggest
from flipjax.core.rng import host_stream
from flipjax.data import transforms
from flipjax.data.sampling import Sampler, VirtualEpoch
from flipjax.data.source import Records

Batch = dict[str, np.ndarray]
Sample = dict[str, Any]
ALWAYS = ("image", "is_bona_fide", "mask")
SSL_VIEWS = "ssl_views"
PADDING_ROW = -1
_PREFETCHED_BATCHES = 2


@dataclass(frozen=True)
class _Share:
    """The contiguous slots of every padded global batch that one process makes; slots from `real` on are padding."""

    start: int
    count: int
    real: int


def train_batches(
    records: Records,
    sampler: Sampler,
    *,
    seed: int,
    start_step: int,
    steps: int,
    inputs: tuple[str, ...],
    image_size: int,
    augment: str,
    overflow: str = "clip",
    epoch: VirtualEpoch | None = None,
    threads: int = 2,
    process_index: int = 0,
    process_count: int = 1,
    pad_to: int | None = None,
) -> Iterator[Batch]:
    """Yields this process's slice of the training batches of `steps` steps from `start_step` on.

    Batches hold `image` uint8 [b h w 3], `is_bona_fide` and `mask` bool [b]; where `inputs` names them also `ssl_views`
    uint8 [b 2 h w 3] and index columns (bool or int32 [b]). The global batch is padded at its end to a multiple of
    `pad_to` (default: `process_count`); padding has mask False, black pixels and unknown labels. Close the iterator to
    stop its threads.

    Args:
      records: images and labels of the rows that `sampler` draws.
      seed: of the augmentation; the order of rows has its own in `sampler`.
      inputs: batch fields that the method needs.
      image_size: side of the views in pixels.
      augment: "flip", "instruct_flip" or "none", see `transforms.TrainViews`.
      overflow: "clip" or "wrap", see `transforms.SaturationJitter`.
      epoch: says which slots stay empty, as padding does; None fills them all.
      threads: read threads; 0 reads in the caller's.

    Raises:
      ConfigError: an input or augmentation that does not exist, or a padded batch that the processes cannot share.
      ImageError: while iterating, a damaged record; the sample is named.
    """
    columns = _columns(records, inputs)
    share = _share(sampler.batch_size, pad_to or process_count, process_index, process_count)
    ssl = SSL_VIEWS in inputs
    views = transforms.TrainViews(image_size, augment, overflow, ssl)
    shapes = {"image": (image_size, image_size, 3), **({SSL_VIEWS: (2, image_size, image_size, 3)} if ssl else {})}

    def element(number: int) -> Sample:
        step, slot = start_step + number // share.count, share.start + number % share.count
        if slot >= share.real or (epoch is not None and not epoch.has(step, slot)):
            return _padding(shapes, columns)
        row = sampler.row(step, slot)
        image = views(records.image(row), host_stream("augment", seed, step, slot))
        return {**image, **_labels(row, columns), "mask": np.bool_(True)}

    return _threaded(element, count=steps * share.count, batch_size=share.count, threads=threads)


def eval_batches(
    records: Records,
    rows: Int[np.ndarray, "rows"],
    *,
    batch_size: int,
    image_size: int,
    augment: str,
    inputs: tuple[str, ...] = (),
    threads: int = 2,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """Yields this process's slice of batches that hold each of `rows` exactly once, in order.

    Every global batch has `batch_size` slots; the last one is padded with mask False. Fields as in `train_batches`
    without augmentation, plus `row` int64 [b], the index row (-1 for padding).

    Raises:
      ConfigError: an input or augmentation that does not exist, or a batch size that the processes cannot share.
      ImageError: while iterating, a damaged record; the sample is named.
    """
    columns = _columns(records, inputs)
    share = _share(batch_size, 1, process_index, process_count)
    view = transforms.EvalView(image_size, augment)

    def element(number: int) -> Sample:
        place = number // share.count * batch_size + share.start + number % share.count
        if place >= len(rows):
            return {**_padding({"image": (image_size, image_size, 3)}, columns), "row": np.int64(PADDING_ROW)}
        row = int(rows[place])
        return {
            "image": view(records.image(row)),
            **_labels(row, columns),
            "mask": np.bool_(True),
            "row": np.int64(row),
        }

    batches = -(-len(rows) // batch_size)
    return _threaded(element, count=batches * share.count, batch_size=share.count, threads=threads)


def _columns(records: Records, inputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns the label columns of a batch, as bool or int32."""
    index, columns = records.index, {}
    numeric = [name for name, values in index.columns.items() if values.dtype.kind in "bi"]
    for name in dict.fromkeys(("is_bona_fide", *inputs)):
        if name in numeric:
            columns[name] = index[name].astype(np.bool_ if index[name].dtype.kind == "b" else np.int32)
        elif name not in (*ALWAYS, SSL_VIEWS):
            known = (*ALWAYS, SSL_VIEWS, *numeric)
            raise ConfigError(f"batch field '{name}' unknown; expected one of {', '.join(known)}{suggest(name, known)}")
    return columns


def _labels(row: int, columns: dict[str, np.ndarray]) -> Sample:
    return {name: values[row] for name, values in columns.items()}


def _padding(shapes: dict[str, tuple[int, ...]], columns: dict[str, np.ndarray]) -> Sample:
    images = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}
    unknown = {
        name: np.bool_(False) if v.dtype == np.bool_ else np.int32(labels.UNKNOWN) for name, v in columns.items()
    }
    return {**images, **unknown, "mask": np.bool_(False)}


def _share(batch_size: int, multiple: int, process_index: int, process_count: int) -> _Share:
    padded = -(-batch_size // multiple) * multiple
    count, rest = divmod(padded, process_count)
    if rest:
        raise ConfigError(
            f"a batch of {padded} slots cannot be shared by {process_count} processes; use a multiple of that number"
        )
    return _Share(start=process_index * count, count=count, real=batch_size)


def _threaded(element: Callable[[int], Sample], *, count: int, batch_size: int, threads: int) -> Iterator[Batch]:
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(1, _PREFETCHED_BATCHES * batch_size))
    dataset = grain.MapDataset.range(count).map(element).to_iter_dataset(options).batch(batch_size)
    with contextlib.closing(iter(dataset)) as batches:
        yield from batches
