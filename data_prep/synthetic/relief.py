"""The solid shape of a head: outline, coarse relief of face and body, and the slopes that light falls on.

Heights are in eye units towards the camera; slopes are heights per eye unit.
"""

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.paint import Patch, bump, soft
from data_prep.synthetic.traits import Traits

_COARSE = 0.5  # the coarse relief is computed at half the canvas resolution
_OCCLUSION = 1.6


def outline(traits: Traits, y: Float[np.ndarray, "h 1"]) -> Float[np.ndarray, "h 1"]:
    """Returns half the width of the face at each height, 0 outside."""
    up = np.clip((0.25 - y) / (0.25 + traits.crown), 0, 1)
    down = np.clip((y - 0.25) / (traits.chin - 0.25), 0, 1)
    half = np.where(y < 0.25, (1 - up**2.4) ** (1 / 2.4), (1 - down**traits.jaw) ** (1 / 1.75))
    full = 1 + traits.cheek * np.exp(-(((y - 0.4) / 0.4) ** 2)) - 0.04 * np.exp(-(((y + 0.45) / 0.3) ** 2))
    return (traits.half_width * half * full).astype(np.float32)


def face_mask(traits: Traits, area: Patch) -> Float[np.ndarray, "h w"]:
    """Returns the cover of the bare head without ears."""
    half = outline(traits, area.y)
    mask = soft(half - np.abs(area.x) - 0.02 * (half <= 0), area.eye_px)
    return cv2.GaussianBlur(mask, (0, 0), 0.008 * area.eye_px + 0.3)


def dome(traits: Traits, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the smooth height of the head, used for shading and for parallax."""
    across = (x / (traits.half_width * 1.05)) ** 2
    along = ((y - 0.1) / 1.95) ** 2
    return (1.0 * np.sqrt(np.clip(1 - 0.9 * across - 0.72 * along, 0.03, None))).astype(np.float32)


def face_relief(traits: Traits, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the height of the face with nose, brows, sockets, cheekbones, lips and chin."""
    side = np.abs(x)
    relief = dome(traits, x, y) + _nose(traits, x, y, side)
    relief += -0.14 * bump((side - 0.5) / 0.28, (y + 0.03) / 0.17) + 0.055 * bump(
        (side - 0.5) / 0.17, (y + 0.01) / 0.11
    )
    relief += 0.05 * bump((side - 0.46) / 0.36, (y + traits.brow + 0.02) / 0.12)
    relief += 0.06 * bump((side - 0.64) / 0.26, (y - 0.42) / 0.24)
    upper, lower = traits.lips
    relief += 0.06 * bump(x / 0.33, (y - traits.mouth) / 0.17)
    relief += 0.035 * bump(x / 0.28, (y - traits.mouth + 0.6 * upper) / (0.8 * upper + 0.02))
    relief += 0.05 * bump(x / 0.26, (y - traits.mouth - 0.55 * lower) / (0.65 * lower + 0.02))
    relief += -0.05 * bump((x / (0.95 * traits.mouth_half)) ** 3, (y - traits.mouth) / 0.025)
    relief += -0.04 * bump((side - traits.mouth_half - 0.02) / 0.06, (y - traits.mouth) / 0.06)
    relief += -0.045 * bump(x / 0.22, (y - traits.mouth - lower - 0.09) / 0.06)
    relief += -0.018 * bump(x / 0.045, (y - 0.5 * (traits.nose + traits.mouth) - 0.04) / 0.1)
    relief += 0.09 * bump(x / 0.27, (y - traits.chin + 0.24) / 0.15)
    return relief.astype(np.float32)


def _nose(traits: Traits, x: np.ndarray, y: np.ndarray, side: np.ndarray) -> np.ndarray:
    tip = traits.nose - 0.05
    along = np.clip((y + 0.12) / (tip + 0.12), 0, 1)
    height = traits.nose_height * (0.22 + 0.78 * along**1.3) * np.clip((y + 0.4) / 0.3, 0, 1)
    height = np.where(y > tip, traits.nose_height * np.exp(-(((y - tip) / 0.12) ** 2)), height)
    width = 0.1 + (0.55 * traits.nose_width - 0.03) * along
    ridge = height * np.exp(-((x / width) ** 2))
    ball = 0.05 * bump(x / (0.5 * traits.nose_width), (y - tip) / 0.09)
    wings = 0.11 * bump((side - 0.78 * traits.nose_width) / 0.075, (y - traits.nose - 0.02) / 0.085)
    return ridge + ball + wings


def face_slopes(traits: Traits, area: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Returns slopes [h w 2] and occlusion [h w], 1 = open, of the face on a patch."""
    small = tuple(max(8, round(n * _COARSE)) for n in area.shape)
    x = np.linspace(area.x[0, 0], area.x[0, -1], small[1], dtype=np.float32)[None, :]
    y = np.linspace(area.y[0, 0], area.y[-1, 0], small[0], dtype=np.float32)[:, None]
    return slopes_of(face_relief(traits, x, y), area.eye_px * small[1] / area.shape[1], area.shape)


def slopes_of(relief: Float[np.ndarray, "a b"], eye_px: float, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns slopes [h w 2] and occlusion [h w] at `shape` of a coarse relief with `eye_px` pixels an eye unit."""
    slopes = gradient(cv2.GaussianBlur(relief, (0, 0), 0.012 * eye_px + 0.2), eye_px)
    around = cv2.GaussianBlur(cv2.resize(relief, None, fx=0.5, fy=0.5), (0, 0), 0.1 * eye_px)
    around = cv2.resize(around, relief.shape[::-1])
    occlusion = np.clip(1.0 + _OCCLUSION * (relief - around), 0.45, 1.1)
    return cv2.resize(slopes, shape[::-1]), cv2.resize(occlusion, shape[::-1])


def gradient(relief: Float[np.ndarray, "h w"], eye_px: float) -> Float[np.ndarray, "h w 2"]:
    """Returns slopes along x and y of a height map in eye units."""
    scale = eye_px / 8
    slope_x, slope_y = (cv2.Sobel(relief, cv2.CV_32F, *way, scale=scale) for way in ((1, 0), (0, 1)))
    return cv2.merge([slope_x, slope_y])


def normals_of(slopes: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 3"]:
    """Returns unit normals of slopes."""
    slope_x, slope_y = cv2.split(slopes)
    up = 1 / cv2.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    return cv2.merge([-slope_x * up, -slope_y * up, up])


def body_slopes(traits: Traits, area: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Returns the slopes [h w 2] of neck and of chest on a patch: an upright cylinder and a wide barrel."""
    across = np.clip(area.x / (0.75 * traits.half_width), -0.95, 0.95)
    neck = -0.9 * across / np.sqrt(1 - across**2)
    shoulder = np.clip(area.x / 3.3, -0.95, 0.95)
    chest = -0.9 * shoulder / np.sqrt(1 - shoulder**2)
    fall = 0.2 + 0.9 * np.exp(-(area.y - traits.chin - 0.3) / 0.25)
    rows = np.ones_like(area.y)
    return (
        cv2.merge([(neck * rows).astype(np.float32), np.full(area.shape, 0.15, np.float32)]),
        cv2.merge([(chest * rows).astype(np.float32), (np.clip(-fall, -1.4, 0) + 0 * area.x).astype(np.float32)]),
    )
