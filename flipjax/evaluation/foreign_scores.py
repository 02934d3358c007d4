"""Score files of other projects as our tables.

bob: the CSV that `bob pad run-pipeline` writes (bob.pad.base): `claimed_id, test_label, is_bonafide, attack_type, score` and
whatever the data set adds, such as `video_key, frame_id`. Its scores are higher for bona fide and often no probabilities.

flip: a CSV with the path of a picture and its score. FLIP's released code writes the metrics of a run and no scores, so no
such file is published: the names of columns accepted here are those common in dumps of that kind, not anything stated.

instructflip: the JSON that InstructFLIP's code logs per picture, `{img_path, binary_head: {pred, label, score}, ...}`, where
score is P(fake). As released it logs the first picture of each of the first ten batches, so that a whole test set is there
only if that limit was lifted.

Of pictures called as in the published lists, `<set>/<train|test>/<real|fake>/<name>` behind any folders, the path tells
domain and class. It does not tell instrument, person or conditions: columns that are named as ours do, where a CSV has them.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flipjax.core.errors import DataError
from flipjax.core.labels import ATTACK, CLASS_NAMES
from flipjax.core.schemas import ScoreTable
from flipjax.data.lists import SETS
from flipjax.evaluation.score_cells import Cells, classes_of, opened, read_cells, require_rows, table_of

BOB_COLUMNS = ("is_bonafide", "attack_type", "score")
PATH_COLUMNS = ("path", "video_path", "image_path", "img_path", "frame_path")
SCORE_COLUMNS = ("score", "prob", "probability", "p_real", "prob_real", "real_prob")
DELIMITERS = ",;\t"
# How the authors' code tells the video of a picture from its path; without an id a picture stands alone.
GROUPINGS = {
    "mcio": lambda path: re.sub(r"frame[01]\.png", "", path),
    "wcs": lambda path: re.sub(r"0[0-9]\.jpg", "", path),
    "stem": lambda path: _stem(path).partition("_frame")[0],
    "none": lambda path: "",
}
_CLASS_FOLDERS = {"real": True, "fake": False}
_CLASS_WORDS = {**_CLASS_FOLDERS, "bona_fide": True, "bonafide": True, "live": True, "attack": False, "spoof": False}
_BOOLEANS = {
    "True": True,
    "true": True,
    "TRUE": True,
    "1": True,
    "False": False,
    "false": False,
    "FALSE": False,
    "0": False,
}
_DOMAINS = {folder: domain for domain, folder in SETS.items()}


@dataclass(frozen=True)
class Convention:
    """How a foreign file is read.

    positive: ATTACK or BONA_FIDE, for which the score and the label 1 stand.
    score_range: of SCORE_RANGES.
    grouping: of GROUPINGS; not used for bob, whose files name the video themselves.
    """

    positive: int
    score_range: str
    grouping: str


def read_bob(path: Path, convention: Convention) -> ScoreTable:
    """Returns the rows of bob's CSV: `claimed_id` as subject, `video_key` as video, the sample by `test_label, frame_id`.

    Without `video_key` every row is a presentation of its own.

    Raises:
      DataError: the file is missing or no CSV, or a column, label, score or sample is not as it must be.
    """
    cells = _read(path, BOB_COLUMNS)
    frames = zip(cells.text("test_label"), cells.text("frame_id"), strict=True)
    known = {
        "sample_id": np.array([f"{name}#{frame}" if frame else name for name, frame in frames], dtype=object),
        "video_id": cells.text("video_key"),
        "subject_id": cells.text("claimed_id"),
        "domain": cells.text("domain"),
        "is_bona_fide": classes_of(cells, "is_bonafide", _BOOLEANS, "neither True nor False"),
    }
    return _table(cells, "score", known, convention)


def read_flip(path: Path, convention: Convention) -> ScoreTable:
    """Returns the rows of a CSV with one of PATH_COLUMNS, one of SCORE_COLUMNS and maybe `label` (1, 0 or a word).

    Raises:
      DataError: the file is missing or no CSV; a column, label, score or picture is not as it must be; or label and path
        name different classes.
    """
    names = header_of(path)[1]
    picture, score = _one_of(PATH_COLUMNS, names, path), _one_of(SCORE_COLUMNS, names, path)
    return _listed(_read(path, (picture, score)), picture, score, convention)


def read_instructflip(path: Path, convention: Convention) -> ScoreTable:
    """Returns one row per picture of a JSON file (one object or a list of them), or of all below a folder.

    Raises:
      DataError: there is no file, one is no JSON or holds something else, a label or score is not as it must be, or a
        picture occurs twice, as in the logs of two epochs.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found = [(place, _picture(item, place)) for file in files for place, item in _items(file)]
    if not found:
        raise DataError(f"{path} holds no scores; expected .json files that InstructFLIP logged")
    columns = {name: [picture[name] for _, picture in found] for name in ("path", "label", "score")}
    return _listed(Cells(columns, lambda row: found[row][0]), "path", "score", convention)


