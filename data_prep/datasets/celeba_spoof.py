"""CelebA-Spoof: pictures of celebrities, and ten kinds of attack made from them, with light, place and instrument.

Zhang et al., "CelebA-Spoof: Large-Scale Face Anti-Spoofing Dataset with Rich Annotations", ECCV 2020.

Obtain: the links on github.com/ZhangYuanhan-AI/CelebA-Spoof (Google Drive, Baidu). It comes as `CelebA_Spoof.zip.001`,
`.002` and so on. `--raw` is the folder with all of these, read in place; or the joined `CelebA_Spoof.zip`; or the unpacked
folder that holds `Data`. Unpacked files start faster and need less memory, see data_prep.archives.

Licence: non-commercial research only; neither pictures nor anything derived from them may be copied, published or
distributed. Shards of this data set must never be published, and weights trained on it deserve a note of the licence.

Layout:
  Data/{train,test}/SUBJECT/{live,spoof}/NNNNNN.{jpg,png}   the pictures, each a presentation of its own
  Data/.../NNNNNN_BB.txt          face box "x y w h score", in a frame of 224x224 over the whole picture
  Data/train_2                    left over from packing, says the maintainer (issue 3): ignored
  metas/intra_test/{train,test}_label.json    picture -> 44 whole numbers, for every picture
  metas/protocol2/test_on_{low,middle,high}_quality_device/test_label.json   source of the camera quality, where present
Of the 44 (43 attributes and the class; issue 4): 40 is the instrument (0 bona fide, 1 ... 10), 41 illumination (1 ... 4),
42 environment (1, 2), both 0 on bona fide pictures, 43 the class (0 live, 1 spoof); 0 to 39 describe the face.

Splits are the published ones, without dev: hold out subjects of train where you need one.

Known dirt: 2,022 pictures in `live` folders of train are labelled as attacks, in class and instrument, and FLIP's list of
attacks has such pictures: the label counts, not the folder. Box files may be empty (train/3329/spoof/004046) or reach
beyond the picture (train/3025/spoof/029572); some bona fide pictures are edited, some attacks heavily bent; subjects 5028,
7332 and 9735 are in train and in test.

Totals: the paper speaks of 625,537 pictures (156,384 bona fide, 469,153 attacks) of 10,177 subjects; part of the test set
was held back for a challenge, and the download has 494,405 in train and 67,170 in test (maintainer, issue 3). The counts in
`FACTS` are those that others made of the label files of the download; they add up to the maintainer's. Those of train by
instrument are known without the 2,022 alone, so its attacks are counted together. How many pictures have a camera quality
from the device protocols is not stated.
"""

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from data_prep import camera_quality
from data_prep.archives import Tree, open_tree, read_file, shown
from data_prep.entries import ANY_ATTACK, Entry, Facts, Listing, Problem
from flipjax.core import labels
from flipjax.core.errors import DataError, ImageError
from flipjax.data.media import Clip, decode_image, open_clip

_TRAIN_IN_ATTACK_FOLDERS, _TRAIN_IN_LIVE_FOLDERS = 329_921, 2_022
_TEST = (3_600, 5_421, 6_083, 4_287, 6_097, 3_530, 6_477, 3_659, 4_483, 3_610)
FACTS = Facts(
    name="CelebA-Spoof",
    domain="CA",
    licence="non-commercial research; no redistribution of pictures or derived data: never publish these shards",
    obtain="download all parts of CelebA_Spoof.zip from github.com/ZhangYuanhan-AI/CelebA-Spoof into one folder",
    flip="an extra source of every protocol: 40,000 + 40,000 pictures of train, instruments 1-3 and 7-9 only",
    instruct_flip="the only source of the main protocol, with its attributes as answers; which pictures is not published",
    frames="all",
    no_face="box",
    totals={
        "train": {"bona_fide": 162_462, ANY_ATTACK: _TRAIN_IN_ATTACK_FOLDERS + _TRAIN_IN_LIVE_FOLDERS},
        "test": dict(zip(labels.ATTACK_INSTRUMENTS, (19_923, *_TEST), strict=True)),
    },
    shared_subjects=("5028", "7332", "9735"),
    flip_counts={("train", "bona_fide"): 40_000, ("train", "attack"): 40_000},
    crops={"instruct_flip": {"no_face": "centre"}},
)
SPLITS = ("train", "test")
_LABEL_FILES = {split: f"metas/intra_test/{split}_label.json" for split in SPLITS}
ROW_LENGTH = 44
BOX_FRAME_PX = 224
_SPECIES = ("", "photo", "poster", "a4", "face mask", "upper body mask", "region mask", "pc", "pad", "phone", "3d mask")
_PICTURE = re.compile(r"Data/(train|test)/(\d+)/(live|spoof)/(\d{6})\.(?:jpg|png)")
_BOX = re.compile(r"Data/(?:train|test)/\d+/(?:live|spoof)/\d{6}_BB\.txt")
_UNUSED = ("Data/train_2/", "metas/")
Rows = Sequence[tuple[str, Any]]
# Place in a row -> values that the data set defines.
_INSTRUMENT, _ILLUMINATION, _ENVIRONMENT, _CLASS = 40, 41, 42, 43
_VALUES = {_INSTRUMENT: range(11), _ILLUMINATION: range(5), _ENVIRONMENT: range(3), _CLASS: range(2)}


