"""CASIA-FASD, also called CASIA-MFSD (domain C): twelve clips each of 50 people, by three cameras.

To obtain it, send the signed agreement to the Center for Biometrics and Security Research of CASIA; its page is often
unreachable. Its terms are taken here to be research use without passing on.

`--raw` is the folder that holds `train_release` and `test_release`, or the one above it:

    train_release/1/1.avi ... train_release/1/8.avi, train_release/1/HR_1.avi ... HR_4.avi
    test_release/30/...

Numbers of people start again in test: person 1 of train is not person 1 of test, so every id begins with the split. What a
clip's number means is not stated in the archive; this is the reading of Bob's public interface (bob.db.casia_fasd):

    camera quality    bona fide    warped photo    cut photo    video
    normal            1            3               5            7
    low               2            4               6            8
    high              HR_1         HR_2            HR_3         HR_4

The published lists agree on the bona fide clips. Instruments are the nearest options of the content question: warped a
photo, cut (eyes cut out) a mask of a region, video a pad's screen; which screen it was is not stated in the archive. The
camera is recorded as the device and not as a `camera_quality`, whose scale is another data set's. There is no dev split.
"""

import re
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing
from data_prep.raw import find_root
from data_prep.video_sets import clip_entry, flip_counts, instruct_flip_counts, list_clips

FACTS = Facts(
    name="CASIA-FASD",
    domain="C",
    licence="research only, by a signed agreement with CASIA; no passing on of the data or its pictures",
    obtain="send the signed agreement to the Center for Biometrics and Security Research of CASIA",
    flip="all 600 clips: source with their first listed frame; target with both, without ten clips of each class",
    instruct_flip=(
        "both listed frames of all 600 clips, evaluated by file name: clips of train and test with equal names count as "
        "one, which leaves 360"
    ),
    totals={
        "train": {"bona_fide": 60, "photo": 60, "region_mask_2d": 60, "pad_screen": 60},
        "test": {"bona_fide": 90, "photo": 90, "region_mask_2d": 90, "pad_screen": 90},
    },
    flip_counts=flip_counts(150, 450),
    instruct_flip_counts=instruct_flip_counts(150, 450, evaluated=(90, 270)),
)

_CLIP = re.compile(r"(?P<split>train|test)_release/(?P<subject>[1-9]\d?)/(?P<clip>[1-8]|HR_[1-4])\.avi")
_KINDS = (
    ("bona_fide", ""),
    ("photo", "print/warped_photo"),
    ("region_mask_2d", "print/cut_photo"),
    ("pad_screen", "replay/video"),
)


def read(raw: Path) -> Listing:
    """Returns one entry per clip; only names are looked at.

    Raises:
      DataError: `raw` is not the folder of CASIA-FASD.
    """
    return list_clips(find_root(raw, ("train_release", "test_release"), FACTS.name), parse)


def parse(name: str) -> Entry | None:
    """Returns what a clip's name, relative to the raw folder, says; None where it matches no rule.

    Example:
      >>> entry = parse("test_release/12/HR_3.avi")
      >>> entry.video_id, entry.subject_id, entry.pai_species, entry.device
      ('test/12_HR_3', 'test_12', 'print/cut_photo', 'high_quality_camera')
    """
    found = _CLIP.fullmatch(name)
    if found is None:
        return None
    kind, quality = _kind_and_quality(found["clip"])
    instrument, species = _KINDS[kind]
    clip = f"{found['split']}/{found['subject']}_{found['clip']}"
    return clip_entry(
        name,
        domain=FACTS.domain,
        split=found["split"],
        subject_id=f"{found['split']}_{found['subject']}",
        video_id=clip,
        instrument=instrument,
        pai_species=species,
        device=f"{quality}_quality_camera",
        listed_as=clip,
    )


def _kind_and_quality(clip: str) -> tuple[int, str]:
    """Returns the index in `_KINDS` and the camera's quality of clip "1" ... "8" or "HR_1" ... "HR_4"."""
    place = int(clip.removeprefix("HR_")) - 1
    if clip.startswith("HR_"):
        return place, "high"
    return place // 2, ("normal", "low")[place % 2]
