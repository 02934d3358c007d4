"""Places a head or a flat object in front of a room and returns the radiance that reaches the camera.

Geometry is a homography from the head canvas to the frame (in radiance pixels), so landmarks go the same way exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.faces import Head
from data_prep.synthetic.geometry import ORIGIN_EYES, apply, over, similarity
from data_prep.synthetic.lighting import Light, light_head

FRAME_SECONDS = 0.4
ROLL_SPREAD_DEG, YAW_SPREAD, PITCH_SPREAD = 4.0, 0.09, 0.05
# Motion within a video: amplitude and range of its frequency in hertz.
DRIFT_EYES, SHAKE_EYES = (0.035, (0.1, 0.4)), (0.006, (1.5, 3.5))
ROLL_DEG, YAW, PITCH = (1.2, (0.1, 0.4)), (0.03, (0.1, 0.4)), (0.02, (0.1, 0.4))
CAST_SHADOW = 0.35  # share of light that an object takes from the room right beside it
APPROACH, FLICKER = (0.012, (0.1, 0.3)), (0.04, (0.05, 0.3))


@dataclass(frozen=True)
class Stage:
    """What one video has in common: light and room radiance [H W 3] at the frame's radiance pixels."""

    light: Light
    room: Float[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Pose:
    """Where the head canvas lands in one frame: `matrix` canvas -> radiance pixels, `eye_px` in the frame.

    yaw and pitch in radians (of a head; flat things have their own lean), roll in degrees in the picture plane.
    """

    matrix: Float[np.ndarray, "3 3"]
    yaw: float
    eye_px: float
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Radiance [H W 3], share of attack material per pixel [H W], and the five points in radiance pixels."""

    radiance: Float[np.ndarray, "H W 3"]
    attack: Float[np.ndarray, "H W"]
    landmarks: Float[np.ndarray, "5 2"]


def draw_poses(
    rng: np.random.Generator, shape: tuple[int, int], *, canvas_eye_px: float, frame_eye_px: float, frames: int
) -> list[Pose]:
    """Draws one placement and a smooth motion about it; `shape` is the frame's (H, W).

    Frames are `FRAME_SECONDS` apart. A frame's pose does not depend on how many frames there are.
    """
    height, width = shape
    centre = np.array([rng.normal(0.5, 0.03) * width, rng.normal(0.43, 0.03) * height])
    roll, yaw, pitch = rng.normal(0, ROLL_SPREAD_DEG), rng.normal(0, YAW_SPREAD), rng.normal(0, PITCH_SPREAD)
    drift, shake = [[_sway(rng, *motion) for _ in range(2)] for motion in (DRIFT_EYES, SHAKE_EYES)]
    rolling, turning, nodding, nearing = (_sway(rng, *m) for m in (ROLL_DEG, YAW, PITCH, APPROACH))
    source = np.array(ORIGIN_EYES) * canvas_eye_px
    poses = []
    for number in range(frames):
        t = number * FRAME_SECONDS
        scale = frame_eye_px / canvas_eye_px * (1 + nearing(t))
        offset = np.array([slow(t) + fast(t) for slow, fast in zip(drift, shake, strict=True)])
        angle = float(roll + rolling(t))
        matrix = similarity(scale, angle, source, centre + offset * frame_eye_px)
        tilted = {"yaw": float(yaw + turning(t)), "pitch": float(pitch + nodding(t)), "roll": angle}
        poses.append(Pose(matrix, eye_px=float(scale * canvas_eye_px), **tilted))
    return poses


def draw_flicker(rng: np.random.Generator, frames: int) -> list[float]:
    """Draws the slow change of the light's level over a video, a factor about 1 for each frame."""
    change = _sway(rng, *FLICKER)
    return [1 + change(number * FRAME_SECONDS) for number in range(frames)]


def _sway(rng: np.random.Generator, spread: float, hertz: tuple[float, float]) -> Callable[[float], float]:
    """Draws a swing that is 0 at time 0 s."""
    rate, phase = 2 * np.pi * rng.uniform(*hertz), rng.uniform(0, 2 * np.pi)
    amplitude = spread * rng.uniform(0.4, 1.4)
    return lambda seconds: float(amplitude * (np.sin(rate * seconds + phase) - np.sin(phase)))


def show_head(head: Head, lit: Float[np.ndarray, "h w 4"], stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of a bona fide presentation; `lit` is the head under the stage's light."""
    shape = stage.room.shape[:2]
    x, y = plane_coordinates(pose.matrix, shape)
    across, down = _parallax(head, pose.yaw, pose.pitch)
    depth = cv2.warpPerspective(
        np.asarray(head.depth, np.float32), pose.matrix, shape[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    x, y = cv2.scaleAdd(depth, -across, x), cv2.scaleAdd(depth, -down, y)
    seen = cv2.remap(lit, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    radiance = before_room(stage, seen)
    points = apply(pose.matrix, _turned_points(head, across, down))
    return Scene(radiance, np.zeros(shape, np.float32), points)


def before_room(stage: Stage, seen: Float[np.ndarray, "H W 4"]) -> Float[np.ndarray, "H W 3"]:
    """Returns the radiance of what is `seen` (radiance and alpha) before the room, at the light's level."""
    return over(stage.room, seen[..., :3], np.clip(seen[..., 3], 0, 1)) * np.float32(stage.light.level)


def lit_head(head: Head, light: Light) -> Float[np.ndarray, "h w 4"]:
    """Returns the lit head as radiance plus alpha."""
    return cv2.merge([light_head(head, light), np.ascontiguousarray(head.alpha, np.float32)])


def turn(
    head: Head, picture: Float[np.ndarray, "h w k"], yaw: float, pitch: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a picture of the head turned by `yaw` and `pitch` radians, and the five points on the head canvas."""
    across, down = _parallax(head, yaw, pitch)
    depth = np.asarray(head.depth, np.float32)
    x = np.arange(depth.shape[1], dtype=np.float32)[None, :] - np.float32(across) * depth
    y = np.arange(depth.shape[0], dtype=np.float32)[:, None] - np.float32(down) * depth
    turned = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return turned, _turned_points(head, across, down)


def _parallax(head: Head, yaw: float, pitch: float) -> tuple[float, float]:
    """Returns by how many canvas pixels right and down a point moves that is one eye unit nearer."""
    return float(np.tan(yaw) * head.eye_px), float(np.tan(pitch) * head.eye_px)


def _turned_points(head: Head, across: float, down: float) -> np.ndarray:
    points = head.landmarks.copy()
    for _ in range(4):
        points = head.landmarks + sample(np.asarray(head.depth, np.float32), points)[:, None] * (across, down)
    return points


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


def cast_shadow(room: Float[np.ndarray, "H W 3"], cover: Float[np.ndarray, "H W"], eye_px: float) -> np.ndarray:
    """Darkens the room next to an object held in front of it."""
    small = cv2.resize(cover, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    near = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.05 * eye_px), cover.shape[::-1])
    kept = 1 - np.float32(CAST_SHADOW) * near
    return cv2.multiply(np.asarray(room, np.float32), cv2.merge([kept, kept, kept]))
