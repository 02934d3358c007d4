"""Photographs on paper: tone and gamut of the print, halftone or grain, sheet edge, bend, gloss."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.devices import Printer
from data_prep.synthetic.geometry import apply, noise_field, over, tilt
from data_prep.synthetic.hands import Grip, draw_grip, hold
from data_prep.synthetic.lighting import light_sheet
from data_prep.synthetic.scene import Pose, Scene, Stage, cast_shadow, plane_coordinates, rectangle_cover

_SCREEN_ANGLES = (15.0, 75.0, 0.0)
_DOT_GAIN = 0.3  # share of the tone that ink spreads evenly, so that dots keep only the rest of their contrast


@dataclass(frozen=True)
class Print:
    """One sheet in one video: reflectance [h w 3] on the head canvas and how it is held."""

    reflectance: Float[np.ndarray, "h w 3"]
    points: Float[np.ndarray, "5 2"]
    rectangle: tuple[float, ...]
    margin: float
    lean: Float[np.ndarray, "3 3"]
    bend: float
    bend_down: bool
    gloss: tuple[float, float, float, float]
    paper: tuple[float, float, float]
    grip: Grip | None


def make_print(
    photo: Float[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "5 2"],
    printer: Printer,
    eye_px: float,
    rng: np.random.Generator,
) -> Print:
    """Prints a photograph; about every second sheet fills the frame, the rest show their edges."""
    height, width = photo.shape[:2]
    rectangle = (-width, -height, 2.0 * width, 2.0 * height)
    if rng.random() < 0.75:
        rectangle = cut(points, eye_px, rng)
    margin = float(rng.choice([0.0, rng.uniform(0.04, 0.2)])) * eye_px
    grip = draw_grip(rectangle, eye_px, rng) if rectangle[0] > 0 else None
    gloss = (
        printer.gloss * float(rng.uniform(0.3, 1.2)),
        float(rng.uniform(-0.6, 0.6)),
        float(rng.uniform(0.15, 0.6)),
        float(rng.uniform(-80, 80)),
    )
    return Print(
        reflectance=ink(photo, printer, eye_px, rng),
        points=points,
        rectangle=rectangle,
        margin=margin,
        lean=tilt((width, height), rng.normal(0, 0.16), rng.normal(0, 0.16)),
        bend=float(rng.normal(0, 0.12)),
        bend_down=bool(rng.random() < 0.5),
        gloss=gloss,
        paper=printer.paper,
        grip=grip,
    )


def cut(points: Float[np.ndarray, "5 2"], eye_px: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Draws the visible part of a photograph (x0 y0 x1 y1): the whole face, with more or less around it."""
    x, y = points[:2].mean(axis=0)
    left, right = rng.uniform(1.1, 1.95, 2) * eye_px
    top, bottom = rng.uniform(1.1, 1.8) * eye_px, rng.uniform(1.75, 2.5) * eye_px
    return float(x - left), float(y - top), float(x + right), float(y + bottom)


