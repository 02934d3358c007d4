"""Fingers that hold a sheet, a cut-out or a device at its edge."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import apply, over
from data_prep.synthetic.lighting import Light, light_sheet
from data_prep.synthetic.relief import normals_of
from data_prep.synthetic.scene import Scene
from data_prep.synthetic.skin import draw_tone

FREE_SHARE = 0.35
FINGER_GAP = 0.36
ARM = 3.5  # eye units that a hand reaches away from the edge
JOINT_EVERY = 1.4  # thicknesses between the joints
PALM_FROM = 0.28  # share of the way from the tip to the far end where the fingers meet
NAIL = (1.25, 1.05, 1.05)
SHADOW = 0.4


@dataclass(frozen=True)
class Grip:
    """Fingers as segments [n 2 2] from outside the edge to the tip, on the object plane, with their thickness."""

    segments: Float[np.ndarray, "n 2 2"]
    thickness: float
    skin: Float[np.ndarray, "3"]


def draw_grip(rectangle: tuple[float, ...], eye_px: float, rng: np.random.Generator) -> Grip | None:
    """Draws one to four fingers at the left, right or lower edge of a rectangle, or none."""
    if rng.random() < FREE_SHARE:
        return None
    x0, y0, x1, y1 = rectangle
    edge = int(rng.integers(3))
    start = rng.uniform(0.3, 0.8)
    fingers = []
    for number in range(int(rng.integers(1, 5))):
        share = start + number * FINGER_GAP * eye_px / (y1 - y0)
        reach, slant = rng.uniform(0.15, 0.5) * eye_px, rng.normal(0, 0.2) * eye_px
        if edge == 2:
            x = x0 + share * (x1 - x0)
            fingers.append([[x + slant, y1 + ARM * eye_px], [x, y1 - reach]])
        else:
            y = y0 + share * (y1 - y0)
            outside, tip = (x0 - ARM * eye_px, x0 + reach) if edge == 0 else (x1 + ARM * eye_px, x1 - reach)
            fingers.append([[outside, y + slant], [tip, y]])
    return Grip(np.array(fingers), float(rng.uniform(0.28, 0.36)) * eye_px, draw_tone(rng))


def grip_outline(cover: Float[np.ndarray, "h w"], eye_px: float, rng: np.random.Generator) -> Grip | None:
    """Draws two to four fingers that hold a cut-out of any outline at its left or right edge, or none if it is empty."""
    rows = np.flatnonzero(cover.max(axis=1) > 0.5)
    if not rows.size:
        return None
    left = bool(rng.random() < 0.5)
    first = rows[0] + (rows[-1] - rows[0]) * rng.uniform(0.45, 0.75)
    fingers = []
    for number in range(int(rng.integers(2, 5))):
        row = int(min(first + number * FINGER_GAP * eye_px, rows[-1]))
        inside = np.flatnonzero(cover[row] > 0.5)
        if inside.size:
            edge, way = (inside[0], 1) if left else (inside[-1], -1)
            reach, slant = rng.uniform(0.2, 0.45) * eye_px, rng.normal(0.25, 0.15) * eye_px
            fingers.append([[edge - ARM * way * eye_px, row + slant], [edge + way * reach, row]])
    return Grip(np.array(fingers, np.float64), float(rng.uniform(0.28, 0.34)) * eye_px, draw_tone(rng))


def hold(scene: Scene, grip: Grip, matrix: Float[np.ndarray, "3 3"], light: Light) -> Scene:
    """Draws palm and fingers over a scene, each over the one before, and takes them out of its attack region."""
    width = scene.attack.shape[1]
    ends = apply(matrix, grip.segments.reshape(-1, 2)).reshape(-1, 2, 2)
    ends = np.clip(ends, -4 * width, 5 * width)
    thickness = max(1, round(grip.thickness * float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))))
    held = Scene(scene.radiance.copy(), scene.attack.copy(), scene.landmarks)
    if len(ends) > 1:
        knuckles = ends[:, 1] + (ends[:, 0] - ends[:, 1]) * PALM_FROM
        _flesh(held, np.concatenate([ends[:, 0], knuckles[::-1]]), thickness, grip.skin, light)
    for outside, tip in ends:
        root = tip + (outside - tip) * (PALM_FROM + 0.08 if len(ends) > 1 else 1.0)
        _flesh(held, np.stack([tip, root]), thickness, grip.skin, light)
    return held


def _flesh(scene: Scene, line: np.ndarray, thickness: int, skin: np.ndarray, light: Light) -> None:
    """Draws a finger (tip first, two points) or a palm (a polygon) with its shadow on what it holds, in place."""
    height, width = scene.attack.shape
    margin = thickness + 2
    low = np.clip(np.floor(line.min(axis=0)) - margin, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(line.max(axis=0)) + margin, 0, [width, height]).astype(int)
    if (high - low).min() < 2:
        return
    radiance, attack = (field[low[1] : high[1], low[0] : high[0]] for field in (scene.radiance, scene.attack))
    mask, points = np.zeros(attack.shape, np.uint8), (line - low).round().astype(np.int32)
    cv2.polylines(mask, [points], len(points) > 2, 255, thickness, cv2.LINE_AA)
    if len(points) > 2:
        cv2.fillPoly(mask, [cv2.convexHull(points)], 255)
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
    height_map = np.clip(cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3) / (0.5 * thickness), 0, 1)
    normals = _round_normals(np.sqrt(1 - (1 - height_map) ** 2), thickness)
    tone = np.broadcast_to(skin, radiance.shape).astype(np.float32)
    if len(points) == 2:
        tone = _finger_tone(tone, line - low, thickness)
    lit = tone * light_sheet(light, normals) * np.float32(light.level)
    dark = 1 - SHADOW * cv2.GaussianBlur(cover, (0, 0), 0.12 * thickness + 0.5)
    radiance[:] = over(radiance * dark[..., None], lit, cover)
    attack *= 1 - cover


def _finger_tone(tone: np.ndarray, finger: np.ndarray, thickness: int) -> np.ndarray:
    """Adds the nail and the creases of the joints to the skin of one finger."""
    tip, along = finger[0], finger[0] - finger[1]
    along = along / max(float(np.linalg.norm(along)), 1.0)
    nail = np.zeros(tone.shape[:2], np.uint8)
    axes = (max(1, round(0.3 * thickness)), max(1, round(0.23 * thickness)))
    angle = float(np.rad2deg(np.arctan2(along[1], along[0])))
    middle = tuple((tip + along * 0.14 * thickness).round().astype(int).tolist())
    cv2.ellipse(nail, middle, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)
    x, y = np.arange(tone.shape[1], dtype=np.float32)[None, :], np.arange(tone.shape[0], dtype=np.float32)[:, None]
    way = ((tip[0] - x) * along[0] + (tip[1] - y) * along[1]) / thickness
    crease = np.exp(-(((way % JOINT_EVERY - 0.7) / 0.08) ** 2)) * (way > 0.4)
    tone = tone * (1 - 0.14 * crease.astype(np.float32))[..., None]
    return over(tone, tone * np.asarray(NAIL, np.float32), nail.astype(np.float32) * np.float32(0.8 / 255))


def _round_normals(relief: np.ndarray, thickness: int) -> np.ndarray:
    smooth = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), max(0.8, 0.06 * thickness)) * np.float32(thickness / 2)
    return normals_of(cv2.merge([cv2.Sobel(smooth, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1))]))
