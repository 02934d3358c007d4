"""Photographs on displays: pixel grid, tone curve, black level, bezel, reflections, flicker.

The pixel grid is evaluated on the plane of the display at the frame's radiance pixels; moire comes from the camera
sampling it, nothing is painted on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.devices import Screen
from data_prep.synthetic.geometry import apply, over, tilt
from data_prep.synthetic.hands import Grip, draw_grip, hold
from data_prep.synthetic.prints import cut
from data_prep.synthetic.scene import Pose, Scene, Stage, cast_shadow, plane_coordinates, rectangle_cover

PENTILE = "pentile"


@dataclass(frozen=True)
class Replay:
    """One display in one video: light it emits [h w 3] on the head canvas, and how it stands."""

    emission: Float[np.ndarray, "h w 3"]
    points: Float[np.ndarray, "5 2"]
    screen: Screen
    rectangle: tuple[float, ...]
    bezel: float
    bezel_colour: float
    lean: Float[np.ndarray, "3 3"]
    pitch: float
    level: float
    glare: Float[np.ndarray, "k 4"]
    flicker: tuple[float, float, float]
    grip: Grip | None


def make_replay(
    photo: Float[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "5 2"],
    screen: Screen,
    eye_px: float,
    rng: np.random.Generator,
) -> Replay:
    """Shows a photograph on a display; phones show their rim more often than large screens."""
    height, width = photo.shape[:2]
    rectangle = (-width, -height, 2.0 * width, 2.0 * height)
    if rng.random() < {"pc_screen": 0.5, "pad_screen": 0.7, "phone_screen": 0.85}[screen.instrument]:
        rectangle = cut(points, eye_px, rng)
    bezel = screen.bezel * float(rng.uniform(0.7, 1.2)) * eye_px
    x0, y0, x1, y1 = rectangle
    held = rectangle[0] > 0 and screen.instrument != "pc_screen"
    grip = draw_grip((x0 - bezel, y0 - bezel, x1 + bezel, y1 + bezel), eye_px, rng) if held else None
    spots = int(rng.integers(0, 4))
    glare = np.stack(
        [
            rng.uniform(-1, 1, spots),
            rng.uniform(-1, 1, spots),
            rng.uniform(0.03, 0.3, spots),
            rng.uniform(0.2, 1.6, spots),
        ],
        axis=1,
    )
    return Replay(
        emission=emit(photo, screen),
        points=points,
        screen=screen,
        rectangle=rectangle,
        bezel=bezel,
        bezel_colour=float(rng.choice([0.008, 0.03, 0.7], p=[0.6, 0.25, 0.15])),
        lean=tilt((width, height), rng.normal(0, 0.12), rng.normal(0, 0.12)),
        pitch=screen.pitch * float(rng.uniform(0.85, 1.2)) * eye_px,
        level=float(rng.uniform(0.5, 1.3)),
        glare=glare,
        flicker=(screen.flicker, float(rng.uniform(1.0, 4.0)), float(rng.uniform(0, 6.28))),
        grip=grip,
    )


def emit(photo: Float[np.ndarray, "h w 3"], screen: Screen) -> Float[np.ndarray, "h w 3"]:
    """Returns the mean light of each point of the display: its own gamma, black level and white."""
    signal = np.power(np.clip(photo, 0, 1), np.float32(screen.gamma / 2.2))
    return (screen.black + (1 - screen.black) * signal) * np.asarray(screen.white, np.float32)


def grid(
    x: Float[np.ndarray, "H W"], y: Float[np.ndarray, "H W"], replay: Replay, footprint: float
) -> Float[np.ndarray, "H W 3"]:
    """Returns the relative light of red, green and blue at plane points; mean 1.

    Each colour is a comb of bright cells; only the harmonics that radiance pixels of width `footprint` can carry stay.
    """
    pitch = replay.pitch
    turn = np.float32(2 * np.pi / pitch)
    pass_x = float(np.sinc(footprint / pitch)) * (footprint < 0.5 * pitch)
    depth = np.float32(replay.screen.lines * pass_x)
    across, rows = x * turn, np.cos(y * turn)
    cos, sin = np.cos(across), np.sin(across)
    if replay.screen.layout == PENTILE:
        green = 1 + depth * (0.9 * cos + 0.5 * rows)
        checker = cos * rows
        return np.stack([1 + 1.2 * depth * checker, green, 1 - 1.2 * depth * checker], axis=-1)
    lines = 1 + np.float32(0.45) * depth * rows
    third = np.float32(2 * np.pi / 3)
    comb = [1 + 1.3 * depth * (cos * np.cos(c * third) + sin * np.sin(c * third)) for c in (0, 1, 2)]
    return np.stack([plane * lines for plane in comb], axis=-1)


def show_replay(replay: Replay, stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of a display held or standing in the room."""
    shape = stage.room.shape[:2]
    matrix = pose.matrix @ replay.lean
    x, y = plane_coordinates(matrix, shape)
    footprint = float(np.linalg.norm(np.linalg.inv(matrix)[:2, 0]))
    picture = cv2.remap(replay.emission, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    lit = rectangle_cover(x, y, replay.rectangle, footprint, 0.0)
    x0, y0, x1, y1 = replay.rectangle
    b = replay.bezel
    body = rectangle_cover(x, y, (x0 - b, y0 - b, x1 + b, y1 + b), footprint, 0.5 * b)
    depth, bands, phase = replay.flicker
    rolling = 1 + depth * np.sin(np.linspace(0, 2 * np.pi * bands, shape[0], dtype=np.float32) + phase)[:, None, None]
    glass = _reflection(replay, stage)
    brightness = replay.level * stage.light.level**0.7
    emitted = picture * grid(x, y, replay, footprint) * rolling * brightness
    rim = replay.bezel_colour * (stage.light.ambient + 0.4 * stage.light.key) * stage.light.level
    room = cast_shadow(stage.room, body, pose.eye_px) * stage.light.level
    radiance = over(over(room, rim + glass, body), emitted + glass, lit)
    scene = Scene(radiance.astype(np.float32), body, apply(matrix, replay.points))
    return hold(scene, replay.grip, matrix, stage.light) if replay.grip else scene


def _reflection(replay: Replay, stage: Stage) -> np.ndarray:
    height, width = stage.room.shape[:2]
    small = cv2.resize(stage.room[:, ::-1], (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    mirror = replay.screen.reflection * cv2.GaussianBlur(small, (0, 0), 1.5)
    x, y = np.linspace(-1, 1, width // 8)[None, :], np.linspace(-1, 1, height // 8)[:, None]
    for at_x, at_y, size, strength in replay.glare:
        spot = np.exp(-((((x - at_x) / size) ** 2 + ((y - at_y) / size) ** 2) ** 2))
        mirror = mirror + (0.14 * strength * spot)[..., None] * (stage.light.key + stage.light.ambient)
    return cv2.resize(mirror.astype(np.float32), (width, height)) * stage.light.level
