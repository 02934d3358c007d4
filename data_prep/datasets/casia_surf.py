"""CASIA-SURF (domain S): pictures of faces on black, bona fide or photographs of which parts of the face are cut out.

To obtain it, send the signed agreement form of https://sites.google.com/view/face-anti-spoofing-challenge. The licence is
for research alone; the data, and pictures cut from it, are not to be passed on.

`--raw` is the folder that holds `Training`, `Val` and `Testing` as the challenge of 2019 gave them out, or the one above:

    Training/real_part/CLKJ_AS0005/real.rssdk/color/101.jpg        label: the folder
    Training/fake_part/CLKJ_AS0005/05_enm_s.rssdk/color/101.jpg    eyes, nose and mouth cut out; b bent, s still
    Val/0000/000037-color.jpg, Testing/0001/001500-color.jpg       label: the list
    .../depth/101.jpg, .../ir/101.jpg, ...-depth.jpg, ...-ir.jpg   not used
    train_list.txt, val_private_list.txt, test_private_list.txt    lines `color depth ir label`, label 1 is bona fide

A part that is absent needs no list, and Training needs none at all; where `train_list.txt` is there, only the pictures that
it names are taken, and a label that contradicts the folder is a problem, so that a list with the opposite labels shows.
That 1 is bona fide in the other two lists is not stated; the opposite would show in the totals of both classes.

The folder below Val and Testing is the picture's number divided by 1,000. Who is shown there is not stated: each such
picture counts as a person and a presentation of its own. Which regions were cut is not stated either, so those attacks
are "other"; all attacks of Training are region masks. Training is train, Val is dev, Testing is test.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from data_prep.entries import Entry, Facts, Listing, Problem
from data_prep.raw import files_below, find_root
from flipjax.core import labels
from flipjax.core.errors import DataError

FACTS = Facts(
    name="CASIA-SURF",
    domain="S",
    licence="research only, by a signed form; no passing on of the data or of its pictures",
    obtain="send the signed form of https://sites.google.com/view/face-anti-spoofing-challenge",
    flip="source: every colour picture of Training, Val and Testing; target: the Val pictures alone",
    instruct_flip="every colour picture of Training, Val and Testing",
    frames="all",
    totals={
        "train": {"bona_fide": 8942, "region_mask_2d": 20324},
        "dev": {"bona_fide": 2994, "other": 6614},
        "test": {"bona_fide": 17458, "other": 40252},
    },
    flip_counts={
        ("train", "bona_fide"): 29394,
        ("train", "attack"): 67190,
        ("test", "bona_fide"): 2984,
        ("test", "attack"): 6604,
        ("shot", "bona_fide"): 10,
        ("shot", "attack"): 10,
    },
    instruct_flip_counts={
        ("extracted", "bona_fide"): 29394,
        ("extracted", "attack"): 67190,
        ("evaluated", "bona_fide"): 29394,
        ("evaluated", "attack"): 67190,
    },
    crops={"flip": {"detector": "none", "border": "trim_released"}},
)

_SPLITS = {"Training": "train", "Val": "dev", "Testing": "test"}
_LISTS = {"Training": "train_list.txt", "Val": "val_private_list.txt", "Testing": "test_private_list.txt"}
_PUBLIC_LISTS = ("val_public_list.txt", "test_public_list.txt")  # the same without labels
_LABELS = {"1": True, "0": False}
_TRAINING = re.compile(
    r"(?P<clip>Training/(?:real_part/(?P<subject>CLKJ_[A-Z]{2}\d{4})/real|"
    r"fake_part/(?P<target>CLKJ_[A-Z]{2}\d{4})/\d\d_(?P<cut>(?=[enm])e?n?m?)_(?P<bend>[bs]))\.rssdk)/(?P<channel>color|depth|ir)/\d+\.jpg"
)
_NUMBERED = re.compile(r"(?P<folder>(?P<part>Val|Testing)/\d{4})/\d{6}-(?P<channel>color|depth|ir)\.jpg")
_CUTS = {"e": "eyes", "n": "nose", "m": "mouth"}
_BENDS = {"b": "bent", "s": "still"}
_CUT = "print/cut"


@dataclass(frozen=True)
class Picture:
    """What the name of a colour picture says; `is_bona_fide` is None and `pai_species` empty where only a list tells."""

    split: str
    subject_id: str
    video_id: str
    is_bona_fide: bool | None
    pai_species: str = ""


def read(raw: Path) -> Listing:
    """Returns one entry per colour picture; only names and lists are looked at.

    The other channels are reported as one name per folder.

    Raises:
      DataError: `raw` is not the folder of CASIA-SURF, or the list of a part that is there is missing.
    """
    root = find_root(raw, tuple(_SPLITS), FACTS.name)
    pictures, unused, strays = _sorted_names(root)
    entries, problems = [], []
    for part in _SPLITS:
        of_part = {name: picture for name, picture in pictures.items() if name.startswith(f"{part}/")}
        known, faults, blamed = _labels(root, part, of_part)
        problems += faults
        entries += [_entry(root, name, of_part[name], label) for name, label in sorted(known.items())]
        strays += sorted(of_part.keys() - known.keys() - blamed)
    return Listing(entries, unused=unused, strays=strays, problems=problems)


def parse(name: str) -> Picture | None:
    """Returns what the name of a colour picture, relative to the raw folder, says; None where it matches no rule.

    Example:
      >>> parse("Training/fake_part/CLKJ_AS0005/04_en_b.rssdk/color/101.jpg").pai_species
      'print/cut_eyes_nose/bent'
    """
    found = _TRAINING.fullmatch(name)
    if found is not None and found["channel"] == "color":
        subject = found["subject"] or found["target"]
        return Picture("train", subject, found["clip"], found["cut"] is None, _species(found["cut"], found["bend"]))
    found = _NUMBERED.fullmatch(name)
    if found is None or found["channel"] != "color":
        return None
    own = _without_suffix(name)
    return Picture(_SPLITS[found["part"]], own, own, is_bona_fide=None)


def _sorted_names(root: Path) -> tuple[dict[str, Picture], list[str], list[str]]:
    """Returns the colour pictures by name, what is left out on purpose (other channels by folder), and the rest."""
    pictures: dict[str, Picture] = {}
    unused: dict[str, None] = {}
    strays = []
    for name in files_below(root):
        picture = parse(name)
        if picture is not None:
            pictures[name] = picture
        elif found := _TRAINING.fullmatch(name):
            unused[f"{found['clip']}/{found['channel']}"] = None
        elif found := _NUMBERED.fullmatch(name):
            unused[f"{found['folder']}/*-{found['channel']}.jpg"] = None
        elif name in _PUBLIC_LISTS:
            unused[name] = None
        elif name not in _LISTS.values():
            strays.append(name)
    return pictures, list(unused), strays


def _labels(root: Path, part: str, pictures: dict[str, Picture]) -> tuple[dict[str, bool], list[Problem], set[str]]:
    """Returns the labels of a part's pictures, what is wrong with its list, and the pictures concerned by that."""
    path = root / _LISTS[part]
    if path.exists():
        return _read_list(path, pictures)
    unlabelled = [name for name, picture in pictures.items() if picture.is_bona_fide is None]
    if unlabelled:
        raise DataError(
            f"{root}: no '{path.name}', which holds the labels of the {len(unlabelled)} pictures of '{part}'; put it "
            f"there, or move '{part}' away"
        )
    return {name: bool(picture.is_bona_fide) for name, picture in pictures.items()}, [], set()


