"""Where the camera quality of a picture comes from: CelebA-Spoof's device protocols, a CSV of yours, or a measured rule.

InstructFLIP asks every picture for its camera quality, but the published labels do not hold it. The three sources, first
to last:

1. CelebA-Spoof's second protocol groups the devices: a picture that is in the *test* list of `test_on_low_quality_device`
   (middle, high) was taken with a low (medium, high) quality device. Pictures in none of them stay unknown. That
   InstructFLIP's own labels come from there is likely and not confirmed.
2. A CSV with the columns `sample_id,camera_quality` (low, medium or high) for pictures whose quality is still unknown.
3. `RULE`, a guess from the crop alone: a face that was small in the picture, out of focus or heavily compressed lacks fine
   detail once it is enlarged to the crop, and the third of the train split with the least detail is called low, the third
   with the most high. It is a guess at device quality and not the published label: noise and the block edges of the very
   strongest compression count as detail, a good camera far away as a bad one, and by construction every domain has its
   three thirds.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from data_prep.entries import Entry, Problem
from flipjax.core import labels
from flipjax.core.errors import DataError
from flipjax.data.media import check_readable

RULE = "face_sharpness_1"
LOW, MEDIUM, HIGH = range(len(labels.CAMERA_QUALITIES))
CSV_HEADER = ["sample_id", "camera_quality"]
# Part of the crop that is face at every usual padding, as shares of its sides; the size at which it is looked at is that
# of this part of a crop of 224 px.
_FACE = (0.25, 0.75)
_WORK_PX = 112
_FLAT_VARIANCE = 1.0  # grey levels squared: below it rounding decides
_DEVICE_LISTS = {
    "test_on_low_quality_device/test_label.json": LOW,
    "test_on_middle_quality_device/test_label.json": MEDIUM,
    "test_on_high_quality_device/test_label.json": HIGH,
}


@dataclass(frozen=True)
class QualityTable:
    """A user's CSV: sample id -> quality (0 low, 1 medium, 2 high) and the line that says so."""

    path: Path
    qualities: dict[str, int]
    lines: dict[str, int]


def device_lists(names: Iterable[str]) -> dict[str, int]:
    """Returns those of the file names that are test lists of a device protocol, with the quality each stands for.

    Example:
      >>> device_lists(["metas/protocol2/test_on_high_quality_device/test_label.json", "metas/intra_test/test_label.json"])
      {'metas/protocol2/test_on_high_quality_device/test_label.json': 2}
    """
    parts = ((name, "/".join(name.split("/")[-2:])) for name in names)
    return {name: _DEVICE_LISTS[end] for name, end in parts if end in _DEVICE_LISTS}


def device_qualities(
    lists: dict[str, int], read_keys: Callable[[str], Iterable[str]]
) -> tuple[dict[str, int], list[Problem]]:
    """Returns the quality of every picture in the device protocols, and a problem for each that is listed as two of them.

    Args:
      lists: as `device_lists` returns them.
      read_keys: returns the pictures in a list by its name.
    """
    found: dict[str, int] = {}
    twice: set[str] = set()
    for name, quality in lists.items():
        for key in read_keys(name):
            if found.setdefault(key, quality) != quality:
                twice.add(key)
    reason = "is in the test lists of two device qualities; its camera quality stays unknown"
    known = {key: quality for key, quality in found.items() if key not in twice}
    return known, [Problem(key, f"'{key}' {reason}") for key in sorted(twice)]


def read_quality_csv(path: Path) -> QualityTable:
    """Returns the qualities in a CSV with the header `sample_id,camera_quality`.

    Raises:
      DataError: no such file, another header, or what is wrong with a row, with its line number.
    """
    check_readable(path)
    qualities: dict[str, int] = {}
    lines: dict[str, int] = {}
    for line, cells in _rows(path):
        try:
            sample_id, quality = _parse_row(cells)
            if sample_id in lines:
                raise DataError(f"sample_id '{sample_id}' is also in line {lines[sample_id]}; keep one of them")
        except DataError as error:
            raise DataError(f"{path}, line {line}: {error}") from error
        qualities[sample_id], lines[sample_id] = quality, line
    return QualityTable(path, qualities, lines)


def assign(entries: Sequence[Entry], table: QualityTable) -> list[Entry]:
    """Returns the entries with the qualities of the table, where theirs is unknown.

    Raises:
      DataError: the table names a sample that is not there.
    """
    missing = table.qualities.keys() - {entry.sample_id for entry in entries}
    if missing:
        first = min(missing, key=lambda sample_id: table.lines[sample_id])
        raise DataError(
            f"{table.path}, line {table.lines[first]}: no sample '{first}' in the data set ({len(missing)} such lines); "
            "give the ids of index.parquet, without the '#' and frame number of a clip"
        )
    return [
        replace(entry, camera_quality=table.qualities.get(entry.sample_id, labels.UNKNOWN))
        if entry.camera_quality == labels.UNKNOWN
        else entry
        for entry in entries
    ]


def sharpness(crop: UInt8[np.ndarray, "h w 3"]) -> float:
    """Returns how much of the central face area's contrast is fine detail; NaN for a flat one.

    log10(var(L g) / var(g)) with g the grey values at a fixed size and L the 4-neighbour Laplacian: unchanged by brightness
    and contrast, and the lower the more the face was blurred or enlarged, down to what the rounding of grey values leaves.
    Part of `RULE`: a change of any number here needs a new name.
    """
    height, width = crop.shape[:2]
    rows, columns = (slice(round(_FACE[0] * side), max(round(_FACE[1] * side), 1)) for side in (height, width))
    grey = cv2.cvtColor(crop[rows, columns].astype(np.float32), cv2.COLOR_RGB2GRAY)
    method = cv2.INTER_AREA if min(grey.shape) > _WORK_PX else cv2.INTER_LINEAR
    grey = cv2.resize(grey, (_WORK_PX, _WORK_PX), interpolation=method)
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).var(dtype=np.float64))
    variance = float(grey.var(dtype=np.float64))
    return math.log10(detail / variance) if variance >= _FLAT_VARIANCE and detail > 0 else math.nan


def tertiles(values: Sequence[float]) -> tuple[float, float]:
    """Returns the values below which a third and two thirds of the train split's sharpness lie; NaN where none is known."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return math.nan, math.nan
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    return float(low), float(high)


def quality_of(value: float, cuts: tuple[float, float]) -> int:
    """Returns 0 (low), 1 (medium) or 2 (high) by the cut points of `tertiles`; -1 where anything is unknown.

    Example:
      >>> [quality_of(value, (-1.0, 0.5)) for value in (-2.0, -1.0, 0.5, float("nan"))]
      [0, 1, 2, -1]
    """
    if math.isnan(value) or any(math.isnan(cut) for cut in cuts):
        return labels.UNKNOWN
    return (LOW, MEDIUM, HIGH)[sum(value >= cut for cut in cuts)]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the filled rows below the header with their line numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if header != CSV_HEADER:
                raise DataError(f"{path}: header '{','.join(header)}'; expected '{','.join(CSV_HEADER)}'")
            yield from ((reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a UTF-8 CSV file ({error}); save it as comma separated text") from error


def _parse_row(cells: list[str]) -> tuple[str, int]:
    if len(cells) != len(CSV_HEADER) or not all(cells):
        raise DataError(f"'{','.join(cells)}' is not a sample id and a quality; give both, separated by a comma")
    sample_id, name = cells
    return sample_id, labels.option_index(name, labels.CAMERA_QUALITIES, CSV_HEADER[1])
