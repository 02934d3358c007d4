"""CASIA-SURF: what names and lists say of pictures, and lists that contradict the pictures."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.crops import crop_entry
from data_prep.datasets import casia_surf
from data_prep.datasets.casia_surf import Picture
from data_prep.recipes import options_for
from flipjax.core.errors import DataError
from raw_archives import wcs

# name below Training -> person, bona fide, species, published name behind "Training_"
TRAINING = {
    "real_part/CLKJ_AS0005/real.rssdk/color/101.jpg": ("CLKJ_AS0005", True, ""),
    "real_part/CLKJ_CS0110/real.rssdk/color/91.jpg": ("CLKJ_CS0110", True, ""),
    "real_part/CLKJ_BS0831/real.rssdk/color/0015.jpg": ("CLKJ_BS0831", True, ""),
    "real_part/CLKJ_BS1510/real.rssdk/color/1.jpg": ("CLKJ_BS1510", True, ""),
    "fake_part/CLKJ_AS0005/04_en_b.rssdk/color/101.jpg": ("CLKJ_AS0005", False, "print/cut_eyes_nose/bent"),
    "fake_part/CLKJ_AS0005/04_en_b.rssdk/color/1.jpg": ("CLKJ_AS0005", False, "print/cut_eyes_nose/bent"),
    "fake_part/CLKJ_CS0110/05_enm_s.rssdk/color/31.jpg": ("CLKJ_CS0110", False, "print/cut_eyes_nose_mouth/still"),
    "fake_part/CLKJ_BS0831/05_enm_s.rssdk/color/131.jpg": ("CLKJ_BS0831", False, "print/cut_eyes_nose_mouth/still"),
    "fake_part/CLKJ_AS0030/06_enm_b.rssdk/color/251.jpg": ("CLKJ_AS0030", False, "print/cut_eyes_nose_mouth/bent"),
    "fake_part/CLKJ_BS0049/01_e_s.rssdk/color/11.jpg": ("CLKJ_BS0049", False, "print/cut_eyes/still"),
    "fake_part/CLKJ_BS0049/02_e_b.rssdk/color/11.jpg": ("CLKJ_BS0049", False, "print/cut_eyes/bent"),
    "fake_part/CLKJ_BS0049/03_en_s.rssdk/color/11.jpg": ("CLKJ_BS0049", False, "print/cut_eyes_nose/still"),
}
NUMBERED = {
    "Val/0000/000000-color.jpg": "dev",
    "Val/0000/000037-color.jpg": "dev",
    "Val/0000/000999-color.jpg": "dev",
    "Val/0009/009607-color.jpg": "dev",
    "Testing/0000/000000-color.jpg": "test",
    "Testing/0001/001500-color.jpg": "test",
    "Testing/0010/010000-color.jpg": "test",
    "Testing/0057/057709-color.jpg": "test",
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return wcs.write_surf(tmp_path / "CASIA_SURF_Challenge")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(("name", "expected"), TRAINING.items())
def test_names_of_training_pictures_tell_person_and_attack(name: str, expected: tuple[str, bool, str]) -> None:
    person, is_bona_fide, species = expected
    clip = f"Training/{name}".rpartition("/color/")[0]
    assert casia_surf.parse(f"Training/{name}") == Picture("train", person, clip, is_bona_fide, species)


@pytest.mark.parametrize(("name", "split"), NUMBERED.items())
def test_names_of_other_pictures_tell_the_split_alone(name: str, split: str) -> None:
    own = name.removesuffix(".jpg")
    assert casia_surf.parse(name) == Picture(split, own, own, None)


@pytest.mark.parametrize(
    "name",
    [
        "Training/real_part/CLKJ_AS0005/real.rssdk/depth/101.jpg",
        "Training/real_part/CLKJ_AS0005/04_en_b.rssdk/color/101.jpg",
        "Training/fake_part/CLKJ_AS0005/real.rssdk/color/101.jpg",
        "Training/fake_part/CLKJ_AS0005/04__b.rssdk/color/101.jpg",
        "Training/fake_part/CLKJ_AS0005/04_en_x.rssdk/color/101.jpg",
        "Training/fake_part/CLKJ_AS0005/04_en_b/color/101.jpg",
        "Training/real_part/AS0005/real.rssdk/color/101.jpg",
        "Training/real_part/CLKJ_AS0005/real.rssdk/color/101.png",
        "Val/0000/000037-ir.jpg",
        "Val/0000/000037.jpg",
        "Val/000037-color.jpg",
        "Test/0000/000037-color.jpg",
        "train_list.txt",
    ],
)
def test_other_names_match_no_rule(name: str) -> None:
    assert casia_surf.parse(name) is None


def test_every_name_is_an_entry_unused_or_a_list(raw: Path) -> None:
    listing = casia_surf.read(raw.parent)
    clips = len(wcs.SURF_PEOPLE) * (1 + len(wcs.SURF_ATTACKS))
    listed = sum(len(numbers) for numbers in wcs.SURF_LISTED.values())
    assert len(listing.entries) == clips * len(wcs.SURF_NUMBERS) + listed
    assert (listing.strays, listing.problems) == ([], [])
    assert len(listing.unused) == len(set(listing.unused)) == 2 * clips + 2 * 2 + 2 * 2 + 1
    assert {
        "Training/real_part/CLKJ_AS0005/real.rssdk/depth",
        "Val/0000/*-ir.jpg",
        "Testing/0057/*-depth.jpg",
        "val_public_list.txt",
    } < set(listing.unused)
    assert Counter((entry.split, entry.instrument) for entry in listing.entries) == {
        ("train", "bona_fide"): 9,
        ("train", "region_mask_2d"): 27,
        ("dev", "bona_fide"): 3,
        ("dev", "other"): 1,
        ("test", "bona_fide"): 1,
        ("test", "other"): 3,
    }


def test_entries_have_the_published_names_and_pictures_of_a_clip_one_video(raw: Path) -> None:
    entries = {entry.sample_id: entry for entry in casia_surf.read(raw).entries}
    attack = entries["Training/fake_part/CLKJ_AS0005/05_enm_s.rssdk/color/91"]
    assert attack.path == raw / "Training/fake_part/CLKJ_AS0005/05_enm_s.rssdk/color/91.jpg"
    assert attack.source_name == "Training_fake_part_CLKJ_AS0005_05_enm_s.rssdk_color_91"
    assert attack.video_id == entries["Training/fake_part/CLKJ_AS0005/05_enm_s.rssdk/color/1"].video_id
    assert attack.video_id != entries["Training/fake_part/CLKJ_AS0005/04_en_b.rssdk/color/1"].video_id
    assert (attack.subject_id, attack.has_frames, attack.domain) == ("CLKJ_AS0005", False, "S")
    bona_fide = entries["Training/real_part/CLKJ_AS0005/real.rssdk/color/101"]
    assert bona_fide.source_name == "Training_real_part_CLKJ_AS0005_real.rssdk_color_101"
    assert (bona_fide.subject_id, bona_fide.pai_species, bona_fide.is_bona_fide) == ("CLKJ_AS0005", "", True)
    assert (bona_fide.attack_instrument, attack.attack_instrument) == (0, 6)
    test = entries["Testing/0057/057709-color"]
    assert test.source_name == "Testing_0057_057709-color"
    assert test.subject_id == test.video_id == test.sample_id
    assert (test.is_bona_fide, test.pai_species, test.attack_instrument) == (False, "print/cut", -1)
    dev = entries["Val/0001/001500-color"]
    assert (dev.source_name, dev.is_bona_fide, dev.pai_species) == ("Val_0001_001500-color", True, "")
    assert dev.attack_instrument == 0


@pytest.mark.parametrize(
    ("old", "new", "reason", "lost", "strays"),
    [
        ("37-ir.jpg 0", "37-ir.jpg", "line 2: 3 fields; expected the names of", [37], []),
        ("37-ir.jpg 0", "37-ir.jpg 0 0", "line 2: 5 fields; expected the names of", [37], []),
        (
            "37-ir.jpg 0",
            "37-ir.jpg -1",
            "line 2: label '-1' of 'Val/0000/000037-color.jpg' unknown; expected",
            [37],
            [],
        ),
        ("37-color.jpg", "38-color.jpg", "line 3: 'Val/0000/000038-color.jpg' is listed twice", [37, 38], [37]),
        ("37-color.jpg", "99-color.jpg", "line 2: 'Val/0000/000099-color.jpg' is not there, or is no", [37], [37]),
        ("37-color.jpg", "37-depth.jpg", "line 2: 'Val/0000/000037-depth.jpg' is not there, or is no", [37], [37]),
        ("Val/0000/000037-c", "Testing/0000/000000-c", "line 2: 'Testing/0000/000000-color.jpg' is not", [37], [37]),
    ],
)
def test_a_line_that_cannot_be_used_is_a_problem_with_its_place(
    raw: Path, old: str, new: str, reason: str, lost: list[int], strays: list[int]
) -> None:
    before = {entry.sample_id for entry in casia_surf.read(raw).entries}
    edit(raw / "val_private_list.txt", old, new)
    listing = casia_surf.read(raw)
    (problem,) = listing.problems
    assert problem.reason.startswith(f"val_private_list.txt, {reason}")
    assert problem.name == problem.reason.split(": ")[0]
    assert "\n" not in problem.reason
    gone = before - {entry.sample_id for entry in listing.entries}
    assert gone == {f"Val/0000/{number:06d}-color" for number in lost}
    assert listing.strays == [f"Val/0000/{number:06d}-color.jpg" for number in strays]


def test_pictures_in_no_list_are_strays_and_blank_lines_are_nothing(raw: Path) -> None:
    for part, name in (("train", "101"), ("test_private", "000001")):
        path = raw / f"{part}_list.txt"
        lines = path.read_text().splitlines()
        gone = next(line for line in lines if name in line)
        path.write_text("\r\n".join(["", *(line for line in lines if line != gone), "  "]))
    listing = casia_surf.read(raw)
    assert listing.problems == []
    assert listing.strays == [
        "Training/real_part/CLKJ_AS0005/real.rssdk/color/101.jpg",
        "Testing/0000/000001-color.jpg",
    ]


def test_a_list_with_opposite_labels_shows(raw: Path) -> None:
    path = raw / "train_list.txt"
    path.write_text("".join(f"{line[:-1]}{1 - int(line[-1])}\n" for line in path.read_text().splitlines()))
    listing = casia_surf.read(raw)
    assert len(listing.problems) == 36
    assert listing.problems[0].reason == (
        "train_list.txt, line 1: label 0 of 'Training/real_part/CLKJ_AS0005/real.rssdk/color/1.jpg' contradicts its "
        "folder; expected 1 (bona fide) below real_part alone"
    )
    assert {entry.split for entry in listing.entries} == {"dev", "test"}


def test_training_needs_no_list(raw: Path) -> None:
    before = casia_surf.read(raw)
    (raw / "train_list.txt").unlink()
    assert casia_surf.read(raw) == before


@pytest.mark.parametrize(("part", "name"), [("Val", "val_private_list.txt"), ("Testing", "test_private_list.txt")])
def test_other_parts_need_theirs(raw: Path, tmp_path: Path, part: str, name: str) -> None:
    (raw / name).unlink()
    with pytest.raises(DataError, match=f"no '{name}', which holds the labels of the 4 pictures of '{part}'; put it"):
        casia_surf.read(raw)
    (raw / part).rename(tmp_path / "away")
    assert len(casia_surf.read(raw).entries) == 40


def test_a_folder_of_something_else_is_refused_and_other_files_are_strays(raw: Path, tmp_path: Path) -> None:
    (raw / "Val/0000/000037-mask.jpg").touch()
    (raw / "submission.txt").touch()
    assert casia_surf.read(raw).strays == ["submission.txt", "Val/0000/000037-mask.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="does not hold 'Training' or 'Val' or 'Testing' as CASIA-SURF does"):
        casia_surf.read(tmp_path / "empty")


def test_flips_recipe_takes_the_border_off(raw: Path) -> None:
    entry = casia_surf.read(raw).entries[0]
    (frame,) = crop_entry(casia_surf, entry, options_for(casia_surf.FACTS, "flip", {})).frames
    assert frame.fields["box"] == (0.0, 0.0, 47.0, 47.0)
    assert frame.fields["source_name"] == "Training_fake_part_CLKJ_AS0005_04_en_b.rssdk_color_1"
    assert frame.fields["sample_id"] == entry.sample_id


def test_a_face_given_to_the_miniature_is_its_content(tmp_path: Path) -> None:
    face = np.full((64, 64, 3), (200, 120, 40), np.uint8)
    entry = casia_surf.read(wcs.write_surf(tmp_path / "S", face=face)).entries[0]
    middle = np.asarray(Image.open(entry.path))[32:64, 32:64].mean((0, 1))
    np.testing.assert_allclose(middle, (200, 120, 40), atol=3)


def test_published_counts_agree_with_each_other() -> None:
    facts = casia_surf.FACTS
    for group, keys in (("bona_fide", ("bona_fide",)), ("attack", ("region_mask_2d", "other"))):
        totals = {split: sum(of.get(key, 0) for key in keys) for split, of in facts.totals.items()}
        assert facts.flip_counts["train", group] == sum(totals.values())
        assert facts.flip_counts["test", group] + facts.flip_counts["shot", group] == totals["dev"]
        assert facts.instruct_flip_counts["extracted", group] == sum(totals.values())
    assert [sum(of.values()) for of in facts.totals.values()] == [29266, 9608, 57710]
