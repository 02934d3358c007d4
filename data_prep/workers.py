"""Worker processes that come and go as they should: few tasks in hand, one thread each, and an end with their parent."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

import cv2

from flipjax.core.errors import ConfigError

Task = TypeVar("Task")
Result = TypeVar("Result")
_TASKS_PER_WORKER = 4


def pooled(function: Callable[[Task], Result], tasks: Iterable[Task], *, processes: int) -> Iterator[Result]:
    """Yields `function(task)` of every task in order, made in `processes` processes; 1 works in this one.

    Tasks are taken from the iterable only as workers get free, so that memory does not grow with their number.

    Args:
      function: a module's function or a partial of one, as it is sent to other processes.

    Raises:
      ConfigError: a worker process was killed.
    """
    if processes == 1:
        yield from map(function, tasks)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start_worker)
    left = iter(tasks)
    waiting: list[Future[Result]] = []
    try:
        while True:
            waiting += [
                pool.submit(function, task) for task in islice(left, processes * _TASKS_PER_WORKER - len(waiting))
            ]
            if not waiting:
                return
            yield waiting.pop(0).result()
    except BrokenProcessPool as error:
        raise ConfigError(
            "a worker process was killed, most likely for want of memory; run the same command again with fewer --processes"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Keeps OpenCV to one thread meanwhile: several processes share the cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _start_worker() -> None:
    """One thread per process, and an end when the process that started it ends, however that happens."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
