"""Reads pictures and video frames from files as upright RGB; whatever fails is one ImageError naming the file."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from flipjax.core.errors import ImageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov")
MAX_PIXELS = 100_000_000
Frame = tuple[int, UInt8[np.ndarray, "h w 3"]]
FIRST_FRAME = 6  # FLIP's data page: frames 6 and 6 + floor(n / 2) of every clip


def load_frames(path: Path) -> list[Frame]:
    """Returns the frames of a clip (see `load_video_frames`), or a picture as the one frame 0.

    Raises:
      ImageError: what the two readers raise.
    """
    return load_video_frames(path) if is_video(path) else [(0, load_image(path))]


def load_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the picture upright (EXIF orientation applied) as 8-bit RGB.

    Transparency is dropped, 16-bit grey is scaled, an animation gives its first picture.

    Raises:
      ImageError: missing, empty, damaged, not a picture, or above 100 million pixels.
    """
    check_readable(path)
    try:
        with _opened_picture(path) as picture:
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


def load_video_frames(path: Path) -> list[Frame]:
    """Returns frames 6 and 6 + floor(n / 2) of a clip of n frames as (index, upright RGB), clamped to the clip.

    n counts the frames that decode, whatever the header claims. A clip so short that both indices meet gives one frame.
    Rotation stored in the file is applied.

    Raises:
      ImageError: missing, empty, or no frame decodes.

    Source: FLIP's data page (frames 6 and 6 + floor(N/2) per video); the clamp is ours, the page is silent on short
    clips.
    """
    check_readable(path)
    with _opened(path) as clip:
        count = 0
        while clip.grab():
            count += 1
    if count == 0:
        raise ImageError(f"{path}: no frame of this video can be decoded; convert it to H.264 mp4 and try again")
    with _opened(path) as clip:
        return list(_frames(clip, frame_indices(count)))


def frame_indices(count: int) -> tuple[int, ...]:
    """Returns the frames to take from a clip of `count` frames, ascending and without repeats.

    Example:
      >>> frame_indices(100), frame_indices(8), frame_indices(3)
      ((6, 56), (6, 7), (2,))
    """
    last = count - 1
    return tuple(sorted({min(FIRST_FRAME, last), min(FIRST_FRAME + count // 2, last)}))


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


def _opened_picture(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we refuse such pictures ourselves
        return Image.open(path)


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


def _frames(clip: cv2.VideoCapture, wanted: tuple[int, ...]) -> Iterator[Frame]:
    for index in range(wanted[-1] + 1):
        if not clip.grab():
            return
        if index in wanted:
            ok, frame = clip.retrieve()
            if ok:
                yield index, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
