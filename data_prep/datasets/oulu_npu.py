"""OULU-NPU (domain O): clips of 55 people by the front cameras of six phones in three sessions, two prints and two replays each.

To obtain it, see https://sites.google.com/site/oulunpudatabase: a permanent member of staff signs the licence agreement.
Its terms are taken here to be research use without passing on.

`--raw` is the folder that holds `Train_files`, `Dev_files` and `Test_files`, or the one above it:

    Train_files/1_1_01_1.avi                  PHONE_SESSION_USER_FILE
    Train_files/1_1_01_1.txt                  positions of the eyes, not used
    Protocols/Protocol_1/Train.txt, ...       the data set's own four protocols, not used

FILE is 1 for bona fide, 2 and 3 for prints of two printers, 4 and 5 for replays on two displays. Users 01 to 20 are in
train and 36 to 55 in test as listed, so 21 to 35 are dev; the folder alone decides here, and the published lists leave dev
out. The set has 4,950 clips; larger totals in print do not agree with six phones, three sessions, 55 people and five files.

The names give a phone as a number, not its make, and do not state a session's light and place, which stay unknown.
Instruments are the nearest options of the content question: a print a photo, a replay a computer's screen; the names state
neither the paper nor which displays they were.
"""

import re
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing
from data_prep.raw import find_root
from data_prep.video_sets import clip_entry, flip_counts, instruct_flip_counts, list_clips, stem

FACTS = Facts(
    name="OULU-NPU",
    domain="O",
    licence="research only, by an agreement signed by permanent staff; no passing on of the data or its pictures",
    obtain="have a permanent member of staff sign the agreement of https://sites.google.com/site/oulunpudatabase",
    flip="the 3,600 clips of train and test: source with their first listed frame; target with both, without ten clips a class",
    instruct_flip="both listed frames of the 3,600 clips of train and test",
    totals={
        "train": {"bona_fide": 360, "photo": 720, "pc_screen": 720},
        "dev": {"bona_fide": 270, "photo": 540, "pc_screen": 540},
        "test": {"bona_fide": 360, "photo": 720, "pc_screen": 720},
    },
    flip_counts=flip_counts(720, 2880),
    instruct_flip_counts=instruct_flip_counts(720, 2880),
)

_SPLITS = {"Train_files": "train", "Dev_files": "dev", "Test_files": "test"}
_UNUSED = (*(f"{folder}/*.txt" for folder in _SPLITS), "Protocols/*", "README*")
_CLIP = re.compile(
    r"(?P<folder>Train_files|Dev_files|Test_files)/"
    r"(?P<phone>[1-6])_(?P<session>[1-3])_(?P<user>0[1-9]|[1-4]\d|5[0-5])_(?P<file>[1-5])\.avi"
)
_FILES = {
    "1": ("bona_fide", ""),
    "2": ("photo", "print/1"),
    "3": ("photo", "print/2"),
    "4": ("pc_screen", "replay/1"),
    "5": ("pc_screen", "replay/2"),
}


def read(raw: Path) -> Listing:
    """Returns one entry per clip; only names are looked at.

    Raises:
      DataError: `raw` is not the folder of OULU-NPU.
    """
    return list_clips(find_root(raw, tuple(_SPLITS), FACTS.name), parse, _UNUSED)


def parse(name: str) -> Entry | None:
    """Returns what a clip's name, relative to the raw folder, says; None where it matches no rule.

    Example:
      >>> entry = parse("Test_files/6_3_40_5.avi")
      >>> entry.subject_id, entry.split, entry.device, entry.pai_species, entry.source_name
      ('40', 'test', 'phone_6', 'replay/2', '6_3_40_5_frame{rank}')
    """
    found = _CLIP.fullmatch(name)
    if found is None:
        return None
    split = _SPLITS[found["folder"]]
    instrument, species = _FILES[found["file"]]
    return clip_entry(
        name,
        domain=FACTS.domain,
        split=split,
        subject_id=found["user"],
        video_id=stem(name),
        instrument=instrument,
        pai_species=species,
        device=f"phone_{found['phone']}",
        session=found["session"],
        listed_as="" if split == "dev" else stem(name),
    )
