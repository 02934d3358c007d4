"""What a data set module tells the converter and the doctor: its facts, and one entry per presentation file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from flipjax.core import labels, schemas

ANY_SPLIT, ANY_ATTACK = "all", "attack"  # keys of `Facts.totals` for sums
TRAIN_SHARE = 0.7
DEV_SHARE = 0.1


@dataclass(frozen=True)
class Entry:
    """One presentation file and everything known about it; the names are those of `schemas.SCALAR_FIELDS`.

    Plain data, so that it can be sent to other processes and machines; how it is opened is the data set module's business.
    `sample_id` is unique in the domain. `has_frames` says that the file is a clip, whose records get `#<frame>` behind
    the id. `source_name` is the name in the published lists; in a clip's, `{rank}` stands for the place among the frames
    that the published rule takes and `{number}` for the frame's number. `member` is the name inside the archive `path`.
    `frames` are the numbers of the frames to take where a list says so; None leaves it to the frame rule.
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
    member: str = ""
    has_frames: bool = False
    frames: tuple[int, ...] | None = None

    def scalars(self) -> dict[str, Any]:
        """Returns the entry's record fields, without those that belong to a crop."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in schemas.SCALAR_FIELDS}

    @property
    def name(self) -> str:
        """What messages call the file."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def instrument(self) -> str:
        """The key of the entry in `Facts.totals`: "bona_fide", an instrument's name, or "other"."""
        return "bona_fide" if self.is_bona_fide else labels.instrument_name(self.attack_instrument)


@dataclass(frozen=True)
class Problem:
    """One file that cannot be used, and why; the rest of the data set can."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What lies under a raw folder: `entries` to convert; `unused` files that are known and left out on purpose; `strays`,
    which match no rule; `problems`, which should be entries and cannot be."""

    entries: list[Entry]
    unused: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What is known of a data set before a file is seen; counts are presentations (clips, or pictures where there are none).

    domain: its code, which is the folder written to. frames: the frame rule of the papers (`FrameRule`).
    totals: split -> instrument ("bona_fide", a name of `labels.ATTACK_INSTRUMENTS`, or "other") -> how many there are;
      ANY_SPLIT and ANY_ATTACK are sums over them. What has no entry is not known.
    shared_subjects: people who are known to be in several splits.
    flip, instruct_flip: what each system uses, in one sentence.
    flip_counts, instruct_flip_counts: (train, test or shot; bona_fide or attack) -> lines of FLIP's lists; ("extracted" or
      "evaluated"; ...) -> pictures of InstructFLIP.
    no_face: what happens by default to a picture in which no face is found, see `crops.NO_FACE_RULES`.
    crops: preset of `recipes` ("default", "flip", "instruct_flip") -> crop options in which this data set differs.
    """

    name: str
    domain: str
    licence: str
    obtain: str
    flip: str
    instruct_flip: str
    frames: str = "pair"
    no_face: str = "drop"
    totals: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    flip_counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    instruct_flip_counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    crops: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shared_subjects: tuple[str, ...] = ()


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
