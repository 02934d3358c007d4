"""WMCA: what file names say, and reading frames by number from HDF5 whatever is missing or broken."""

import dataclasses
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_prep.crops import crop_entry
from data_prep.datasets import wmca
from data_prep.entries import Entry, split_of
from data_prep.recipes import options_for
from flipjax.core import labels
from flipjax.core.errors import ConfigError, DataError, ImageError
from raw_archives import wcs

OTHER, A4, MASK = -1, 3, 10
# name below the colour folder -> recording, person, session, instrument (0 bona fide), species
NAMES = {
    "15.05.18/019_05_069_4_07": ("15.05.18_019_05_069_4_07", "019", "05", OTHER, "replay/video"),
    "12.02.18/005_03_000_0_01": ("12.02.18_005_03_000_0_01", "005", "03", 0, ""),
    "31.01.18/514_01_035_1_05": ("31.01.18_514_01_035_1_05", "035", "01", OTHER, "facial_disguise"),
    "31.01.18/035_01_000_0_00": ("31.01.18_035_01_000_0_00", "035", "01", 0, ""),
    "22.01.18/005_01_000_0_01": ("22.01.18_005_01_000_0_01", "005", "01", 0, ""),
    "22.01.18/005_01_000_0_02": ("22.01.18_005_01_000_0_02", "005", "01", 0, ""),
    "13.03.18/530_03_001_2_18": ("13.03.18_530_03_001_2_18", "530", "03", MASK, "fake_face/pai_18"),
    "09.02.18/018_02_000_3_10": ("09.02.18_018_02_000_3_10", "018", "02", OTHER, "replay/photo"),
    "09.02.18/001_02_000_3_05": ("09.02.18_001_02_000_3_05", "001", "02", OTHER, "replay/photo"),
    "09.02.18/098_02_000_3_15": ("09.02.18_098_02_000_3_15", "098", "02", OTHER, "replay/photo"),
    "09.02.18/001_04_010_3_03": ("09.02.18_001_04_010_3_03", "001", "04", A4, "print"),
    "09.02.18/098_06_009_3_14": ("09.02.18_098_06_009_3_14", "098", "06", A4, "print"),
    "09.02.18/018_02_000_3_06": ("09.02.18_018_02_000_3_06", "018", "02", A4, "print"),
    "07.02.18/501_02_000_2_02": ("07.02.18_501_02_000_2_02", "501", "02", MASK, "fake_face/pai_02"),
    "07.02.18/012_02_003_2_14": ("07.02.18_012_02_003_2_14", "012", "02", MASK, "fake_face/pai_14"),
    "07.02.18/106_07_008_2_99": ("07.02.18_106_07_008_2_99", "106", "07", MASK, "fake_face/pai_99"),
    "07.02.18/101_02_030_1_02": ("07.02.18_101_02_030_1_02", "030", "02", OTHER, "facial_disguise"),
    "07.02.18/520_02_000_1_08": ("07.02.18_520_02_000_1_08", "520", "02", OTHER, "facial_disguise"),
    "07.02.18/098_03_020_4_18": ("07.02.18_098_03_020_4_18", "098", "03", OTHER, "replay/video"),
    "face-station/01.02.18/012_01_000_0_00": ("01.02.18_012_01_000_0_00", "012", "01", 0, ""),
    "15.05.18_019_05_069_4_07": ("15.05.18_019_05_069_4_07", "019", "05", OTHER, "replay/video"),
    "15.05.18/15.05.18_019_05_069_4_07": ("15.05.18_019_05_069_4_07", "019", "05", OTHER, "replay/video"),
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wcs.write_wmca(tmp_path_factory.mktemp("W") / "WMCA")


def recording(folder: Path, **datasets: np.ndarray) -> Entry:
    path = folder / "broken.hdf5"
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name.replace("__", "/")] = data
    return entry_of(path)


def entry_of(path: Path) -> Entry:
    entry = wmca.parse("preprocessed-face-station_RGB/15.05.18/019_05_069_4_07.hdf5")
    assert entry is not None
    return dataclasses.replace(entry, path=path)


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_names_tell_person_type_and_recording(name: str, expected: tuple[str, str, str, int, str]) -> None:
    entry = wmca.parse(f"preprocessed-face-station_RGB/{name}.hdf5")
    assert entry is not None
    recording_name, person, session, instrument, species = expected
    assert (entry.sample_id, entry.video_id) == (recording_name, recording_name)
    assert (entry.subject_id, entry.session, entry.pai_species) == (person, session, species)
    assert (entry.attack_instrument, entry.is_bona_fide) == (instrument, instrument == 0)
    assert entry.split == split_of(person)
    assert entry.source_name.format(rank=2, number=5) == f"{recording_name}_05"
    assert (entry.domain, entry.has_frames, entry.frames) == ("W", True, None)


