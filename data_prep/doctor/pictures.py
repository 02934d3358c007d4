"""Sample pictures for the page: a few of every split and class, and pairs that are copies, as small JPEG data URIs."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from data_prep.doctor.samples import BONA_FIDE, Samples
from flipjax.core import schemas
from flipjax.core.errors import DataError

MAX_SIDE_PX = 112
PER_GROUP = 12
MAX_PICTURES = 240  # of about 5 kB each
PAIRS_SHOWN = 8
_JPEG_QUALITY = 80
Read = Callable[[int], UInt8[np.ndarray, "h w 3"]]


@dataclass(frozen=True)
class Picture:
    """A small picture as a data URI, empty where it cannot be read, and its caption."""

    uri: str
    caption: str


@dataclass(frozen=True)
class Group:
    """Pictures that are shown side by side under one title."""

    title: str
    pictures: list[Picture]


def mosaics(samples: Samples, read: Read) -> list[Group]:
    """Returns evenly chosen pictures of every domain, split and class; `read` gives the picture of a row."""
    rows = list(_groups(samples))
    each = max(1, min(PER_GROUP, MAX_PICTURES // max(len(rows), 1)))
    return [
        Group(title, [_picture(row, read, samples.named(row)) for row in evenly(here, each)]) for title, here in rows
    ]


def pair_groups(samples: Samples, pairs: Int64[np.ndarray, "pairs 2"], read: Read) -> list[Group]:
    """Returns the first pairs of copies, each beside the other."""
    return [
        Group(f"copies, pair {number}", [_picture(row, read, samples.told(row)) for row in pair])
        for number, pair in enumerate(pairs[:PAIRS_SHOWN].tolist(), start=1)
    ]


def evenly(rows: Int64[np.ndarray, "n"], wanted: int) -> list[int]:
    """Returns `wanted` of the rows, or all, evenly spaced.

    Example:
      >>> evenly(np.arange(10), 3)
      [0, 3, 6]
    """
    wanted = min(wanted, len(rows))
    return [int(rows[i * len(rows) // wanted]) for i in range(wanted)]


def jpeg_uri(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """Returns the picture, shrunk to at most 112 px, as a data URI."""
    height, width = image.shape[:2]
    factor = min(1.0, MAX_SIDE_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def _groups(samples: Samples) -> Iterator[tuple[str, np.ndarray]]:
    for domain in sorted(set(samples.domain)):
        for split in schemas.SPLITS:
            for genuine in (True, False):
                here = (samples.domain == domain) & (samples.split == split) & (samples.is_bona_fide == genuine)
                rows = np.flatnonzero(here)
                if len(rows):
                    yield f"{domain}, {split}, {BONA_FIDE.replace('_', ' ') if genuine else 'attack'}", rows


def _picture(row: int, read: Read, caption: str) -> Picture:
    try:
        return Picture(jpeg_uri(read(row)), caption)
    except DataError:  # the check of reading reports it
        return Picture("", caption)