def _read_list(path: Path, pictures: dict[str, Picture]) -> tuple[dict[str, bool], list[Problem], set[str]]:
    known: dict[str, bool] = {}
    problems: list[Problem] = []
    blamed: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        name = fields[0]
        fault = f"'{name}' is listed twice" if name in known or name in blamed else _fault(fields, pictures)
        if fault is None:
            known[name] = _LABELS[fields[3]]
            continue
        where = f"{path.name}, line {number}"
        problems.append(Problem(where, f"{where}: {fault}"))
        blamed.add(name)
        known.pop(name, None)
    return known, problems, blamed


def _fault(fields: list[str], pictures: dict[str, Picture]) -> str | None:
    if len(fields) != 4:
        return f"{len(fields)} fields; expected the names of the colour, depth and infrared picture, and the label"
    name, label = fields[0], fields[3]
    if label not in _LABELS:
        return f"label '{label}' of '{name}' unknown; expected 1 (bona fide) or 0 (attack)"
    if name not in pictures:
        return f"'{name}' is not there, or is no colour picture of this part; copy it again"
    if pictures[name].is_bona_fide not in (None, _LABELS[label]):
        return f"label {label} of '{name}' contradicts its folder; expected 1 (bona fide) below real_part alone"
    return None


def _entry(root: Path, name: str, picture: Picture, is_bona_fide: bool) -> Entry:
    species = "" if is_bona_fide else picture.pai_species or _CUT
    instrument = labels.ATTACK_INSTRUMENTS.index("region_mask_2d") if picture.pai_species else labels.UNKNOWN
    own = _without_suffix(name)
    return Entry(
        path=root / name,
        split=picture.split,
        domain=FACTS.domain,
        sample_id=own,
        subject_id=picture.subject_id,
        video_id=picture.video_id,
        is_bona_fide=is_bona_fide,
        attack_instrument=0 if is_bona_fide else instrument,
        pai_species=species,
        source_name=own.replace("/", "_"),
    )


def _species(cut: str | None, bend: str) -> str:
    return f"{_CUT}_{'_'.join(_CUTS[region] for region in cut)}/{_BENDS[bend]}" if cut else ""


def _without_suffix(name: str) -> str:
    return name.removesuffix(".jpg")