def header_of(path: Path) -> tuple[str, list[str]]:
    """Returns the delimiter of a CSV file, the most frequent candidate in its first line, and the names of its columns.

    Raises:
      DataError: the file is missing, cannot be read or is empty.
    """
    with opened(path, "score file") as file:
        line = next(file, "")
        if not line.strip():
            raise DataError(f"score file {path} is empty; expected a header that names its columns")
        delimiter = max(DELIMITERS, key=line.count)
        return delimiter, [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]


def parse_path(path: str) -> tuple[str, bool | None]:
    """Returns the domain and whether the picture is bona fide; "" and None where the path does not tell.

    A set that is not in the published lists gives its folder's name as the domain.

    Example:
      >>> parse_path("frame/casia/train/real/1_1_frame0.png"), parse_path("celeb/fake/7_spoof_3.jpg"), parse_path("a/b.png")
      (('C', True), ('CA', False), ('', None))
    """
    folders = path.split("/")[:-1]
    is_bona_fide = _CLASS_FOLDERS.get(folders[-1]) if folders else None
    if is_bona_fide is None:
        return "", None
    above = folders[:-2] if folders[-2:-1] in (["train"], ["test"]) else folders[:-1]
    return (_DOMAINS.get(above[-1], above[-1]) if above else ""), is_bona_fide


def _read(path: Path, columns: Sequence[str]) -> Cells:
    cells = read_cells(path, columns, "score file", delimiter=header_of(path)[0], skipinitialspace=True)
    require_rows(path, cells)
    return cells


def _one_of(known: Sequence[str], header: Sequence[str], path: Path) -> str:
    found = [name for name in known if name in header]
    if len(found) != 1:
        said = f"columns {', '.join(found)}" if found else "no column"
        raise DataError(
            f"score file {path} has {said}, expected exactly one of {', '.join(known)}; rename the right one"
        )
    return found[0]


def _listed(cells: Cells, picture: str, score: str, convention: Convention) -> ScoreTable:
    """Rows that a path names."""
    paths = cells.text(picture)
    parsed = [parse_path(path) for path in paths]
    told = zip(cells.text("domain"), parsed, strict=True)
    known = {
        "sample_id": paths,
        "video_id": np.array([GROUPINGS[convention.grouping](path) for path in paths], dtype=object),
        "subject_id": cells.text("subject_id"),
        "domain": np.array([given or from_path for given, (from_path, _) in told], dtype=object),
        "is_bona_fide": _classes(cells, paths, [found for _, found in parsed], convention.positive),
    }
    return _table(cells, score, known, convention)


def _table(cells: Cells, column: str, known: Mapping[str, np.ndarray], convention: Convention) -> ScoreTable:
    flipped = convention.positive == ATTACK
    return table_of(cells, column, known, score_range=convention.score_range, flipped=flipped)


def _classes(cells: Cells, paths: np.ndarray, from_path: Sequence[bool | None], positive: int) -> np.ndarray:
    """What the labels say, or the paths where there are none; they must not contradict each other."""
    if "label" not in cells.columns:
        if None in from_path:
            row = from_path.index(None)
            raise DataError(
                f"{cells.place(row)}: there is no column label, and '{paths[row]}' lies in no folder real or fake; add one"
            )
        return np.array(from_path, dtype=bool)
    one = positive != ATTACK
    meaning = {**_CLASS_WORDS, "1": one, "1.0": one, "0": not one, "0.0": not one}
    labels = classes_of(cells, "label", meaning, "neither 1, 0, real nor fake")
    for row, (label, folder) in enumerate(zip(labels.tolist(), from_path, strict=True)):
        if folder is not None and label != folder:
            raise DataError(
                f"{cells.place(row)}: label '{cells.columns['label'][row]}' means {CLASS_NAMES[label]}, but "
                f"'{paths[row]}' lies with the {CLASS_NAMES[folder]} ones; correct it, or say what 1 means with positive"
            )
    return labels


def _items(file: Path) -> Iterator[tuple[str, Any]]:
    with opened(file, "score file", "JSON") as text:
        content = json.load(text)
    if isinstance(content, list):
        yield from ((f"{file}, item {number}", item) for number, item in enumerate(content, start=1))
    else:
        yield str(file), content


def _picture(item: Any, place: str) -> dict[str, str]:
    head = item.get("binary_head") if isinstance(item, dict) else None
    if not isinstance(head, dict) or "img_path" not in item or not {"label", "score"} <= head.keys():
        raise DataError(
            f"{place}: expected an object with img_path and binary_head with label and score, as InstructFLIP logs"
        )
    return {"path": str(item["img_path"]), "label": str(head["label"]), "score": str(head["score"])}


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name
