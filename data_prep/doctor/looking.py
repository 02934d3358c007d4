"""Opens raw files and keeps what the checks need to know of them; works in other processes."""

import hashlib
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

from data_prep.archives import read_file
from data_prep.catalogue import face_box, open_entry
from data_prep.doctor import similarity
from data_prep.entries import Entry
from flipjax.core.errors import ImageError
from flipjax.data import align, media

UPRIGHT = 1
FLAT_CONTRAST = 3.0  # grey levels
BLACK = 2  # the brightest value that counts as black
_ORIENTATION = 274  # EXIF tag


@dataclass(frozen=True)
class Task:
    """What to do with an entry: open it, and compare its content with others where one of the same size exists."""

    entry: Entry
    wants_digest: bool = False
    wants_faces: bool = False


@dataclass(frozen=True)
class Look:
    """What was seen of a file; all but `problem` is empty where it cannot be read.

    width, height: of its first frame in pixels, after any rotation. rotation: what is stored in the file, in words.
    digest: equal for equal content, empty where nobody asked. thumbnail: as `similarity.thumbnail`. faces: in the first
    frame, None where nobody asked. box: what is wrong with the face box given with the data.
    """

    problem: str = ""
    width: int = 0
    height: int = 0
    rotation: str = ""
    digest: str = ""
    thumbnail: bytes = b""
    is_flat: bool = False
    faces: int | None = None
    box: str = ""


def look_at_all(module: str, tasks: Sequence[Task]) -> list[Look]:
    """Returns what is seen of every entry of the data set module of that full name."""
    loaded = importlib.import_module(module)
    return [look_at(loaded, task) for task in tasks]


def look_at(module: Any, task: Task) -> Look:
    """Returns what is seen of one entry of the data set `module`."""
    entry = task.entry
    try:
        image = first_frame(module, entry)
        return Look(
            width=image.shape[1],
            height=image.shape[0],
            rotation=_rotation(entry),
            digest=_digest(entry, image) if task.wants_digest else "",
            thumbnail=similarity.thumbnail(image).tobytes(),
            is_flat=is_flat(image),
            faces=len(align.detect(image)) if task.wants_faces else None,
            box=_box_fault(module, entry) if hasattr(module, "face_box") else "",
        )
    except ImageError as error:
        return Look(problem=str(error))


def first_frame(module: Any, entry: Entry) -> np.ndarray:
    """Returns the first frame of an entry, upright RGB.

    Raises:
      ImageError: the file cannot be read, or nothing in it decodes.
    """
    clip = open_entry(module, entry)
    for _, image in clip.read(clip.numbers[:1]):
        return image
    raise ImageError(f"{entry.name}: its first frame cannot be decoded; copy the file again")


def is_flat(image: np.ndarray) -> bool:
    """Whether a picture is of one colour, such as black."""
    return float(cv2.meanStdDev(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[1][0, 0]) < FLAT_CONTRAST


def black_share(image: np.ndarray) -> float:
    """Returns the share of pixels that are black in all channels: what lies outside the picture in a crop at its edge."""
    return cv2.countNonZero(cv2.inRange(image, (0, 0, 0), (BLACK, BLACK, BLACK))) / (image.shape[0] * image.shape[1])


def _rotation(entry: Entry) -> str:
    """Returns the rotation or mirroring that the file asks for and `open_clip` applies; other containers store none."""
    if entry.member or entry.path.is_file():
        if media.is_video(entry.path):
            degrees = int(cv2.VideoCapture(str(entry.path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_ORIENTATION_META))
            return f"turned by {degrees} degrees" if degrees else ""
        orientation = _orientation(entry)
        return f"EXIF orientation {orientation}" if orientation != UPRIGHT else ""
    return ""


def _orientation(entry: Entry) -> int:
    if entry.member:
        file: Any = io.BytesIO(read_file(entry.path, entry.member) or b"")
    elif entry.path.suffix.lower() in media.IMAGE_SUFFIXES:
        file = entry.path
    else:
        return UPRIGHT
    with Image.open(file) as picture:
        return picture.getexif().get(_ORIENTATION, UPRIGHT)


def _digest(entry: Entry, image: np.ndarray) -> str:
    """Hashes the file or member; of a folder that is one presentation, its first picture."""
    if entry.member:
        return hashlib.blake2b(read_file(entry.path, entry.member) or b"", digest_size=16).hexdigest()
    if entry.path.is_dir():
        return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
    with entry.path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _box_fault(module: Any, entry: Entry) -> str:
    try:
        return "" if face_box(module, entry) else "no box, or an empty one"
    except ImageError as error:
        return str(error)
