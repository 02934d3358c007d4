"""Photographs on paper: the picture the attacker has, its print, sheet edge, bend and folds, gloss, hands."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.flats import attacker_file, blend, coarse_plane, cut, enlarge, inset, lamps, sheet_cover, spots
from data_prep.synthetic.geometry import apply, noise_field, tilt
from data_prep.synthetic.halftone import print_tones
from data_prep.synthetic.hands import Grip, draw_grip, hold
from data_prep.synthetic.lighting import light_sheet
from data_prep.synthetic.printers import Printer
from data_prep.synthetic.scene import Pose, Scene, Stage, cast_shadow, plane_coordinates

EDGE_SHARE = 0.9  # sheets that show their edges; the others fill the frame
MARGIN_SHARE, MARGIN = 0.5, (0.04, 0.22)  # sheets with a white margin and its width in eye units
FOLD_SHARE = {"photo": 0.1, "a4_paper": 0.4, "poster": 0.3}
FOLD_SLOPE, FOLD_WIDTH = 0.22, 0.03
LEAN = 0.16  # radians
GRAIN_MM = 0.3
GLOSS_SPOT, GLOSS_BAND, GLOSS_VEIL = 1.6, 0.3, 0.03


@dataclass(frozen=True)
class Print:
    """One sheet in one video: reflectance [h w 3] on the head canvas and how it is held.

    bend: curvature across or down the sheet; fold: its place (-1..1) and change of slope; gloss: strength, then offset,
    width and direction of the sheen; glare [k 4]: x, y, size and strength of lamp images.
    """

    reflectance: Float[np.ndarray, "h w 3"]
    points: Float[np.ndarray, "5 2"]
    rectangle: tuple[float, ...]
    margin: float
    lean: Float[np.ndarray, "3 3"]
    bend: float
    bend_down: bool
    fold: tuple[float, float]
    gloss: tuple[float, float, float, float]
    glare: Float[np.ndarray, "k 4"]
    paper: tuple[float, float, float]
    dotted: bool
    grip: Grip | None


def make_print(
    photo: Float[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "5 2"],
    printer: Printer,
    eye_px: float,
    rng: np.random.Generator,
) -> Print:
    """Prints a photograph; some sheets fill the frame, the rest show their edges."""
    height, width = photo.shape[:2]
    rectangle = (-width, -height, 2.0 * width, 2.0 * height)
    if rng.random() < EDGE_SHARE:
        rectangle = cut(points, eye_px, rng)
    margin = float(rng.uniform(*MARGIN)) * eye_px if rng.random() < MARGIN_SHARE else 0.0
    grip = draw_grip(rectangle, eye_px, rng) if rectangle[0] > 0 else None
    gloss = (
        printer.gloss * float(rng.uniform(0.2, 1.0)),
        float(rng.uniform(-0.6, 0.6)),
        float(rng.uniform(0.15, 0.6)),
        float(rng.uniform(-80, 80)),
    )
    folded = rng.random() < FOLD_SHARE[printer.instrument]
    return Print(
        reflectance=ink(photo, printer, eye_px, rng),
        points=points,
        rectangle=rectangle,
        margin=margin,
        lean=tilt((width, height), rng.normal(0, LEAN), rng.normal(0, LEAN)),
        bend=float(rng.normal(0, printer.curl)),
        bend_down=bool(rng.random() < 0.5),
        fold=(float(rng.uniform(-0.5, 0.5)), float(rng.normal(0, FOLD_SLOPE)) if folded else 0.0),
        gloss=gloss,
        glare=lamps(rng, int(rng.integers(0, 3))),
        paper=printer.paper,
        dotted=printer.pitch > 0,
        grip=grip,
    )


def ink(
    photo: Float[np.ndarray, "h w 3"], printer: Printer, eye_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    """Returns the reflectance of a printed photograph: tones, inks and dots, softness, uneven inking, paper colour."""
    shape = photo.shape[:2]
    photo = attacker_file(photo, eye_px, rng)
    top = max(float(np.quantile(photo[::4, ::4], 0.995)), 1e-3)
    tones = np.clip(photo * np.float32(1 / top), 0, 1)
    printed = print_tones(tones, printer, eye_px, rng)
    sigma = printer.blur * eye_px
    if sigma > 0.3:
        printed = cv2.GaussianBlur(printed, (0, 0), sigma)
    grain_px = max(1.3, GRAIN_MM / printer.eye_mm * eye_px)
    dirt = 1 + printer.grain * noise_field(rng, shape, grain_px)
    dirt += 0.5 * printer.grain * noise_field(rng, (shape[0], 1), (0.03 * eye_px, 1))
    dirt += 0.03 * noise_field(rng, shape, 2.5 * eye_px)
    dirt = np.clip(dirt, 0.5, 1.15)
    red, green, blue = (np.float32(value) * dirt for value in printer.paper)
    return np.clip(cv2.multiply(printed, cv2.merge([red, green, blue])), 0.005, 1.0)


def show_print(sheet: Print, stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of a held or mounted print; the sheet is lit as the flat thing it is."""
    matrix = pose.matrix @ sheet.lean
    height, width = sheet.reflectance.shape[:2]
    x, y = _unbend(sheet, *plane_coordinates(matrix, stage.room.shape[:2]))
    method = cv2.INTER_CUBIC if sheet.dotted else cv2.INTER_LINEAR
    picture = cv2.remap(sheet.reflectance, x, y, method, borderMode=cv2.BORDER_REFLECT_101)
    np.clip(picture, 0, None, out=picture)
    ramp = float(np.linalg.norm(np.linalg.inv(matrix)[:2, 0]))
    if sheet.margin:
        x0, y0, x1, y1 = sheet.rectangle
        inner = (x0 + sheet.margin, y0 + sheet.margin, x1 - sheet.margin, y1 - sheet.margin)
        picture = inset(np.asarray(sheet.paper), picture, sheet_cover(x, y, inner, ramp))
    cover = sheet_cover(x, y, sheet.rectangle, ramp)
    radiance = _light(sheet, stage, matrix, picture)
    seen = blend(cast_shadow(stage.room, cover, pose.eye_px), radiance, cover)
    seen *= np.float32(stage.light.level)
    scene = Scene(seen, cover, apply(matrix, _bend(sheet, sheet.points, (width, height))))
    return hold(scene, sheet.grip, matrix, stage.light) if sheet.grip else scene


