"""Colour curves, soft masks and plane geometry shared by the simulator; lengths in `eye` units are eye distances."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

# The head canvas measures 5.8 x 6.6 eye distances, the midpoint between the eyes at (2.9, 2.8).
CANVAS_EYES = (5.8, 6.6)
ORIGIN_EYES = (2.9, 2.8)
_CURVE_STEPS = 4095


def to_linear(image: UInt8[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    """Decodes sRGB bytes to linear light in [0, 1] (IEC 61966-2-1)."""
    value = np.arange(256) / 255.0
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return table.astype(np.float32)[image]


def to_srgb(linear: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    """Encodes linear light with the sRGB curve; values outside [0, 1] are clipped."""
    root = cv2.sqrt(np.clip(np.asarray(linear, np.float32), 0.0, 1.0)).reshape(linear.shape)
    return np.take(_srgb_curve(), (root * np.float32(_CURVE_STEPS) + np.float32(0.5)).astype(np.intp))


@lru_cache(maxsize=1)
def _srgb_curve() -> np.ndarray:
    """Returns sRGB over the square root of linear light, where the curve is nearly straight."""
    root = np.linspace(0.0, 1.0, _CURVE_STEPS + 1)
    return np.where(root**2 <= 0.0031308, 12.92 * root**2, 1.055 * root ** (2 / 2.4) - 0.055).astype(np.float32)


def colour(red: int, green: int, blue: int) -> Float[np.ndarray, "3"]:
    """Returns linear light of an sRGB triple."""
    return to_linear(np.array([[[red, green, blue]]], np.uint8))[0, 0]


def canvas_px(eye_px: float) -> tuple[int, int]:
    """Returns (width, height) of the head canvas for an eye distance in pixels."""
    return round(CANVAS_EYES[0] * eye_px), round(CANVAS_EYES[1] * eye_px)


def eye_grid(eye_px: float) -> tuple[Float[np.ndarray, "1 w"], Float[np.ndarray, "h 1"]]:
    """Returns x and y of the head canvas pixels in eye units, origin between the eyes, y down."""
    width, height = canvas_px(eye_px)
    x = (np.arange(width, dtype=np.float32)[None, :]) / np.float32(eye_px) - np.float32(ORIGIN_EYES[0])
    y = (np.arange(height, dtype=np.float32)[:, None]) / np.float32(eye_px) - np.float32(ORIGIN_EYES[1])
    return x, y


def to_canvas(points: Float[np.ndarray, "n 2"], eye_px: float) -> Float[np.ndarray, "n 2"]:
    """Maps points in eye units to pixels of the head canvas."""
    return (np.asarray(points, np.float64) + ORIGIN_EYES) * eye_px


def over(
    below: Float[np.ndarray, "h w c"], above: Float[np.ndarray, "..."], alpha: Float[np.ndarray, "h w"]
) -> np.ndarray:
    """Composites `above` on `below`; `above` may be one colour."""
    upper = np.asarray(above, np.float32)
    if upper.shape != below.shape:
        upper = np.broadcast_to(upper, below.shape)
    weight = np.ascontiguousarray(alpha, np.float32)
    lower = np.ascontiguousarray(below, np.float32)
    return cv2.blendLinear(np.ascontiguousarray(upper), lower, weight, 1 - weight)


def noise_field(rng: np.random.Generator, shape: tuple[int, int], grain: float | tuple[float, float]) -> np.ndarray:
    """Returns smooth noise [h w] of unit variance whose features measure about `grain` pixels (y, x)."""
    grain_y, grain_x = grain if isinstance(grain, tuple) else (grain, grain)
    rows, columns = max(2, round(shape[0] / grain_y)), max(2, round(shape[1] / grain_x))
    field = cv2.resize(gaussian(rng, (rows, columns)), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    field *= np.float32(1 / max(float(cv2.meanStdDev(field)[1][0, 0]), 1e-6))
    return field


def gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """Returns independent normal numbers [h w]; OpenCV draws them from a seed of `rng`, five times as fast."""
    draws = np.empty(shape, np.float32)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    return cv2.randn(draws, np.zeros(1), np.ones(1))


def similarity(
    scale: float, roll_deg: float, source: Float[np.ndarray, "2"], target: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "3 3"]:
    """Returns the 3x3 matrix that scales and turns about `source` and puts it at `target`."""
    angle = np.deg2rad(roll_deg)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = target - matrix[:2, :2] @ source
    return matrix


def tilt(size: tuple[int, int], yaw: float, pitch: float) -> np.ndarray:
    """Returns the homography of a sheet of `size` (w, h) pixels turned by small angles in radians, centre fixed."""
    width, height = size
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * (width, height)
    distance = 2.0 * max(width, height)
    depth = corners[:, 0] * np.sin(yaw) + corners[:, 1] * np.sin(pitch)
    seen = corners * (np.cos(yaw), np.cos(pitch)) * (distance / (distance + depth))[:, None]
    centre = np.array([width / 2, height / 2])
    return cv2.getPerspectiveTransform((corners + centre).astype(np.float32), (seen + centre).astype(np.float32))


def saturation_matrix(saturation: float) -> Float[np.ndarray, "3 3"]:
    """Returns the colour matrix that keeps greys and scales the distance of colours from grey."""
    return np.full((3, 3), (1 - saturation) / 3) + saturation * np.eye(3)


def dot(field: Float[np.ndarray, "h w 3"], rows: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "h w k"]:
    """Returns the scalar products of a vector field with `rows`."""
    return cv2.transform(field, np.asarray(rows, np.float64)).reshape(*field.shape[:2], len(rows))


def apply(matrix: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Maps points through a homography."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return homogeneous[:, :2] / homogeneous[:, 2:]
