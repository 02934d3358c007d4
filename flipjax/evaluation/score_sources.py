"""Score files of any system: which format a file has, how it is read, and the targets that several files hold."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging

from flipjax.core.errors import ConfigError, DataError, check_choice
from flipjax.core.labels import BONA_FIDE, CLASS_NAMES, UPSTREAM_POSITIVE
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import foreign_scores
from flipjax.evaluation.foreign_scores import GROUPINGS, PATH_COLUMNS, SCORE_COLUMNS, Convention, header_of
from flipjax.evaluation.score_cells import PROBABILITY, SCORE_RANGES
from flipjax.evaluation.score_files import COLUMNS, read_scores

AUTO, FLIPJAX, BOB, FLIP, INSTRUCT_FLIP = "auto", "flipjax", "bob", "flip", "instructflip"
FORMATS = (AUTO, FLIPJAX, BOB, FLIP, INSTRUCT_FLIP)
VIDEO, FRAME = "video", "frame"
LEVELS = (VIDEO, FRAME)
_READERS = {
    BOB: foreign_scores.read_bob,
    FLIP: foreign_scores.read_flip,
    INSTRUCT_FLIP: foreign_scores.read_instructflip,
}
# How the released evaluations group pictures: FLIP's as committed, InstructFLIP's for every set.
_GROUPINGS = {FLIP: "mcio", INSTRUCT_FLIP: "stem"}


@dataclass(frozen=True)
class Reading:
    """How score files are read; the empty string stands for what is usual in a file's format.

    format: of FORMATS; "auto" recognises each file by its header or content.
    positive: "bona_fide" or "attack", for which scores and labels 1 stand; usually bona fide, attack for InstructFLIP.
    score_range: "probability": scores are in [0, 1]; "any": finite numbers, see `ScoreTable.is_probability`.
    grouping: how the path of a picture tells its video. "mcio" takes `frame0.png` and `frame1.png` off (FLIP's rule as
      committed), "wcs" `00.jpg` to `09.jpg` (FLIP's rule that is commented out); "stem" is the file's name up to `_frame`,
      whatever its folder (InstructFLIP's rule, which merges CASIA's train and test clips of one name); "none": each picture
      stands alone. Files that name videos themselves have no use for it.
    level: "video" averages the frames of a video; "frame" makes every row a presentation.

    Raises:
      ConfigError: a name that is none of these.
    """

    format: str = AUTO
    positive: str = ""
    score_range: str = PROBABILITY
    grouping: str = ""
    level: str = VIDEO

    def __post_init__(self) -> None:
        check_choice("format", self.format, FORMATS)
        check_choice("positive", self.positive, ("", *CLASS_NAMES))
        check_choice("score_range", self.score_range, SCORE_RANGES)
        check_choice("grouping", self.grouping, ("", *GROUPINGS))
        check_choice("level", self.level, LEVELS)


def recognise(path: Path) -> str:
    """Returns the format of a file: folders and .json are InstructFLIP's logs, the header of a CSV tells the others apart.

    `sample_id` and `is_bonafide` mark our own files, `is_bonafide` alone bob's, a path and a score FLIP's.

    Raises:
      DataError: the file is missing or empty, or its header fits no format or several.
    """
    if path.is_dir() or path.suffix == ".json":
        return INSTRUCT_FLIP
    names = header_of(path)[1]
    header = set(names)
    has_path, has_score = (not header.isdisjoint(known) for known in (PATH_COLUMNS, SCORE_COLUMNS))
    is_marked = "is_bonafide" in header
    signs = {
        FLIPJAX: is_marked and "sample_id" in header,
        BOB: is_marked and "sample_id" not in header,
        FLIP: has_path and has_score and ("label" in header or not is_marked),
    }
    found = [name for name, fits in signs.items() if fits]
    if len(found) != 1:
        which = f"fits {' and '.join(found)}" if found else "fits none"
        raise DataError(
            f"score file {path}: its header '{','.join(names)}' {which} of the formats {', '.join(FORMATS[1:])}; "
            f"name the format, or write the columns {','.join(COLUMNS)}"
        )
    return found[0]


def read_table(path: Path, reading: Reading) -> ScoreTable:
    """Returns the rows of a score file of any format; a line of log says how a foreign one was taken.

    Raises:
      DataError: the file is missing, of unknown format or malformed; the message names the place.
    """
    name = recognise(path) if reading.format == AUTO else reading.format
    usual = CLASS_NAMES[UPSTREAM_POSITIVE.get(name, BONA_FIDE)]
    positive = reading.positive or usual
    if name == FLIPJAX:
        table = read_scores(path, positive, score_range=reading.score_range)
    else:
        grouping = reading.grouping or _GROUPINGS.get(name, "")
        convention = Convention(CLASS_NAMES.index(positive), reading.score_range, grouping)
        table = _READERS[name](path, convention)
        rule = f"by the rule {grouping}" if name in _GROUPINGS else "by column video_key, if any"
        by = "left aside" if reading.level == FRAME else rule
        logging.info("%s: read as %s, %d rows, scores of %s, videos %s", path, name, len(table), positive, by)
    if reading.level == FRAME:
        return dataclasses.replace(table, video_id=np.full(len(table), "", dtype=object))
    return table


def read_targets(paths: Sequence[Path], reading: Reading) -> dict[str, ScoreTable]:
    """Returns frame scores by target: one per file, named by its stem; a file of several domains gives one per domain.

    Raises:
      DataError: a file is missing, of unknown format or malformed.
      ConfigError: two targets would have the same name.
    """
    targets: dict[str, ScoreTable] = {}
    for path in paths:
        table = read_table(path, reading)
        domains, stem = sorted(set(table.domain)), path.resolve().stem
        parts = (
            {name or stem: table.take(table.domain == name) for name in domains} if len(domains) > 1 else {stem: table}
        )
        for name, part in parts.items():
            if name in targets:
                raise ConfigError(
                    f"two targets are named '{name}', the second in {path}; rename it or report them apart"
                )
            targets[name] = part
    return targets