def _lift(sheet: Print, at: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return sheet.bend * 0.06 * size[0] * (1 - at * at)


def _unbend(sheet: Print, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = sheet.reflectance.shape[:2]
    if sheet.bend_down:
        return x, y + _lift(sheet, x * np.float32(2 / width) - 1, (width, height))
    return x + _lift(sheet, y * np.float32(2 / height) - 1, (width, height)), y


def _bend(sheet: Print, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    at = 2 * points / np.asarray(size) - 1
    moved = points.copy()
    if sheet.bend_down:
        moved[:, 1] -= _lift(sheet, at[:, 0], size)
    else:
        moved[:, 0] -= _lift(sheet, at[:, 1], size)
    return moved


def _light(sheet: Print, stage: Stage, matrix: np.ndarray, picture: np.ndarray) -> np.ndarray:
    shape = stage.room.shape[:2]
    x, y = coarse_plane(matrix, shape)
    height, width = sheet.reflectance.shape[:2]
    across, along = x * np.float32(2 / width) - 1, y * np.float32(2 / height) - 1
    at = across if sheet.bend_down else along
    place, turn = sheet.fold
    slope = sheet.bend * 2.2 * np.clip(at, -1.5, 1.5) + turn * np.tanh((at - place) / FOLD_WIDTH)
    flat = np.zeros_like(slope)
    parts = [slope, flat, np.ones_like(slope)] if sheet.bend_down else [flat, slope, np.ones_like(slope)]
    normals = np.stack(parts, axis=-1)
    irradiance = light_sheet(stage.light, normals / np.linalg.norm(normals, axis=-1, keepdims=True))
    lit = cv2.multiply(picture, enlarge(irradiance, shape))
    return cv2.add(lit, enlarge(_shine(sheet, stage, across, along), shape), dst=lit)


def _shine(sheet: Print, stage: Stage, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    strength, offset, size, turn = sheet.gloss
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    band = np.exp(-(((across * cos + along * sin - offset) / size) ** 2))
    lobes = GLOSS_BAND * band + GLOSS_SPOT * spots(across, along, sheet.glare)
    light = stage.light.key + 0.4 * stage.light.ambient
    return strength * (lobes[..., None] * light + GLOSS_VEIL * stage.light.ambient)