def read(raw: Path) -> Listing:
    """Returns one entry per picture with a good row in the label files; the other rows are problems, the rest strays.

    Raises:
      DataError: no such data under `raw`, an incomplete archive, or a label file that is missing or cannot be parsed.
    """
    tree = open_tree(raw, dataset=FACTS.name, folders=("Data", "metas"), archive="CelebA_Spoof.zip")
    lists = camera_quality.device_lists(tree.names)
    pictures, unused, strays = _sorted_out(tree.names, {*lists, *_LABEL_FILES.values()})
    qualities, contested = camera_quality.device_qualities(lists, lambda name: (key for key, _ in _rows(tree, name)))
    entries: list[Entry] = []
    problems = [*tree.problems, *contested]
    refused = {problem.name for problem in tree.problems}
    for split, there in pictures.items():
        rows = _rows(tree, _LABEL_FILES[split]) if there or _LABEL_FILES[split] in tree.names else ()
        made, wrong = _entries(tree, split, rows, there, qualities)
        entries += made
        problems += [problem for problem in wrong if problem.name not in refused]
        strays += sorted(there - {key for key, _ in rows})
    return Listing(entries, unused, strays, problems)


def open_entry(entry: Entry) -> Clip:
    """Returns the picture as a clip of one frame.

    Raises:
      ImageError: the file or member is missing; the clip's `read` raises it for a damaged one.
    """
    if not entry.member:
        return open_clip(entry.path)
    data = read_file(entry.path, entry.member)
    if data is None:
        raise ImageError(f"{entry.name}: no such member of the archive; check that it is the one that was listed")
    return Clip((0,), lambda wanted: ((number, decode_image(data, entry.name)) for number in wanted))


def face_box(entry: Entry) -> tuple[float, float, float, float] | None:
    """Returns x0 y0 x1 y1 in shares of the picture's sides, from the box file; None where that is missing or holds no box.

    Boxes come from a network (issue 31) and may reach beyond the picture.

    Raises:
      ImageError: the file is there and cannot be read.
    """
    if entry.member:
        data = read_file(entry.path, f"{entry.member.rpartition('.')[0]}_BB.txt")
    else:
        data = read_file(entry.path.with_name(f"{entry.path.stem}_BB.txt"), "")
    return None if data is None else parse_box(data)


def parse_box(data: bytes) -> tuple[float, float, float, float] | None:
    """Returns x0 y0 x1 y1, shares of the picture's sides, from the text of a box file; None where it holds no box.

    A box without extent or wholly outside the picture is none.

    Example:
      >>> parse_box(b"56 28 112 168 0.9970805")
      (0.25, 0.125, 0.75, 0.875)
    """
    try:
        x, y, width, height, _ = (float(word) for word in data.decode("ascii").split())
    except ValueError:
        return None
    box = tuple(side / BOX_FRAME_PX for side in (x, y, x + width, y + height))
    is_finite = all(math.isfinite(side) for side in box)
    if not is_finite or not (max(box[0], 0) < min(box[2], 1) and max(box[1], 0) < min(box[3], 1)):
        return None
    return box[0], box[1], box[2], box[3]


