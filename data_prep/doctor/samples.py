"""What the checks need to know of every file or record, as columns, whichever of the two it comes from."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped

from data_prep.entries import Entry, Facts
from flipjax.core import labels
from flipjax.data.source import FOLDER, Index

BONA_FIDE = labels.CLASS_NAMES[labels.BONA_FIDE]
FRAMES_LISTED = 2  # of a clip, where the names in the lists end in a rank
_FRAME = re.compile(r"#\d+$")
_SECOND_FRAME = "_frame1"


@dataclass(frozen=True)
class Samples:
    """One row per raw file or per record; text columns are object arrays of str.

    presentation: what `Facts.totals` counts, the raw file; the records of a clip share one. video: what look-alikes may
    share. instrument: a key of `Facts.totals`. flip_lines: lines of FLIP's lists that the row answers; pictures: those
    of InstructFLIP's that it is or gives.
    """

    name: Shaped[np.ndarray, "n"]
    domain: Shaped[np.ndarray, "n"]
    split: Shaped[np.ndarray, "n"]
    subject: Shaped[np.ndarray, "n"]
    video: Shaped[np.ndarray, "n"]
    presentation: Shaped[np.ndarray, "n"]
    instrument: Shaped[np.ndarray, "n"]
    is_bona_fide: Bool[np.ndarray, "n"]
    flip_lines: Int[np.ndarray, "n"]
    pictures: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: Int[np.ndarray, "rows"]) -> "Samples":
        """Returns the given rows in the given order."""
        return Samples(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of(self, domain: str) -> "Samples":
        """Returns the rows of a domain."""
        return self.take(np.flatnonzero(self.domain == domain))

    def person(self) -> Shaped[np.ndarray, "n"]:
        """Returns who is shown, as far as is known: ids restart in every domain."""
        return self.domain + "\0" + self.subject

    def group(self) -> Shaped[np.ndarray, "n"]:
        """Returns one text per row, equal for frames of one video under one label and split."""
        return self.instrument + "\0" + self.split + "\0" + self.domain + "\0" + self.video

    def named(self, row: int) -> str:
        """Returns a row as text: its name, person and instrument."""
        return f"{self.name[row]} ({self.subject[row]}, {self.instrument[row].replace('_', ' ')})"

    def told(self, row: int) -> str:
        """Returns a row as text, with its domain and split in front."""
        return f"{self.domain[row]} {self.split[row]}: {self.named(row)}"


def from_entries(entries: Sequence[Entry], facts: Facts, root: Path) -> Samples:
    """Returns raw files, named by where they lie below `root`."""
    return Samples(
        name=_texts(entry.name.removeprefix(f"{root}/") for entry in entries),
        domain=_texts(entry.domain for entry in entries),
        split=_texts(entry.split for entry in entries),
        subject=_texts(entry.subject_id for entry in entries),
        video=_texts(entry.video_id for entry in entries),
        presentation=_texts(entry.sample_id for entry in entries),
        instrument=_texts(entry.instrument for entry in entries),
        is_bona_fide=np.array([entry.is_bona_fide for entry in entries], bool),
        flip_lines=np.array([_lines(entry, facts) for entry in entries], np.int64),
        pictures=np.array([_pictures(entry, facts) for entry in entries], np.int64),
    )


def from_index(index: Index) -> Samples:
    """Returns records, named by their sample id."""
    is_bona_fide = index["is_bona_fide"].astype(bool)
    kinds = zip(is_bona_fide, index["attack_instrument"], strict=True)
    listed = [(bool(name), name.endswith(_SECOND_FRAME)) for name in index["source_name"]]
    return Samples(
        name=index["sample_id"],
        domain=index[FOLDER],
        split=index["split"],
        subject=index["subject_id"],
        video=index["video_id"],
        presentation=_texts(presentation_of(name) for name in index["sample_id"]),
        instrument=_texts(BONA_FIDE if genuine else labels.instrument_name(int(kind)) for genuine, kind in kinds),
        is_bona_fide=is_bona_fide,
        flip_lines=np.array([is_named and not is_second for is_named, is_second in listed], np.int64),
        pictures=np.array([is_named for is_named, _ in listed], np.int64),
    )


def presentation_of(sample_id: str) -> str:
    """Returns the id of the raw file that a record was made of.

    Example:
      >>> presentation_of("train/1_HR_1#6"), presentation_of("anna#1.jpg")
      ('train/1_HR_1', 'anna#1.jpg')
    """
    return _FRAME.sub("", sample_id)


def _texts(values: Iterable[str]) -> np.ndarray:
    listed = list(values)
    texts = np.empty(len(listed), object)
    texts[:] = listed
    return texts


def _lines(entry: Entry, facts: Facts) -> int:
    """FLIP's lists name a clip once by its first frame, where names end in a rank, else each frame of the frame rule."""
    return _frames_named(entry, facts) if "{number" in entry.source_name else int(bool(entry.source_name))


def _pictures(entry: Entry, facts: Facts) -> int:
    return FRAMES_LISTED if "{rank" in entry.source_name else _lines(entry, facts)


def _frames_named(entry: Entry, facts: Facts) -> int:
    if entry.frames is not None:
        return len(entry.frames)
    rule, _, number = facts.frames.partition(":")
    return int(number) if rule == "equidistant" else 1
