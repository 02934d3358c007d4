"""OULU-NPU: what the four numbers of a clip's name say, and the split, which is the folder."""

from pathlib import Path

import pytest

from data_prep.datasets import oulu_npu
from raw_archives.videos import told, write_oulu

BONA_FIDE = ("bona_fide", "")
PRINT_1, PRINT_2 = (("photo", f"print/{printer}") for printer in (1, 2))
REPLAY_1, REPLAY_2 = (("pc_screen", f"replay/{display}") for display in (1, 2))
# name -> subject, split, instrument, species, device, session
NAMES = {
    "Train_files/1_1_01_1.avi": ("01", "train", *BONA_FIDE, "phone_1", "1"),
    "Train_files/1_1_01_2.avi": ("01", "train", *PRINT_1, "phone_1", "1"),
    "Train_files/1_1_01_3.avi": ("01", "train", *PRINT_2, "phone_1", "1"),
    "Train_files/1_1_01_4.avi": ("01", "train", *REPLAY_1, "phone_1", "1"),
    "Train_files/1_1_01_5.avi": ("01", "train", *REPLAY_2, "phone_1", "1"),
    "Train_files/6_3_20_1.avi": ("20", "train", *BONA_FIDE, "phone_6", "3"),
    "Train_files/2_3_09_4.avi": ("09", "train", *REPLAY_1, "phone_2", "3"),
    "Train_files/4_2_10_5.avi": ("10", "train", *REPLAY_2, "phone_4", "2"),
    "Dev_files/1_1_21_1.avi": ("21", "dev", *BONA_FIDE, "phone_1", "1"),
    "Dev_files/2_2_28_2.avi": ("28", "dev", *PRINT_1, "phone_2", "2"),
    "Dev_files/3_3_35_3.avi": ("35", "dev", *PRINT_2, "phone_3", "3"),
    "Dev_files/4_1_30_4.avi": ("30", "dev", *REPLAY_1, "phone_4", "1"),
    "Dev_files/5_2_29_5.avi": ("29", "dev", *REPLAY_2, "phone_5", "2"),
    "Test_files/1_1_36_1.avi": ("36", "test", *BONA_FIDE, "phone_1", "1"),
    "Test_files/1_3_36_2.avi": ("36", "test", *PRINT_1, "phone_1", "3"),
    "Test_files/2_2_40_3.avi": ("40", "test", *PRINT_2, "phone_2", "2"),
    "Test_files/3_1_49_4.avi": ("49", "test", *REPLAY_1, "phone_3", "1"),
    "Test_files/4_2_50_5.avi": ("50", "test", *REPLAY_2, "phone_4", "2"),
    "Test_files/5_3_54_1.avi": ("54", "test", *BONA_FIDE, "phone_5", "3"),
    "Test_files/6_3_55_3.avi": ("55", "test", *PRINT_2, "phone_6", "3"),
    "Test_files/6_1_55_4.avi": ("55", "test", *REPLAY_1, "phone_6", "1"),
}
NO_CLIPS = (
    "Train_files/1_1_01_1.txt",
    "Train_files/1_1_01_1.mp4",
    "Train_files/0_1_01_1.avi",
    "Train_files/7_1_01_1.avi",
    "Train_files/1_4_01_1.avi",
    "Train_files/1_1_00_1.avi",
    "Train_files/1_1_56_1.avi",
    "Train_files/1_1_1_1.avi",
    "Train_files/1_1_01_6.avi",
    "Train_files/1_1_01_0.avi",
    "Train_files/1_1_01.avi",
    "Train_files/x1_1_01_1.avi",
    "Train_files/more/1_1_01_1.avi",
    "Train/1_1_01_1.avi",
    "1_1_01_1.avi",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_tell_what_a_clip_shows(name: str) -> None:
    entry = oulu_npu.parse(name)
    assert entry is not None
    assert told(entry) == NAMES[name]
    clip = name.split("/")[1].removesuffix(".avi")
    assert entry.video_id == clip
    assert entry.source_name == ("" if name.startswith("Dev") else clip + "_frame{rank}")


@pytest.mark.parametrize("name", NO_CLIPS)
def test_other_names_match_no_rule(name: str) -> None:
    assert oulu_npu.parse(name) is None


def test_eye_positions_and_protocols_are_known_and_left_out(tmp_path: Path) -> None:
    unused = oulu_npu.read(write_oulu(tmp_path)).unused
    assert sum(name.endswith(".txt") and "_files/" in name for name in unused) == 35
    assert [name for name in unused if "_files/" not in name] == ["Protocols/Protocol_1/Train.txt"]


def test_totals_are_those_of_the_papers_lists() -> None:
    totals = oulu_npu.FACTS.totals
    assert {split: counts["bona_fide"] for split, counts in totals.items()} == {"train": 360, "dev": 270, "test": 360}
    sizes = {split: sum(counts.values()) for split, counts in totals.items()}
    assert sizes == {"train": 360 + 1440, "dev": 270 + 1080, "test": 360 + 1440}
    assert sum(sizes.values()) == 4950
