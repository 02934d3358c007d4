"""Reads pictures and video frames from files as upright RGB; whatever fails is one ImageError naming the file."""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from flipjax.core.errors import ImageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov")
MAX_PIXELS = 100_000_000
_FRAMES_LOST_AT_END = 5
Frame = tuple[int, UInt8[np.ndarray, "h w 3"]]


@dataclass(frozen=True)
class Clip:
    """The frames of one presentation: their ascending numbers, and how to decode those asked for, in order."""

    numbers: Sequence[int]
    read: Callable[[Sequence[int]], Iterator[Frame]]


def open_clip(path: Path) -> Clip:
    """Returns a video as the clip of its frames, numbered from 0, or a picture as a clip of the one frame 0.

    The frames are those that decode, whatever a header claims. Rotation stored in a file is applied.

    Raises:
      ImageError: missing, empty, or no frame decodes; `read` raises it for a damaged picture.
    """
    if not is_video(path):
        check_readable(path)
        return Clip((0,), lambda wanted: ((number, load_image(path)) for number in wanted))
    return Clip(frame_numbers(path), lambda wanted: _read_video(path, wanted))


def load_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the picture upright (EXIF orientation applied) as 8-bit RGB.

    Transparency is dropped, 16-bit grey is scaled, an animation gives its first picture.

    Raises:
      ImageError: missing, empty, damaged, not a picture, or above 100 million pixels.
    """
    check_readable(path)
    return _decoded(path, str(path))


def decode_image(data: bytes, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the picture in `data` as `load_image` does; errors call it `name`.

    Raises:
      ImageError: empty, damaged, not a picture, or above 100 million pixels.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; copy it again")
    return _decoded(io.BytesIO(data), name)


def _decoded(file: Path | io.BytesIO, path: str) -> np.ndarray:
    try:
        with _opened_picture(file) as picture:
            width, height = picture.size
            if width * height <= MAX_PIXELS:
                return np.array(_to_rgb(ImageOps.exif_transpose(picture)))
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: picture has far more than {MAX_PIXELS} pixels; shrink it first") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not a picture in a known format; save it as JPEG or PNG") from error
    except Exception as error:  # damaged files make Pillow's decoders raise nearly every built-in type
        reason = str(error) or type(error).__name__
        raise ImageError(f"{path}: cannot be read as a picture ({reason}); save it again as JPEG or PNG") from error
    raise ImageError(f"{path}: picture of {width}x{height} has more than {MAX_PIXELS} pixels; shrink it first")


def frame_numbers(path: Path) -> list[int]:
    """Returns the numbers of the frames of a video that decode.

    A few damaged frames in the middle are passed over, as in a clip or two of MSU-MFSD; five in a row are its end.

    Raises:
      ImageError: missing, empty, or no frame decodes.
    """
    check_readable(path)
    with _opened(path) as clip:
        numbers = list(_grabbed(clip))
    if not numbers:
        raise ImageError(f"{path}: no frame of this video can be decoded; convert it to H.264 mp4 and try again")
    return numbers


def is_video(path: Path) -> bool:
    """Whether the file's suffix is that of a video format read here (mp4, avi, mov)."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def check_readable(path: Path) -> None:
    """Raises ImageError unless `path` is a file with something in it that may be opened."""
    if not path.exists():
        raise ImageError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise ImageError(f"{path}: not a file; give an image or a video")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror}); check its permissions") from error
    if empty:
        raise ImageError(f"{path}: the file is empty; copy it again")


def _opened_picture(file: Path | io.BytesIO) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we refuse such pictures ourselves
        return Image.open(file)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture, np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: what fails is reported once, by us
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # FFmpeg by name: OpenCV would try its other readers on a damaged file, one of which looks for numbered pictures.
    clip = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    cv2.utils.logging.setLogLevel(level)
    try:
        yield clip
    finally:
        clip.release()


def _grabbed(clip: cv2.VideoCapture) -> Iterator[int]:
    """Yields the number of every frame that can be grabbed, right after it was."""
    number, failed = 0, 0
    while failed < _FRAMES_LOST_AT_END:
        is_there = clip.grab()
        failed = 0 if is_there else failed + 1
        if is_there:
            yield number
        number += 1


def _read_video(path: Path, wanted: Sequence[int]) -> Iterator[Frame]:
    left = set(wanted)
    with _opened(path) as clip:
        for number in _grabbed(clip):
            if number in left:
                ok, frame = clip.retrieve()
                if ok:
                    yield number, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
                left.remove(number)
            if not left:
                return
