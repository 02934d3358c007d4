"""Examines a raw data set from end to end."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.doctor import leaks, looking, raw_checks
from data_prep.doctor.diagnosis import Diagnosis, Opened, Options, chosen, count_findings, counts_of, groups_of
from data_prep.doctor.findings import ordered
from data_prep.doctor.samples import Samples, from_entries
from data_prep.doctor.workers import in_slices
from data_prep.entries import Entry, Listing

_FILES_PER_TASK = 16


def examine_raw(module: Any, raw: Path, options: Options) -> Diagnosis:
    """Returns what is to be said of the raw data set below `raw`, which the data set module reads.

    Raises:
      DataError: `raw` is not that data set at all.
      ConfigError: a package that reads its files is not installed.
    """
    listing: Listing = module.read(raw)
    root = raw if raw.is_dir() else raw.parent
    samples = from_entries(listing.entries, module.FACTS, root)
    opened = _open(module, listing.entries, samples, options)
    seen = opened.readable()
    pairs = raw_checks.frame_pairs(seen.samples, seen.looks)
    counts = counts_of(samples, module.FACTS)

    def read(row: int) -> np.ndarray:
        return looking.first_frame(module, listing.entries[seen.rows[row]])

    findings = [
        *raw_checks.listing_findings(listing, root),
        *count_findings(counts, {}),
        *leaks.subject_findings(samples, module.FACTS),
        *raw_checks.reading_findings(opened.samples, opened.looks, root),
        *raw_checks.look_findings(seen.samples, seen.looks, pairs),
    ]
    return Diagnosis(
        facts=module.FACTS,
        unit="files",
        examined=_examined(raw, len(samples), len(opened.rows), options),
        findings=ordered(findings),
        counts=counts,
        groups=groups_of(seen.samples, pairs, read, options),
    )


def _open(module: Any, entries: Sequence[Entry], samples: Samples, options: Options) -> Opened:
    rows = chosen(len(entries), options)
    tasks = raw_checks.tasks_for([entries[row] for row in rows], wants_faces=options.faces)
    look = partial(looking.look_at_all, module.__name__)
    looks = in_slices(
        look, tasks, processes=options.processes, per_task=_FILES_PER_TASK, what="opening files", unit="file"
    )
    return Opened(rows, samples.take(rows), looks)


def _examined(raw: Path, total: int, opened: int, options: Options) -> list[tuple[str, str]]:
    return [
        ("raw data", str(raw)),
        ("files", f"{total:,} of this data set, {opened:,} of them opened"),
        ("faces", "looked for in the first frame" if options.faces else "not looked for (--faces does)"),
    ]
