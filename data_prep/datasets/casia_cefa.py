"""CASIA-SURF CeFA (domain Ce): people of three ethnicities, four clips each as folders of pictures, and a part with masks.

To obtain it, send the signed agreement form of https://sites.google.com/view/face-anti-spoofing-challenge. The licence is
for research alone; the data, and pictures cut from it, are not to be passed on.

`--raw` is the folder that holds `AF`, `CA` and `EA`, or the one above it; the masks may lie beside them or be absent:

    AF/AF-000/1_000_3_2_2/profile/0001.jpg             colour, read here; some copies call the folder `color`
    AF/AF-000/1_000_3_2_2/{depth,ir}/0001.jpg          not used
    3D-Mask/073/1_073_1_0_2_1_2/color/0001.jpg         colour of a mask, read here
    Silicone-Mask/001/2_001_1_1_2_1_3/color/0001.jpg

or the same below `Ethnicity` and `Mask`. A person's folder may have the number of an identity card behind its name, which
is copied into no record. What the numbers mean is from the authors' readme (github.com/liuajian/CASIA-FAS-Dataset):

    RACE_SUBJECT_DEVICE_SESSION_PAI            1 AF, 2 CA, 3 EA; 000 to 499 in each; 1 rssdk, 2 mp4, 3 bag, 4 mov;
                                               1 indoor, 2 outdoor, 3 random; 1 bona fide, 2 print on cloth, 4 replay
    MASK_SUBJECT_DRESS_GLASSES_DEVICE_SESSION_LIGHT    1 camera, 2 d435i; 1 indoor, 2 outdoor; light 2 comes from behind

A person has one bona fide clip (1_1_1) and three attacks: 3_1_2 and 3_2_2 (print), 3_1_4 (replay). Subjects 0 to 199 are
train, 200 to 299 dev, 300 to 499 test. By the authors' counts their protocols 1, 2 and 4 test on 1,123 clips of masks and
train on none, so masks are test here. How many masks a copy holds, and whether the numbers of masks are those of people,
is not stated: there is no total for them, and a mask counts as a person of its own. Instruments are the nearest options of
the content question; which screen replays is not stated, so a replay is "other". Frames are numbered from 0 as in the
published lists: frame 0 is `0001.jpg`.
"""

import dataclasses
import re
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing, Problem
from data_prep.raw import files_below, find_root
from flipjax.core import labels
from flipjax.core.errors import ImageError
from flipjax.data.media import Clip, load_image

FACTS = Facts(
    name="CASIA-SURF CeFA",
    domain="Ce",
    licence="research only, by a signed form; no passing on of the data or of its pictures",
    obtain="send the signed form of https://sites.google.com/view/face-anti-spoofing-challenge",
    flip="source: 10 frames of each of the 6,000 clips without masks; target: those of subjects 200 to 299",
    instruct_flip="10 frames of each of the 6,000 clips without masks",
    frames="equidistant:10",
    totals={
        "train": {"bona_fide": 600, "photo": 1200, "other": 600},
        "dev": {"bona_fide": 300, "photo": 600, "other": 300},
        "test": {"bona_fide": 600, "photo": 1200, "other": 600},
    },
    flip_counts={
        ("train", "bona_fide"): 15000,
        ("train", "attack"): 45000,
        ("test", "bona_fide"): 2990,
        ("test", "attack"): 8990,
        ("shot", "bona_fide"): 10,
        ("shot", "attack"): 10,
    },
    instruct_flip_counts={
        ("extracted", "bona_fide"): 15000,
        ("extracted", "attack"): 45000,
        ("evaluated", "bona_fide"): 15000,
        ("evaluated", "attack"): 45000,
    },
    crops={"flip": {"detector": "none", "border": "trim_released"}},
)

_MARKERS = ("AF", "CA", "EA", "Ethnicity", "3D-Mask", "Silicone-Mask", "Mask")
_COLOUR = ("profile", "color")
_MODALITIES = (*_COLOUR, "depth", "ir")
_PICTURE = re.compile(r"0*([1-9]\d*)\.jpg")
_FACE = re.compile(
    r"(?:Ethnicity/)?(?P<race>AF|CA|EA)/(?P=race)-(?P<subject>[0-4]\d\d)(?:-\w+)?/"
    r"(?P<stem>(?P<number>[123])_(?P=subject)_(?P<device>[1-4])_(?P<session>[123])_(?P<pai>[124]))"
)
_MASK = re.compile(
    r"(?:Mask/)?(?:3D-(?i:mask)|Silicone-(?i:mask))/(?P<subject>\d{3})/"
    r"(?P<stem>(?P<kind>[12])_(?P=subject)_[01]_[01]_(?P<device>[12])_(?P<session>[12])_(?P<light>[1-4]))"
)
_RACES = {"AF": ("1", "africa"), "CA": ("2", "central_asia"), "EA": ("3", "east_asia")}
_DEVICES = {"1": "rssdk", "2": "mp4", "3": "bag", "4": "mov"}
_MASK_DEVICES = {"1": "camera", "2": "d435i"}
_MASK_KINDS = {"1": "3d_mask", "2": "silicone_mask"}
_BACK_LIGHT = "2"
_PLACES = {"1": labels.ENVIRONMENTS.index("indoor"), "2": labels.ENVIRONMENTS.index("outdoor"), "3": labels.UNKNOWN}
_BONA_FIDE = "1"
_PAIS = {
    _BONA_FIDE: (0, ""),
    "2": (labels.ATTACK_INSTRUMENTS.index("photo"), "print/cloth"),
    "4": (labels.UNKNOWN, "replay"),
}


