"""MSU-MFSD: what the names say, and the split that only the two lists of clients tell."""

from pathlib import Path

import pytest

from data_prep.datasets import msu_mfsd
from flipjax.core.errors import DataError
from raw_archives.videos import MSU_TEST, MSU_TRAIN, msu_names, told, write_msu, write_text

REAL = "scene01/real/real_client"
ATTACK = "scene01/attack/attack_client"
BONA_FIDE = ("bona_fide", "")
PAD = ("pad_screen", "replay/ipad_video")
PHONE = ("phone_screen", "replay/iphone_video")
PHOTO = ("photo", "print/printed_photo")
# name -> subject, instrument, species, device
NAMES = {
    f"{REAL}001_android_SD_scene01.mp4": ("001", *BONA_FIDE, "android"),
    f"{REAL}001_laptop_SD_scene01.mov": ("001", *BONA_FIDE, "laptop"),
    f"{REAL}002_android_SD_scene01.mp4": ("002", *BONA_FIDE, "android"),
    f"{REAL}013_laptop_SD_scene01.mov": ("013", *BONA_FIDE, "laptop"),
    f"{REAL}034_android_SD_scene01.mp4": ("034", *BONA_FIDE, "android"),
    f"{REAL}055_laptop_SD_scene01.mov": ("055", *BONA_FIDE, "laptop"),
    f"{REAL}050_laptop_SD_scene01.mp4": ("050", *BONA_FIDE, "laptop"),
    f"{ATTACK}001_android_SD_ipad_video_scene01.mp4": ("001", *PAD, "android"),
    f"{ATTACK}002_android_SD_ipad_video_scene01.mp4": ("002", *PAD, "android"),
    f"{ATTACK}008_laptop_SD_ipad_video_scene01.mov": ("008", *PAD, "laptop"),
    f"{ATTACK}050_laptop_SD_ipad_video_scene01.mov": ("050", *PAD, "laptop"),
    f"{ATTACK}054_android_SD_ipad_video_scene01.mp4": ("054", *PAD, "android"),
    f"{ATTACK}002_android_SD_iphone_video_scene01.mp4": ("002", *PHONE, "android"),
    f"{ATTACK}009_android_SD_iphone_video_scene01.mp4": ("009", *PHONE, "android"),
    f"{ATTACK}023_laptop_SD_iphone_video_scene01.mov": ("023", *PHONE, "laptop"),
    f"{ATTACK}034_laptop_SD_iphone_video_scene01.mov": ("034", *PHONE, "laptop"),
    f"{ATTACK}049_laptop_SD_iphone_video_scene01.mov": ("049", *PHONE, "laptop"),
    f"{ATTACK}007_android_SD_printed_photo_scene01.mp4": ("007", *PHOTO, "android"),
    f"{ATTACK}022_android_SD_printed_photo_scene01.mp4": ("022", *PHOTO, "android"),
    f"{ATTACK}012_laptop_SD_printed_photo_scene01.mov": ("012", *PHOTO, "laptop"),
    f"{ATTACK}035_laptop_SD_printed_photo_scene01.mov": ("035", *PHOTO, "laptop"),
    f"{ATTACK}051_laptop_SD_printed_photo_scene01.mov": ("051", *PHOTO, "laptop"),
}
NO_CLIPS = (
    "scene01/real/real_client001_android_SD_scene01.face",
    "scene01/real/real_client001_android_SD_scene01.avi",
    "scene01/real/real_client1_android_SD_scene01.mp4",
    "scene01/real/real_client001_tablet_SD_scene01.mp4",
    "scene01/real/real_client001_android_SD_ipad_video_scene01.mp4",
    "scene01/real/attack_client001_android_SD_ipad_video_scene01.mp4",
    "scene01/attack/attack_client001_android_SD_scene01.mp4",
    "scene01/attack/attack_client001_android_SD_ipad_photo_scene01.mp4",
    "scene01/attack/real_client001_android_SD_scene01.mp4",
    "scene01/attack/copy_of_attack_client001_android_SD_ipad_video_scene01.mp4",
    "scene02/real/real_client001_android_SD_scene01.mp4",
    "real_client001_android_SD_scene01.mp4",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_tell_what_a_clip_shows(name: str) -> None:
    subject, instrument, species, device = NAMES[name]
    entry = msu_mfsd.parse(name)
    assert entry is not None
    assert told(entry) == (subject, "", instrument, species, device, "scene01")
    clip = name.rsplit("/", maxsplit=1)[-1].split(".", maxsplit=1)[0]
    assert (entry.video_id, entry.source_name) == (clip, clip + "_frame{rank}")


@pytest.mark.parametrize("name", NO_CLIPS)
def test_other_names_match_no_rule(name: str) -> None:
    assert msu_mfsd.parse(name) is None


def named(root: Path, train: str, test: str) -> Path:
    """Returns `root` with empty clips of clients 2, 3 and 14, and these lists."""
    for name in msu_names([2, 3, 14]):
        write_text(root, name, "")
    write_text(root, "train_sub_list.txt", train)
    write_text(root, "test_sub_list.txt", test)
    return root


@pytest.mark.parametrize("train", ["02\n03\n", "2\n3\n", "002\r\n\r\n003\r\n"])
def test_lists_tell_the_split_however_numbers_are_padded(train: str, tmp_path: Path) -> None:
    listing = msu_mfsd.read(named(tmp_path, train, "14"))
    assert {(e.subject_id, e.split) for e in listing.entries} == {("002", "train"), ("003", "train"), ("014", "test")}
    assert len(listing.entries) == 24 and not listing.problems


def test_a_client_in_neither_list_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    listing = msu_mfsd.read(named(tmp_path, "02\n", "14\n"))
    assert {e.subject_id for e in listing.entries} == {"002", "014"}
    assert len(listing.problems) == 8
    assert "client 003 is in neither train_sub_list.txt nor test_sub_list.txt" in listing.problems[0].reason
    assert "client003" in listing.problems[0].name


@pytest.mark.parametrize("missing", ["train_sub_list.txt", "test_sub_list.txt"])
def test_a_missing_list_is_named(missing: str, tmp_path: Path) -> None:
    (named(tmp_path, "02\n03\n", "14\n") / missing).unlink()
    with pytest.raises(DataError, match=rf"{missing}: no such file; .*copy it from the archive"):
        msu_mfsd.read(tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("02\nclient003\n", "14", r"train_sub_list\.txt, line 2: 'client003' is no client number; expected one number"),
        ("02\n03\n", "14 15\n", r"test_sub_list\.txt, line 1: '14 15' is no client number"),
        ("02\n03\n", "14\n3\n", r"test_sub_list\.txt: client 3 is also in train_sub_list\.txt; remove one"),
        ("02\n٣\n", "14\n", r"line 2: '٣' is no client number"),
    ],
)
def test_a_list_that_cannot_be_is_an_error(train: str, test: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        msu_mfsd.read(named(tmp_path, train, test))


def test_totals_are_those_of_the_papers_lists() -> None:
    totals = msu_mfsd.FACTS.totals
    assert (len(MSU_TRAIN), len(MSU_TEST), len({*MSU_TRAIN, *MSU_TEST})) == (15, 20, 35)
    assert {split: sum(counts.values()) for split, counts in totals.items()} == {"train": 30 + 90, "test": 40 + 120}
    assert {split: counts["bona_fide"] for split, counts in totals.items()} == {"train": 30, "test": 40}


def test_everything_but_clips_is_known_and_left_out(tmp_path: Path) -> None:
    unused = msu_mfsd.read(write_msu(tmp_path)).unused
    assert {"train_sub_list.txt", "README.txt", "DecFrames.m", "ffmpeg/bin/ffmpeg.exe"} < {*unused}
    assert sum(name.endswith(".face") for name in unused) == 40
