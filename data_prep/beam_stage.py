"""The first stage on Apache Beam: the entries travel in bundles to any number of workers, which fill the same cache.

Raw files and cache must lie where every worker sees them under the same path. The bundles are files beside the cache, so
that a job graph stays small however many entries there are; a worker deletes the bundles it has finished, by which the
progress is seen. Results come back by reading the cache's headers: no other channel between workers and this process is
needed, and a job that is started again goes on where it stopped.
"""

import contextlib
import dataclasses
import json
import shlex
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import logging
from tqdm import tqdm

from data_prep.cache import CropCache
from data_prep.entries import Entry, Problem
from data_prep.recipes import CropOptions
from data_prep.stage import Failures, Result, crop_one
from data_prep.workers import single_threaded
from flipjax.core.errors import ConfigError
from flipjax.data.detection import Search

ENTRIES_PER_BUNDLE = 64
_BUNDLES, _FAILED = ".bundles", ".failed"
_LOOK_EVERY_S = 2.0


def crop_on_beam(
    dataset: str,
    cache: CropCache,
    entries: Sequence[Entry],
    *,
    options: str,
    max_failures: float,
    problems: Sequence[Problem] = (),
) -> list[Result]:
    """Crops every entry on Beam workers and returns the results in order.

    Args:
      dataset: its module's name.
      cache: on storage that all workers share.
      entries: what to crop.
      options: Beam pipeline options as on a command line; the runner decides how many machines work.
      max_failures: share of all files that may fail; looked at when the job is done.
      problems: files that failed before a picture was opened; they count.

    Raises:
      ConfigError: Apache Beam is not installed, or it does not know an option or runner.
      DataError: too many failures.
    """
    beam, pipeline_options = _beam(options)
    bundles = _write_bundles(cache, entries)
    job = json.dumps(
        {"dataset": dataset, "folder": str(cache.folder.absolute()), "options": dataclasses.asdict(cache.options)}
    )
    logging.info(
        "cropping %d files in %d bundles on Beam (%s)", len(entries), len(bundles), options or "default runner"
    )
    with _watched(cache.folder / _BUNDLES, len(bundles), dataset), beam.Pipeline(options=pipeline_options) as pipeline:
        _ = (
            pipeline
            | "bundles" >> beam.Create([str(path) for path in bundles])
            | "spread" >> beam.Reshuffle()
            | "crop" >> beam.Map(crop_bundle, job)
        )
    results = list(_results(cache, entries))
    failed = [*problems, *(result for result in results if isinstance(result, Problem))]
    Failures(len(entries) + len(problems), max_failures).check(failed)
    return results


def crop_bundle(bundle: str, job: str) -> int:
    """Crops the entries of one bundle file and returns how many failed; failures are written beside the crops.

    A bundle that is gone was finished by another worker: Beam may run one twice.
    """
    said = json.loads(job)
    if not Path(bundle).exists():
        return 0
    options = {**said["options"], "search": _search(said["options"]["search"])}
    cache = CropCache(Path(said["folder"]), CropOptions(**options))
    failed = 0
    with single_threaded():
        for values in json.loads(Path(bundle).read_text(encoding="utf-8")):
            entry = _entry(values)
            result = crop_one(said["dataset"], cache, entry)
            if isinstance(result, Problem):
                failed += 1
                path = cache.path(entry).with_suffix(_FAILED)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(dataclasses.asdict(result)), encoding="utf-8")
    Path(bundle).unlink(missing_ok=True)
    return failed


def _beam(options: str) -> tuple[Any, Any]:
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise ConfigError(f"Apache Beam is not installed ({error}); run: pip install 'flipjax[prep,beam]'") from error
    return apache_beam, PipelineOptions(shlex.split(options))


def _write_bundles(cache: CropCache, entries: Sequence[Entry]) -> list[Path]:
    folder = cache.folder / _BUNDLES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = []
    for at in range(0, len(entries), ENTRIES_PER_BUNDLE):
        path = folder / f"{at // ENTRIES_PER_BUNDLE:07d}.json"
        bundle = [
            {**dataclasses.asdict(entry), "path": str(entry.path.absolute())}
            for entry in entries[at : at + ENTRIES_PER_BUNDLE]
        ]
        path.write_text(json.dumps(bundle), encoding="utf-8")
        paths.append(path)
    return paths


@contextlib.contextmanager
def _watched(folder: Path, total: int, dataset: str) -> Iterator[None]:
    """Shows a progress bar over the bundles that are gone from `folder`."""
    done = threading.Event()

    def watch() -> None:
        with tqdm(total=total, desc=f"crops of {dataset} on Beam", unit=f"bundle of {ENTRIES_PER_BUNDLE}") as bar:
            while not done.wait(_LOOK_EVERY_S):
                bar.update(total - len(list(folder.glob("*.json"))) - bar.n)
            bar.update(total - len(list(folder.glob("*.json"))) - bar.n)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _entry(values: dict[str, Any]) -> Entry:
    frames = values["frames"]
    return Entry(**{**values, "path": Path(values["path"]), "frames": None if frames is None else tuple(frames)})


def _search(values: dict[str, Any]) -> Search:
    return Search(**{**values, "thresholds": tuple(values["thresholds"])})


def _results(cache: CropCache, entries: Sequence[Entry]) -> Iterator[Result]:
    for entry in entries:
        outcome = cache.outcome(entry)
        if outcome is not None:
            yield outcome
            continue
        path = cache.path(entry).with_suffix(_FAILED)
        if path.exists():
            yield Problem(**json.loads(path.read_text(encoding="utf-8")))
        else:
            yield Problem(
                entry.name, f"{entry.name}: a Beam worker did not finish this file; run the same command again"
            )
