"""Fingers that hold a sheet or a device at its edge."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.faces import SKIN_TONES
from data_prep.synthetic.geometry import apply, colour, over
from data_prep.synthetic.lighting import Light, light_sheet
from data_prep.synthetic.scene import Scene


@dataclass(frozen=True)
class Grip:
    """Fingers as segments [n 2 2] from outside the edge to the tip, on the object plane, with their thickness."""

    segments: Float[np.ndarray, "n 2 2"]
    thickness: float
    skin: Float[np.ndarray, "3"]


def draw_grip(rectangle: tuple[float, ...], eye_px: float, rng: np.random.Generator) -> Grip | None:
    """Draws one to four fingers at the left, right or lower edge, or none."""
    if rng.random() < 0.35:
        return None
    x0, y0, x1, y1 = rectangle
    edge = int(rng.integers(3))
    start = rng.uniform(0.3, 0.8)
    fingers = []
    for number in range(int(rng.integers(1, 5))):
        share = start + number * 0.36 * eye_px / (y1 - y0)
        reach, slant = rng.uniform(0.15, 0.5) * eye_px, rng.normal(0, 0.2) * eye_px
        if edge == 2:
            x = x0 + share * (x1 - x0)
            fingers.append([[x + slant, y1 + 2.5 * eye_px], [x, y1 - reach]])
        else:
            y = y0 + share * (y1 - y0)
            outside, tip = (x0 - 1.8 * eye_px, x0 + reach) if edge == 0 else (x1 + 1.8 * eye_px, x1 - reach)
            fingers.append([[outside, y + slant], [tip, y]])
    skin = colour(*SKIN_TONES[int(rng.integers(len(SKIN_TONES)))])
    return Grip(np.array(fingers), float(rng.uniform(0.28, 0.36)) * eye_px, skin)


def hold(scene: Scene, grip: Grip, matrix: Float[np.ndarray, "3 3"], light: Light) -> Scene:
    """Draws the fingers over a scene and takes them out of its attack region."""
    height, width = scene.attack.shape
    mask = np.zeros((height, width), np.uint8)
    ends = apply(matrix, grip.segments.reshape(-1, 2)).reshape(-1, 2, 2)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    thickness = max(1, round(grip.thickness * scale))
    for outside, tip in np.clip(ends, -4 * width, 5 * width).round().astype(int):
        cv2.line(mask, tuple(outside.tolist()), tuple(tip.tolist()), 255, thickness, cv2.LINE_AA)
    if not mask.any():
        return scene
    relief = np.clip(cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3) / (0.5 * thickness), 0, 1)
    normals = _round_normals(np.sqrt(1 - (1 - relief) ** 2), thickness)
    radiance = grip.skin * light_sheet(light, normals) * light.level
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
    return Scene(over(scene.radiance, radiance, cover), scene.attack * (1 - cover), scene.landmarks)


def _round_normals(relief: np.ndarray, thickness: int) -> np.ndarray:
    smooth = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), max(0.8, 0.06 * thickness)) * thickness / 2
    normals = np.dstack(
        [-cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, -cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8, np.ones_like(smooth)]
    )
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)
