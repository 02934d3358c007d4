"""The two stages of a conversion put together: list, crop into the cache, write the data sets, put them in place."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from data_prep import account, camera_quality, stage
from data_prep.cache import CropCache, Outcome, made_from
from data_prep.catalogue import load_dataset
from data_prep.entries import Entry, Facts, Listing
from data_prep.recipes import LISTED, CropOptions
from flipjax.core import labels, schemas
from flipjax.core.errors import ConfigError, DataError
from flipjax.data.lists import listed_frames

CACHE_FOLDER = ".crops"

Summary = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Conversion:
    """One conversion: `dataset` under `raw` -> `out/<domain>/`; the rest is as the flags of data_prep.convert.

    With several `processes` the calling script needs `if __name__ == "__main__"`, as workers import it.
    """

    dataset: str
    raw: Path
    out: Path
    options: CropOptions
    processes: int = 1
    beam_options: str | None = None
    max_failures: float = 0.05
    lists: Path | None = None
    lists_check: bool = True
    quality_csv: Path | None = None
    keep_crops: bool = False

    @property
    def cache(self) -> CropCache:
        """Where its crops go."""
        return CropCache(self.out / CACHE_FOLDER / self.dataset, self.options)


@dataclass(frozen=True)
class _Made:
    """The entries with what became of each, and the cut points of measured camera quality."""

    entries: list[Entry]
    results: list[stage.Result]
    cuts: tuple[float, float] | None

    def of(self, domain: str) -> Iterator[tuple[Entry, stage.Result]]:
        pairs = zip(self.entries, self.results, strict=True)
        return ((entry, result) for entry, result in pairs if entry.domain == domain)


def convert(conversion: Conversion) -> Summary:
    """Writes the data sets and returns what their conversion.json say, by domain; finished ones stay as they are.

    Raises:
      ConfigError: options that do not fit the data set, or a conversion of it into `out` that is still running.
      DataError: whatever is wrong with the data as a whole, or more failures than allowed; nothing has been written then,
        and crops made so far are kept for the next try.
    """
    listing = _listing(conversion)
    domains = sorted({entry.domain for entry in listing.entries})
    _check_targets(conversion.out, domains)
    digest = _digest(listing, conversion.options)
    finished = _finished(conversion.out, domains, digest)
    if finished is not None:
        logging.info("%s holds this conversion already; nothing to do", conversion.out)
        return finished
    with _alone(conversion):
        made = _made(conversion, listing)
        _check_any_face(made)
        summary = {domain: _said(conversion, listing, made, domain) | {"digest": digest} for domain in domains}
        _write(conversion, made, summary)
        if not conversion.keep_crops:
            shutil.rmtree(conversion.cache.folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                conversion.cache.folder.parent.rmdir()
    return summary


def _listing(conversion: Conversion) -> Listing:
    listing: Listing = load_dataset(conversion.dataset).read(conversion.raw)
    entries = listing.entries
    if not entries:
        why = f"; first: {listing.problems[0].reason}" if listing.problems else ""
        raise DataError(f"{conversion.raw}: no file of {conversion.dataset} found ({len(listing.strays)} others){why}")
    if conversion.quality_csv is not None:
        entries = camera_quality.assign(entries, camera_quality.read_quality_csv(conversion.quality_csv))
    if conversion.options.frames == LISTED:
        entries = _with_listed_frames(conversion, entries)
    return dataclasses.replace(listing, entries=entries)


def _with_listed_frames(conversion: Conversion, entries: list[Entry]) -> list[Entry]:
    if conversion.lists is None:
        raise ConfigError("--frames=listed needs --lists, the folder of the authors' list files")
    wanted = listed_frames(conversion.lists, entries[0].domain, is_checked=conversion.lists_check)
    stems = [entry.source_name.split("_{")[0] for entry in entries]
    chosen = [
        dataclasses.replace(entry, frames=tuple(sorted(wanted[stem])))
        for entry, stem in zip(entries, stems, strict=True)
        if stem in wanted
    ]
    if not chosen:
        raise DataError(f"none of the {len(entries)} recordings is in the lists of '{conversion.lists}'; check --raw")
    if len(chosen) < len(wanted):
        logging.warning("%d of %d listed recordings are not there", len(wanted) - len(chosen), len(wanted))
    return chosen


def _check_targets(out: Path, domains: Sequence[str]) -> None:
    for domain in domains:
        target = out / domain
        if target.exists() and not (target / schemas.INDEX_FILE).exists():
            raise DataError(f"{target} exists and is not a data set; move it away or choose another --out")


def _digest(listing: Listing, options: CropOptions) -> str:
    facts = [(made_from(entry, options), sorted(entry.scalars().items())) for entry in listing.entries]
    return hashlib.sha256(json.dumps(sorted(facts, key=str)).encode()).hexdigest()


def _finished(out: Path, domains: Sequence[str], digest: str) -> Summary | None:
    found: Summary = {}
    for domain in domains:
        file = out / domain / schemas.CONVERSION_FILE
        if file.exists() and (out / domain / schemas.INDEX_FILE).exists():
            found[domain] = json.loads(file.read_text(encoding="utf-8"))
    return found if len(found) == len(domains) and all(f.get("digest") == digest for f in found.values()) else None


@contextlib.contextmanager
def _alone(conversion: Conversion) -> Iterator[None]:
    """Holds the data set's cache folder for this process; the lock goes with the process, however it ends."""
    folder = conversion.cache.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise DataError(
            f"{conversion.out}: no folder can be made there ({error.strerror}); choose another --out"
        ) from error
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"a conversion of {conversion.dataset} into '{conversion.out}' is running; wait for it or end it"
            ) from error
        yield


