"""Paper masks worn on a face: the whole printed face or a part of it, flat, with a sharp edge and eye holes."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.devices import Printer
from data_prep.synthetic.faces import Head
from data_prep.synthetic.features import soft
from data_prep.synthetic.geometry import apply, eye_grid, over, similarity
from data_prep.synthetic.lighting import Light, light_sheet
from data_prep.synthetic.prints import ink
from data_prep.synthetic.scene import Pose, Scene, Stage, sample, turn

FACE_MASK = "face_mask_2d"
REGION_MASK = "region_mask_2d"
CUTOUTS = (FACE_MASK, REGION_MASK)
_REGIONS = ("eyes", "lower", "half", "nose")


@dataclass(frozen=True)
class Cutout:
    """A printed mask on the wearer's head canvas: reflectance [h w 3], cover [h w] and how much it curves."""

    wearer: Head
    reflectance: Float[np.ndarray, "h w 3"]
    cover: Float[np.ndarray, "h w"]
    points: Float[np.ndarray, "5 2"]
    curve: float
    lean: tuple[float, float]
    rim: float
    paper: tuple[float, float, float]


def make_cutout(
    photo: Float[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "5 2"],
    instrument: str,
    printer: Printer,
    wearer: Head,
    rng: np.random.Generator,
) -> Cutout:
    """Cuts a mask out of a print and puts it on `wearer`, slightly off its place."""
    eye_px = wearer.eye_px
    cover = _face_shape(eye_px, rng) if instrument == FACE_MASK else _region(eye_px, rng)
    shift = rng.normal(0, 0.03, 2) * eye_px
    middle = points[:2].mean(axis=0)
    move = similarity(
        float(rng.uniform(0.97, 1.06)), float(rng.normal(0, 1.5)), middle, wearer.landmarks[:2].mean(axis=0) + shift
    )
    size = cover.shape[::-1]
    reflectance = cv2.warpPerspective(ink(photo, printer, eye_px, rng), move, size, borderMode=cv2.BORDER_REPLICATE)
    placed = cv2.warpPerspective(cover, move, size)
    lean = (float(rng.normal(0, 0.15)), float(rng.normal(0, 0.15)))
    rim = float(rng.uniform(0.01, 0.07)) * eye_px
    curve = float(rng.uniform(0.0, 0.25))
    return Cutout(wearer, reflectance, placed, apply(move, points), curve, lean, rim, printer.paper)


def show_cutout(mask: Cutout, lit: Float[np.ndarray, "h w 4"], stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of the lit wearer behind the mask; points lie on the mask where it covers them."""
    worn, points = turn(mask.wearer, lit, pose.yaw)
    soft_edge = cv2.GaussianBlur(mask.cover, (0, 0), 0.05 * mask.wearer.eye_px)
    shaded = worn[..., :3] * (1 - 0.6 * soft_edge * (1 - mask.cover))[..., None]
    sheet = over(mask.reflectance, np.asarray(mask.paper, np.float32), mask.cover - _shrunk(mask.cover, mask.rim))
    paper = over(shaded, sheet * _irradiance(mask, stage.light), mask.cover)
    layers = np.dstack([paper, np.maximum(worn[..., 3], mask.cover), mask.cover]).astype(np.float32)
    shape = stage.room.shape[:2]
    picture = cv2.warpPerspective(layers[..., :4], pose.matrix, shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    attack = cv2.warpPerspective(layers[..., 4], pose.matrix, shape[::-1])
    covered = sample(cv2.GaussianBlur(mask.cover, (0, 0), 0.2 * mask.wearer.eye_px), mask.points) > 0.3
    seen = np.where(covered[:, None], mask.points, points)
    radiance = over(stage.room, picture[..., :3], np.clip(picture[..., 3], 0, 1)) * stage.light.level
    return Scene(radiance, attack, apply(pose.matrix, seen))


def _irradiance(mask: Cutout, light: Light) -> np.ndarray:
    x, y = eye_grid(mask.wearer.eye_px)
    normals = np.dstack(
        np.broadcast_arrays(mask.curve * x + mask.lean[0], 0 * x + 0 * y + mask.lean[1], np.float32(1.0))
    )
    return light_sheet(light, normals / np.linalg.norm(normals, axis=-1, keepdims=True))


def _shrunk(cover: np.ndarray, rim: float) -> np.ndarray:
    inner = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3) - rim
    return np.clip(inner + 0.5, 0, 1) * cover


def _face_shape(eye_px: float, rng: np.random.Generator) -> np.ndarray:
    x, y = eye_grid(eye_px)
    wide, top, bottom = rng.uniform(0.9, 1.1), rng.uniform(0.7, 1.3), rng.uniform(1.4, 1.7)
    reach = np.where(y < 0.3, (0.3 - y) / (0.3 + top), (y - 0.3) / (bottom - 0.3))
    cover = soft(0.9 - np.abs(x / wide) ** 2.3 - reach**2.3, eye_px)
    return cover * (1 - _eye_holes(x, y, eye_px)) if rng.random() < 0.7 else cover


def _eye_holes(x: np.ndarray, y: np.ndarray, eye_px: float) -> np.ndarray:
    return soft(0.1 * (1 - ((np.abs(x) - 0.5) / 0.25) ** 2 - (y / 0.12) ** 2), eye_px)


def _region(eye_px: float, rng: np.random.Generator) -> np.ndarray:
    x, y = eye_grid(eye_px)
    kind = _REGIONS[int(rng.integers(len(_REGIONS)))]
    grow = rng.uniform(-0.05, 0.1)
    if kind == "eyes":
        inside = np.minimum(1.02 + grow - np.abs(x), 0.42 + grow - np.abs(y + 0.05))
    elif kind == "lower":
        inside = np.minimum(0.95 + grow - np.abs(x), 0.75 + grow - np.abs(y - 0.95))
    elif kind == "nose":
        inside = np.minimum(0.55 + grow - np.abs(x), 0.65 + grow - np.abs(y - 0.65))
    else:
        inside = np.minimum(np.minimum(x + 0.05, 1.05 + grow - x), 1.2 + grow - np.abs(y - 0.35))
    cover = soft(inside, eye_px)
    return cover * (1 - _eye_holes(x, y, eye_px)) if rng.random() < 0.5 else cover
