"""CASIA-SURF CeFA: what folder names say, and presentations that are folders of numbered pictures."""

import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import pytest

from data_prep.crops import crop_entry
from data_prep.datasets import casia_cefa
from data_prep.entries import Entry, Problem
from data_prep.recipes import options_for
from flipjax.core import labels
from flipjax.core.errors import DataError, ImageError
from raw_archives import wcs

PHOTO, OTHER, MASK = 1, -1, 10
INDOOR, OUTDOOR, UNKNOWN = 0, 1, -1
BACK = 2
# folder -> person, split, population, instrument (0 bona fide), species, device, environment
PEOPLE = {
    "AF/AF-000/1_000_1_1_1": ("AF-000", "train", "africa", 0, "", "rssdk", INDOOR),
    "AF/AF-000/1_000_3_1_2": ("AF-000", "train", "africa", PHOTO, "print/cloth", "bag", INDOOR),
    "AF/AF-000/1_000_3_2_2": ("AF-000", "train", "africa", PHOTO, "print/cloth", "bag", OUTDOOR),
    "AF/AF-000/1_000_3_1_4": ("AF-000", "train", "africa", OTHER, "replay", "bag", INDOOR),
    "AF/AF-120/1_120_3_1_4": ("AF-120", "train", "africa", OTHER, "replay", "bag", INDOOR),
    "AF/AF-199/1_199_1_1_1": ("AF-199", "train", "africa", 0, "", "rssdk", INDOOR),
    "AF/AF-200/1_200_1_1_1": ("AF-200", "dev", "africa", 0, "", "rssdk", INDOOR),
    "AF/AF-223/1_223_3_1_2": ("AF-223", "dev", "africa", PHOTO, "print/cloth", "bag", INDOOR),
    "AF/AF-299/1_299_3_2_2": ("AF-299", "dev", "africa", PHOTO, "print/cloth", "bag", OUTDOOR),
    "AF/AF-300/1_300_1_1_1": ("AF-300", "test", "africa", 0, "", "rssdk", INDOOR),
    "AF/AF-415/1_415_1_1_1": ("AF-415", "test", "africa", 0, "", "rssdk", INDOOR),
    "AF/AF-499/1_499_3_1_4": ("AF-499", "test", "africa", OTHER, "replay", "bag", INDOOR),
    "CA/CA-001/2_001_1_1_1": ("CA-001", "train", "central_asia", 0, "", "rssdk", INDOOR),
    "CA/CA-250/2_250_3_2_2": ("CA-250", "dev", "central_asia", PHOTO, "print/cloth", "bag", OUTDOOR),
    "CA/CA-310/2_310_3_1_4": ("CA-310", "test", "central_asia", OTHER, "replay", "bag", INDOOR),
    "EA/EA-012/3_012_1_1_1": ("EA-012", "train", "east_asia", 0, "", "rssdk", INDOOR),
    "EA/EA-012-198006250024/3_012_3_1_2": ("EA-012", "train", "east_asia", PHOTO, "print/cloth", "bag", INDOOR),
    "EA/EA-012-19800625002X/3_012_3_1_4": ("EA-012", "train", "east_asia", OTHER, "replay", "bag", INDOOR),
    "EA/EA-299/3_299_2_3_1": ("EA-299", "dev", "east_asia", 0, "", "mp4", UNKNOWN),
    "Ethnicity/EA/EA-400/3_400_4_3_4": ("EA-400", "test", "east_asia", OTHER, "replay", "mov", UNKNOWN),
}
# folder -> mask, species, device, environment, illumination
MASKS = {
    "3D-Mask/073/1_073_1_0_2_1_2": ("3d_mask-073", "3d_mask", "d435i", INDOOR, BACK),
    "3D-MASK/002/1_002_1_1_2_1_3": ("3d_mask-002", "3d_mask", "d435i", INDOOR, UNKNOWN),
    "Mask/3D-Mask/015/1_015_0_0_2_2_3": ("3d_mask-015", "3d_mask", "d435i", OUTDOOR, UNKNOWN),
    "Mask/3D-Mask/100/1_100_0_0_1_1_1": ("3d_mask-100", "3d_mask", "camera", INDOOR, UNKNOWN),
    "Silicone-Mask/001/2_001_1_1_2_1_3": ("silicone_mask-001", "silicone_mask", "d435i", INDOOR, UNKNOWN),
    "Mask/Silicone-Mask/008/2_008_1_0_2_1_2": ("silicone_mask-008", "silicone_mask", "d435i", INDOOR, BACK),
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return wcs.write_cefa(tmp_path / "CeFA-Race")


@pytest.fixture
def entry(raw: Path) -> Entry:
    return next(e for e in casia_cefa.read(raw).entries if e.sample_id == "1_000_1_1_1")


@pytest.mark.parametrize(("name", "expected"), PEOPLE.items())
def test_names_tell_person_split_and_take(name: str, expected: tuple[str, str, str, int, str, str, int]) -> None:
    entry = casia_cefa.parse(name)
    assert entry is not None
    person, split, population, instrument, species, device, environment = expected
    stem = name.rsplit("/", maxsplit=1)[-1]
    assert (entry.subject_id, entry.split, entry.population) == (person, split, population)
    assert (entry.attack_instrument, entry.is_bona_fide) == (instrument, instrument == 0)
    assert (entry.pai_species, entry.device, entry.environment) == (species, device, environment)
    assert (entry.session, entry.illumination) == (stem.split("_")[3], labels.UNKNOWN)
    assert (entry.sample_id, entry.video_id) == (stem, stem)
    assert entry.source_name.format(rank=3, number=7) == f"{stem}_07"
    assert (entry.domain, entry.has_frames, entry.frames) == ("Ce", True, None)


@pytest.mark.parametrize(("name", "expected"), MASKS.items())
def test_names_of_masks_tell_kind_and_light(name: str, expected: tuple[str, str, str, int, int]) -> None:
    entry = casia_cefa.parse(name)
    assert entry is not None
    mask, species, device, environment, illumination = expected
    assert (entry.subject_id, entry.pai_species, entry.device) == (mask, species, device)
    assert (entry.environment, entry.illumination) == (environment, illumination)
    assert (entry.attack_instrument, entry.is_bona_fide, entry.split) == (MASK, False, "test")
    assert (entry.sample_id, entry.source_name, entry.has_frames) == (name.rsplit("/", maxsplit=1)[-1], "", True)


@pytest.mark.parametrize(
    "name",
    [
        "AF/AF-000/1_000_3_1_3",  # a photograph: in the naming scheme, not in the set
        "AF/AF-000/1_001_1_1_1",  # another person's
        "AF/AF-000/2_000_1_1_1",  # another ethnicity's
        "AF/CA-000/1_000_1_1_1",
        "AF/AF-500/1_500_1_1_1",
        "AF/AF-00/1_00_1_1_1",
        "AF/AF-000/1_000_1_1",
        "AF/AF-000/1_000_1_1_1/profile",
        "3D-Mask/073/1_074_1_0_2_1_2",
        "3D-Mask/073/1_073_1_0_2_1_5",
        "3D-Mask/073/1_073_1_1_1",
        "phase1/train/1_031_1_1_1",
        "",
    ],
)
def test_other_names_match_no_rule(name: str) -> None:
    assert casia_cefa.parse(name) is None


def test_every_folder_is_an_entry_or_unused(raw: Path) -> None:
    listing = casia_cefa.read(raw.parent)
    presentations = len(wcs.CEFA_SUBJECTS) * len(wcs.CEFA_TAKES) + len(wcs.CEFA_MASKS)
    assert len(listing.entries) == len({entry.sample_id for entry in listing.entries}) == presentations
    assert len(listing.unused) == 2 * presentations
    assert {"AF/AF-000/1_000_1_1_1/depth", "AF/AF-000/1_000_1_1_1/ir"} < set(listing.unused)
    assert (listing.strays, listing.problems) == ([], [])
    assert {entry.path.name for entry in listing.entries} == {"profile", "color"}
    assert all(entry.path.is_dir() for entry in listing.entries)
    assert Counter((entry.split, entry.instrument) for entry in listing.entries) == {
        ("train", "bona_fide"): 3,
        ("train", "photo"): 6,
        ("train", "other"): 3,
        ("dev", "bona_fide"): 2,
        ("dev", "photo"): 4,
        ("dev", "other"): 2,
        ("test", "bona_fide"): 2,
        ("test", "photo"): 4,
        ("test", "other"): 2,
        ("test", "mask_3d"): 2,
    }


def test_what_matches_no_rule_is_listed_once_per_folder_of_pictures(raw: Path) -> None:
    (raw / "AF/AF-000/1_000_1_1_1").rename(raw / "AF/AF-000/1_000_1_1_9")
    (raw / "AF/AF-000/1_000_3_1_2/profile/0003.png").touch()
    (raw / "readme.md").touch()
    assert sorted(casia_cefa.read(raw).strays) == [
        "AF/AF-000/1_000_1_1_9/depth",
        "AF/AF-000/1_000_1_1_9/ir",
        "AF/AF-000/1_000_1_1_9/profile",
        "AF/AF-000/1_000_3_1_2/profile/0003.png",
        "readme.md",
    ]


def test_a_presentation_without_colour_is_a_problem(raw: Path) -> None:
    shutil.rmtree(raw / "CA/CA-199/2_199_1_1_1/profile")
    name = "CA/CA-199/2_199_1_1_1"
    reason = f"{name}: no colour pictures, only depth, ir; copy it again"
    assert casia_cefa.read(raw).problems == [Problem(name, reason)]


def test_one_of_two_colour_folders_is_taken(raw: Path) -> None:
    take = raw / "CA/CA-199/2_199_1_1_1"
    shutil.copytree(take / "profile", take / "color")
    listing = casia_cefa.read(raw)
    assert [e.path.name for e in listing.entries if e.sample_id == take.name] == ["profile"]
    assert "CA/CA-199/2_199_1_1_1/color" in listing.unused


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="as CASIA-SURF CeFA does"):
        casia_cefa.read(tmp_path)


