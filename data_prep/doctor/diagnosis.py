"""What an examination is asked for, what it returns, and the steps that raw files and records share."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from data_prep.doctor import counting, pictures
from data_prep.doctor.findings import Finding
from data_prep.doctor.leaks import Pairs
from data_prep.doctor.samples import Samples
from data_prep.entries import Facts


@dataclass(frozen=True)
class Options:
    """What to look at and with what effort.

    sample: files or records to open, evenly chosen; None opens all. faces: look for a face in the first frame of every raw
    file that is opened. images: show pictures on the page. processes: how many work side by side.
    """

    sample: int | None = None
    faces: bool = False
    images: bool = True
    processes: int = 1


@dataclass(frozen=True)
class Opened:
    """What was opened: `rows` of the whole, the `samples` there and what was seen of each (`looks`)."""

    rows: Int64[np.ndarray, "n"]
    samples: Samples
    looks: list[Any]

    def readable(self) -> "Opened":
        """Returns what could be read."""
        return self._at(np.array([not look.problem for look in self.looks], bool))

    def of(self, domain: str) -> "Opened":
        """Returns what belongs to a domain."""
        return self._at(self.samples.domain == domain)

    def _at(self, keep: Bool[np.ndarray, "n"]) -> "Opened":
        places = np.flatnonzero(keep)
        return Opened(self.rows[places], self.samples.take(places), [self.looks[place] for place in places])


@dataclass(frozen=True)
class Counts:
    """The counts of one domain: by split and instrument, and beside those of the two systems."""

    domain: str
    rows: list[counting.Count]
    published: list[counting.Published]


@dataclass(frozen=True)
class Diagnosis:
    """Everything that the page shows.

    examined: (what, value) of what was looked at. unit: what a row of the counts is made of, "files" or "records".
    """

    facts: Facts
    unit: str
    examined: list[tuple[str, str]]
    findings: list[Finding]
    counts: list[Counts]
    groups: list[pictures.Group]


def chosen(total: int, options: Options) -> Int64[np.ndarray, "n"]:
    """Returns the rows to open, in order."""
    rows = np.arange(total, dtype=np.int64)
    return rows if options.sample is None else np.array(pictures.evenly(rows, options.sample), np.int64)


def counts_of(samples: Samples, facts: Facts) -> list[Counts]:
    """Returns the counts of every domain that is there, and of the data set's own where its counts are known."""
    domains = set(samples.domain) | ({facts.domain} if facts.totals or facts.flip_counts else set())
    nothing = dataclasses.replace(facts, totals={}, flip_counts={}, instruct_flip_counts={})
    made = []
    for domain in sorted(domains):
        known, here = facts if domain == facts.domain else nothing, samples.of(domain)
        made.append(Counts(domain, counting.count(here, known), counting.published(here, known)))
    return made


def count_findings(counts: Sequence[Counts], explained: Mapping[str, int]) -> Iterator[Finding]:
    """Judges the counts; `explained` presentations by domain are known to have been left out."""
    for part in counts:
        yield from counting.total_findings(part.domain, part.rows, explained.get(part.domain, 0))
        yield from counting.published_findings(part.domain, part.published)


def groups_of(seen: Samples, pairs: Pairs, read: pictures.Read, options: Options) -> list[pictures.Group]:
    """Returns the pictures to show, if any are wanted."""
    if not options.images:
        return []
    return [*pictures.pair_groups(seen, pairs, read), *pictures.mosaics(seen, read)]
