"""Photographs on displays: pixel grid, tone curve, black level, gamut, bezel, reflections, banding.

The pixel grid is evaluated on the plane of the display at the frame's radiance pixels; moire comes from the camera
sampling it, nothing is painted on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.displays import PENTILE, Screen
from data_prep.synthetic.flats import attacker_file, blend, coarse_plane, cut, enlarge, inset, lamps, sheet_cover, spots
from data_prep.synthetic.geometry import apply, saturation_matrix, tilt
from data_prep.synthetic.hands import Grip, draw_grip, hold
from data_prep.synthetic.scene import Pose, Scene, Stage, cast_shadow, plane_coordinates

EDGE_SHARES = {"pc_screen": 0.75, "pad_screen": 0.85, "phone_screen": 0.95}  # displays that show their frame
FACE_SIZE = (0.85, 1.2)  # of one presentation relative to the table's
LEVEL = (0.4, 0.85)  # how far the attacker turns the display up
ROOM_ADAPT = 0.7  # displays follow the light of the room by this power
# Width of what surrounds the picture on the display (viewer, other windows, bars) in eye units, and how often.
AROUND_SHARE = 0.5
AROUND = {"pc_screen": (0.3, 1.5), "pad_screen": (0.05, 0.4), "phone_screen": (0.05, 0.35)}
BACKDROPS = ((0.0, 0.0, 0.0), (0.02, 0.02, 0.02), (0.9, 0.9, 0.9), (0.03, 0.12, 0.3), (0.2, 0.2, 0.2))
BEZELS, BEZEL_SHARES = (0.008, 0.03, 0.7), (0.6, 0.25, 0.15)  # reflectance of black, grey and white frames
LEAN = 0.12  # radians
CORNER = 0.4  # radius of the frame's corners relative to its width
# Rolling shutter: time to read a frame and to expose a row, in seconds (video cameras at 30 frames/s indoors).
READOUT_S, EXPOSURE_S = (0.010, 0.028), (0.002, 0.016)
LAMP_GAIN = 30.0  # lamps are this much brighter than what they light
# The grid fades out between these many radiance pixels a period, the first being the sampling limit.
GRID_LIMIT, GRID_FULL = 2.0, 2.5


@dataclass(frozen=True)
class Replay:
    """One display in one video: light it emits [h w 3] on the head canvas, and how it stands.

    rectangle: lit part; shown: the picture within it; backdrop: signal around it; pitch: of its pixels in canvas pixels;
    level: brightness; glare [k 4]: lamp images as in `lamps`; bands: depth, number of bands in a frame, phase.
    """

    emission: Float[np.ndarray, "h w 3"]
    points: Float[np.ndarray, "5 2"]
    screen: Screen
    rectangle: tuple[float, ...]
    shown: tuple[float, ...]
    backdrop: tuple[float, float, float]
    bezel: float
    bezel_colour: float
    lean: Float[np.ndarray, "3 3"]
    pitch: float
    level: float
    glare: Float[np.ndarray, "k 4"]
    bands: tuple[float, float, float]
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
    face = float(rng.uniform(*FACE_SIZE))
    bezel = screen.bezel / face * eye_px
    shown, rectangle = _layout(points, (height, width), screen.instrument, eye_px, rng)
    x0, y0, x1, y1 = rectangle
    held = x0 > -width and screen.instrument != "pc_screen"
    grip = draw_grip((x0 - bezel, y0 - bezel, x1 + bezel, y1 + bezel), eye_px, rng) if held else None
    return Replay(
        emission=emit(attacker_file(photo, eye_px, rng), screen),
        points=points,
        screen=screen,
        rectangle=rectangle,
        shown=shown,
        backdrop=BACKDROPS[int(rng.integers(len(BACKDROPS)))],
        bezel=bezel,
        bezel_colour=float(rng.choice(BEZELS, p=BEZEL_SHARES)),
        lean=tilt((width, height), rng.normal(0, LEAN), rng.normal(0, LEAN)),
        pitch=screen.pitch / face * eye_px,
        level=screen.luminance * float(rng.uniform(*LEVEL)),
        glare=lamps(rng, int(rng.integers(0, 4))),
        bands=banding(screen, float(rng.uniform(*READOUT_S)), float(rng.uniform(*EXPOSURE_S)), rng),
        grip=grip,
    )


def _layout(
    points: np.ndarray, size: tuple[int, int], instrument: str, eye_px: float, rng: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Draws the rectangles of the picture and of the lit display; a monitor reaches far on all but one or two sides."""
    height, width = size
    far = (-float(width), -float(height), 2.0 * width, 2.0 * height)
    if rng.random() >= EDGE_SHARES[instrument]:
        return far, far
    shown = cut(points, eye_px, rng)
    around = rng.uniform(*AROUND[instrument], 2) * (rng.random() < AROUND_SHARE) * eye_px
    wide = 0.0 if instrument == "phone_screen" else float(around[0])
    lit = (shown[0] - wide, shown[1] - float(around[1]), shown[2] + wide, shown[3] + float(around[1]))
    if instrument != "pc_screen":
        return shown, lit
    near = rng.permutation([True, False]).tolist() + rng.permutation([True, rng.random() < 0.5]).tolist()
    near = (near[0], near[2], near[1], near[3])
    lit = tuple(a if close else b for a, b, close in zip(lit, far, near, strict=True))
    return (lit if not around.any() else shown), lit


