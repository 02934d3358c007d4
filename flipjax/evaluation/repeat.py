"""What lets anyone repeat a run: which rows of which data were used, and the revision of the code."""

import hashlib
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

import flipjax

DIGEST_LENGTH = 16
TRAIN, VALIDATION, TARGET = "training", "source validation", "target"


@dataclass(frozen=True)
class DataUse:
    """Rows of one domain used for one purpose: their splits (empty where unknown), frames of either class, and a digest."""

    purpose: str
    domain: str
    splits: str
    bona_fide: int
    attack: int
    digest: str


def data_uses(purpose: str, columns: Mapping[str, np.ndarray]) -> Iterator[DataUse]:
    """Yields one entry per domain, in alphabetical order.

    Args:
      purpose: what the rows were used for.
      columns: `domain`, `sample_id`, `is_bona_fide` and, where known, `split`, one entry per row.
    """
    for domain in sorted(set(columns["domain"].tolist())):
        rows = np.flatnonzero(columns["domain"] == domain)
        label = columns["is_bona_fide"][rows].astype(bool)
        splits = sorted(set(columns["split"][rows].tolist())) if "split" in columns else []
        counts = int(label.sum()), int((~label).sum())
        yield DataUse(purpose, str(domain), ", ".join(splits), *counts, digest(columns["sample_id"][rows]))


def digest(sample_ids: Shaped[np.ndarray, "rows"]) -> str:
    """Returns the first 16 hexadecimal digits of the SHA-256 of the ids, sorted and joined by line feeds, in UTF-8.

    Example:
      >>> digest(np.array(["b", "a"])) == digest(np.array(["a", "b"]))
      True
    """
    joined = "\n".join(sorted(str(name) for name in sample_ids))
    return hashlib.sha256(joined.encode()).hexdigest()[:DIGEST_LENGTH]


def command_of(argv: Sequence[str]) -> str:
    """Returns the command line, quoted for a shell, that started this process with `argv`.

    Example:
      >>> command_of(["/x/flipjax/report.py", "--scores=my scores.csv"])
      "python -m flipjax.report '--scores=my scores.csv'"
    """
    return shlex.join(["python", "-m", f"flipjax.{Path(argv[0]).stem}", *argv[1:]])


def revision(folder: Path | None = None) -> str:
    """Returns the git revision of the checkout that tracks `folder`, with "and changes" where files differ; empty if none.

    `folder` is that of this package by default.
    """
    place = folder or Path(flipjax.__file__).parent
    if not _git(place, ["ls-files", "--", "."]):
        return ""  # not a checkout, or the package is installed beside one that does not track it
    commit = _git(place, ["rev-parse", "HEAD"])
    changed = _git(place, ["status", "--porcelain", "--untracked-files=no"])
    return commit + (" and changes that are not committed" if commit and changed else "")


def _git(folder: Path, words: Sequence[str]) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
