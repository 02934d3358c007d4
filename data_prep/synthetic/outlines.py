"""Outlines along which masks are cut: face, head and shoulders, parts of a face, and holes for eyes and mouth.

All are covers 0..1 on the head canvas, placed by the five points of the pictured face.
"""

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import canvas_px, noise_field
from data_prep.synthetic.paint import soft

REGIONS = ("eyes", "lower", "half", "nose")
COARSE_EYE_PX = 64.0  # distances to an outline are computed with this many pixels an eye unit and enlarged
CUT_ERROR = 0.007  # eye units: scissors do not follow a line exactly


def face_outline(points: Float[np.ndarray, "5 2"], eye_px: float, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Returns an oval about the face, with or without the hair above it."""
    x, y = _about_eyes(points, eye_px)
    wide, top = float(rng.uniform(0.95, 1.12)), float(rng.uniform(0.75, 1.4))
    bottom = _mouth_below(points, eye_px) + float(rng.uniform(0.45, 0.75))
    reach = np.where(y < 0.3, (0.3 - y) / (0.3 + top), (y - 0.3) / (bottom - 0.3))
    radius = (np.abs(x / wide) ** 2.3 + np.abs(reach) ** 2.3) ** np.float32(1 / 2.3)
    return _cover((1 - radius) * wide + _cut_error(rng, radius.shape, eye_px), eye_px)


def person_outline(
    points: Float[np.ndarray, "5 2"], eye_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Returns head, neck and shoulders, cut with some of the picture's background left about them."""
    x, y = _about_eyes(points, eye_px)
    spare = float(rng.uniform(0.0, 0.25))
    head = np.clip((0.3 - y) / (2.0 + spare), 0, None)
    chin = np.clip((y - 0.3) / 1.75, 0, None)
    wide = 1.2 + spare
    radius = (np.abs(x / wide) ** 2.3 + np.maximum(head, chin) ** 2.3) ** np.float32(1 / 2.3)
    side = np.clip(np.abs(x) - 0.8, 0, None)
    shoulder = y - (1.75 - spare) - 0.32 * side**1.3
    reach = float(rng.uniform(1.95, 2.5))
    body = np.minimum(shoulder, np.minimum(reach - np.abs(x), float(rng.uniform(2.7, 4.5)) - y))
    neck = np.minimum(0.75 + 0.5 * spare - np.abs(x), np.minimum(y, 2.4 - y))
    inside = np.maximum.reduce([(1 - radius) * wide, body, neck])
    return _cover(inside + _cut_error(rng, inside.shape, eye_px), eye_px)


def region_outline(
    points: Float[np.ndarray, "5 2"], eye_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Returns a part of the face: a band over the eyes, the lower face, one half, or nose and mouth."""
    x, y = _about_eyes(points, eye_px)
    grow, mouth = float(rng.uniform(-0.05, 0.1)), _mouth_below(points, eye_px)
    kind = REGIONS[int(rng.integers(len(REGIONS)))]
    across, down = np.abs(x), y - 0.5 * mouth
    inside = {
        "eyes": np.minimum(1.02 + grow - across, 0.42 + grow - np.abs(y + 0.05)),
        "lower": np.minimum(
            0.95 + grow - across - 0.25 * np.clip(y - mouth, 0, 1), 0.72 + grow - np.abs(y - mouth + 0.05)
        ),
        "half": np.minimum(np.minimum(x + 0.05, 1.05 + grow - x), 1.25 + grow - np.abs(down)),
        "nose": np.minimum(0.55 + grow - across, 0.65 + grow - np.abs(y - 0.65)),
    }[kind]
    return _cover(inside + _cut_error(rng, inside.shape, eye_px), eye_px)


def holes(points: Float[np.ndarray, "5 2"], eye_px: float, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Returns the holes, 1 = cut away: both eyes and, more often than not, the mouth."""
    x, y = _about_eyes(points, eye_px)
    wide, high = float(rng.uniform(0.2, 0.28)), float(rng.uniform(0.09, 0.15))
    eyes = high * (1 - np.sqrt(((np.abs(x) - 0.5) / wide) ** 2 + (y / high) ** 2))
    if rng.random() < 0.35:
        return _cover(eyes, eye_px)
    mouth = 0.06 * (1 - np.sqrt((x / 0.22) ** 2 + ((y - _mouth_below(points, eye_px)) / 0.06) ** 2))
    return _cover(np.maximum(eyes, mouth), eye_px)


def _about_eyes(points: np.ndarray, eye_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns coarse coordinates in eye distances of the pictured face: origin between its eyes, x along them."""
    width, height = canvas_px(eye_px)
    columns, rows = _coarse(width, eye_px), _coarse(height, eye_px)
    x = (np.arange(columns, dtype=np.float32)[None, :] + 0.5) * np.float32(width / columns) - 0.5
    y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) * np.float32(height / rows) - 0.5
    middle, across = points[:2].mean(axis=0), points[1] - points[0]
    a, b = (float(v) for v in across / max(float(across @ across), 1e-6))
    x, y = x - np.float32(middle[0]), y - np.float32(middle[1])
    return np.float32(a) * x + np.float32(b) * y, np.float32(a) * y - np.float32(b) * x


def _coarse(count: int, eye_px: float) -> int:
    return round(count / max(1.0, eye_px / COARSE_EYE_PX))


def _cover(inside: np.ndarray, eye_px: float) -> Float[np.ndarray, "h w"]:
    fine = cv2.resize(inside.astype(np.float32), canvas_px(eye_px), interpolation=cv2.INTER_LINEAR)
    cover = soft(fine, eye_px)
    cover[0], cover[:, 0], cover[:, -1] = 0, 0, 0  # paper may go on below the canvas, not beside it
    return cover


def _mouth_below(points: np.ndarray, eye_px: float) -> float:
    distance = max(float(np.linalg.norm(points[1] - points[0])), 1e-6)
    return float(np.linalg.norm(points[3:].mean(axis=0) - points[:2].mean(axis=0))) / distance


def _cut_error(rng: np.random.Generator, shape: tuple[int, ...], eye_px: float) -> np.ndarray:
    return CUT_ERROR * noise_field(rng, (shape[0], shape[1]), 0.25 * min(eye_px, COARSE_EYE_PX))
