"""The authors' lists matched to records by `source_name`, and the videos that their evaluations average over.

A record of the other class is no match: the attack list of CelebA-Spoof names pictures from folders called `live`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Bool, Int

from flipjax.core.errors import ConfigError, DataError, check_choice
from flipjax.core.labels import CLASS_NAMES
from flipjax.data import lists
from flipjax.data.source import Index

FLIP, INSTRUCT_FLIP = "flip_lists", "instructflip_lists"
VARIANTS = (FLIP, INSTRUCT_FLIP)
SOURCE, TARGET = "source", "target"
MISSING_SHARE = 0.05
_FLIP_PARTS = {SOURCE: ("train",), TARGET: ("test",)}
_SHOWN = 3
_REMEDY = "convert the data set again (W and Ce with --frames=listed)"


@dataclass(frozen=True)
class Lists:
    """A folder of list files and how they are read.

    variant: "flip_lists": sources take the train lists, targets the test lists; of M, C, I and O a source takes the first
      picture of a video, a target both. "instructflip_lists": sources and targets alike take what any of the three lists
      names, both pictures of a video; CelebA-Spoof is as its own splits have it, since InstructFLIP's table is not published.
    folder: holds the files, or `MCIO` and `WCS` (or `MCIO/txt` and `WCS/txt`) with the files, as released.
    is_checked: refuse files whose digest is not the published one.
    missing_share: of the listed pictures, how many may have no record, as where no face was found.

    Raises:
      ConfigError: a variant, folder or share that cannot be.
    """

    variant: str
    folder: str
    is_checked: bool = True
    missing_share: float = MISSING_SHARE

    def __post_init__(self) -> None:
        check_choice("data.lists", self.variant, VARIANTS)
        if not self.folder or not Path(self.folder).is_dir():
            raise ConfigError(
                f"data.lists={self.variant} needs data.lists_dir, found '{self.folder}'; give the folder with your copy "
                "of the authors' list files, such as casia_real_train.txt"
            )
        if not 0 <= self.missing_share <= 1:
            raise ConfigError(f"data.lists_missing={self.missing_share} is no share; expected a number from 0 to 1")

    def has(self, domain: str, side: str) -> bool:
        """True where lists say what `domain` gives as "source" or "target"; False where its own splits do.

        Raises:
          ConfigError: a domain that is not in the authors' protocols.
        """
        if domain not in lists.SETS:
            raise ConfigError(
                f"data.lists={self.variant} has no list of domain '{domain}', only of {', '.join(lists.SETS)}; "
                "use data.lists=native"
            )
        return domain != "CA" or (self.variant == FLIP and side == SOURCE)

    def rows(self, index: Index, domain: str, side: str) -> Bool[np.ndarray, "rows"]:
        """Marks the records that the lists of `domain` name for "source" or "target".

        Raises:
          DataError: a list file is missing, not the published one or malformed, or too many of its pictures have no record.
        """
        wanted = self._wanted(domain, side)
        names = _record_names(index, domain)
        pairs = zip(names, index["is_bona_fide"].tolist(), strict=True)
        listed = np.array([wanted.get(name) == is_bona_fide for name, is_bona_fide in pairs])
        found = {names[row] for row in np.flatnonzero(listed)}
        missing = [name for name in wanted if name not in found]
        said = (
            f"lists of '{domain}' as a {side}: {len(missing)} of {len(wanted)} pictures have no record of their class"
        )
        if len(missing) > self.missing_share * len(wanted) or not found:
            raise DataError(
                f"{said}, first {', '.join(missing[:_SHOWN])}; expected at most {self.missing_share:.0%}; {_REMEDY}, or "
                "raise data.lists_missing"
            )
        if missing:
            logging.warning("%s", said)
        return listed

    def shots(self, index: Index, domain: str, count: int) -> Int[np.ndarray, "_"]:
        """Returns the records of the first `count` lines of each class's shot list, attacks first, in the lists' order.

        Raises:
          ConfigError: more shots than lines, or lists of InstructFLIP, which has no shots.
          DataError: as `rows`, or a shot without a record.
        """
        if self.variant == INSTRUCT_FLIP:
            raise ConfigError(f"data.shots={count}: InstructFLIP has no shots; use data.lists=native or {FLIP}")
        row_of = dict(zip(_record_names(index, domain), range(len(index)), strict=True))
        listed = self._names(domain, "shot")
        rows: list[int] = []
        for is_bona_fide in (False, True):
            names = [name for name, flag in listed if flag == is_bona_fide][:count]
            if len(names) < count:
                kind = CLASS_NAMES[int(is_bona_fide)]
                raise ConfigError(
                    f"data.shots={count}: the lists have {len(names)} {kind} shots of '{domain}'; use fewer"
                )
            of_class = set(np.flatnonzero(index["is_bona_fide"] == is_bona_fide).tolist())
            lacking = [name for name in names if row_of.get(name) not in of_class]
            if lacking:
                raise DataError(f"shots of '{domain}' have no record of their class: {', '.join(lacking)}; {_REMEDY}")
            rows += [row_of[name] for name in names]
        return np.array(rows, np.int64)

    def _wanted(self, domain: str, side: str) -> dict[str, bool]:
        """Returns the name of every listed picture with its class."""
        parts = _FLIP_PARTS[side] if self.variant == FLIP else lists.PARTS
        takes_second = domain in lists.PAIRED_DOMAINS and (side == TARGET or self.variant == INSTRUCT_FLIP)
        wanted: dict[str, bool] = {}
        for part in parts:
            for name, is_bona_fide in self._names(domain, part):
                if wanted.setdefault(name, is_bona_fide) != is_bona_fide:
                    raise DataError(f"lists of '{domain}' name '{name}' in both classes; take it out of one")
        if takes_second:
            wanted |= {name.removesuffix(lists.FIRST) + lists.SECOND: flag for name, flag in wanted.items()}
        return wanted

    def _names(self, domain: str, part: str) -> list[tuple[str, bool]]:
        return lists.listed_names(Path(self.folder), domain, part, is_checked=self.is_checked)


def with_released_videos(index: Index, variant: str) -> Index:
    """Returns `index` with the `video_id` over whose frames the authors' code averages scores.

    flip_lists: M, C, I and O by clip; every picture of the others alone, as the code was committed (a line that would
    average W and Ce by recording is commented out there). instructflip_lists: M, C, I and O by the file's name without
    its folder, so that CASIA's train and test clips of the same name merge (360 videos of 600); every other picture alone.
    """
    columns = (index[name].tolist() for name in ("domain", "source_name", "video_id", "sample_id"))
    videos = []
    for domain, name, video_id, sample_id in zip(*columns, strict=True):
        if domain not in lists.PAIRED_DOMAINS:
            videos.append(sample_id)
        elif variant == INSTRUCT_FLIP:
            videos.append(name.rpartition("/")[2].rpartition("_frame")[0])
        else:
            videos.append(video_id)
    return Index({**index.columns, "video_id": np.array(videos, object)})


def _record_names(index: Index, domain: str) -> list[str]:
    names = index["source_name"].tolist()
    return lists.unpadded(names) if domain in lists.NUMBERED_DOMAINS else names