def banding(
    screen: Screen, readout_s: float, exposure_s: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Returns depth, bands per frame height and phase of the flicker that a rolling shutter records."""
    depth = screen.pwm_depth * abs(float(np.sinc(screen.pwm_hz * exposure_s)))
    return depth, screen.pwm_hz * readout_s, float(rng.uniform(0, 2 * np.pi))


def emit(photo: Float[np.ndarray, "h w 3"], screen: Screen) -> Float[np.ndarray, "h w 3"]:
    """Returns the mean light of each point of the display: its own gamma, gamut, black level and white."""
    signal = cv2.pow(np.clip(photo, 0, 1), screen.gamma / 2.2)
    black, gain = 1 / screen.contrast, 1 - 1 / screen.contrast
    mix = saturation_matrix(screen.saturation)
    white = np.asarray(screen.white)[:, None]
    light = cv2.transform(signal, np.hstack([gain * white * mix, black * white]))
    return np.clip(light, 0, None)


def grid(
    x: Float[np.ndarray, "H W"], y: Float[np.ndarray, "H W"], screen: Screen, pitch: float, footprint: float
) -> list[Float[np.ndarray, "H W"]] | None:
    """Returns the relative light (mean 1) of red, green and blue cells at plane points, None where nothing is left.

    pitch is the distance of pixels and `footprint` the width of a radiance pixel, both in plane units. The fundamental
    waves of the cells stay as far as radiance pixels carry them; frequencies above half a cycle per pixel are zero.
    """
    turn = np.float32(2 * np.pi / pitch)
    fine = _passed(pitch, footprint)
    row = 2 * float(np.sinc(0.9)) * fine
    if screen.layout == PENTILE:
        coarse = 4 * float(np.sinc(0.5 * screen.fill)) ** 2 * _passed(2**0.5 * pitch, footprint)
        if not coarse:
            return None
        checker = np.float32(coarse) * np.cos(0.5 * turn * x) * np.cos(0.5 * turn * y)
        green = 1 + np.float32(2 * np.sinc(screen.fill) * fine) * (np.cos(turn * x) + np.cos(turn * y))
        return [1 + checker, green, 1 - checker]
    if not fine:
        return None
    lines = 1 + np.float32(row) * np.cos(turn * y)
    third, depth = 2 * np.pi / 3, np.float32(2 * np.sinc(screen.fill / 3) * fine)
    return [(1 + depth * np.cos(turn * x - np.float32(c * third))) * lines for c in (-1, 0, 1)]


def _passed(period: float, footprint: float) -> float:
    samples = period / footprint
    fade = min(max((samples - GRID_LIMIT) / (GRID_FULL - GRID_LIMIT), 0.0), 1.0)
    return float(np.sinc(1 / samples)) * fade


def show_replay(replay: Replay, stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of a display held or standing in the room."""
    shape = stage.room.shape[:2]
    matrix = pose.matrix @ replay.lean
    x, y = plane_coordinates(matrix, shape)
    footprint = float(np.linalg.norm(np.linalg.inv(matrix)[:2, 0]))
    lit = sheet_cover(x, y, replay.rectangle, footprint)
    x0, y0, x1, y1 = replay.rectangle
    b = replay.bezel
    body = sheet_cover(x, y, (x0 - b, y0 - b, x1 + b, y1 + b), footprint, CORNER * b)
    glass = _reflection(replay, stage, matrix)
    rim = replay.bezel_colour * (stage.light.ambient + 0.4 * stage.light.key) * stage.light.level
    front = inset(rim, _emitted(replay, stage, x, y, footprint), lit)
    cv2.add(front, glass, dst=front)
    room = cast_shadow(stage.room, body, pose.eye_px) * np.float32(stage.light.level)
    scene = Scene(blend(room, front, body), body, apply(matrix, replay.points))
    return hold(scene, replay.grip, matrix, stage.light) if replay.grip else scene


def _emitted(replay: Replay, stage: Stage, x: np.ndarray, y: np.ndarray, footprint: float) -> np.ndarray:
    light = cv2.remap(replay.emission, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if replay.shown != replay.rectangle:
        backdrop = emit(np.array([[replay.backdrop]], np.float32), replay.screen)[0, 0]
        light = inset(backdrop, light, sheet_cover(x, y, replay.shown, footprint))
    cells = grid(x, y, replay.screen, replay.pitch, footprint)
    if cells:
        light = cv2.multiply(light, cv2.merge(cells), dst=light)
    depth, bands, phase = replay.bands
    rolling = 1 + depth * np.sin(np.linspace(0, 2 * np.pi * bands, len(light)) + phase)
    light *= (rolling * replay.level * stage.light.level**ROOM_ADAPT).astype(np.float32)[:, None, None]
    return light


def _reflection(replay: Replay, stage: Stage, matrix: np.ndarray) -> np.ndarray:
    """Light of the room and its lamps in the glass, at full size."""
    shape = stage.room.shape[:2]
    x, y = coarse_plane(matrix, shape)
    height, width = replay.emission.shape[:2]
    small = cv2.resize(stage.room[::4, ::-4], x.shape[::-1], interpolation=cv2.INTER_AREA)
    haze = replay.screen.haze
    mirror = replay.screen.reflectance * cv2.GaussianBlur(small, (0, 0), 0.5 + 0.15 * haze * x.shape[1])
    light = LAMP_GAIN * replay.screen.reflectance * (stage.light.key + stage.light.ambient)
    blurred = replay.glare * (1, 1, 1 + 3 * haze, 1 / (1 + 3 * haze) ** 2)
    mirror += spots(x * np.float32(2 / width) - 1, y * np.float32(2 / height) - 1, blurred)[..., None] * light
    return enlarge(mirror * stage.light.level, shape)
