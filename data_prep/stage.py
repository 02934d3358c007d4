"""The first stage of a conversion: every entry's crops into the cache, in this process, in several, or on Beam workers."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from data_prep.cache import CropCache, Outcome
from data_prep.catalogue import load_dataset
from data_prep.crops import crop_entry
from data_prep.entries import Entry, Problem
from data_prep.workers import pooled
from flipjax.core.errors import DataError, ImageError

_ENTRIES_PER_TASK = 8

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
    size = 1 if processes == 1 else _ENTRIES_PER_TASK
    tasks = (entries[at : at + size] for at in range(0, len(entries), size))
    made = itertools.chain.from_iterable(pooled(partial(_crop_task, dataset, cache), tasks, processes=processes))
    with tqdm(made, total=len(entries), desc=f"crops of {dataset}", unit="file", smoothing=0.05) as bar:
        for result in bar:
            results.append(result)
            if isinstance(result, Problem):
                failed.append(result)
                bar.set_postfix(failed=len(failed))
                limit.check(failed)
    return results


def _crop_task(dataset: str, cache: CropCache, entries: Sequence[Entry]) -> list[Result]:
    return [crop_one(dataset, cache, entry) for entry in entries]
