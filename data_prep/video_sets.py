"""What the four data sets of plain video clips have in common: a clip's relative name says everything there is to know of it."""

import dataclasses
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from data_prep.entries import Entry, Listing, Problem
from data_prep.raw import files_below
from flipjax.core import labels

FLIP_SHOTS = 10
FRAMES_EXTRACTED = 2


def list_clips(root: Path, parse: Callable[[str], Entry | None], unused: Sequence[str] = ()) -> Listing:
    """Returns what lies below `root`, looking at names alone.

    Two files that are the same clip, such as one in two containers or folders, are a problem of the second.

    Args:
      root: folder that the names are relative to.
      parse: gives the entry of a relative name, with that name as its path; None where the name matches no rule.
      unused: shell patterns (`*` matches `/` too) of files that are known and left out on purpose; the rest are strays.
    """
    listing = Listing([])
    first: dict[str, str] = {}
    for name in files_below(root):
        entry = parse(name)
        if entry is None:
            is_known = any(fnmatchcase(name, pattern) for pattern in unused)
            (listing.unused if is_known else listing.strays).append(name)
        elif first.setdefault(entry.video_id, name) == name:
            listing.entries.append(dataclasses.replace(entry, path=root / name))
        else:
            reason = f"{name}: the same clip '{entry.video_id}' as {first[entry.video_id]}; keep one of them"
            listing.problems.append(Problem(name, reason))
    return listing


def clip_entry(
    name: str,
    *,
    domain: str,
    split: str,
    subject_id: str,
    video_id: str,
    instrument: str,
    pai_species: str = "",
    device: str = "",
    session: str = "",
    listed_as: str = "",
) -> Entry:
    """Returns the entry of the clip called `name`.

    Args:
      name: relative to the raw folder.
      instrument: a name of `labels.ATTACK_INSTRUMENTS`.
      listed_as: the clip in the published lists, without the frame; empty where they leave it out.
    """
    index = labels.ATTACK_INSTRUMENTS.index(instrument)
    return Entry(
        path=Path(name),
        split=split,
        domain=domain,
        sample_id=video_id,
        subject_id=subject_id,
        video_id=video_id,
        is_bona_fide=index == 0,
        attack_instrument=index,
        pai_species=pai_species,
        device=device,
        session=session,
        source_name=f"{listed_as}_frame{{rank}}" if listed_as else "",
        has_frames=True,
    )


def stem(name: str) -> str:
    """Returns the file's name without folders and suffix."""
    return PurePosixPath(name).stem


def flip_counts(bona_fide: int, attack: int) -> dict[tuple[str, str], int]:
    """Returns the lines of FLIP's lists of a set of which it uses so many clips.

    `train` names every clip once, `shot` ten of each class, `test` all the others.
    """
    totals = {"bona_fide": bona_fide, "attack": attack}
    lines = {
        "train": totals,
        "test": {c: n - FLIP_SHOTS for c, n in totals.items()},
        "shot": dict.fromkeys(totals, FLIP_SHOTS),
    }
    return {(part, group): count for part, counts in lines.items() for group, count in counts.items()}


def instruct_flip_counts(
    bona_fide: int, attack: int, *, evaluated: tuple[int, int] | None = None
) -> dict[tuple[str, str], int]:
    """Returns how many pictures InstructFLIP extracts from so many clips, and how many clips it evaluates.

    Args:
      bona_fide, attack: clips; it takes two pictures of each.
      evaluated: bona fide and attack clips by distinct name, where fewer than those that are extracted.
    """
    by_name = evaluated or (bona_fide, attack)
    return {
        ("extracted", "bona_fide"): FRAMES_EXTRACTED * bona_fide,
        ("extracted", "attack"): FRAMES_EXTRACTED * attack,
        ("evaluated", "bona_fide"): by_name[0],
        ("evaluated", "attack"): by_name[1],
    }
