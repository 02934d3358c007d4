"""List files: found, told from other files by their digest, and read line by line in the published syntax."""

import hashlib
import re
from pathlib import Path

import pytest

from flipjax.core.errors import ConfigError, DataError
from flipjax.data import lists
from flipjax.data.lists import listed_frames, listed_names


def names(folder: Path, domain: str, part: str = "train", *, is_checked: bool = False) -> list[tuple[str, bool]]:
    return list(listed_names(folder, domain, part, is_checked=is_checked))


@pytest.mark.parametrize(
    ("domain", "stem", "attack", "bona_fide", "expected"),
    [
        (
            "C",
            "casia",
            "casia/test/fake/12_HR_4_frame0.png",
            "casia/train/real/7_1_frame0.png",
            ("test/12_HR_4_frame0", "train/7_1_frame0"),
        ),
        (
            "M",
            "msu",
            "msu/train/fake/attack_client002_android_SD_ipad_video_scene01_frame0.png",
            "msu/test/real/real_client001_laptop_SD_scene01_frame0.png",
            ("attack_client002_android_SD_ipad_video_scene01_frame0", "real_client001_laptop_SD_scene01_frame0"),
        ),
        (
            "I",
            "replay",
            "replay/test/fake/fixed_attack_print_client012_session01_highdef_photo_adverse_frame0.png",
            "replay/train/real/real_client004_session01_webcam_authenticate_adverse_1_frame0.png",
            (
                "fixed_attack_print_client012_session01_highdef_photo_adverse_frame0",
                "real_client004_session01_webcam_authenticate_adverse_1_frame0",
            ),
        ),
        (
            "O",
            "oulu",
            "oulu/train/fake/1_1_01_2_frame0.png",
            "oulu/test/real/6_3_55_1_frame0.png",
            ("1_1_01_2_frame0", "6_3_55_1_frame0"),
        ),
        (
            "W",
            "wmca",
            "wmca/train/fake/15.05.18_019_05_069_4_07_05.jpg",
            "wmca/test/real/23.05.18_012_06_000_0_00_00.jpg",
            ("15.05.18_019_05_069_4_07_5", "23.05.18_012_06_000_0_00_0"),
        ),
        (
            "Ce",
            "cefa",
            "cefa/test/fake/1_285_3_1_2_08.jpg",
            "cefa/train/real/3_017_1_1_1_00.jpg",
            ("1_285_3_1_2_8", "3_017_1_1_1_0"),
        ),
        (
            "S",
            "surf",
            "surf/train/fake/Training_fake_part_CLKJ_AS0005_05_enm_s.rssdk_color_93.jpg",
            "surf/test/real/Val_0002_002769-color.jpg",
            ("Training_fake_part_CLKJ_AS0005_05_enm_s.rssdk_color_93", "Val_0002_002769-color"),
        ),
        (
            "CA",
            "celeb",
            "celeb/fake/563_spoof_348234.jpg",
            "celeb/real/8_live_076475.jpg",
            ("563_spoof_348234", "8_live_076475"),
        ),
    ],
)
def test_a_line_names_a_record_as_conversion_does(tmp_path, write_lists, domain, stem, attack, bona_fide, expected):
    write_lists(tmp_path, **{f"{stem}_fake_train": [attack], f"{stem}_real_train": [bona_fide]})
    assert names(tmp_path, domain) == [(expected[0], False), (expected[1], True)]


@pytest.mark.parametrize(
    ("stem", "domain", "line"),
    [
        ("casia", "C", "casia/train/fake/7_1_frame0.png"),
        ("casia", "C", "train/real/7_1_frame0.png"),
        ("casia", "C", "casia/train/real/7_1_frame0"),
        ("casia", "C", "casia/train/real/7_1_frame1.png"),
        ("celeb", "CA", "celeb/train/real/8_live_076475.jpg"),
        ("wmca", "W", "wmca/train/real/23.05.18_012_06_000_0_00_x1.jpg"),
        ("cefa", "Ce", "cefa/train/real/12.jpg"),
    ],
)
def test_a_malformed_line_is_named_with_its_file_and_number(tmp_path, write_lists, stem, domain, line):
    fine = {
        "casia": "casia/train/real/1_1_frame0.png",
        "celeb": "celeb/real/1_live_000001.jpg",
        "wmca": "wmca/test/real/23.05.18_012_06_000_0_00_02.jpg",
        "cefa": "cefa/test/real/1_001_1_1_1_00.jpg",
    }[stem]
    write_lists(tmp_path, **{f"{stem}_fake_train": [], f"{stem}_real_train": [fine, line]})
    with pytest.raises(DataError, match=rf"{stem}_real_train.txt', line 2: '{re.escape(line)}'.*expected"):
        names(tmp_path, domain)


