"""Lists against records: which rows each system's lists name, what is missing, shots in their order, released videos."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest

from flipjax.core.errors import ConfigError, DataError
from flipjax.data.matching import FLIP, INSTRUCT_FLIP, SOURCE, TARGET, Lists, with_released_videos
from flipjax.data.source import Index


def own_lists(folder: Path, variant: str = FLIP, missing_share: float = 0.0) -> Lists:
    return Lists(variant, str(folder), is_checked=False, missing_share=missing_share)


def clip_rows(*clips: str, frames: int = 2, is_bona_fide: bool = True) -> list:
    """Rows of CASIA clips such as train/1_1: both pictures of each."""
    return [
        (clip.split("/")[0], clip.split("_")[0], clip, is_bona_fide, f"{clip}_frame{n}")
        for clip in clips
        for n in range(frames)
    ]


@pytest.fixture
def casia(tmp_path, write_lists) -> Path:
    """train = test + shot; clip 1_1 exists in both folders."""
    real = [f"casia/{clip}_frame0.png" for clip in ("train/real/1_1", "test/real/1_1", "test/real/2_1")]
    fake = [f"casia/{clip}_frame0.png" for clip in ("train/fake/1_3", "test/fake/1_3", "test/fake/2_3")]
    return write_lists(
        tmp_path / "lists",
        casia_real_train=real,
        casia_real_test=real[:2],
        casia_real_shot=real[2:],
        casia_fake_train=fake,
        casia_fake_test=fake[:2],
        casia_fake_shot=fake[2:],
    )


@pytest.fixture
def casia_index(index_of) -> Index:
    """The listed clips of both classes, a dev clip without a published name, and a clip that no list names."""
    others = [("dev", "9", "dev/9_1", True, ""), *clip_rows("test/3_1")]
    attacks = clip_rows("train/1_3", "test/1_3", "test/2_3", is_bona_fide=False)
    return index_of("C", [*clip_rows("train/1_1", "test/1_1", "test/2_1"), *others, *attacks])


def listed(lists: Lists, index: Index, domain: str, side: str) -> set[str]:
    return set(index["source_name"][lists.rows(index, domain, side)])


def pictures(*clips: str, frames: tuple[int, ...]) -> set[str]:
    return {f"{clip}_frame{n}" for clip in clips for n in frames}


def test_flip_trains_on_first_frames_of_the_train_list_and_tests_both_frames_of_the_test_list(casia, casia_index):
    lists = own_lists(casia)
    everything = ("train/1_1", "test/1_1", "test/2_1", "train/1_3", "test/1_3", "test/2_3")
    without_shots = ("train/1_1", "test/1_1", "train/1_3", "test/1_3")
    assert listed(lists, casia_index, "C", SOURCE) == pictures(*everything, frames=(0,))
    assert listed(lists, casia_index, "C", TARGET) == pictures(*without_shots, frames=(0, 1))


@pytest.mark.parametrize("side", [SOURCE, TARGET])
def test_instruct_flip_takes_every_listed_clip_with_both_frames_on_either_side(casia, casia_index, side):
    found = listed(own_lists(casia, INSTRUCT_FLIP), casia_index, "C", side)
    assert found == pictures("train/1_1", "test/1_1", "test/2_1", "train/1_3", "test/1_3", "test/2_3", frames=(0, 1))


def test_frames_of_numbered_recordings_match_whatever_their_padding(tmp_path, write_lists, index_of):
    folder = write_lists(
        tmp_path,
        cefa_fake_test=["cefa/test/fake/1_285_3_1_2_08.jpg"],
        cefa_real_test=["cefa/test/real/1_285_1_1_1_00.jpg"],
    )
    names = ("1_285_3_1_2_8", "1_285_3_1_2_0008", "1_285_3_1_2_18", "1_285_1_1_1_000", "")
    index = index_of("Ce", [("test", "285", name[:11], name.startswith("1_285_1"), name) for name in names])
    np.testing.assert_array_equal(own_lists(folder).rows(index, "Ce", TARGET), [True, True, False, True, False])


def test_a_record_of_the_other_class_is_no_match(casia, casia_index):
    flipped = np.where(casia_index["video_id"] == "test/1_3", True, casia_index["is_bona_fide"])
    index = Index({**casia_index.columns, "is_bona_fide": flipped})
    with pytest.raises(DataError, match="2 of 8 pictures have no record of their class, first test/1_3_frame0"):
        own_lists(casia).rows(index, "C", TARGET)


def test_missing_records_are_said_up_to_a_share_and_refused_above_it(casia, casia_index, caplog):
    index = casia_index.where(casia_index["source_name"] != "test/1_1_frame1")
    with pytest.raises(DataError, match=r"'C' as a target: 1 of 8 .*first test/1_1_frame1; expected at most 12%"):
        own_lists(casia, missing_share=0.12).rows(index, "C", TARGET)
    with caplog.at_level(logging.WARNING, logger="absl"):
        found = own_lists(casia, missing_share=0.13).rows(index, "C", TARGET)
    assert found.sum() == 7
    assert "'C' as a target: 1 of 8 pictures have no record" in caplog.text
    caplog.clear()
    own_lists(casia, missing_share=0.13).rows(casia_index, "C", TARGET)
    assert not caplog.records


def test_at_most_three_missing_names_are_shown_and_nothing_found_is_always_an_error(casia, casia_index):
    index = Index({**casia_index.columns, "source_name": np.full(len(casia_index), "", object)})
    with pytest.raises(DataError, match="8 of 8") as caught:
        own_lists(casia, missing_share=1.0).rows(index, "C", TARGET)
    assert str(caught.value).count("_frame") == 3


def test_a_picture_in_lists_of_both_classes_is_an_error(casia, casia_index, write_lists):
    write_lists(casia, casia_fake_test=["casia/test/fake/1_1_frame0.png"])
    with pytest.raises(DataError, match="name 'test/1_1_frame0' in both classes"):
        own_lists(casia).rows(casia_index, "C", TARGET)


def test_celeb_spoof_has_lists_as_a_source_of_flip_alone(tmp_path):
    flip, instruct_flip = own_lists(tmp_path), own_lists(tmp_path, INSTRUCT_FLIP)
    assert [flip.has("CA", side) for side in (SOURCE, TARGET)] == [True, False]
    assert [instruct_flip.has("CA", side) for side in (SOURCE, TARGET)] == [False, False]
    assert all(lists.has("W", side) for lists in (flip, instruct_flip) for side in (SOURCE, TARGET))
    with pytest.raises(ConfigError, match=r"flip_lists has no list of domain 'own', only of M, C.*data\.lists=native"):
        flip.has("own", TARGET)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folder": ""}, r"data\.lists=flip_lists needs data\.lists_dir, found ''; give the folder"),
        ({"folder": "nowhere"}, r"needs data\.lists_dir, found 'nowhere'"),
        ({"variant": "flip_list"}, r"data\.lists 'flip_list' unknown.*did you mean 'flip_lists'"),
        ({"missing_share": 5.0}, r"data\.lists_missing=5\.0 is no share"),
    ],
)
def test_lists_that_cannot_be_are_config_errors(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        Lists(**{"variant": FLIP, "folder": str(tmp_path), **change})


def test_shots_are_the_first_lines_attacks_first_in_the_order_of_the_lists(tmp_path, write_lists, index_of):
    folder = write_lists(
        tmp_path,
        surf_fake_shot=[f"surf/test/fake/Val_0001_{n}-color.jpg" for n in ("c", "a", "b")],
        surf_real_shot=[f"surf/test/real/Val_0002_{n}-color.jpg" for n in ("f", "e", "d")],
    )
    rows = [("dev", n, n, n > "c", f"Val_000{1 + (n > 'c')}_{n}-color") for n in "abcdef"]
    index = index_of("S", rows)
    assert [rows[i][1] for i in own_lists(folder).shots(index, "S", 2)] == ["c", "a", "f", "e"]
    with pytest.raises(ConfigError, match=r"data\.shots=4: the lists have 3 attack shots of 'S'"):
        own_lists(folder).shots(index, "S", 4)
    with pytest.raises(ConfigError, match="InstructFLIP has no shots"):
        own_lists(folder, INSTRUCT_FLIP).shots(index, "S", 2)
    flipped = Index({**index.columns, "is_bona_fide": index["video_id"] > "b"})
    for changed in (index.where(index["video_id"] != "c"), flipped):
        with pytest.raises(DataError, match="shots of 'S' have no record of their class: Val_0001_c-color"):
            own_lists(folder).shots(changed, "S", 1)


def test_released_videos_of_both_systems(index_of):
    """CASIA has 20 and 30 subjects with twelve clips each, numbered from 1 in either folder."""
    kinds = [*range(1, 9), *(f"HR_{n}" for n in range(1, 5))]
    clips = [
        f"{s}/{i}_{kind}" for s, count in (("train", 20), ("test", 30)) for i in range(1, count + 1) for kind in kinds
    ]
    casia = index_of("C", clip_rows(*clips))
    flip, instruct_flip = (with_released_videos(casia, variant) for variant in (FLIP, INSTRUCT_FLIP))
    np.testing.assert_array_equal(flip["video_id"], casia["video_id"])
    assert len(set(casia["video_id"])) == 600
    assert len(set(instruct_flip["video_id"])) == 360
    merged = instruct_flip["source_name"][instruct_flip["video_id"] == "20_HR_4"]
    assert set(merged) == pictures("train/20_HR_4", "test/20_HR_4", frames=(0, 1))
    assert casia["video_id"][0] == "train/1_1", "the index that was given stays as it is"


@pytest.mark.parametrize("variant", [FLIP, INSTRUCT_FLIP])
@pytest.mark.parametrize("domain", ["W", "Ce", "S", "CA"])
def test_released_pictures_without_a_frame_pair_are_videos_of_their_own(index_of, domain, variant):
    index = index_of(domain, [("test", "p", "v", True, name) for name in ("a_00", "a_01", "")])
    assert set(with_released_videos(index, variant)["video_id"]) == {"v#0", "v#1", "v#2"}


def test_sixty_thousand_names_are_no_work(tmp_path, write_lists, index_of):
    names = [f"15.05.18_{i:06d}_05_069_4_07" for i in range(6_000)]
    lines = [f"wmca/test/fake/{name}_{frame:02d}.jpg" for name in names for frame in range(10)]
    write_lists(tmp_path, wmca_fake_test=lines, wmca_real_test=[])
    index = index_of("W", [("test", "p", n, False, f"{n}_{frame}") for n in names for frame in range(10)])
    start = time.perf_counter()
    found = own_lists(tmp_path).rows(index, "W", TARGET)
    took = time.perf_counter() - start
    assert found.all() and len(found) == 60_000
    assert took < 3, f"{took:.1f} s"
