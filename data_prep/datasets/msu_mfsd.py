"""MSU-MFSD (domain M): clips of 35 people by a phone's and a laptop's camera, and of their face on a tablet, a phone and paper.

To obtain it, ask Michigan State University's biometrics group by e-mail for the request form; answers can take long. The
terms come with that form; here they are taken to be research use without passing on.

`--raw` is the folder that holds `scene01` and both lists, or the one above it:

    scene01/real/real_client002_android_SD_scene01.mp4
    scene01/attack/attack_client002_laptop_SD_ipad_video_scene01.mov
    scene01/real/real_client002_android_SD_scene01.face              face positions, not used, nor are README and tools
    train_sub_list.txt, test_sub_list.txt                            client numbers, one a line, any zero padding

Clips of `android` are mp4, those of `laptop` mov. Some clips are stored turned; what their header says of it is obeyed, and
whether every one of them says so is not stated. A few laptop clips are reported to have a frame that does not decode.

Instruments are the nearest options of the content question: printed_photo a photo, ipad_video a pad's screen, iphone_video
a phone's screen. There is no dev split. Light and place are not stated in the names and stay unknown.
"""

import dataclasses
import re
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing, Problem
from data_prep.raw import find_root
from data_prep.video_sets import clip_entry, flip_counts, instruct_flip_counts, list_clips, stem
from flipjax.core.errors import DataError

FACTS = Facts(
    name="MSU-MFSD",
    domain="M",
    licence="research only, by the request form of Michigan State University; no passing on of the data or its pictures",
    obtain="ask Michigan State University's biometrics group by e-mail for the request form",
    flip="all 280 clips: source with their first listed frame; target with both, without ten clips of each class",
    instruct_flip="both listed frames of all 280 clips",
    totals={
        "train": {"bona_fide": 30, "photo": 30, "pad_screen": 30, "phone_screen": 30},
        "test": {"bona_fide": 40, "photo": 40, "pad_screen": 40, "phone_screen": 40},
    },
    flip_counts=flip_counts(70, 210),
    instruct_flip_counts=instruct_flip_counts(70, 210),
)

_LISTS = {"train": "train_sub_list.txt", "test": "test_sub_list.txt"}
_UNUSED = ("scene01/*.face", *_LISTS.values(), "README*", "DecFrames*.m", "ffmpeg/*")
_CLIP = re.compile(
    r"scene01/(?:real/real|(?P<attack>attack/attack))_client(?P<client>\d{3})_(?P<device>android|laptop)_SD_"
    r"(?(attack)(?P<pai>ipad_video|iphone_video|printed_photo)_)(?P<scene>scene01)\.(?:mp4|mov)"
)
_PAIS = {
    None: ("bona_fide", ""),
    "printed_photo": ("photo", "print/printed_photo"),
    "ipad_video": ("pad_screen", "replay/ipad_video"),
    "iphone_video": ("phone_screen", "replay/iphone_video"),
}


def read(raw: Path) -> Listing:
    """Returns one entry per clip; names and the two lists of clients are looked at. A client in neither is a problem.

    Raises:
      DataError: `raw` is not the folder of MSU-MFSD, or a list is missing, holds something else than numbers, or names a
        client of the other.
    """
    root = find_root(raw, ("scene01",), FACTS.name)
    splits = _splits(root)
    listing = list_clips(root, parse, _UNUSED)
    entries = []
    for entry in listing.entries:
        split = splits.get(int(entry.subject_id))
        if split is not None:
            entries.append(dataclasses.replace(entry, split=split))
            continue
        reason = f"{entry.name}: client {entry.subject_id} is in neither {' nor '.join(_LISTS.values())}; add it to one"
        listing.problems.append(Problem(entry.name, reason))
    return dataclasses.replace(listing, entries=entries)


def parse(name: str) -> Entry | None:
    """Returns what a clip's name, relative to the raw folder, says; None where it matches no rule.

    The split is empty: only the lists tell it.

    Example:
      >>> entry = parse("scene01/attack/attack_client002_laptop_SD_ipad_video_scene01.mov")
      >>> entry.subject_id, entry.device, entry.pai_species
      ('002', 'laptop', 'replay/ipad_video')
    """
    found = _CLIP.fullmatch(name)
    if found is None:
        return None
    instrument, species = _PAIS[found["pai"]]
    return clip_entry(
        name,
        domain=FACTS.domain,
        split="",
        subject_id=found["client"],
        video_id=stem(name),
        instrument=instrument,
        pai_species=species,
        device=found["device"],
        session=found["scene"],
        listed_as=stem(name),
    )


def _splits(root: Path) -> dict[int, str]:
    """Returns client number -> split."""
    splits: dict[int, str] = {}
    for split, name in _LISTS.items():
        for client in _clients(root / name):
            if splits.setdefault(client, split) != split:
                raise DataError(
                    f"{root / name}: client {client} is also in {_LISTS[splits[client]]}; remove one of them"
                )
    return splits


def _clients(path: Path) -> list[int]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; it says which clients are in this split, copy it from the archive")
    clients = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        text = line.strip()
        if text and not re.fullmatch(r"[0-9]+", text):
            raise DataError(f"{path}, line {number}: '{text}' is no client number; expected one number a line")
        clients += [int(text)] if text else []
    return clients