def read(raw: Path) -> Listing:
    """Returns one entry per presentation, whose path is the folder of its colour pictures; only names are looked at.

    Folders of other channels are reported as one name each, and so are those of pictures that match no rule. A
    presentation that has other channels but no colour is a problem.

    Raises:
      DataError: `raw` is not the folder of CeFA.
    """
    root = find_root(raw, _MARKERS, FACTS.name)
    folders, strays = _picture_folders(root)
    entries, problems, unused = [], [], []
    for name, channels in sorted(folders.items()):
        entry = parse(name)
        colour = next((channel for channel in _COLOUR if channel in channels), None)
        if entry is None:
            strays += [f"{name}/{channel}" for channel in sorted(channels)]
            continue
        unused += [f"{name}/{channel}" for channel in sorted(channels - {colour})]
        if colour is None:
            problems.append(
                Problem(name, f"{name}: no colour pictures, only {', '.join(sorted(channels))}; copy it again")
            )
        else:
            entries.append(dataclasses.replace(entry, path=root / name / colour))
    return Listing(entries, unused=unused, strays=strays, problems=problems)


def parse(name: str) -> Entry | None:
    """Returns what the folder of a presentation, relative to the raw folder, says; None where it matches no rule.

    Example:
      >>> entry = parse("CA/CA-250/2_250_3_2_2")
      >>> entry.subject_id, entry.split, entry.population, entry.pai_species
      ('CA-250', 'dev', 'central_asia', 'print/cloth')
    """
    face, mask = _FACE.fullmatch(name), _MASK.fullmatch(name)
    if face is not None:
        return _face_entry(name, face)
    return None if mask is None else _mask_entry(name, mask)


def open_entry(entry: Entry) -> Clip:
    """Returns the pictures of a presentation, numbered from 0: picture 0 is `0001.jpg`, and numbers may be missing.

    Raises:
      ImageError: the folder is missing or holds no picture; `read` raises it for a damaged one.
    """
    if not entry.path.is_dir():
        raise ImageError(f"{entry.path}: no such folder; copy the presentation again")
    found = ((_PICTURE.fullmatch(path.name), path) for path in entry.path.iterdir())
    files = {int(match[1]) - 1: path for match, path in found if match}
    if not files:
        raise ImageError(f"{entry.path}: no picture such as '0001.jpg' in this folder; copy the presentation again")
    return Clip(sorted(files), lambda wanted: ((number, load_image(files[number])) for number in wanted))


def _picture_folders(root: Path) -> tuple[dict[str, set[str]], list[str]]:
    """Returns presentation -> channels that hold pictures, and the files that are no picture of a channel."""
    folders: dict[str, set[str]] = {}
    others = []
    for name in files_below(root):
        folder, _, file = name.rpartition("/")
        presentation, _, channel = folder.rpartition("/")
        if channel in _MODALITIES and _PICTURE.fullmatch(file):
            folders.setdefault(presentation, set()).add(channel)
        else:
            others.append(name)
    return folders, others


def _face_entry(name: str, found: re.Match[str]) -> Entry | None:
    number, population = _RACES[found["race"]]
    if found["number"] != number:
        return None
    instrument, species = _PAIS[found["pai"]]
    return Entry(
        path=Path(name),
        split=_split(int(found["subject"])),
        domain=FACTS.domain,
        sample_id=found["stem"],
        subject_id=f"{found['race']}-{found['subject']}",
        video_id=found["stem"],
        is_bona_fide=found["pai"] == _BONA_FIDE,
        attack_instrument=instrument,
        environment=_PLACES[found["session"]],
        pai_species=species,
        device=_DEVICES[found["device"]],
        session=found["session"],
        population=population,
        source_name=f"{found['stem']}_{{number:02d}}",
        has_frames=True,
    )


def _mask_entry(name: str, found: re.Match[str]) -> Entry:
    kind = _MASK_KINDS[found["kind"]]
    return Entry(
        path=Path(name),
        split="test",
        domain=FACTS.domain,
        sample_id=found["stem"],
        subject_id=f"{kind}-{found['subject']}",
        video_id=found["stem"],
        is_bona_fide=False,
        attack_instrument=labels.ATTACK_INSTRUMENTS.index("mask_3d"),
        illumination=labels.ILLUMINATIONS.index("back") if found["light"] == _BACK_LIGHT else labels.UNKNOWN,
        environment=_PLACES[found["session"]],
        pai_species=kind,
        device=_MASK_DEVICES[found["device"]],
        session=found["session"],
        has_frames=True,
    )


def _split(subject: int) -> str:
    if subject < 200:
        return "train"
    return "dev" if subject < 300 else "test"
