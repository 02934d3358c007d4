"""What one domain gives a protocol: rows to train on, rows to validate on, shots and rows to test.

Two rules: `native`, by the splits and subjects of the records, where shot subjects leave their target altogether; or the
authors' lists (`matching.Lists`). Validation on a source follows one rule either way.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from flipjax.core.errors import ConfigError, DataError, check_choice
from flipjax.core.labels import CLASS_NAMES
from flipjax.data.matching import SOURCE, TARGET, Lists, with_released_videos
from flipjax.data.source import Index

PROFILES = ("default", "paper", "released")
SHOT_RULES = ("leak_free", "released")
GROUPINGS = ("video", "released")
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Rules:
    """How domains are divided; the default is what the records alone say.

    lists: the authors' lists, or None for `native`.
    shot_rule: of lists alone: "leak_free" takes the other frames of shot videos out of the target, which W and Ce have
      there; "released" leaves them. Native shots are free of leaks by either.
    shot_repeats: how often each listed shot stands among the training rows; 4 as released, where it makes passes of whole
      batches out of five shots. Native shots stand there once.
    grouping: of lists alone: "video" averages scores over the frames of a video, "released" as the authors' code does
      (`matching.with_released_videos`). Without lists both are "video".
    """

    lists: Lists | None = None
    shot_rule: str = "leak_free"
    shot_repeats: int = 1
    grouping: str = "video"

    def __post_init__(self) -> None:
        check_choice("data.shot_rule", self.shot_rule, SHOT_RULES)
        check_choice("data.grouping", self.grouping, GROUPINGS)
        if self.shot_repeats < 1:
            raise ConfigError(f"shot_repeats={self.shot_repeats} is not positive; expected 1, or 4 as released")


NATIVE = Rules()


@dataclass(frozen=True)
class Side:
    """A domain in one role of protocol `protocol`; `is_limited` where it has both, and keeps to its train or test split."""

    protocol: str
    domain: str
    is_limited: bool


def divide_source(index: Index, side: Side, *, profile: str, rules: Rules = NATIVE) -> tuple[Index, Index, bool]:
    """Returns the rows to train on, the rows to validate on, and whether training sees the latter.

    The `dev` split validates, unless it is empty or lists train on some of it; then a tenth of the training subjects does.

    Raises:
      ConfigError, DataError: lists that do not fit, see `matching.Lists`.
    """
    rows = index.where(_training_rows(index, side, rules))
    is_dev = index["split"] == "dev"
    if is_dev.any() and not (rows["split"] == "dev").any():
        return rows, index.where(is_dev), False
    held = held_out(rows)
    if profile == "released":
        return rows, rows.where(held), bool(held.any())
    return rows.where(~held), rows.where(held), False


def divide_target(index: Index, side: Side, *, shots: int, rules: Rules = NATIVE) -> tuple[Index, Index]:
    """Returns the shots, renamed to the domain `<target>_shots`, and the rows to test on.

    Raises:
      ConfigError, DataError: fewer presentations than `shots`, or lists that do not fit.
    """
    lists, name = rules.lists, f"{side.domain}_shots"
    if lists is None or not lists.has(side.domain, TARGET):
        taken, tested = _native_target(index, side, shots)
        return index.where(taken).renamed(name), index.where(tested)
    rows = lists.shots(index, side.domain, shots) if shots else np.zeros(0, np.int64)
    tested = lists.rows(index, side.domain, TARGET)
    if side.is_limited:
        tested &= index["split"] == "test"
    if rules.shot_rule == "leak_free":
        tested &= ~np.isin(index["video_id"], index["video_id"][rows])
    target = index.where(tested)
    if rules.grouping == "released":
        target = with_released_videos(target, lists.variant)
    return index.take(np.tile(rows, rules.shot_repeats)).renamed(name), target


def held_out(rows: Index) -> Bool[np.ndarray, "rows"]:
    """Marks a tenth of the subjects in hash order, then more until both classes occur; no class leaves training."""
    names, subject_of_row = np.unique(rows["subject_id"], return_inverse=True)
    per_class = [np.bincount(subject_of_row[rows["is_bona_fide"] == c], minlength=len(names)) for c in (False, True)]
    shows = np.stack(per_class, axis=1) > 0
    rank = {name: i for i, name in enumerate(_in_hash_order(names))}
    wanted = math.ceil(HELD_OUT_SHARE * len(names))
    held = np.zeros(len(names), bool)
    covered, left = np.zeros(2, bool), shows.sum(axis=0)
    for subject in sorted(range(len(names)), key=lambda i: rank[names[i]]):
        adds_class = (shows[subject] & ~covered).any()
        if (held.sum() < wanted or adds_class) and (left > 1)[shows[subject]].all():
            held[subject] = True
            covered |= shows[subject]
            left -= shows[subject]
    return held[subject_of_row]


def _training_rows(index: Index, side: Side, rules: Rules) -> Bool[np.ndarray, "rows"]:
    is_train = index["split"] == "train"
    if rules.lists is None:
        return is_train if side.is_limited else index["split"] != "dev"
    if not rules.lists.has(side.domain, SOURCE):
        return is_train
    listed = rules.lists.rows(index, side.domain, SOURCE)
    return listed & is_train if side.is_limited else listed


def _native_target(index: Index, side: Side, shots: int) -> tuple[Bool[np.ndarray, "rows"], Bool[np.ndarray, "rows"]]:
    """Marks the shots, which are the first videos of either class by SHA-256 of `video_id`, and the rows to test on."""
    split = index["split"]
    usable = split == "test" if side.is_limited else split != "dev"
    taken = np.zeros(len(index), bool)
    for is_bona_fide in (False, True) if shots else ():
        of_class = usable & (index["is_bona_fide"] == is_bona_fide)
        videos = _in_hash_order(index["video_id"][of_class])
        if len(videos) < shots:
            raise DataError(
                f"protocol '{side.protocol}': target '{side.domain}' has {len(videos)} {CLASS_NAMES[int(is_bona_fide)]} "
                f"videos, expected at least shots={shots}; use fewer shots"
            )
        taken |= of_class & np.isin(index["video_id"], videos[:shots])
    return taken, usable & ~np.isin(index["subject_id"], index["subject_id"][taken])


def _in_hash_order(names: np.ndarray) -> list[str]:
    return sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
