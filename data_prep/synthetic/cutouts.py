"""Paper masks: a printed face, head and shoulders, or part of a face, cut out and worn or held before a face.

A cut-out is a flat sheet close to the wearer: it keeps its own shading, has a cut edge and throws a shadow.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.faces import Head
from data_prep.synthetic.geometry import apply, over, similarity, tilt
from data_prep.synthetic.hands import Grip, grip_outline, hold
from data_prep.synthetic.lighting import Light, light_sheet
from data_prep.synthetic.outlines import face_outline, holes, person_outline, region_outline
from data_prep.synthetic.paint import blurred
from data_prep.synthetic.printers import Printer
from data_prep.synthetic.prints import ink
from data_prep.synthetic.scene import Pose, Scene, Stage, sample, turn

FACE_MASK = "face_mask_2d"
UPPER_BODY_MASK = "upper_body_mask_2d"
REGION_MASK = "region_mask_2d"
CUTOUTS = (FACE_MASK, UPPER_BODY_MASK, REGION_MASK)
# Share with holes for eyes and mouth, and share that is held by hand instead of worn.
HOLES_SHARE = {FACE_MASK: 0.75, UPPER_BODY_MASK: 0.35, REGION_MASK: 0.6}
HELD_SHARE = {FACE_MASK: 0.35, UPPER_BODY_MASK: 0.85, REGION_MASK: 0.3}
GAP_WORN, GAP_HELD = (0.03, 0.1), (0.1, 0.3)  # eye units between paper and face
SHADOW = 0.75
PAPER_EDGE = 0.01  # eye units: the cut edge shows the white core of the paper
NOSE_DEPTH = 1.05  # eye units before the plane that turns with the head's axis


@dataclass(frozen=True)
class Cutout:
    """A printed mask before the wearer, on the wearer's head canvas.

    Fields: reflectance [h w 3]; cover [h w], 1 = paper; points [5 2]; curve: bend about the upright axis; lean: yaw and
    pitch of the paper in radians; gap: distance to the face in eye units; grip: fingers or None.
    """

    wearer: Head
    reflectance: Float[np.ndarray, "h w 3"]
    cover: Float[np.ndarray, "h w"]
    points: Float[np.ndarray, "5 2"]
    curve: float
    lean: tuple[float, float]
    gap: float
    grip: Grip | None


def make_cutout(
    photo: Float[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "5 2"],
    instrument: str,
    printer: Printer,
    wearer: Head,
    rng: np.random.Generator,
) -> Cutout:
    """Cuts a mask out of a print and puts it before `wearer`, slightly off its place; holes lie on the eyes."""
    eye_px, held = wearer.eye_px, bool(rng.random() < HELD_SHARE[instrument])
    place = _placement(points, wearer, rng, held=held)
    points = apply(place, points)
    shapes = {FACE_MASK: face_outline, UPPER_BODY_MASK: person_outline, REGION_MASK: region_outline}
    paper = shapes[instrument](points, eye_px, rng)
    holed = rng.random() < HOLES_SHARE[instrument]
    cover = paper * (1 - holes(points, eye_px, rng)) if holed else paper
    picture = ink(photo, printer, eye_px, rng)
    picture = cv2.warpPerspective(picture, place, cover.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    rim = float(rng.choice([0.0, rng.uniform(0.015, 0.06)], p=[0.4, 0.6])) * eye_px
    white = np.maximum(paper - _shrunk(paper, rim), cover - _shrunk(cover, PAPER_EDGE * eye_px))
    turned = rng.normal(0, 0.16 if held else 0.08, 2)
    return Cutout(
        wearer,
        over(picture, np.asarray(printer.paper, np.float32), np.clip(white, 0, 1)),
        cover,
        points,
        curve=float(rng.uniform(0.0, 0.12 if held else 0.3)),
        lean=(float(turned[0]), float(turned[1])),
        gap=float(rng.uniform(*(GAP_HELD if held else GAP_WORN))),
        grip=grip_outline(cover, eye_px, rng) if held else None,
    )


def show_cutout(mask: Cutout, lit: Float[np.ndarray, "h w 4"], stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of the lit wearer behind the mask; points lie on the mask where it covers them."""
    wearer, light = mask.wearer, stage.light
    worn, points = turn(wearer, lit, pose.yaw, pose.pitch)
    plane = _plane(mask, pose)
    shape = stage.room.shape[:2]
    face = cv2.warpPerspective(worn, pose.matrix, shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    sheet = cv2.merge([*cv2.split(mask.reflectance * _irradiance(mask, light)), mask.cover])
    paper = cv2.warpPerspective(sheet, plane, shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    cover = np.ascontiguousarray(np.clip(paper[..., 3], 0, 1))
    behind = over(stage.room, face[..., :3], np.clip(face[..., 3], 0, 1))
    behind = behind * (1 - SHADOW * _shadow(cover, face[..., 3], mask.gap * pose.eye_px, light))[..., None]
    radiance = over(behind, paper[..., :3], cover) * np.float32(light.level)
    covered = sample(blurred(mask.cover, 0.2 * wearer.eye_px), mask.points) > 0.3
    seen = np.where(covered[:, None], apply(plane, mask.points), apply(pose.matrix, points))
    scene = Scene(np.asarray(radiance, np.float32), cover, seen)
    return hold(scene, mask.grip, plane, light) if mask.grip else scene


def _placement(
    points: Float[np.ndarray, "5 2"], wearer: Head, rng: np.random.Generator, *, held: bool
) -> Float[np.ndarray, "3 3"]:
    """Returns the similarity that puts the eyes of the print near those of the wearer."""
    off = rng.normal(0, 0.1 if held else 0.03, 2) * wearer.eye_px
    scale, roll = float(rng.uniform(0.98, 1.12)), float(rng.normal(0, 3.0 if held else 1.5))
    return similarity(scale, roll, points[:2].mean(axis=0), wearer.landmarks[:2].mean(axis=0) + off)


def _plane(mask: Cutout, pose: Pose) -> np.ndarray:
    """Returns the homography of the paper to the frame: its lean, then its place before the turned head."""
    size = mask.cover.shape[::-1]
    depth = (NOSE_DEPTH + mask.gap) * mask.wearer.eye_px
    move = np.eye(3)
    move[:2, 2] = depth * np.tan(pose.yaw), depth * np.tan(pose.pitch)
    return pose.matrix @ move @ tilt(size, *mask.lean)


def _irradiance(mask: Cutout, light: Light) -> np.ndarray:
    columns = mask.cover.shape[1]
    x = (np.arange(columns, dtype=np.float32) / columns - 0.5) * np.float32(columns / mask.wearer.eye_px)
    slope = np.sin(mask.lean[0]) + mask.curve * x
    normals = np.stack([slope, np.full_like(x, np.sin(mask.lean[1])), np.ones_like(x)], axis=-1)
    lit = light_sheet(light, normals / np.linalg.norm(normals, axis=-1, keepdims=True))
    return np.asarray(lit[None], np.float32)


def _shadow(cover: np.ndarray, person: np.ndarray, gap_px: float, light: Light) -> np.ndarray:
    """Returns the shadow of the paper on the wearer: away from the light, wider the further the paper is held."""
    quarter = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    quarter[:, 2] = -0.25 * gap_px * np.asarray(light.direction[:2])
    size = (cover.shape[1] // 4, cover.shape[0] // 4)
    cast = cv2.warpAffine(cover, quarter, size, flags=cv2.INTER_LINEAR)
    cast = cv2.GaussianBlur(cast, (0, 0), max(0.5, 0.08 * gap_px))
    return cv2.resize(cast, cover.shape[::-1]) * np.clip(person, 0.25, 1)


def _shrunk(cover: np.ndarray, rim_px: float) -> np.ndarray:
    if rim_px < 0.3:
        return cover
    inner = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3) - np.float32(rim_px)
    return np.clip(inner + np.float32(0.5), 0, 1) * cover
