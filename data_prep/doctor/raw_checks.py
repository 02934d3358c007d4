"""What can be wrong with a raw data set: by its names and label files, then by opening its files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from data_prep.doctor import leaks, similarity
from data_prep.doctor.findings import Finding, judged
from data_prep.doctor.looking import Look, Task
from data_prep.doctor.samples import Samples
from data_prep.entries import Entry, Listing

_FIXED_SIZE_SHARE = 0.25  # a size that so many files have is one of the data set's own
_MINORITY_SHARE = 0.2


def listing_findings(listing: Listing, root: Path) -> Iterator[Finding]:
    """Judges what lies below `root` by name: files that cannot be used, are unknown, or are left out."""
    yield judged(
        "listing",
        "error",
        (_problem(problem.name, problem.reason).replace(f"{root}/", "") for problem in listing.problems),
        bad="files that cannot be used",
        good="every known file can be used",
    )
    yield judged(
        "listing",
        "warning",
        listing.strays,
        bad="files that match no rule",
        good="no unknown file",
        detail="nothing is guessed about them; check that the folder is complete and unpacked as published",
    )
    if listing.unused:
        title = f"files left out on purpose: {len(listing.unused):,}"
        yield Finding("listing", "note", title, "by folder and kind", tuple(_by_folder(listing.unused)))
    repeated = [name for name, n in Counter((e.domain, e.sample_id) for e in listing.entries).items() if n > 1]
    if repeated:
        names = tuple("/".join(name) for name in repeated)
        yield Finding("listing", "error", f"sample ids that occur twice: {len(names):,}", "", names)
    if not listing.entries:
        yield Finding("listing", "error", "no file of this data set was found", f"looked below {root.name}")


def tasks_for(entries: Sequence[Entry], *, wants_faces: bool) -> list[Task]:
    """Returns what to do with each entry: only files whose size occurs twice can be the same, so only they are hashed."""
    sizes = [_size(entry) for entry in entries]
    times = Counter(sizes)
    return [
        Task(entry, wants_digest=size is None or times[size] > 1, wants_faces=wants_faces)
        for entry, size in zip(entries, sizes, strict=True)
    ]


def reading_findings(samples: Samples, looks: Sequence[Look], root: Path) -> Iterator[Finding]:
    """Judges whether the files that were opened can be read; `looks` are those of the rows of `samples`."""
    problems = (
        _problem(str(name), look.problem) for name, look in zip(samples.name, looks, strict=True) if look.problem
    )
    yield judged(
        "reading",
        "error",
        (text.replace(f"{root}/", "") for text in problems),
        bad="files that cannot be read",
        good=f"every file that was opened can be read ({len(looks):,})",
    )


def look_findings(seen: Samples, looks: Sequence[Look], pairs: leaks.Pairs) -> Iterator[Finding]:
    """Judges the files that could be read; `pairs` are those of `frame_pairs`."""
    yield from _orientation_findings(seen, looks)
    yield judged(
        "pictures",
        "warning",
        (seen.told(row) for row, look in enumerate(looks) if look.is_flat),
        bad="files whose first frame is of one colour",
        good="no first frame is of one colour",
    )
    yield from _face_findings(seen, looks)
    yield from leaks.file_findings(seen, np.array([look.digest for look in looks], object))
    yield from leaks.frame_findings(seen, pairs)


def frame_pairs(seen: Samples, looks: Sequence[Look]) -> leaks.Pairs:
    """Returns the pairs of readable files that are not the same file, but whose first frames are copies of each other."""
    pairs = similarity.look_alikes(similarity.stacked(look.thumbnail for look in looks), seen.group())
    digests = np.array([look.digest or str(row) for row, look in enumerate(looks)], object)
    return pairs[leaks.differs(pairs, digests)]


def _orientation_findings(seen: Samples, looks: Sequence[Look]) -> Iterator[Finding]:
    yield judged(
        "orientation",
        "warning",
        (f"{seen.name[row]}: {look.rotation}" for row, look in enumerate(looks) if look.rotation),
        bad="files that store a rotation",
        good="no file stores a rotation",
        detail="applied at conversion; other tools may not",
    )
    yield judged(
        "orientation",
        "warning",
        (f"{seen.name[row]}: {looks[row].width}x{looks[row].height}" for row in _lying(looks)),
        bad="files that lie on their side beside the others",
        good="no file lies on its side beside the others",
        detail="most files have the same size, upright or not; look at a few of these",
    )


def _lying(looks: Sequence[Look]) -> list[int]:
    """Returns the rows whose width and height are swapped against those of most files of that size."""
    times = Counter((look.width, look.height) for look in looks)
    usual = {
        size
        for size, n in times.items()
        if n >= _FIXED_SIZE_SHARE * len(looks) and size[0] != size[1] and times[size[1], size[0]] <= _MINORITY_SHARE * n
    }
    return [row for row, look in enumerate(looks) if (look.height, look.width) in usual]


def _face_findings(seen: Samples, looks: Sequence[Look]) -> Iterator[Finding]:
    yield judged(
        "boxes",
        "warning",
        (_problem(str(seen.name[row]), look.box) for row, look in enumerate(looks) if look.box),
        bad="files without a usable face box",
        good="no face box is missing",
        detail="the box is used where no face is found",
    )
    asked = [row for row, look in enumerate(looks) if look.faces is not None]
    if not asked:
        return
    without = [seen.told(row) for row in asked if not looks[row].faces]
    yield judged(
        "faces",
        "warning",
        without,
        bad="first frames in which no face is found",
        good="a face is found in every first frame",
        detail=f"{len(without) / len(asked):.1%} of {len(asked):,} files",
    )


def _size(entry: Entry) -> int | None:
    """Bytes of an entry's own file; None where it has none, or cannot be asked."""
    if entry.member or not entry.path.is_file():
        return None
    return entry.path.stat().st_size


def _problem(name: str, reason: str) -> str:
    return reason if PurePosixPath(name).name in reason else f"{name}: {reason}"


def _by_folder(names: Sequence[str]) -> Iterator[str]:
    kinds = Counter(
        (PurePosixPath(name).parts[0] if "/" in name else ".", PurePosixPath(name).suffix) for name in names
    )
    return (f"{n:,} {f'*{suffix}' if suffix else 'others'} in {folder}" for (folder, suffix), n in kinds.most_common())
