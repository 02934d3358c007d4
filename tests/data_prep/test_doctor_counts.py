"""Counts against known and published ones, and people in two places: every check fires and stays silent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.doctor import counting, leaks, samples
from data_prep.doctor.diagnosis import count_findings, counts_of
from data_prep.doctor.findings import SHOWN_ITEMS, Finding, has_errors, judged, ordered
from data_prep.entries import Entry, Facts
from flipjax.core.errors import ConfigError

KNOWN = {"train": {"bona_fide": 2, "photo": 1}, "test": {"bona_fide": 1}}


def facts(**changes: Any) -> Facts:
    given = {"name": "Fake", "domain": "F", "licence": "l", "obtain": "o", "flip": "", "instruct_flip": ""}
    return Facts(**{**given, **changes})


def entry(name: str, split: str = "train", subject: str = "anna", instrument: int = 0, **changes: Any) -> Entry:
    given = {
        "path": Path("/raw") / name,
        "split": split,
        "domain": "F",
        "sample_id": name,
        "subject_id": subject,
        "video_id": name,
        "is_bona_fide": instrument == 0,
        "attack_instrument": instrument,
    }
    return Entry(**{**given, **changes})


def table(*entries: Entry, known: Facts | None = None) -> samples.Samples:
    return samples.from_entries(entries, known or facts(), Path("/raw"))


def levels(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.title) for finding in findings]


COMPLETE = (entry("a"), entry("b"), entry("c", instrument=1), entry("d", "test", "ben"))


def total_levels(*entries: Entry, explained: int = 0) -> list[tuple[str, str]]:
    rows = counting.count(table(*entries), facts(totals=KNOWN))
    return levels(list(counting.total_findings("F", rows, explained)))


def test_complete_set_is_good() -> None:
    assert total_levels(*COMPLETE) == [("good", "F: as many presentations of every instrument as are known to exist")]


def test_missing_presentation_is_an_error_unless_it_is_explained() -> None:
    assert total_levels(*COMPLETE[1:]) == [("error", "F: presentations missing: 1")]
    assert total_levels(*COMPLETE[1:], explained=1) == [("warning", "F: presentations missing: 1")]
    assert total_levels(*COMPLETE[2:], explained=1) == [("error", "F: presentations missing: 2")]


def test_surplus_is_an_error() -> None:
    assert total_levels(*COMPLETE, entry("e")) == [("error", "F: presentations too many: 1")]


def test_unknown_split_or_instrument_is_a_note() -> None:
    more = (entry("e", "dev"), entry("f", instrument=10))
    assert total_levels(*COMPLETE, *more)[0] == ("note", "F: totals that are not known: 2")


SUMS = {"all": {"bona_fide": 3, "attack": 2}}


def test_known_sums_are_compared_and_their_parts_are_no_unknown_totals() -> None:
    rows = counting.count(table(*COMPLETE, entry("e", "test", "ben", -1)), facts(totals=SUMS))
    assert [(row.label, row.subjects, row.ours, row.known) for row in rows] == [
        ("train, bona fide", 1, 2, None),
        ("train, photo", 1, 1, None),
        ("test, bona fide", 1, 1, None),
        ("test, other", 1, 1, None),
        ("all splits, bona fide", 2, 3, 3),
        ("all splits, any attack", 2, 2, 2),
    ]
    assert [finding.level for finding in counting.total_findings("F", rows)] == ["good"]
    short = counting.count(table(*COMPLETE), facts(totals={"train": {"attack": 2, "bona_fide": 2}}))
    assert levels(list(counting.total_findings("F", short))) == [
        ("error", "F: presentations missing: 1"),
        ("note", "F: totals that are not known: 1"),
    ]


def test_rows_are_by_split_and_instrument_with_people() -> None:
    rows = counting.count(table(*COMPLETE, entry("e", "test", "cleo", -1)), facts(totals=KNOWN))
    told = [(row.split, row.instrument, row.subjects, row.ours, row.known, row.difference) for row in rows]
    assert told == [
        ("train", "bona_fide", 1, 2, 2, 0),
        ("train", "photo", 1, 1, 1, 0),
        ("test", "bona_fide", 1, 1, 1, 0),
        ("test", "other", 1, 1, None, 0),
    ]


def test_records_of_a_clip_are_one_presentation() -> None:
    assert samples.presentation_of("train/1_HR_1#6") == samples.presentation_of("train/1_HR_1#56") == "train/1_HR_1"


PUBLISHED = {"flip_counts": {("train", "bona_fide"): 2, ("train", "attack"): 1, ("shot", "attack"): 1}}


@pytest.mark.parametrize(
    ("source_name", "frames", "lines", "pictures"),
    [
        ("", "pair", 0, 0),
        ("x", "all", 1, 1),
        ("x_frame{rank}", "pair", 1, 2),
        ("x_{number:02d}", "equidistant:10", 10, 10),
    ],
)
def test_what_a_raw_file_answers_in_the_published_lists(
    source_name: str, frames: str, lines: int, pictures: int
) -> None:
    one = table(entry("a", source_name=source_name), known=facts(frames=frames))
    assert (one.flip_lines.tolist(), one.pictures.tolist()) == ([lines], [pictures])


def published_levels(*entries: Entry, **counts: Any) -> list[tuple[str, str]]:
    rows = counting.published(table(*entries), facts(**counts))
    return levels(list(counting.published_findings("F", rows)))


def test_published_counts_fire_by_how_much_is_missing() -> None:
    names = [entry(f"a{i}", source_name=f"a{i}") for i in range(100)]
    for used, expected in ((100, "good"), (104, "note"), (50, "note"), (110, "warning")):
        got = published_levels(*names, flip_counts={("train", "bona_fide"): used})
        assert [level for level, _ in got] == [expected], used


def test_only_comparable_parts_are_compared() -> None:
    rows = counting.published(table(entry("a", source_name="a")), facts(**PUBLISHED))
    assert [(row.what, row.group, row.theirs, row.ours) for row in rows] == [
        ("lines of its train list", "bona_fide", 2, 1),
        ("lines of its train list", "attack", 1, 0),
        ("lines of its shot list", "attack", 1, None),
    ]
    assert published_levels(entry("a"), flip_counts={("test", "attack"): 3}) == []
    extracted = {("extracted", "bona_fide"): 2, ("evaluated", "bona_fide"): 1}
    pair = entry("a", source_name="a_frame{rank}")
    assert published_levels(pair, instruct_flip_counts=extracted) == [
        ("good", "F: as many pictures as InstructFLIP uses")
    ]


def test_facts_are_those_of_their_own_domain() -> None:
    other = table(entry("a", domain="G"))
    counts = counts_of(other, facts(totals=KNOWN))
    assert [part.domain for part in counts] == ["F", "G"]
    found = levels(list(count_findings(counts, {})))
    assert ("error", "F: presentations missing: 4") in found
    assert ("note", "G: totals that are not known: 1") in found
    assert [part.domain for part in counts_of(other, facts())] == ["G"]


def subject_levels(*entries: Entry) -> list[tuple[str, str]]:
    return levels(list(leaks.subject_findings(table(*entries), facts())))


def test_people_in_two_splits_are_an_error_with_their_names() -> None:
    assert subject_levels(*COMPLETE) == [("good", "every person is in one split only")]
    found = list(leaks.subject_findings(table(*COMPLETE, entry("e", "test", "anna")), facts()))
    assert levels(found) == [("error", "people in more than one split: 1")]
    assert found[0].items == ("F: anna in test, train",)


def test_people_who_are_known_to_be_in_two_splits_are_a_warning() -> None:
    both = table(*COMPLETE, entry("e", "test", "anna"), entry("f", "train", "ben"))
    found = list(leaks.subject_findings(both, facts(shared_subjects=("anna", "dan"))))
    assert [(finding.level, finding.items) for finding in found] == [
        ("error", ("F: ben in test, train",)),
        ("warning", ("F: anna in test, train",)),
    ]
    elsewhere = leaks.subject_findings(both, facts(domain="G", shared_subjects=("anna", "ben")))
    assert [finding.level for finding in elsewhere] == ["error"]


def test_a_name_in_two_domains_is_a_note() -> None:
    assert subject_levels(*COMPLETE, entry("e", "test", "anna", domain="G")) == [
        ("good", "every person is in one split only"),
        ("note", "subject names in more than one domain: 1"),
    ]


PEOPLE = table(
    entry("a", "train", "anna"),
    entry("b", "test", "ben"),
    entry("c", "test", "anna"),
    entry("d", "train", "anna", instrument=1),
    entry("e", "train", "anna"),
    entry("f", "train", "ben"),
)


@pytest.mark.parametrize(
    ("pair", "of_files", "of_frames", "of_crops"),
    [
        ((0, 1), "error", "error", "error"),  # another split and person
        ((0, 2), "error", "warning", "warning"),  # another split
        ((0, 3), "error", "warning", "error"),  # another class
        ((0, 4), "warning", "warning", "warning"),  # nothing else
        ((0, 5), "error", "warning", "warning"),  # another person
    ],
)
def test_copies_are_judged_by_what_they_contradict(
    pair: tuple[int, int], of_files: str, of_frames: str, of_crops: str
) -> None:
    digests = np.array(["same" if row in pair else "" for row in range(len(PEOPLE))], object)
    pairs = np.array([pair], np.int64)
    for findings, expected in (
        (leaks.file_findings(PEOPLE, digests), of_files),
        (leaks.frame_findings(PEOPLE, pairs), of_frames),
        (leaks.crop_findings(PEOPLE, pairs), of_crops),
    ):
        fired = [finding for finding in findings if finding.level != "good"]
        assert [finding.level for finding in fired] == [expected]
        assert fired[0].items == (f"{PEOPLE.told(pair[0])} = {PEOPLE.told(pair[1])}",)


def test_no_copy_is_good() -> None:
    nothing = np.zeros((0, 2), np.int64)
    found = [
        *leaks.file_findings(PEOPLE, np.array(["x", "y", "", "", "z", ""], object)),
        *leaks.frame_findings(PEOPLE, nothing),
        *leaks.crop_findings(PEOPLE, nothing),
    ]
    assert {finding.level for finding in found} == {"good"}


def test_a_person_is_known_by_name_within_a_domain_only() -> None:
    two = table(entry("a", "train"), entry("b", "test", domain="G"))
    assert leaks.leaking(two, np.array([[0, 1]])).tolist() == [True]


def test_finding_names_the_first_items_and_counts_all() -> None:
    many = judged("c", "error", (f"n{i}" for i in range(50)), bad="bad", good="good")
    assert (many.title, len(many.shown), many.hidden) == ("bad: 50", SHOWN_ITEMS, 50 - SHOWN_ITEMS)
    assert judged("c", "error", [], bad="bad", good="good").level == "good"


def test_gravest_come_first_and_only_errors_count() -> None:
    notes = [Finding("c", level, level) for level in ("good", "warning", "note")]
    assert [finding.level for finding in ordered(notes)] == ["warning", "note", "good"]
    assert not has_errors(notes)
    assert has_errors([*notes, Finding("c", "error", "e")])
    with pytest.raises(ConfigError, match="level 'bad' unknown"):
        Finding("c", "bad", "t")
