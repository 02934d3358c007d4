"""Score files: one CSV row per frame, written atomically, read with every value checked.

The columns `is_bonafide, attack_type, score` are those that bob.pad.base reads, so its tools accept our files.
"""

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from flipjax.core.errors import ConfigError, DataError, suggest
from flipjax.core.labels import CLASS_NAMES
from flipjax.core.schemas import ScoreTable

COLUMNS = ("sample_id", "video_id", "subject_id", "domain", "is_bonafide", "attack_type", "score")
TEXT_COLUMNS = ("sample_id", "video_id", "subject_id", "domain", "attack_type")
LABELS = {"True": True, "False": False}


def write_scores(path: Path, table: ScoreTable) -> None:
    """Writes `table` to `path`; scores keep every digit, so that a file gives the same metrics as the table in memory.

    Raises:
      DataError: a score is not a number in [0, 1].
      ConfigError: the file cannot be written.
    """
    bad = np.flatnonzero(~((table.score >= 0) & (table.score <= 1)))
    if len(bad):
        raise DataError(
            f"score {table.score[bad[0]]} of sample '{table.sample_id[bad[0]]}' is not a number in [0, 1]; "
            f"{path.name} was not written"
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    ids = zip(table.sample_id, table.video_id, table.subject_id, table.domain, strict=True)
    values = zip(table.is_bona_fide.tolist(), table.attack_type, map(repr, table.score.tolist()), strict=True)
    writer.writerows((*names, *row) for names, row in zip(ids, values, strict=True))
    write_text(path, text.getvalue())


def read_scores(path: Path, positive: str = "bona_fide") -> ScoreTable:
    """Returns the rows of a score file, in float64, as P(bona fide).

    Args:
      path: CSV with at least the columns of `COLUMNS`, in any order; others are ignored.
      positive: the class whose probability the score column holds; "attack" flips it here, and nowhere else.

    Raises:
      DataError: the file is missing, empty or no CSV, a column is missing, a label is neither True nor False, or a
        score is not a number in [0, 1]; the message names the line.
      ConfigError: `positive` is not a class.
    """
    if positive not in CLASS_NAMES:
        raise ConfigError(
            f"positive class '{positive}' unknown; expected bona_fide or attack{suggest(positive, CLASS_NAMES)}"
        )
    rows = [_checked(row, place) for place, row in csv_rows(path, COLUMNS, "score file")]
    if not rows:
        raise DataError(f"score file {path} has no rows below its header; score some data first")
    scores = np.array([row["score"] for row in rows], dtype=np.float64)
    text = {name: np.array([row[name] for row in rows], dtype=object) for name in TEXT_COLUMNS}
    label = np.array([row["is_bonafide"] for row in rows], dtype=bool)
    return ScoreTable(is_bona_fide=label, score=1 - scores if positive == "attack" else scores, **text)


def read_targets(paths: Sequence[Path], positive: str = "bona_fide") -> dict[str, ScoreTable]:
    """Returns frame scores by target: one per file, named by its stem; a file of several domains gives one per domain.

    Raises:
      DataError: a file is missing or malformed.
      ConfigError: two targets would have the same name.
    """
    targets: dict[str, ScoreTable] = {}
    for path in paths:
        table = read_scores(path, positive)
        domains = sorted(set(table.domain))
        parts = (
            {path.stem: table} if len(domains) == 1 else {name or path.stem: _rows_of(table, name) for name in domains}
        )
        for name, part in parts.items():
            if name in targets:
                raise ConfigError(
                    f"two targets are named '{name}', the second in {path}; rename it or report them apart"
                )
            targets[name] = part
    return targets


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` at once: a reader sees the old file or the new one, never a part.

    Raises:
      ConfigError: the file cannot be written. (A full disk stays an OSError, which commands report as such.)
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"cannot write {path} ({error.strerror}); choose a folder that can be written") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def csv_rows(path: Path, columns: Sequence[str], kind: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields (place, column -> text) of every row of a CSV file with at least `columns`, in any order.

    `kind` says what the file is and `place` where the row stands, for errors.

    Raises:
      DataError: the file is missing, empty or no CSV, a column is missing, or a row has another number of fields.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _require_columns(path, reader.fieldnames, columns, kind)
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise DataError(f"{place}: the row has more or fewer fields than the header")
                yield place, row
    except FileNotFoundError as error:
        raise DataError(f"{kind} {path} does not exist; check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"{kind} {path} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{kind} {path} is not a UTF-8 CSV file ({error})") from error


def _rows_of(table: ScoreTable, domain: str) -> ScoreTable:
    rows = np.flatnonzero(table.domain == domain)
    return ScoreTable(**{field.name: getattr(table, field.name)[rows] for field in fields(ScoreTable)})


def _require_columns(path: Path, found: object, columns: Sequence[str], kind: str) -> None:
    header = [str(name) for name in found] if isinstance(found, list | tuple) else []
    if not header:
        raise DataError(f"{kind} {path} is empty; expected the header {','.join(columns)}")
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{kind} {path} has no column {', '.join(missing)}; its header must hold {','.join(columns)}")


def _checked(row: Mapping[str, str], place: str) -> dict[str, str | bool | float]:
    label, score = row["is_bonafide"], row["score"]
    if label not in LABELS:
        raise DataError(f"{place}: is_bonafide '{label}' is neither True nor False")
    try:
        value = float(score)
    except ValueError as error:
        raise DataError(f"{place}: score '{score}' is not a number; expected a probability in [0, 1]") from error
    if not 0 <= value <= 1:
        raise DataError(f"{place}: score '{score}' is outside [0, 1]; expected a probability")
    return {name: row[name] for name in TEXT_COLUMNS} | {"is_bonafide": LABELS[label], "score": value}
