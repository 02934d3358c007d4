"""Score files of our own: one CSV row per frame, written atomically, read with every value checked.

The columns `is_bonafide, attack_type, score` are those that bob.pad.base reads, so its tools accept our files. Behind the
fixed columns come the conditions of the capture that some row knows.
"""

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from flipjax.core.errors import ConfigError, DataError, check_choice
from flipjax.core.labels import BONA_FIDE, CLASS_NAMES
from flipjax.core.schemas import CONDITIONS, ScoreTable
from flipjax.evaluation.score_cells import PROBABILITY, SCORE_RANGES, classes_of, read_cells, require_rows, table_of

COLUMNS = ("sample_id", "video_id", "subject_id", "domain", "is_bonafide", "attack_type", "score")
ID_COLUMNS = ("sample_id", "video_id", "subject_id", "domain")
LABELS = {"True": True, "False": False}


def write_scores(path: Path, table: ScoreTable) -> None:
    """Writes `table` to `path`; scores keep every digit, so that a file gives the same metrics as the table in memory.

    Raises:
      DataError: a score is no probability.
      ConfigError: the file cannot be written.
    """
    _require_probabilities(path, table)
    conditions = {name: table.conditions[name] for name in CONDITIONS if np.any(table.conditions.get(name, "") != "")}
    columns = (
        *(table.sample_id, table.video_id, table.subject_id, table.domain),
        *(table.is_bona_fide.tolist(), table.attack_type, map(repr, table.score.tolist())),
        *conditions.values(),
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *conditions))
    writer.writerows(zip(*columns, strict=True))
    write_text(path, text.getvalue())


def read_scores(path: Path, positive: str = CLASS_NAMES[BONA_FIDE], *, score_range: str = PROBABILITY) -> ScoreTable:
    """Returns the rows of a score file, in float64, as P(bona fide).

    Args:
      path: CSV with at least the columns of `COLUMNS`, in any order; of the others, conditions are read, the rest ignored.
      positive: the class whose probability the score column holds; "attack" flips it here, and nowhere else.
      score_range: "any" reads scores that are no probabilities, see `ScoreTable`.

    Raises:
      DataError: the file is missing, empty or no CSV, a column is missing, a label is neither True nor False, a score is
        not a number in its range, or a sample occurs twice; the message names the line.
      ConfigError: `positive` is not a class, or `score_range` not one.
    """
    check_choice("positive", positive, CLASS_NAMES)
    check_choice("score_range", score_range, SCORE_RANGES)
    cells = read_cells(path, COLUMNS, "score file")
    require_rows(path, cells)
    known = {name: cells.text(name) for name in ID_COLUMNS}
    known["is_bona_fide"] = classes_of(cells, "is_bonafide", LABELS, "neither True nor False")
    flipped = positive != CLASS_NAMES[BONA_FIDE]
    return table_of(cells, "score", known, score_range=score_range, flipped=flipped)


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
    """Yields (place, column -> text) of every row of a CSV file; see `read_cells` for arguments and errors."""
    cells = read_cells(path, columns, kind)
    for row in range(len(cells)):
        yield cells.place(row), {name: values[row] for name, values in cells.columns.items()}


def _require_probabilities(path: Path, table: ScoreTable) -> None:
    bad = np.flatnonzero(~((table.score >= 0) & (table.score <= 1)))
    if len(bad):
        raise DataError(
            f"score {table.score[bad[0]]} of sample '{table.sample_id[bad[0]]}' is not a number in [0, 1]; "
            f"{path.name} was not written"
        )
    if not table.is_probability:
        raise DataError(f"scores that are no probabilities have no place in a score file; {path.name} was not written")