def _made(conversion: Conversion, listing: Listing) -> _Made:
    arguments: dict[str, Any] = {"max_failures": conversion.max_failures, "problems": listing.problems}
    if conversion.beam_options is None:
        results = stage.crop_all(
            conversion.dataset, conversion.cache, listing.entries, processes=conversion.processes, **arguments
        )
    else:
        from data_prep.beam_stage import crop_on_beam

        results = crop_on_beam(
            conversion.dataset, conversion.cache, listing.entries, options=conversion.beam_options, **arguments
        )
    measured = [
        value
        for entry, result in zip(listing.entries, results, strict=True)
        if entry.split == "train" and isinstance(result, Outcome)
        for value in result.sharpness
    ]
    cuts = camera_quality.tertiles(measured) if np.isfinite(measured).any() else None
    return _Made(listing.entries, results, cuts)


def _check_any_face(made: _Made) -> None:
    frames, missed = Counter[str](), Counter[str]()
    for entry, result in zip(made.entries, made.results, strict=True):
        if isinstance(result, Outcome):
            frames[entry.domain] += result.frames
            missed[entry.domain] += len(result.missed)
    for domain in sorted(missed):
        if not frames[domain]:
            raise DataError(f"domain '{domain}': no face was found in any of its {missed[domain]} pictures")


def _write(conversion: Conversion, made: _Made, summary: Summary) -> None:
    """Writes every domain beside its place, then puts them in place one after the other, each whole."""
    from data_prep import records

    work = conversion.out / f".convert.{conversion.dataset}.partial"
    shutil.rmtree(work, ignore_errors=True)
    try:
        for domain, said in summary.items():
            splits = {split: _records(conversion, made, domain, split) for split in schemas.SPLITS}
            folder = records.write_domain(work / "done", domain, splits, encoding=conversion.options.encoding)
            (folder / schemas.CONVERSION_FILE).write_text(
                json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8"
            )
        for domain in summary:
            if (conversion.out / domain).exists():
                os.replace(conversion.out / domain, work / f"replaced_{domain}")
            os.replace(work / "done" / domain, conversion.out / domain)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _records(conversion: Conversion, made: _Made, domain: str, split: str) -> Iterator[dict[str, Any]]:
    chosen = [(entry, r) for entry, r in made.of(domain) if entry.split == split and isinstance(r, Outcome)]
    total = sum(result.frames for _, result in chosen)
    with tqdm(total=total, desc=f"writing {domain} {split}", unit="image", delay=5, leave=False) as bar:
        for entry, _ in chosen:
            for frame in conversion.cache.read(entry):
                bar.update()
                quality = {} if made.cuts is None else _quality(entry, frame.sharpness, made.cuts)
                yield {"image": frame.image, **entry.scalars(), **frame.fields, **quality}


def _quality(entry: Entry, sharpness: float, cuts: tuple[float, float]) -> dict[str, int]:
    if entry.camera_quality != labels.UNKNOWN:
        return {}
    return {"camera_quality": camera_quality.quality_of(sharpness, cuts)}


def _said(conversion: Conversion, listing: Listing, made: _Made, domain: str) -> dict[str, Any]:
    facts: Facts = load_dataset(conversion.dataset).FACTS
    return {
        "dataset": conversion.dataset,
        "licence": facts.licence,
        "options": asdict(conversion.options),
        "camera_quality": None if made.cuts is None else {"rule": camera_quality.RULE, "cuts": list(made.cuts)},
        "versions": account.versions(),
        "strays": len(listing.strays),
        "unused": len(listing.unused),
        **account.of_entries(made.of(domain), listing.problems if domain == facts.domain else ()),
    }