def _sorted_out(names: Sequence[str], used: Set[str]) -> tuple[dict[str, set[str]], list[str], list[str]]:
    """Returns the pictures of each split, the files left out on purpose, and those that match no rule."""
    pictures: dict[str, set[str]] = {split: set() for split in SPLITS}
    unused, strays = [], []
    for name in names:
        if match := _PICTURE.fullmatch(name):
            pictures[match[1]].add(name)
        elif name not in used and not _BOX.fullmatch(name):
            (unused if name.startswith(_UNUSED) else strays).append(name)
    return pictures, unused, strays


def _rows(tree: Tree, name: str) -> Rows:
    """Returns the pairs of a label file, in which a picture may occur twice."""
    data = tree.read(name)
    if data is None:
        raise DataError(f"{tree.path}: '{name}' is missing; the pictures have no labels without it")
    try:
        rows = json.loads(data, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{tree.path}: '{name}' is not JSON ({error}); copy it again") from error
    if not isinstance(rows, tuple):
        raise DataError(f"{tree.path}: '{name}' holds a {type(rows).__name__}, expected an object; copy it again")
    return rows


def _entries(
    tree: Tree, split: str, rows: Rows, pictures: Set[str], qualities: Mapping[str, int]
) -> tuple[list[Entry], list[Problem]]:
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    for key, row in rows:
        try:
            entry = _entry(tree, split, key, row, qualities)
            if key not in pictures:
                raise DataError("there is no such picture")
            first = entries.setdefault(entry.sample_id, entry)
            if first is not entry:
                raise DataError(f"second row or picture for '{entry.sample_id}', kept is {first.name}")
        except DataError as error:
            problems.append(Problem(shown(key), f"row '{shown(key)}' of {_LABEL_FILES[split]}: {error}"))
    return [entries[sample_id] for sample_id in sorted(entries)], problems


def _entry(tree: Tree, split: str, key: str, row: Any, qualities: Mapping[str, int]) -> Entry:
    match = _PICTURE.fullmatch(key)
    if match is None or match[1] != split:
        raise DataError(f"expected 'Data/{split}/SUBJECT/live or spoof/NNNNNN.jpg or .png'")
    subject, folder, number = sys.intern(match[2]), match[3], match[4]
    instrument, illumination, environment = _attributes(row)
    path, member = tree.place(key)
    sample_id = f"{split}/{subject}/{folder}/{number}"
    return Entry(
        path=path,
        member=member,
        split=split,
        domain=FACTS.domain,
        sample_id=sample_id,
        subject_id=subject,
        video_id=sample_id,
        is_bona_fide=instrument == 0,
        attack_instrument=instrument,
        illumination=illumination,
        environment=environment,
        camera_quality=qualities.get(key, labels.UNKNOWN),
        pai_species=_SPECIES[instrument],
        source_name=f"{subject}_{folder}_{number}" if split == "train" else "",
    )


def _attributes(row: Any) -> tuple[int, int, int]:
    """Returns instrument, illumination and environment as option indices (what is 0, unknown, becomes -1).

    Raises:
      DataError: what is wrong with the row, or that it contradicts itself.
    """
    if not isinstance(row, list) or len(row) != ROW_LENGTH:
        found = f"{len(row)} values" if isinstance(row, list) else f"a {type(row).__name__}"
        raise DataError(f"{found}, expected {ROW_LENGTH} whole numbers")
    if set(map(type, row)) != {int}:
        raise DataError(f"{next(value for value in row if type(value) is not int)!r} is not a whole number")
    for place, values in _VALUES.items():
        if row[place] not in values:
            raise DataError(f"value {place} is {row[place]}, expected 0 to {values[-1]}")
    if (row[_CLASS] == 0) != (row[_INSTRUMENT] == 0):
        raise DataError(
            f"class (43) {row[_CLASS]} contradicts instrument (40) {row[_INSTRUMENT]}: bona fide is 0 and 0"
        )
    return row[_INSTRUMENT], row[_ILLUMINATION] - 1, row[_ENVIRONMENT] - 1
