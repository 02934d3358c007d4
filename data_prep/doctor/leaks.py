"""People and pictures that are where they must not be: in two splits, in two domains, under two labels."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from data_prep.doctor.findings import Finding, judged
from data_prep.doctor.samples import Samples
from data_prep.entries import Facts

Pairs = Int64[np.ndarray, "pairs 2"]


def subject_findings(samples: Samples, facts: Facts) -> Iterator[Finding]:
    """Judges whether people stay in one split, and names ids that occur in several domains."""
    splits: dict[tuple[str, str], set[str]] = {}
    domains: dict[str, set[str]] = {}
    triples = zip(samples.domain, samples.subject, samples.split, strict=True)
    for domain, subject, split in set(triples):
        splits.setdefault((domain, subject), set()).add(split)
        domains.setdefault(subject, set()).add(domain)
    torn = {who: f"{': '.join(who)} in {', '.join(sorted(at))}" for who, at in sorted(splits.items()) if len(at) > 1}
    known = [torn.pop(who) for who in ((facts.domain, name) for name in facts.shared_subjects) if who in torn]
    yield judged(
        "subjects",
        "error",
        torn.values(),
        bad="people in more than one split",
        good="nobody else is in more than one split" if known else "every person is in one split only",
        detail="train, dev and test must not share people; leave these out or move them to one split",
    )
    if known:
        title = f"people who are known to be in more than one split of this data set: {len(known)}"
        yield Finding("subjects", "warning", title, "published so; leave them out where that matters", tuple(known))
    shared = [
        f"{subject} in {', '.join(sorted(where))}" for subject, where in sorted(domains.items()) if len(where) > 1
    ]
    if shared:
        why = "names restart in every data set, so this alone says nothing; it matters where the people are the same"
        yield Finding("subjects", "note", f"subject names in more than one domain: {len(shared):,}", why, tuple(shared))


def file_findings(samples: Samples, digests: Shaped[np.ndarray, "n"]) -> Iterator[Finding]:
    """Judges raw files with the same content; `digests` are equal where that is, and empty where nobody asked."""
    pairs = _equal_pairs(digests)
    grave = differs(pairs, samples.is_bona_fide) | differs(pairs, samples.person()) | differs(pairs, _place(samples))
    yield judged(
        "duplicates",
        "error",
        _told(samples, pairs[grave]),
        bad="files with the same content but another class, person or split",
        good="no two files with the same content contradict each other",
        detail="one of the two is in the wrong place",
    )
    yield judged(
        "duplicates",
        "warning",
        _told(samples, pairs[~grave]),
        bad="files that are there more than once",
        good="no file is there twice",
    )


def frame_findings(samples: Samples, pairs: Pairs) -> Iterator[Finding]:
    """Judges raw files whose first frames are copies of each other (`pairs`)."""
    yield from _look_alike_findings(samples, pairs, leaking(samples, pairs), "first frames")


def crop_findings(samples: Samples, pairs: Pairs) -> Iterator[Finding]:
    """Judges records that are copies of each other (`pairs`): one label for one picture, one split for one person."""
    grave = leaking(samples, pairs) | differs(pairs, samples.is_bona_fide)
    yield from _look_alike_findings(samples, pairs, grave, "crops")


def leaking(samples: Samples, pairs: Pairs) -> Bool[np.ndarray, "pairs"]:
    """Whether a pair is in two splits under two persons, so that no split by subject would have kept it together."""
    return differs(pairs, samples.split) & differs(pairs, samples.person())


def differs(pairs: Pairs, column: Shaped[np.ndarray, "n"]) -> Bool[np.ndarray, "pairs"]:
    """Whether the two rows of each pair differ in a column."""
    return np.asarray(column[pairs[:, 0]] != column[pairs[:, 1]], bool)


def _look_alike_findings(samples: Samples, pairs: Pairs, grave: np.ndarray, what: str) -> Iterator[Finding]:
    yield judged(
        "look-alikes",
        "error",
        _told(samples, pairs[grave]),
        bad=f"{what} that are copies across splits or classes",
        good=f"no {what} are copies across splits or classes",
        detail="the same picture, maybe resized or recompressed: what is learnt from one is tested on the other",
    )
    yield judged(
        "look-alikes",
        "warning",
        _told(samples, pairs[~grave]),
        bad=f"other {what} that are copies",
        good=f"no other {what} are copies",
        detail="frames of one video are not compared",
    )


def _equal_pairs(digests: np.ndarray) -> Pairs:
    """Returns (first, other) for every further row with the digest of an earlier one."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(text, row), row) for row, text in enumerate(digests) if text]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], np.int64).reshape(-1, 2)


def _place(samples: Samples) -> np.ndarray:
    return samples.domain + "\0" + samples.split


def _told(samples: Samples, pairs: Pairs) -> Iterator[str]:
    return (f"{samples.told(first)} = {samples.told(second)}" for first, second in pairs.tolist())
