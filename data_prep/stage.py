"""The first stage of a conversion: every entry's crops into the cache, in this process, in several, or on Beam workers."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait

import cv2
from tqdm import tqdm

from data_prep.cache import CropCache, Outcome
from data_prep.catalogue import load_dataset
from data_prep.crops import crop_entry
from data_prep.entries import Entry, Problem
from flipjax.core.errors import ConfigError, DataError, ImageError

_ENTRIES_PER_TASK = 8
_TASKS_PER_WORKER = 4

Result = Outcome | Problem


@dataclass(frozen=True)
class Failures:
    """How many entries may fail: the share `allowed` of `total`; the first failure explains a stop."""

    total: int
    allowed: float

    def check(self, problems: Sequence[Problem]) -> None:
        """Raises DataError as soon as more entries have failed than are allowed over the whole data set."""
        if len(problems) > self.allowed * self.total:
            raise DataError(
                f"{problems[0].reason} ({len(problems)} of {self.total} files cannot be used, more than the "
                f"{self.allowed:.1%} of --max_failures; nothing was written, crops made so far are kept)"
            )


def crop_one(dataset: str, cache: CropCache, entry: Entry) -> Result:
    """Returns what is stored of an entry, after cropping it where that has not been done."""
    stored = cache.outcome(entry)
    if stored is not None:
        return stored
    try:
        return cache.store(entry, crop_entry(load_dataset(dataset), entry, cache.options))
    except ImageError as error:
        reason = str(error)
        return Problem(entry.name, reason if entry.path.name in reason else f"{entry.name}: {reason}")


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Keeps OpenCV to one thread meanwhile: several processes share the cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def crop_all(
    dataset: str,
    cache: CropCache,
    entries: Sequence[Entry],
    *,
    processes: int,
    max_failures: float,
    problems: Sequence[Problem] = (),
) -> list[Result]:
    """Crops every entry and returns the results in order, with a progress bar.

    Args:
      dataset: its module's name.
      cache: where crops go; what is there already is not made again.
      processes: how many work side by side; 1 works in this one.
      max_failures: share of all files that may fail before the conversion stops.
      problems: files that failed before a picture was opened; they count.

    Raises:
      DataError: too many failures.
      ConfigError: a worker process died.
    """
    limit = Failures(len(entries) + len(problems), max_failures)
    failed, results = list(problems), []
    limit.check(failed)
    made = _serially(dataset, cache, entries) if processes == 1 else _pooled(dataset, cache, entries, processes)
    with tqdm(made, total=len(entries), desc=f"crops of {dataset}", unit="file", smoothing=0.05) as bar:
        for result in bar:
            results.append(result)
            if isinstance(result, Problem):
                failed.append(result)
                bar.set_postfix(failed=len(failed))
                limit.check(failed)
    return results


def _serially(dataset: str, cache: CropCache, entries: Sequence[Entry]) -> Iterator[Result]:
    return (crop_one(dataset, cache, entry) for entry in entries)


def _pooled(dataset: str, cache: CropCache, entries: Sequence[Entry], processes: int) -> Iterator[Result]:
    """Keeps a few tasks per worker in hand, so that memory does not grow with the data set."""
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start_worker)
    tasks = (entries[at : at + _ENTRIES_PER_TASK] for at in range(0, len(entries), _ENTRIES_PER_TASK))
    waiting: list[Future[list[Result]]] = []
    try:
        while True:
            room = processes * _TASKS_PER_WORKER - len(waiting)
            waiting += [pool.submit(_crop_task, dataset, cache, list(task)) for task in islice(tasks, room)]
            if not waiting:
                return
            yield from waiting.pop(0).result()
    except BrokenProcessPool as error:
        raise ConfigError(
            "a worker process was killed, most likely for want of memory; run the same command again with fewer "
            "--processes, and it goes on where it stopped"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _crop_task(dataset: str, cache: CropCache, entries: list[Entry]) -> list[Result]:
    return [crop_one(dataset, cache, entry) for entry in entries]


def _start_worker() -> None:
    """One thread per process, and an end when the process that started it ends, however that happens."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