@pytest.mark.parametrize(
    ("domain", "stem", "below"), [("C", "casia", "MCIO"), ("C", "casia", "MCIO/txt"), ("S", "surf", "WCS/txt")]
)
def test_lists_are_found_where_the_release_has_them(tmp_path, write_lists, domain, stem, below):
    with pytest.raises(DataError, match=rf"'{stem}_fake_train.txt' is not in .* nor below it in {below[:3]}"):
        names(tmp_path, domain)
    write_lists(tmp_path / below, **{f"{stem}_{word}_train": [] for word in ("fake", "real")})
    assert names(tmp_path, domain) == []


def test_a_digest_that_differs_is_refused_unless_the_lists_are_the_users_own(tmp_path, write_lists, monkeypatch):
    files = {
        f"casia_{word}_train": [f"casia/train/{word}/{i}_1_frame0.png" for i in range(3)] for word in ("fake", "real")
    }
    write_lists(tmp_path, **files)
    digest = hashlib.sha256((tmp_path / "casia_fake_train.txt").read_bytes()).hexdigest()[:16]
    with pytest.raises(
        DataError, match=rf"casia_fake_train.txt' \(3 lines, digest {digest}\).*\(450 lines, e181d846c12e3190\)"
    ):
        names(tmp_path, "C", is_checked=True)
    assert len(names(tmp_path, "C")) == 6
    for name in files:
        content = (tmp_path / f"{name}.txt").read_bytes()
        monkeypatch.setitem(lists._PUBLISHED, name, (3, hashlib.sha256(content).hexdigest()[:16]))
    assert len(names(tmp_path, "C", is_checked=True)) == 6
    with (tmp_path / "casia_real_train.txt").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match="casia_real_train"):
        names(tmp_path, "C", is_checked=True)


def test_the_published_lists_are_complete_and_their_lines_add_up():
    published = lists._PUBLISHED
    assert len(published) == 7 * 2 * 3 + 2 and len({digest for _, digest in published.values()}) == len(published)
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for _, digest in published.values())
    for name in (f"{lists.SETS[domain]}_{word}" for domain in lists.PAIRED_DOMAINS for word in ("fake", "real")):
        lines = {part: published[f"{name}_{part}"][0] for part in lists.PARTS}
        assert lines["train"] == lines["test"] + lines["shot"] and lines["shot"] == 10
    assert published["celeb_fake_train"][0] == published["celeb_real_train"][0] == 40000


def test_frames_to_convert_are_those_of_all_lists_of_a_recording(tmp_path, write_lists):
    stem = "15.05.18_019_05_069_4_07"
    write_lists(
        tmp_path / "WCS",
        wmca_fake_train=[f"wmca/train/fake/{stem}_{n}.jpg" for n in ("00", "05", "45")],
        wmca_fake_test=[f"wmca/test/fake/{stem}_{n}.jpg" for n in ("00", "01")],
        wmca_fake_shot=[f"wmca/test/fake/{stem}_02.jpg"],
        wmca_real_train=["wmca/train/real/23.05.18_012_06_000_0_00_10.jpg"],
        wmca_real_test=[],
        wmca_real_shot=[],
    )
    assert listed_frames(tmp_path, "W", is_checked=False) == {stem: {0, 1, 2, 5, 45}, "23.05.18_012_06_000_0_00": {10}}
    with pytest.raises(DataError, match="is not the published list"):
        listed_frames(tmp_path, "W")
    with pytest.raises(ConfigError, match="no frames of domain 'S', only of W and Ce"):
        listed_frames(tmp_path, "S")