@pytest.mark.parametrize(
    "name",
    [
        "preprocessed-face-station_CDIT/15.05.18/019_05_069_4_07.hdf5",  # other channels
        "preprocessed-face-station_RGB/019_05_069_4_07.hdf5",  # no date
        "preprocessed-face-station_RGB/15.05.2018/019_05_069_4_07.hdf5",
        "preprocessed-face-station_RGB/15.05.18/861_05_069_5_139.hdf5",  # makeup, a later set
        "preprocessed-face-station_RGB/15.05.18/019_05_069_5_07.hdf5",
        "preprocessed-face-station_RGB/15.05.18/019_05_069_07.hdf5",
        "preprocessed-face-station_RGB/15.05.18/019_05_069_4_07.h5",
        "preprocessed-face-station_RGB/15.05.18/019_05_069_4_07.hdf5.part",
        "15.05.18/019_05_069_4_07.hdf5",
    ],
)
def test_other_names_match_no_rule(name: str) -> None:
    assert wmca.parse(name) is None


def test_every_name_is_an_entry_unused_or_a_stray(raw: Path, tmp_path: Path) -> None:
    listing = wmca.read(raw)
    assert len(listing.entries) == len(wcs.WMCA_STEMS)
    assert sum(name.startswith("preprocessed-face-station_CDIT/") for name in listing.unused) == len(wcs.WMCA_STEMS)
    assert "documentation/attack_illustration_files.csv" in listing.unused
    assert (listing.strays, listing.problems) == ([], [])
    stray = tmp_path / "WMCA/preprocessed-face-station_RGB/15.05.18/019_05_069_5_07.hdf5"
    stray.parent.mkdir(parents=True)
    stray.touch()
    assert wmca.read(tmp_path).strays == [stray.relative_to(tmp_path / "WMCA").as_posix()]


def test_the_miniature_has_both_classes_and_every_type(raw: Path) -> None:
    entries = wmca.read(raw).entries
    assert {(e.split, e.is_bona_fide) for e in entries} == {
        (s, b) for s in ("train", "dev", "test") for b in (True, False)
    }
    assert {e.pai_species.split("/pai")[0] for e in entries} == {
        "",
        "facial_disguise",
        "fake_face",
        "print",
        "replay/photo",
        "replay/video",
    }
    assert Counter(e.instrument for e in entries) == {"bona_fide": 5, "other": 5, "a4_paper": 2, "mask_3d": 2}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not hold 'preprocessed-face-station_RGB' as WMCA does"):
        wmca.read(tmp_path)


def test_frames_are_ordered_by_number_and_keep_it(raw: Path) -> None:
    entry = wmca.read(raw).entries[0]
    clip = wmca.open_entry(entry)
    assert tuple(clip.numbers) == wcs.WMCA_FRAMES
    (number, picture), (last, _) = clip.read((3, 20))
    assert (number, last) == (3, 20)
    with h5py.File(entry.path) as file:
        np.testing.assert_array_equal(picture, np.asarray(file["Frame_3/array"]).transpose(1, 2, 0))
    assert picture.shape == (80, 80, 3)
    assert picture.dtype == np.uint8


