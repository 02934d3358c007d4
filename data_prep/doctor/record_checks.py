"""What can be wrong with records: their index against the shards, every crop, and labels."""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.doctor import similarity
from data_prep.doctor.findings import Finding, judged
from data_prep.doctor.looking import black_share, is_flat
from data_prep.doctor.samples import Samples
from flipjax.core import labels, schemas
from flipjax.core.errors import DataError
from flipjax.data.source import Index, Records, domains_in, read_index

_BLACK_SHARE = 0.3


@dataclass(frozen=True)
class CropLook:
    """What was seen of a record's crop; `problem` says why there is nothing to see."""

    problem: str = ""
    width: int = 0
    height: int = 0
    black: float = 0.0
    is_flat: bool = False
    thumbnail: bytes = b""


def find_domains(folder: Path) -> tuple[Path, list[str]]:
    """Returns the folder of data sets and the names of those meant: `folder` itself, or all in it.

    Raises:
      DataError: neither is one.
    """
    if not folder.is_dir():
        raise DataError(f"--records '{folder}' is not a folder; give a data set or a folder of data sets")
    folder = folder.resolve()
    if (folder / schemas.INDEX_FILE).is_file():
        return folder.parent, [folder.name]
    found = domains_in(folder)
    if not found:
        raise DataError(
            f"--records '{folder}' holds no finished data set (no {schemas.INDEX_FILE} in it or one level below); "
            "make one with 'python -m data_prep.convert'"
        )
    return folder, found


def look_at_all(data_dir: Path, places: Sequence[tuple[str, int]]) -> list[CropLook]:
    """Returns what is seen of the records at (domain, row of its index)."""
    return [_look_at(opened(data_dir, domain), row) for domain, row in places]


@functools.lru_cache(maxsize=32)
def opened(data_dir: Path, domain: str) -> Records:
    """Returns the records of a data set, kept open in this process."""
    return Records(data_dir, read_index(data_dir, domain))


def shard_findings(data_dir: Path, domain: str, index: Index) -> Iterator[Finding]:
    """Judges whether the index points at every record of the shards once."""
    import tensorflow_datasets as tfds

    try:
        splits: Any = tfds.builder_from_directory(str(data_dir / domain)).info.splits
        stored = {name: info.num_examples for name, info in splits.items()}
    except Exception as error:  # tfds raises many kinds over a damaged folder
        reason = " ".join(str(error).split())
        yield Finding("shards", "error", f"{domain}: the shards cannot be opened", reason)
        return
    wrong = []
    for split in sorted(stored.keys() | set(index["split"])):
        positions = index["position"][index["split"] == split]
        if not np.array_equal(np.sort(positions), np.arange(stored.get(split, 0))):
            wrong.append(
                f"{split}: {len(positions):,} rows in the index, {stored.get(split, 0):,} records in the shards"
            )
    yield judged(
        "shards",
        "error",
        wrong,
        bad=f"{domain}: splits whose index does not point at every record once",
        good=f"{domain}: the index points at every record once",
        detail="the shards belong to another conversion; convert again",
    )


def reading_findings(domain: str, looks: Sequence[CropLook]) -> Finding:
    """Judges whether the records of a domain that were opened can be read and are those that the index names."""
    return judged(
        "reading",
        "error",
        (look.problem for look in looks if look.problem),
        bad=f"{domain}: records that cannot be read or are not the index’s",
        good=f"{domain}: every record that was opened is the one that the index names ({len(looks):,})",
    )


def crop_findings(domain: str, seen: Samples, looks: Sequence[CropLook]) -> Iterator[Finding]:
    """Judges the crops of a domain that could be read; `looks` are those of the rows of `seen`."""
    pairs = list(zip(seen.name, looks, strict=True))
    sizes = Counter((look.width, look.height) for look in looks)
    usual = max(sizes, key=lambda size: sizes[size], default=(0, 0))
    yield judged(
        "crop size",
        "error",
        (f"{name}: {look.width}x{look.height}" for name, look in pairs if (look.width, look.height) != usual),
        bad=f"{domain}: crops that are not {usual[0]}x{usual[1]} like the others",
        good=f"{domain}: every crop is {usual[0]}x{usual[1]}",
    )
    yield judged(
        "pictures",
        "warning",
        (str(name) for name, look in pairs if look.is_flat),
        bad=f"{domain}: crops of one colour",
        good=f"{domain}: no crop is of one colour",
    )
    yield judged(
        "pictures",
        "warning",
        (f"{name}: {look.black:.0%}" for name, look in pairs if look.black > _BLACK_SHARE and not look.is_flat),
        bad=f"{domain}: crops more than {_BLACK_SHARE:.0%} black",
        good=f"{domain}: no crop is more than {_BLACK_SHARE:.0%} black",
        detail="black is what lies outside the picture: faces at its edge, or pictures cropped before",
    )


def label_findings(domain: str, index: Index) -> Iterator[Finding]:
    """Names the question fields whose value is unknown in some records; attacks alone have an instrument."""
    attacks = ~index["is_bona_fide"].astype(bool)
    unknown = []
    for field in labels.OPTIONS:
        asked = attacks if field == "attack_instrument" else np.ones(len(index), bool)
        n = int((index[field][asked] == labels.UNKNOWN).sum())
        if n:
            unknown.append(f"{field}: {n:,} of {int(asked.sum()):,}")
    if unknown:
        why = "these records are left out of the training on such a question"
        yield Finding(
            "labels", "note", f"{domain}: questions with unknown answers: {len(unknown)}", why, tuple(unknown)
        )
    else:
        yield Finding("labels", "good", f"{domain}: every question has an answer in every record")


def _look_at(records: Records, row: int) -> CropLook:
    try:
        image = records.image(row)
    except DataError as error:
        return CropLook(problem=str(error))
    return CropLook(
        width=image.shape[1],
        height=image.shape[0],
        black=black_share(image),
        is_flat=is_flat(image),
        thumbnail=similarity.thumbnail(image).tobytes(),
    )
