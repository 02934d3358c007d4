"""What a data set module hands to the converter: one entry per picture or clip; a split rule for sets without one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flipjax.core import labels, schemas
from flipjax.data import media

TRAIN_SHARE = 0.7
DEV_SHARE = 0.1


@dataclass(frozen=True)
class Entry:
    """One presentation file and everything known about it; the names are those of `schemas.SCALAR_FIELDS`.

    `load` reads the file into (frame index, RGB picture) pairs; a data set with its own file format brings its own.
    `sample_id` is unique in the domain; a clip's records get `#<frame>` behind it.
    """

    path: Path
    split: str
    domain: str
    sample_id: str
    subject_id: str
    video_id: str
    is_bona_fide: bool
    attack_instrument: int = labels.UNKNOWN
    illumination: int = labels.UNKNOWN
    environment: int = labels.UNKNOWN
    camera_quality: int = labels.UNKNOWN
    pai_species: str = ""
    device: str = ""
    session: str = ""
    population: str = ""
    source_name: str = ""
    load: Callable[[Path], list[media.Frame]] = media.load_frames

    def scalars(self) -> dict[str, Any]:
        """Returns the entry's record fields, without those that belong to a crop."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in schemas.SCALAR_FIELDS}


def split_of(subject_id: str) -> str:
    """Returns train, dev or test (70 / 10 / 20 %) by a hash of the subject alone, so that no person is in two splits.

    Example:
      >>> split_of("anna") == split_of("anna")
      True
    """
    share = int.from_bytes(hashlib.sha256(subject_id.encode()).digest()[:8], "big") / 2**64
    if share < TRAIN_SHARE:
        return "train"
    return "dev" if share < TRAIN_SHARE + DEV_SHARE else "test"
