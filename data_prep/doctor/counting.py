"""Counts against what is known: the totals of a data set, and how much of it FLIP and InstructFLIP use."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_prep.doctor.findings import Finding
from data_prep.doctor.samples import BONA_FIDE, Samples
from data_prep.entries import ANY_ATTACK, ANY_SPLIT, Facts
from flipjax.core import labels, schemas

_SHORTAGE = 0.05  # share of the published pictures that may be missing before it is worth a look


@dataclass(frozen=True)
class Count:
    """Presentations of one instrument in one split, or of sums over them: `ours`, and how many are `known` to exist.

    `known` is None where that is not known; `is_summed` says that a sum with a known total contains the row.
    """

    split: str
    instrument: str
    subjects: int
    rows: int
    ours: int
    known: int | None
    is_summed: bool = False

    @property
    def label(self) -> str:
        """The row's split and instrument in words."""
        split = "all splits" if self.split == ANY_SPLIT else self.split
        return f"{split}, {'any attack' if self.instrument == ANY_ATTACK else self.instrument.replace('_', ' ')}"

    @property
    def difference(self) -> int:
        """Ours minus known; 0 where nothing is known."""
        return 0 if self.known is None else self.ours - self.known


@dataclass(frozen=True)
class Published:
    """How much of a class a system uses, and how much of ours answers to it (None: cannot be counted here)."""

    system: str
    what: str
    group: str
    theirs: int
    ours: int | None


def count(samples: Samples, facts: Facts) -> list[Count]:
    """Returns a row per split and instrument that is there or known, and per sum that is known."""
    keys = {(split, name) for split, names in facts.totals.items() for name in names}
    keys |= set(zip(samples.split, samples.instrument, strict=True))
    return [_count(samples, facts, *key) for key in sorted(keys, key=_place)]


def total_findings(domain: str, counts: list[Count], explained: int = 0) -> Iterator[Finding]:
    """Judges the counts of a domain; `explained` presentations are known to have been left out on the way."""
    missing = sum(-row.difference for row in counts if row.difference < 0)
    found = [(row, _told(row)) for row in counts]
    few = tuple(text for row, text in found if row.difference < 0)
    many = tuple(text for row, text in found if row.difference > 0)
    unknown = tuple(text for row, text in found if row.known is None and not row.is_summed)
    if few:
        level = "error" if missing > explained else "warning"
        reason = f"; {explained:,} were left out because no face was found or the file failed" if explained else ""
        yield Finding("counts", level, f"{domain}: presentations missing: {missing:,}", f"known totals{reason}", few)
    if many:
        extra = sum(row.difference for row in counts if row.difference > 0)
        yield Finding("counts", "error", f"{domain}: presentations too many: {extra:,}", "known totals", many)
    if unknown:
        yield Finding("counts", "note", f"{domain}: totals that are not known: {len(unknown)}", "", unknown)
    if not few and not many and any(row.known for row in counts):
        yield Finding("counts", "good", f"{domain}: as many presentations of every instrument as are known to exist")


def published(samples: Samples, facts: Facts) -> list[Published]:
    """Returns what both systems use beside ours.

    Compared are FLIP's train list (all that it uses, a clip by its first frame) with the rows that bear a name of the
    lists, and the pictures that InstructFLIP extracts with all pictures so named, either by class and over all splits.
    The rest is listed alone.
    """
    rows = []
    for (part, group), theirs in facts.flip_counts.items():
        ours = _sum(samples, samples.flip_lines, group) if part == "train" else None
        rows.append(Published("FLIP", f"lines of its {part} list", group, theirs, ours))
    for (part, group), theirs in facts.instruct_flip_counts.items():
        ours = _sum(samples, samples.pictures, group) if part == "extracted" else None
        rows.append(Published("InstructFLIP", f"pictures {part}", group, theirs, ours))
    return rows


def published_findings(domain: str, rows: list[Published]) -> Iterator[Finding]:
    """Judges them: differences are notes, and a warning where more than 5 % of what a system uses is missing."""
    for system in dict.fromkeys(row.system for row in rows):
        compared = [(row, row.ours) for row in rows if row.system == system and row.ours is not None]
        if not compared:
            continue
        differing = tuple(
            f"{row.group.replace('_', ' ')}: {ours:,} here, {row.theirs:,} {row.what}"
            for row, ours in compared
            if ours != row.theirs
        )
        short = any(ours < (1 - _SHORTAGE) * row.theirs for row, ours in compared)
        if not differing:
            yield Finding("published counts", "good", f"{domain}: as many pictures as {system} uses")
            continue
        why = "fewer: files are missing, no face was found in them, or other frames were taken; more: the lists name a part only"
        level = "warning" if short else "note"
        yield Finding("published counts", level, f"{domain}: other counts than {system}’s", why, differing)


def _count(samples: Samples, facts: Facts, split: str, instrument: str) -> Count:
    in_split = np.full(len(samples), True) if split == ANY_SPLIT else samples.split == split
    of_kind = ~samples.is_bona_fide if instrument == ANY_ATTACK else samples.instrument == instrument
    here = np.flatnonzero(in_split & of_kind)
    subjects, presentations = set(samples.subject[here]), set(samples.presentation[here])
    known = facts.totals.get(split, {}).get(instrument)
    kinds = {instrument} if instrument == BONA_FIDE else {instrument, ANY_ATTACK}
    is_summed = any(kind in facts.totals.get(part, {}) for part in (split, ANY_SPLIT) for kind in kinds)
    return Count(split, instrument, len(subjects), len(here), len(presentations), known, is_summed)


def _place(key: tuple[str, str]) -> tuple[int, int]:
    splits, instruments = (
        (*schemas.SPLITS, ANY_SPLIT),
        (*labels.ATTACK_INSTRUMENTS, labels.OTHER_INSTRUMENT, ANY_ATTACK),
    )
    return splits.index(key[0]), instruments.index(key[1])


def _told(row: Count) -> str:
    there = f"{row.label}: {row.ours:,}"
    return there if row.known is None else f"{there} of {row.known:,} ({row.difference:+,})"


def _sum(samples: Samples, column: np.ndarray, group: str) -> int:
    return int(column[samples.is_bona_fide == (group == BONA_FIDE)].sum())