def test_colours_are_not_swapped(tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200
    entry = entry_of(wcs.write_recording(tmp_path / "red.hdf5", {7: picture}))
    ((number, read),) = wmca.open_entry(entry).read((7,))
    assert number == 7
    np.testing.assert_array_equal(read, picture)


def test_groups_that_are_no_frame_are_passed_over(tmp_path: Path) -> None:
    planes = np.zeros((3, 4, 5), np.uint8)
    entry = recording(tmp_path, Frame_4__array=planes, Frame_04__array=planes, Frames=planes, Frame_x=planes)
    assert list(wmca.open_entry(entry).numbers) == [4]


def test_files_without_frames_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"broken\.hdf5: no group 'Frame_<number>'"):
        wmca.open_entry(recording(tmp_path, other=np.zeros(3)))
    with pytest.raises(ImageError, match=r"gone\.hdf5: no such file"):
        wmca.open_entry(entry_of(tmp_path / "gone.hdf5"))
    (tmp_path / "empty.hdf5").touch()
    with pytest.raises(ImageError, match=r"empty\.hdf5: the file is empty"):
        wmca.open_entry(entry_of(tmp_path / "empty.hdf5"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_files_that_are_no_hdf5_are_named_in_one_line(tmp_path: Path, raw: Path, share: float) -> None:
    whole = wmca.read(raw).entries[0].path.read_bytes()
    (tmp_path / "cut.hdf5").write_bytes(whole[: int(len(whole) * share)] or b"not hdf5 at all")
    with pytest.raises(ImageError, match=r"cut\.hdf5: cannot be read as an HDF5 file") as caught:
        wmca.open_entry(entry_of(tmp_path / "cut.hdf5"))
    assert "\n" not in str(caught.value)


def test_a_damaged_frame_is_named_and_earlier_ones_come(tmp_path: Path) -> None:
    planes = np.zeros((3, 4, 5), np.uint8)
    for bad, message in [
        ({"Frame_2__other": planes}, "no dataset 'Frame_2/array'"),
        ({"Frame_2": planes}, "no dataset 'Frame_2/array'"),
        ({"Frame_2__array__deeper": planes}, "no dataset 'Frame_2/array'"),
        ({"Frame_2__array": planes.transpose(1, 2, 0)}, r"'Frame_2/array' is uint8 of shape \(4, 5, 3\); expected"),
        ({"Frame_2__array": planes.astype(np.float32)}, "'Frame_2/array' is float32"),
        ({"Frame_2__array": planes[:, :0]}, r"shape \(3, 0, 5\)"),
    ]:
        frames = wmca.open_entry(recording(tmp_path, Frame_1__array=planes, **bad)).read((1, 2))
        assert next(frames)[0] == 1
        with pytest.raises(ImageError, match=rf"broken\.hdf5: .*{message}"):
            next(frames)


def test_damaged_bytes_of_a_frame_are_reported_as_an_image_error(tmp_path: Path) -> None:
    path = tmp_path / "torn.hdf5"
    with h5py.File(path, "w") as file:
        planes = file.create_dataset(
            "Frame_0/array", data=np.arange(300).astype(np.uint8).reshape(3, 10, 10), compression=4
        )
        file.flush()
        start = planes.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start : start + 4] = b"torn"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"torn\.hdf5: cannot be read as an HDF5 file"):
        list(wmca.open_entry(entry_of(path)).read((0,)))


def test_a_dataset_that_claims_an_absurd_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("Frame_0/array", shape=(3, 10**6, 10**6), dtype=np.uint8, chunks=(3, 64, 64))
    with pytest.raises(ImageError, match=r"huge\.hdf5: dataset 'Frame_0/array' is uint8 of shape \(3, 1000000"):
        list(wmca.open_entry(entry_of(path)).read((0,)))


def test_without_the_hdf5_package_the_extra_is_named(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = wmca.read(raw).entries[0]
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"pip install 'flipjax\[prep\]'"):
        wmca.open_entry(entry)


def test_flips_recipe_takes_the_border_off_and_names_records_as_its_lists(raw: Path) -> None:
    entry = wmca.read(raw).entries[0]
    crops = crop_entry(wmca, entry, options_for(wmca.FACTS, "flip", {}))
    assert [frame.fields["source_name"] for frame in crops.frames] == [
        f"15.05.18_001_01_000_0_00_{number:02d}" for number in wcs.WMCA_FRAMES
    ]
    assert crops.frames[0].fields["box"] == (0.0, 0.0, 47.0, 47.0)
    assert crops.frames[0].fields["detector"] == "none"


def test_published_counts_agree_with_each_other() -> None:
    flip, instruct = wmca.FACTS.flip_counts, wmca.FACTS.instruct_flip_counts
    assert flip["train", "bona_fide"] == 347 * 10
    assert flip["test", "attack"] + flip["shot", "attack"] == 548 * 10
    for group in labels.CLASS_NAMES:
        lines = flip["train", group] + flip["test", group] + flip["shot", group]
        assert lines == instruct["extracted", group]
    assert sum(instruct["evaluated", group] for group in labels.CLASS_NAMES) == 23915
