"""Columns of text from a score file, and what every format checks in them: each error names the place in the file."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Bool, Float

from flipjax.core.errors import DataError
from flipjax.core.schemas import CONDITIONS, ScoreTable

# What a score may be: P(bona fide), or any finite number of a system that gives no probabilities.
PROBABILITY, ANY = "probability", "any"
SCORE_RANGES = (PROBABILITY, ANY)
_WANTED = {PROBABILITY: "a probability in [0, 1]", ANY: "a finite number"}


@dataclass(frozen=True)
class Cells:
    """Column name -> text of every row; `place` says where a row stands, for errors."""

    columns: Mapping[str, Sequence[str]]
    place: Callable[[int], str]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def text(self, name: str) -> np.ndarray:
        """Returns a column as an object array of str, all empty where the file has no such column."""
        return np.array(self.columns.get(name) or [""] * len(self), dtype=object)


def read_cells(
    path: Path, columns: Sequence[str], kind: str, *, delimiter: str = ",", skipinitialspace: bool = False
) -> Cells:
    """Returns all columns of a CSV file, of which `columns` must be there, in any order; empty lines are skipped.

    Args:
      path: the file, UTF-8 with or without a byte order mark.
      columns: that the header must hold.
      kind: what the file is, for errors.
      delimiter: between cells.
      skipinitialspace: drop spaces behind a delimiter.

    Raises:
      DataError: the file is missing, empty or no CSV, a column is missing or occurs twice, or a row has another number of
        fields.
    """
    lines: list[int] = []
    flat: list[str] = []  # row after row: a list per row would cost more than reading
    with opened(path, kind) as file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=skipinitialspace, strict=True)
        header = [name.strip() for name in next(reader, ())]
        _require_columns(path, header, columns, kind)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(f"{path}, line {reader.line_num}: the row has more or fewer fields than the header")
            flat.extend(row)
            lines.append(reader.line_num)
    by_column = {name: flat[position :: len(header)] for position, name in enumerate(header)}
    return Cells(by_column, lambda row: f"{path}, line {lines[row]}")


def require_rows(path: Path, cells: Cells) -> None:
    """Raises a DataError where a score file holds nothing but its header."""
    if not len(cells):
        raise DataError(f"score file {path} has no rows below its header; score some data first")


@contextlib.contextmanager
def opened(path: Path, kind: str, form: str = "CSV") -> Iterator[TextIO]:
    """Opens a text file whose problems become one-line errors; `form` is CSV or JSON.

    Raises:
      DataError: the file is missing, cannot be read, is not UTF-8, or is found to be no CSV or JSON while open.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{kind} {path} does not exist; check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"{kind} {path} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise DataError(f"{kind} {path} is not a UTF-8 {form} file ({error})") from error


def scores_of(cells: Cells, column: str, score_range: str, *, flipped: bool) -> Float[np.ndarray, "rows"]:
    """Returns the scores as float64, higher = more genuine.

    Args:
      cells: of the file.
      column: that holds the scores.
      score_range: "probability": in [0, 1]; "any": any finite number, kept as it is.
      flipped: the file scores attack; then 1 - score, or -score where it is no probability.

    Raises:
      DataError: a score is not a number, or outside its range.
    """
    texts = cells.columns[column]
    try:
        values = np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError as error:
        row = next(row for row, text in enumerate(texts) if not _is_number(text))
        raise DataError(
            f"{cells.place(row)}: score '{texts[row]}' is not a number; expected {_WANTED[score_range]}"
        ) from error
    within = (values >= 0) & (values <= 1) if score_range == PROBABILITY else np.isfinite(values)
    if not within.all():
        row = int(np.argmin(within))
        hint = "; score_range=any reads scores of another kind" if np.isfinite(values[row]) else ""
        raise DataError(f"{cells.place(row)}: score '{texts[row]}' is not {_WANTED[score_range]}{hint}")
    if not flipped:
        return values
    return 1 - values if score_range == PROBABILITY else -values


def classes_of(cells: Cells, column: str, meaning: Mapping[str, bool], expected: str) -> Bool[np.ndarray, "rows"]:
    """Returns True where the row is bona fide.

    Raises:
      DataError: a cell is no key of `meaning`.
    """
    found = [meaning.get(text) for text in cells.columns[column]]
    if None in found:
        row = found.index(None)
        raise DataError(f"{cells.place(row)}: {column} '{cells.columns[column][row]}' is {expected}")
    return np.array(found, dtype=bool)


def table_of(
    cells: Cells, column: str, known: Mapping[str, np.ndarray], *, score_range: str, flipped: bool
) -> ScoreTable:
    """Returns the table of the `known` columns, of the scores (see `scores_of`), and of the conditions that the file names.

    Raises:
      DataError: a score is not a number in its range, or a sample occurs twice in a domain.
    """
    _require_unique(cells, known["sample_id"], known["domain"])
    return ScoreTable(
        **known,
        attack_type=cells.text("attack_type"),
        score=scores_of(cells, column, score_range, flipped=flipped),
        conditions={name: cells.text(name) for name in CONDITIONS if any(cells.columns.get(name, ()))},
        is_probability=score_range == PROBABILITY,
    )


def _require_unique(cells: Cells, ids: np.ndarray, domain: np.ndarray) -> None:
    """Rows without an id are not compared."""
    first: dict[tuple[str, str], int] = {}
    for row, key in enumerate(zip(ids, domain, strict=True)):
        other = first.setdefault(key, row)
        if other != row and key[0]:
            raise DataError(f"{cells.place(row)}: sample '{key[0]}' is also in {cells.place(other)}; keep one of them")


def _require_columns(path: Path, header: Sequence[str], columns: Sequence[str], kind: str) -> None:
    if not header:
        raise DataError(f"{kind} {path} is empty; expected the header {','.join(columns)}")
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{kind} {path} has no column {', '.join(missing)}; its header must hold {','.join(columns)}")
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise DataError(f"{kind} {path} has two columns named '{twice[0]}'; remove or rename one")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
