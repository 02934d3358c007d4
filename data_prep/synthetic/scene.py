"""Places a head or a flat object in front of a room and returns the radiance that reaches the camera.

Geometry is a homography from the head canvas to the frame (in radiance pixels), so landmarks go the same way exactly.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.faces import Head
from data_prep.synthetic.geometry import ORIGIN_EYES, apply, over, similarity
from data_prep.synthetic.lighting import Light, light_head


@dataclass(frozen=True)
class Stage:
    """What one video has in common: light and room radiance [H W 3] at the frame's radiance pixels."""

    light: Light
    room: Float[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Pose:
    """Where the head canvas lands in one frame: `matrix` canvas -> radiance pixels, `yaw` radians, `eye_px` in the frame."""

    matrix: Float[np.ndarray, "3 3"]
    yaw: float
    eye_px: float


@dataclass(frozen=True)
class Scene:
    """Radiance [H W 3], share of attack material per pixel [H W], and the five points in radiance pixels."""

    radiance: Float[np.ndarray, "H W 3"]
    attack: Float[np.ndarray, "H W"]
    landmarks: Float[np.ndarray, "5 2"]


def draw_poses(
    rng: np.random.Generator, shape: tuple[int, int], *, canvas_eye_px: float, frame_eye_px: float, frames: int
) -> list[Pose]:
    """Draws one placement and a slight motion for each further frame; `shape` is the frame's (H, W)."""
    height, width = shape
    centre = np.array([rng.normal(0.5, 0.03) * width, rng.normal(0.43, 0.03) * height])
    roll, yaw = rng.normal(0, 4.0), rng.normal(0, 0.07)
    poses = []
    for number in range(frames):
        moved = 0.0 if number == 0 else 1.0
        scale = frame_eye_px / canvas_eye_px * (1 + moved * rng.normal(0, 0.015))
        target = centre + moved * rng.normal(0, 0.04, 2) * frame_eye_px
        source = np.array(ORIGIN_EYES) * canvas_eye_px
        matrix = similarity(scale, roll + moved * rng.normal(0, 1.2), source, target)
        poses.append(Pose(matrix, float(yaw + moved * rng.normal(0, 0.02)), scale * canvas_eye_px))
    return poses


def show_head(head: Head, lit: Float[np.ndarray, "h w 4"], stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of a bona fide presentation; `lit` is the head under the stage's light."""
    picture, points = turn(head, lit, pose.yaw)
    shape = stage.room.shape[:2]
    seen = cv2.warpPerspective(
        picture, pose.matrix, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    radiance = over(stage.room, seen[..., :3], np.clip(seen[..., 3], 0, 1)) * stage.light.level
    return Scene(radiance, np.zeros(shape, np.float32), apply(pose.matrix, points))


def lit_head(head: Head, light: Light) -> Float[np.ndarray, "h w 4"]:
    """Returns the lit head as radiance plus alpha."""
    return np.dstack([light_head(head, light), head.alpha]).astype(np.float32)


def turn(head: Head, picture: Float[np.ndarray, "h w k"], yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns a picture of the head turned by `yaw` radians, and the five points on the head canvas."""
    shift = (np.tan(yaw) * head.eye_px * head.depth).astype(np.float32)
    rows, columns = np.indices(shift.shape, dtype=np.float32)
    turned = cv2.remap(picture, columns - shift, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    points = head.landmarks.copy()
    for _ in range(4):
        points[:, 0] = head.landmarks[:, 0] + sample(shift, points)
    return turned, points


def sample(field: Float[np.ndarray, "h w"], points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    """Reads a field at sub-pixel points."""
    at = points.astype(np.float32)
    return cv2.remap(field, at[:, :1].copy(), at[:, 1:].copy(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]


def plane_coordinates(matrix: Float[np.ndarray, "3 3"], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the object-plane x and y [H W] of every frame pixel under a plane -> frame homography."""
    inverse = np.linalg.inv(matrix).astype(np.float32)
    x, y = np.arange(shape[1], dtype=np.float32)[None, :], np.arange(shape[0], dtype=np.float32)[:, None]
    below = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    plane_x = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / below
    plane_y = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / below
    return plane_x, plane_y


def rectangle_cover(
    x: np.ndarray, y: np.ndarray, rectangle: tuple[float, ...], ramp: float, radius: float
) -> np.ndarray:
    """Returns coverage of a rounded rectangle (x0 y0 x1 y1) with an edge `ramp` pixels wide in plane units."""
    x0, y0, x1, y1 = rectangle
    dx = np.abs(x - (x0 + x1) / 2) - ((x1 - x0) / 2 - radius)
    dy = np.abs(y - (y0 + y1) / 2) - ((y1 - y0) / 2 - radius)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - radius
    return np.clip(0.5 - outside / ramp, 0, 1).astype(np.float32)


def cast_shadow(room: Float[np.ndarray, "H W 3"], cover: Float[np.ndarray, "H W"], eye_px: float) -> np.ndarray:
    """Darkens the room next to an object held in front of it."""
    small = cv2.resize(cover, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    near = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.05 * eye_px), cover.shape[::-1])
    return room * (1 - 0.35 * near)[..., None]
