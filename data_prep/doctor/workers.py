"""Applies a function to a long list in slices, here or in several processes, with a progress bar."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from tqdm import tqdm

from data_prep.workers import pooled

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_slices(
    function: Callable[[Sequence[Item]], list[Result]],
    items: Sequence[Item],
    *,
    processes: int,
    per_task: int,
    what: str,
    unit: str,
) -> list[Result]:
    """Returns the results of `function`, one per item and in order.

    Args:
      function: from a slice of the items to their results; sent to other processes, so a module's function or a partial.
      processes: at most so many; a list of one task stays in this process.
      per_task: items per slice.
      what, unit: of the progress bar, which shows from the fifth second on, with rate and time left.

    Raises:
      ConfigError: a process was killed.
    """
    tasks = [items[at : at + per_task] for at in range(0, len(items), per_task)]
    made = pooled(function, tasks, processes=max(1, min(processes, len(tasks))))
    results: list[Result] = []
    with tqdm(total=len(items), desc=what, unit=unit, delay=5, file=sys.stderr) as bar:
        for slice_ in made:
            results.extend(slice_)
            bar.update(len(slice_))
    return results
