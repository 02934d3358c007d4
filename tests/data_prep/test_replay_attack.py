"""Replay-Attack: what the names say of instrument, support and condition; enrolment clips are no presentations."""

from pathlib import Path

import pytest

from data_prep.datasets import replay_attack
from raw_archives.videos import told, write_replay

BONA_FIDE = ("bona_fide", "")
PRINT = ("a4_paper", "print/highdef_photo")
PHONE_PHOTO, PHONE_VIDEO = (("phone_screen", f"replay/mobile_{kind}") for kind in ("photo", "video"))
PAD_PHOTO, PAD_VIDEO = (("pad_screen", f"replay/highdef_{kind}") for kind in ("photo", "video"))
# folder -> file -> subject, instrument, species, session
FOLDERS = {
    "train/real": {
        "client001_session01_webcam_authenticate_adverse_1": ("001", *BONA_FIDE, "session01/adverse"),
        "client001_session01_webcam_authenticate_controlled_2": ("001", *BONA_FIDE, "session01/controlled"),
        "client105_session01_webcam_authenticate_adverse_2": ("105", *BONA_FIDE, "session01/adverse"),
    },
    "devel/real": {
        "client003_session01_webcam_authenticate_controlled_1": ("003", *BONA_FIDE, "session01/controlled"),
        "client101_session01_webcam_authenticate_adverse_1": ("101", *BONA_FIDE, "session01/adverse"),
    },
    "test/real": {
        "client115_session01_webcam_authenticate_adverse_2": ("115", *BONA_FIDE, "session01/adverse"),
        "client023_session01_webcam_authenticate_controlled_2": ("023", *BONA_FIDE, "session01/controlled"),
    },
    "train/attack/fixed": {
        "attack_highdef_client001_session01_highdef_photo_adverse": ("001", *PAD_PHOTO, "session01/adverse/fixed"),
        "attack_highdef_client001_session01_highdef_video_adverse": ("001", *PAD_VIDEO, "session01/adverse/fixed"),
        "attack_print_client012_session01_highdef_photo_controlled": ("012", *PRINT, "session01/controlled/fixed"),
        "attack_mobile_client008_session01_mobile_photo_controlled": (
            "008",
            *PHONE_PHOTO,
            "session01/controlled/fixed",
        ),
        "attack_mobile_client025_session01_mobile_video_adverse": ("025", *PHONE_VIDEO, "session01/adverse/fixed"),
    },
    "train/attack/hand": {
        "attack_print_client004_session01_highdef_photo_adverse": ("004", *PRINT, "session01/adverse/hand"),
        "attack_print_client001_session01_highdef_photo_controlled": ("001", *PRINT, "session01/controlled/hand"),
        "attack_mobile_client027_session01_mobile_video_controlled": ("027", *PHONE_VIDEO, "session01/controlled/hand"),
    },
    "devel/attack/fixed": {
        "attack_highdef_client003_session01_highdef_video_controlled": (
            "003",
            *PAD_VIDEO,
            "session01/controlled/fixed",
        ),
    },
    "devel/attack/hand": {
        "attack_mobile_client005_session01_mobile_photo_adverse": ("005", *PHONE_PHOTO, "session01/adverse/hand"),
        "attack_print_client005_session01_highdef_photo_adverse": ("005", *PRINT, "session01/adverse/hand"),
    },
    "test/attack/fixed": {
        "attack_mobile_client013_session01_mobile_video_adverse": ("013", *PHONE_VIDEO, "session01/adverse/fixed"),
        "attack_mobile_client112_session01_mobile_photo_controlled": (
            "112",
            *PHONE_PHOTO,
            "session01/controlled/fixed",
        ),
    },
    "test/attack/hand": {
        "attack_mobile_client019_session01_mobile_photo_adverse": ("019", *PHONE_PHOTO, "session01/adverse/hand"),
        "attack_highdef_client115_session01_highdef_photo_adverse": ("115", *PAD_PHOTO, "session01/adverse/hand"),
        "attack_highdef_client102_session01_highdef_video_controlled": ("102", *PAD_VIDEO, "session01/controlled/hand"),
    },
}
NAMES = {f"{folder}/{file}.mov": facts for folder, files in FOLDERS.items() for file, facts in files.items()}
SPLITS = {"train": "train", "devel": "dev", "test": "test"}
NO_CLIPS = (
    "train/real/client001_session01_webcam_authenticate_adverse_3.mov",
    "train/real/client001_session01_webcam_authenticate_dark_1.mov",
    "train/real/client001_session01_webcam_authenticate_adverse_1.avi",
    "train/real/client1_session01_webcam_authenticate_adverse_1.mov",
    "train/real/attack_print_client001_session01_highdef_photo_adverse.mov",
    "train/attack/attack_print_client001_session01_highdef_photo_adverse.mov",
    "train/attack/fixed/client001_session01_webcam_authenticate_adverse_1.mov",
    "train/attack/fixed/attack_print_client001_session01_highdef_video_adverse.mov",
    "train/attack/fixed/attack_print_client001_session01_mobile_photo_adverse.mov",
    "train/attack/fixed/attack_mobile_client001_session01_highdef_video_adverse.mov",
    "train/attack/fixed/attack_mask_client001_session01_highdef_photo_adverse.mov",
    "train/attack/tripod/attack_print_client001_session01_highdef_photo_adverse.mov",
    "valid/real/client001_session01_webcam_authenticate_adverse_1.mov",
    "enroll/train/client001_session01_webcam_enroll_adverse.mov",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_tell_what_a_clip_shows(name: str) -> None:
    subject, instrument, species, session = NAMES[name]
    entry = replay_attack.parse(name)
    assert entry is not None
    part, _, folder = name.rpartition("/")[0].partition("/")
    split = SPLITS[part]
    assert told(entry) == (subject, split, instrument, species, "webcam", session)
    listed = f"{folder.split('/')[-1]}_{name.rsplit('/', maxsplit=1)[-1].removesuffix('.mov')}"
    assert entry.video_id == f"{split}/{listed}"
    assert entry.source_name == ("" if split == "dev" else listed + "_frame{rank}")


def test_there_are_enough_names() -> None:
    assert len(NAMES) >= 20


@pytest.mark.parametrize("name", NO_CLIPS)
def test_other_names_match_no_rule(name: str) -> None:
    assert replay_attack.parse(name) is None


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        (
            "test/attack/fixed/attack_mobile_client013_session01_mobile_video_adverse.mov",
            "fixed_attack_mobile_client013_session01_mobile_video_adverse_frame0",
        ),
        (
            "train/real/client001_session01_webcam_authenticate_adverse_1.mov",
            "real_client001_session01_webcam_authenticate_adverse_1_frame0",
        ),
    ],
)
def test_listed_names_are_those_of_the_published_lists(name: str, listed: str) -> None:
    entry = replay_attack.parse(name)
    assert entry is not None and entry.source_name.format(rank=0) == listed


def test_held_and_supported_attacks_are_different_clips() -> None:
    clip = "attack_print_client001_session01_highdef_photo_adverse.mov"
    entries = [replay_attack.parse(f"train/attack/{support}/{clip}") for support in ("fixed", "hand")]
    assert len({entry.video_id for entry in entries if entry is not None}) == 2


def test_enrolment_positions_and_protocols_are_known_and_left_out(tmp_path: Path) -> None:
    unused = replay_attack.read(write_replay(tmp_path)).unused
    assert {name.split("/")[0] for name in unused} == {"enroll", "face-locations", "protocols"}
    assert sum(name.startswith("enroll/") for name in unused) == 7


def test_totals_are_those_of_the_papers_lists() -> None:
    totals = replay_attack.FACTS.totals
    assert {split: counts["bona_fide"] for split, counts in totals.items()} == {"train": 60, "dev": 60, "test": 80}
    sizes = {split: sum(counts.values()) for split, counts in totals.items()}
    assert sizes == {"train": 60 + 300, "dev": 60 + 300, "test": 80 + 400}