def ink(
    photo: Float[np.ndarray, "h w 3"], printer: Printer, eye_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    """Returns the reflectance of a printed photograph: reduced gamut and density, halftone or grain, paper colour."""
    shape = photo.shape[:2]
    top = max(float(np.quantile(photo[::4, ::4], 0.995)), 1e-3)
    tone = np.clip(photo / top, 0, 1) ** np.float32(0.75 * printer.contrast)
    mix = np.full((3, 3), (1 - printer.saturation) / 3) + printer.saturation * np.eye(3)
    wanted = np.clip(cv2.transform(tone, mix), 0, 1)
    if printer.pitch:
        phase = rng.uniform(0, 2 * np.pi, 6)
        planes = [
            _halftone(wanted[..., c], printer.pitch * eye_px, a, phase[2 * c :]) for c, a in enumerate(_SCREEN_ANGLES)
        ]
        wanted = _DOT_GAIN * wanted + (1 - _DOT_GAIN) * np.stack(planes, axis=-1)
    grain = printer.grain * noise_field(rng, shape, 1.3)
    streaks = 0.4 * printer.grain * noise_field(rng, (shape[0], 1), (0.03 * eye_px, 1))
    uneven = 0.03 * noise_field(rng, shape, 2.5 * eye_px)
    dirt = (1 + grain + streaks + uneven)[..., None]
    return np.clip((printer.black + (1 - printer.black) * wanted) * dirt, 0.01, 1.0) * np.asarray(
        printer.paper, np.float32
    )


def _halftone(tone: np.ndarray, pitch: float, angle: float, phase: np.ndarray) -> np.ndarray:
    """Covers white with dots of period `pitch` pixels so that their mean is about `tone`."""
    turn = np.deg2rad(angle)
    wave = np.float32(2 * np.pi / pitch)
    x = np.arange(tone.shape[1], dtype=np.float32)[None, :] * wave
    y = np.arange(tone.shape[0], dtype=np.float32)[:, None] * wave
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    # cos(a) + cos(b) with a, b the turned axes, expanded so that only vectors are passed to cos and sin
    first = np.cos(x * cos + np.float32(phase[0])) * np.cos(y * sin) - np.sin(x * cos + np.float32(phase[0])) * np.sin(
        y * sin
    )
    second = np.cos(y * cos + np.float32(phase[1])) * np.cos(x * sin) + np.sin(y * cos + np.float32(phase[1])) * np.sin(
        x * sin
    )
    threshold = 0.5 + 0.25 * (first + second)
    soft = np.float32(0.35)
    return np.clip(0.5 + (tone * (1 + soft) - 0.5 * soft - threshold) / soft, 0, 1)


def show_print(sheet: Print, stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of a held or mounted print; the sheet is lit as the flat thing it is."""
    shape = stage.room.shape[:2]
    matrix = pose.matrix @ sheet.lean
    x, y = plane_coordinates(matrix, shape)
    height, width = sheet.reflectance.shape[:2]
    across = 2 * x / width - 1
    along = 2 * y / height - 1
    lift = sheet.bend * 0.06 * width
    x, y = (x, y + lift * (1 - across**2)) if sheet.bend_down else (x + lift * (1 - along**2), y)
    picture = cv2.remap(sheet.reflectance, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    ramp = np.linalg.norm(np.linalg.inv(matrix)[:2, 0])
    cover = rectangle_cover(x, y, sheet.rectangle, float(ramp), 0.0)
    if sheet.margin:
        x0, y0, x1, y1 = sheet.rectangle
        inner = (x0 + sheet.margin, y0 + sheet.margin, x1 - sheet.margin, y1 - sheet.margin)
        picture = over(
            np.broadcast_to(np.asarray(sheet.paper, np.float32), picture.shape),
            picture,
            rectangle_cover(x, y, inner, float(ramp), 0.0),
        )
    radiance = picture * _irradiance(sheet, stage, across, along) + _shine(sheet, stage, across, along)
    seen = over(cast_shadow(stage.room, cover, pose.eye_px), radiance, cover)
    points = _bend_back(sheet, sheet.points, lift, (width, height))
    scene = Scene(seen * stage.light.level, cover, apply(matrix, points))
    return hold(scene, sheet.grip, matrix, stage.light) if sheet.grip else scene


def _bend_back(sheet: Print, points: np.ndarray, lift: float, size: tuple[int, int]) -> np.ndarray:
    across = 2 * points / np.asarray(size) - 1
    if sheet.bend_down:
        return points - np.stack([np.zeros(len(points)), lift * (1 - across[:, 0] ** 2)], axis=1)
    return points - np.stack([lift * (1 - across[:, 1] ** 2), np.zeros(len(points))], axis=1)


def _irradiance(sheet: Print, stage: Stage, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    slope = sheet.bend * 2.2 * np.clip(along if not sheet.bend_down else across, -1.5, 1.5)
    flat = np.zeros_like(slope)
    parts = [slope, flat, np.ones_like(slope)] if sheet.bend_down else [flat, slope, np.ones_like(slope)]
    normals = np.stack(parts, axis=-1)
    return light_sheet(stage.light, normals / np.linalg.norm(normals, axis=-1, keepdims=True))


def _shine(sheet: Print, stage: Stage, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    strength, offset, size, turn = sheet.gloss
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    band = np.exp(-(((across * cos + along * sin - offset) / size) ** 2))
    return (0.35 * strength * band)[..., None] * (stage.light.key + 0.4 * stage.light.ambient)