def test_pictures_are_numbered_from_zero_with_gaps(entry: Entry) -> None:
    clip = casia_cefa.open_entry(entry)
    assert list(clip.numbers) == [0, 1, 3]
    ((number, picture),) = clip.read((3,))
    assert number == 3
    (entry.path / "0004.jpg").write_bytes((entry.path / "0001.jpg").read_bytes())
    ((_, first), (_, last)) = casia_cefa.open_entry(entry).read((0, 3))
    assert (first == last).all()
    assert (picture != last).any()


def test_pictures_are_ordered_by_number_whatever_their_padding(entry: Entry) -> None:
    for name in ("10.jpg", "9.jpg", "0100.jpg", "0000.jpg", "notes.txt"):
        (entry.path / name).touch()
    assert list(casia_cefa.open_entry(entry).numbers) == [0, 1, 3, 8, 9, 99]


def test_folders_without_pictures_and_damaged_pictures_are_named(entry: Entry) -> None:
    whole = (entry.path / "0002.jpg").read_bytes()
    (entry.path / "0002.jpg").write_bytes(whole[: len(whole) // 4])
    frames = casia_cefa.open_entry(entry).read((0, 1))
    assert next(frames)[0] == 0
    with pytest.raises(ImageError, match=r"0002\.jpg: cannot be read as a picture"):
        next(frames)
    for path in entry.path.iterdir():
        path.unlink()
    with pytest.raises(ImageError, match=r"1_000_1_1_1/profile: no picture such as '0001\.jpg'"):
        casia_cefa.open_entry(entry)
    with pytest.raises(ImageError, match="gone: no such folder"):
        casia_cefa.open_entry(dataclasses.replace(entry, path=entry.path / "gone"))


def test_flips_recipe_takes_the_border_off_and_names_records_as_its_lists(entry: Entry) -> None:
    crops = crop_entry(casia_cefa, entry, options_for(casia_cefa.FACTS, "flip", {}))
    assert [frame.fields["source_name"] for frame in crops.frames] == [f"1_000_1_1_1_{n:02d}" for n in (0, 1, 3)]
    assert [frame.fields["sample_id"] for frame in crops.frames] == [f"1_000_1_1_1#{n}" for n in (0, 1, 3)]
    assert crops.frames[0].fields["box"] == (0.0, 0.0, 47.0, 47.0)


def test_published_counts_agree_with_each_other() -> None:
    facts = casia_cefa.FACTS
    bona_fide = {split: of["bona_fide"] for split, of in facts.totals.items()}
    attacks = {split: of["photo"] + of["other"] for split, of in facts.totals.items()}
    assert bona_fide == {"train": 3 * 200, "dev": 3 * 100, "test": 3 * 200}
    for group, clips in (("bona_fide", bona_fide), ("attack", attacks)):
        assert facts.flip_counts["train", group] == 10 * sum(clips.values())
        assert facts.flip_counts["test", group] + facts.flip_counts["shot", group] == 10 * clips["dev"]
        assert facts.instruct_flip_counts["extracted", group] == 10 * sum(clips.values())
