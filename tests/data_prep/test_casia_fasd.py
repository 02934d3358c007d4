"""CASIA-FASD: what the numbers of its clips mean, and people whose numbers start again in test."""

import pytest

from data_prep.datasets import casia_fasd
from raw_archives.videos import casia_names, told

BONA_FIDE = ("bona_fide", "")
WARPED = ("photo", "print/warped_photo")
CUT = ("region_mask_2d", "print/cut_photo")
VIDEO = ("pad_screen", "replay/video")
NORMAL, LOW, HIGH = (f"{quality}_quality_camera" for quality in ("normal", "low", "high"))
# name -> subject, split, instrument, species, device
NAMES = {
    "train_release/1/1.avi": ("train_1", "train", *BONA_FIDE, NORMAL),
    "train_release/1/2.avi": ("train_1", "train", *BONA_FIDE, LOW),
    "train_release/1/HR_1.avi": ("train_1", "train", *BONA_FIDE, HIGH),
    "train_release/1/3.avi": ("train_1", "train", *WARPED, NORMAL),
    "train_release/1/4.avi": ("train_1", "train", *WARPED, LOW),
    "train_release/1/HR_2.avi": ("train_1", "train", *WARPED, HIGH),
    "train_release/20/5.avi": ("train_20", "train", *CUT, NORMAL),
    "train_release/20/6.avi": ("train_20", "train", *CUT, LOW),
    "train_release/20/HR_3.avi": ("train_20", "train", *CUT, HIGH),
    "train_release/12/7.avi": ("train_12", "train", *VIDEO, NORMAL),
    "train_release/12/8.avi": ("train_12", "train", *VIDEO, LOW),
    "train_release/15/HR_4.avi": ("train_15", "train", *VIDEO, HIGH),
    "test_release/1/1.avi": ("test_1", "test", *BONA_FIDE, NORMAL),
    "test_release/30/2.avi": ("test_30", "test", *BONA_FIDE, LOW),
    "test_release/21/HR_1.avi": ("test_21", "test", *BONA_FIDE, HIGH),
    "test_release/18/3.avi": ("test_18", "test", *WARPED, NORMAL),
    "test_release/9/4.avi": ("test_9", "test", *WARPED, LOW),
    "test_release/17/HR_2.avi": ("test_17", "test", *WARPED, HIGH),
    "test_release/30/5.avi": ("test_30", "test", *CUT, NORMAL),
    "test_release/12/6.avi": ("test_12", "test", *CUT, LOW),
    "test_release/2/HR_3.avi": ("test_2", "test", *CUT, HIGH),
    "test_release/19/7.avi": ("test_19", "test", *VIDEO, NORMAL),
    "test_release/12/8.avi": ("test_12", "test", *VIDEO, LOW),
    "test_release/11/HR_4.avi": ("test_11", "test", *VIDEO, HIGH),
}
NO_CLIPS = (
    "train_release/1/0.avi",
    "train_release/1/9.avi",
    "train_release/1/10.avi",
    "train_release/1/HR_5.avi",
    "train_release/1/HR_0.avi",
    "train_release/1/HR1.avi",
    "train_release/1/1.mp4",
    "train_release/0/1.avi",
    "train_release/01/1.avi",
    "train_release/1/copy/1.avi",
    "dev_release/1/1.avi",
    "train/1/1.avi",
    "1/1.avi",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_tell_what_a_clip_shows(name: str) -> None:
    entry = casia_fasd.parse(name)
    assert entry is not None
    assert told(entry) == (*NAMES[name], "")


@pytest.mark.parametrize("name", NO_CLIPS)
def test_other_names_match_no_rule(name: str) -> None:
    assert casia_fasd.parse(name) is None


def test_the_same_numbers_in_train_and_test_are_other_people_and_clips() -> None:
    train, test = (casia_fasd.parse(f"{part}_release/4/HR_2.avi") for part in ("train", "test"))
    assert train is not None and test is not None
    assert (train.subject_id, test.subject_id) == ("train_4", "test_4")
    assert (train.video_id, test.video_id) == ("train/4_HR_2", "test/4_HR_2")
    assert (train.source_name, test.source_name) == ("train/4_HR_2_frame{rank}", "test/4_HR_2_frame{rank}")


def test_totals_are_those_of_the_papers_lists() -> None:
    totals = casia_fasd.FACTS.totals
    assert {split: sum(counts.values()) for split, counts in totals.items()} == {"train": 60 + 180, "test": 90 + 270}
    assert {split: counts["bona_fide"] for split, counts in totals.items()} == {"train": 60, "test": 90}


def test_instruct_flip_evaluates_as_many_names_as_differ_without_their_folder() -> None:
    names = casia_names("train", range(1, 21)) + casia_names("test", range(1, 31))
    entries = [entry for entry in map(casia_fasd.parse, names) if entry is not None]
    for group, is_bona_fide in (("bona_fide", True), ("attack", False)):
        found = {e.source_name.split("/")[1] for e in entries if e.is_bona_fide == is_bona_fide}
        assert casia_fasd.FACTS.instruct_flip_counts["evaluated", group] == len(found)
