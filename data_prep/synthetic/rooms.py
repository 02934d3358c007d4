"""Backgrounds: what stands behind a person or behind an attack, indoors or outdoors, as relative linear radiance.

Frames, shelves, printed posters, screens that are on, fabrics and windows give bona fide pictures straight edges, fine
patterns and bright rectangles too, so that none of these alone is evidence of an attack.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import colour, noise_field
from flipjax.core.labels import ENVIRONMENTS

OUTDOOR = ENVIRONMENTS.index("outdoor")
FURNITURE = ("frame", "shelf", "poster", "screen", "fabric", "round")
PIECES_RANGE = (4, 12)
_WALLPAPER_SHARE, _BRICK_SHARE, _WINDOW_SHARE = 0.4, 0.15, 0.25
_VIEW_RANGE = (0.72, 0.95)


def room(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    environment: int,
    walls: Sequence[tuple[int, int, int]],
    furniture: tuple[float, ...],
) -> Float[np.ndarray, "h w 3"]:
    """Draws a place of `shape` (h, w), in focus; `furniture` are relative frequencies of `FURNITURE`."""
    if environment == OUTDOOR:
        return np.clip(_outdoors(rng, shape), 0, None)
    wall = colour(*walls[int(rng.integers(len(walls)))])
    shares = np.asarray(furniture, np.float64)
    return np.clip(_indoors(rng, shape, wall, shares / shares.sum()), 0, None)


def view(
    place: Float[np.ndarray, "h w 3"], shape: tuple[int, int], rng: np.random.Generator
) -> Float[np.ndarray, "H W 3"]:
    """Returns a part of a place as one camera frame of `shape` (H, W) sees it, out of focus by a random amount."""
    share = rng.uniform(*_VIEW_RANGE)
    height, width = round(share * place.shape[0]), round(share * place.shape[1])
    top, left = (
        int(rng.integers(0, full - part + 1)) for full, part in zip(place.shape, (height, width), strict=False)
    )
    focus = float(rng.choice([rng.uniform(0.3, 1.0), rng.uniform(1.0, 5.0)], p=[0.8, 0.2]))
    part = cv2.GaussianBlur(place[top : top + height, left : left + width], (0, 0), focus * height / 320)
    return cv2.resize(part, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _indoors(rng: np.random.Generator, shape: tuple[int, int], wall: np.ndarray, shares: np.ndarray) -> np.ndarray:
    height, width = shape
    ramp = np.linspace(rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.3), width, dtype=np.float32)[None, :]
    plaster = float(rng.uniform(0.03, 0.15)) * noise_field(rng, shape, float(rng.uniform(1.2, 3.0)))
    paint = ramp * (1 + plaster + 0.06 * noise_field(rng, shape, height / 4))
    cover = rng.random()
    if cover < _WALLPAPER_SHARE:
        paint *= _wallpaper(rng, shape)
    elif cover < _WALLPAPER_SHARE + _BRICK_SHARE:
        paint *= _bricks(rng, shape)
    picture = cv2.merge([paint * np.float32(part) for part in wall])
    for _ in range(int(rng.integers(*PIECES_RANGE))):
        _furniture(rng, picture, str(rng.choice(FURNITURE, p=shares)))
    if rng.random() < _WINDOW_SHARE:
        _window(rng, picture, wall)
    return picture


def _window(rng: np.random.Generator, picture: np.ndarray, wall: np.ndarray) -> None:
    height, width = picture.shape[:2]
    x, y = int(rng.uniform(-0.2, 0.9) * width), int(rng.uniform(-0.1, 0.3) * height)
    w, h = int(rng.uniform(0.2, 0.5) * width), int(rng.uniform(0.2, 0.5) * height)
    pane = colour(*rng.integers(190, 256, 3).tolist()) * float(rng.uniform(1.2, 3.0))
    cv2.rectangle(picture, (x, y), (x + w, y + h), pane.tolist(), -1)
    cv2.line(picture, (x + w // 2, y), (x + w // 2, y + h), (wall * 0.6).tolist(), max(1, width // 60))


def _wallpaper(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    period, turn = rng.uniform(2.5, 16.0) * shape[0] / 248, rng.uniform(0, np.pi)
    wave = _stripes(shape, period, turn)
    if rng.random() < 0.5:
        wave = wave * _stripes(shape, period, turn + np.pi / 2)
    return 1 + np.float32(rng.uniform(0.05, 0.45)) * np.sign(wave)


def _stripes(shape: tuple[int, int], period: float, turn: float) -> np.ndarray:
    """Returns sin(2 pi distance / period) across stripes at the angle `turn`, from vectors alone."""
    x = np.arange(shape[1], dtype=np.float32)[None, :] * np.float32(2 * np.pi * np.cos(turn) / period)
    y = np.arange(shape[0], dtype=np.float32)[:, None] * np.float32(2 * np.pi * np.sin(turn) / period)
    return np.sin(x) * np.cos(y) + np.cos(x) * np.sin(y)


def _bricks(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    tall = max(3, int(rng.uniform(0.02, 0.05) * shape[0]))
    wide, joint = int(2.6 * tall), max(1, tall // 7)
    rows = np.arange(shape[0])[:, None]
    columns = np.arange(shape[1])[None, :] + (rows // tall % 2) * (wide // 2)
    tones = rng.uniform(0.75, 1.2, (shape[0] // tall + 1, (shape[1] + wide) // wide + 1)).astype(np.float32)
    brick = tones[rows // tall, columns // wide]
    return np.where((rows % tall < joint) | (columns % wide < joint), np.float32(1.25), brick)


def _furniture(rng: np.random.Generator, picture: np.ndarray, kind: str) -> None:
    height, width = picture.shape[:2]
    x, y = float(rng.uniform(-0.1, 1.0) * width), float(rng.uniform(-0.05, 1.0) * height)
    w, h = float(rng.uniform(0.08, 0.6) * width), float(rng.uniform(0.06, 0.5) * height)
    turn = float(rng.normal(0, 4) if rng.random() < 0.7 else rng.uniform(-45, 45))
    if kind == "round":
        cv2.ellipse(picture, ((x, y), (w, h), turn), _paint(rng).tolist(), -1)
        return
    if kind in ("shelf", "screen"):
        turn *= 0.3
    axes = np.array([[np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))], [0, 0]])
    axes[1] = (-axes[0, 1], axes[0, 0])
    frame = np.array([x, y]) - 0.5 * (w * axes[0] + h * axes[1]), w * axes[0], h * axes[1]
    _DRAW[kind](rng, picture, frame)


Frame = tuple[np.ndarray, np.ndarray, np.ndarray]


def _corners(frame: Frame, x0: float = 0.0, y0: float = 0.0, x1: float = 1.0, y1: float = 1.0) -> np.ndarray:
    """Returns the corners in pixels of a part, in shares of its sides, of an object at (origin, right, down)."""
    unit = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return np.round(frame[0] + unit[:, :1] * frame[1] + unit[:, 1:] * frame[2]).astype(np.int32)


def _fill(picture: np.ndarray, corners: np.ndarray, paint: np.ndarray) -> None:
    cv2.fillConvexPoly(picture, corners, paint.tolist())


def _paint(rng: np.random.Generator) -> np.ndarray:
    paint = colour(*rng.integers(15, 245, 3).tolist())
    return paint + float(rng.uniform(0.4, 0.95)) * (paint.mean() - paint)


def _draw_frame(rng: np.random.Generator, picture: np.ndarray, frame: Frame) -> None:
    rim = float(rng.uniform(0.03, 0.12))
    _fill(picture, _corners(frame), _paint(rng))
    _fill(picture, _corners(frame, rim, rim, 1 - rim, 1 - rim), colour(236, 232, 224) * 0.8)
    inner = (1.8 * rim, 1.8 * rim, 1 - 1.8 * rim, 1 - 1.8 * rim)
    _fill(picture, _corners(frame, *inner), _paint(rng))
    for _ in range(int(rng.integers(0, 12))):
        x, y = rng.uniform(inner[0], inner[2] - 0.1), rng.uniform(inner[1], inner[3] - 0.1)
        part = (x, y, min(inner[2], x + rng.uniform(0.05, 0.4)), min(inner[3], y + rng.uniform(0.05, 0.4)))
        _fill(picture, _corners(frame, *part), _paint(rng))


def _draw_shelf(rng: np.random.Generator, picture: np.ndarray, frame: Frame) -> None:
    _fill(picture, _corners(frame), 0.3 * _paint(rng))
    boards = int(rng.integers(1, 4))
    for board in range(boards):
        top, bottom = board / boards, (board + 0.93) / boards
        x = 0.0
        while x < 0.97:
            wide = float(rng.uniform(0.02, 0.09))
            y = top + float(rng.uniform(0.05, 0.3)) / boards
            spine = _paint(rng)
            _fill(picture, _corners(frame, x, y, min(1.0, x + wide), bottom), spine)
            label = y + 0.3 * (bottom - y)
            _fill(picture, _corners(frame, x + 0.3 * wide, y + 0.1 * (bottom - y), x + 0.7 * wide, label), 1.4 * spine)
            x += wide + float(rng.choice([0.0, 0.01, 0.06], p=[0.6, 0.3, 0.1]))


def _draw_poster(rng: np.random.Generator, picture: np.ndarray, frame: Frame) -> None:
    sheet = _paint(rng) if rng.random() < 0.4 else colour(232, 230, 224)
    _fill(picture, _corners(frame), sheet)
    ink = sheet * 0.12 if sheet.mean() > 0.2 else sheet * 5 + 0.3
    top = float(rng.uniform(0.05, 0.4))
    if top > 0.15:
        _fill(picture, _corners(frame, 0.08, 0.06, 0.92, top - 0.04), _paint(rng))
    _text(rng, picture, frame, ink, (0.08, top, 0.92, 0.95))


def _text(
    rng: np.random.Generator, picture: np.ndarray, frame: Frame, ink: np.ndarray, area: tuple[float, ...]
) -> None:
    """Draws lines of words, each a row of short upright strokes."""
    x0, y0, x1, y1 = area
    pitch = float(rng.uniform(0.025, 0.09))
    stroke = max(1, round(0.2 * pitch * float(np.linalg.norm(frame[2]))))
    y = y0 + pitch / 2
    while y < y1:
        x, end = x0, x0 + (x1 - x0) * float(rng.uniform(0.5, 1.0))
        while x < end:
            word = min(float(rng.uniform(0.03, 0.16)), end - x)
            ends = frame[0] + np.array([[x], [x + word]]) * frame[1] + y * frame[2]
            start, stop = np.round(ends).astype(int).tolist()
            cv2.line(picture, start, stop, ink.tolist(), stroke)
            x += word + 0.35 * pitch
        y += pitch


def _draw_screen(rng: np.random.Generator, picture: np.ndarray, frame: Frame) -> None:
    _fill(picture, _corners(frame), np.full(3, float(rng.choice([0.01, 0.03, 0.5]))))
    rim = float(rng.uniform(0.02, 0.07))
    glow = float(rng.uniform(0.8, 2.2))
    _fill(picture, _corners(frame, rim, rim, 1 - rim, 1 - rim), glow * _paint(rng))
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(rim, 0.6), rng.uniform(rim, 0.6)
        part = (float(x), float(y), float(rng.uniform(x + 0.15, 1 - rim)), float(rng.uniform(y + 0.15, 1 - rim)))
        page = glow * (colour(240, 240, 244) if rng.random() < 0.6 else _paint(rng))
        _fill(picture, _corners(frame, *part), page)
        _text(rng, picture, frame, 0.15 * page, (part[0] + 0.02, part[1] + 0.02, part[2] - 0.02, part[3] - 0.02))


def _draw_fabric(rng: np.random.Generator, picture: np.ndarray, frame: Frame) -> None:
    corners = _corners(frame)
    (x0, y0), (x1, y1) = np.maximum(corners.min(axis=0), 0), np.minimum(corners.max(axis=0) + 1, picture.shape[1::-1])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    shape, scale = (int(y1 - y0), int(x1 - x0)), picture.shape[0] / 285
    kind = rng.random()
    if kind < 0.35:
        weave = _stripes(shape, float(rng.uniform(2.2, 6)) * scale, 0.0) * _stripes(shape, 3 * scale, np.pi / 2)
    elif kind < 0.7:
        weave = noise_field(rng, shape, (1.5 * scale, float(rng.uniform(12, 40)) * scale))
    else:
        weave = noise_field(rng, shape, float(rng.uniform(1.2, 4)) * scale)
    folds = 1 + float(rng.uniform(0.05, 0.3)) * weave + 0.15 * noise_field(rng, shape, (60 * scale, 9 * scale))
    cloth = cv2.merge([np.clip(folds, 0.2, 2).astype(np.float32) * np.float32(part) for part in _paint(rng)])
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, (corners - (x0, y0)).astype(np.int32), 255)
    cv2.copyTo(cloth, mask, picture[y0:y1, x0:x1])


_DRAW = {
    "frame": _draw_frame,
    "shelf": _draw_shelf,
    "poster": _draw_poster,
    "screen": _draw_screen,
    "fabric": _draw_fabric,
}


def _outdoors(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = colour(150, 190, 235) * float(rng.uniform(0.8, 1.8))
    picture = np.broadcast_to(sky * (1 - down) + colour(225, 232, 240) * down * 1.3, (height, width, 3)).copy()
    clouds = np.clip(noise_field(rng, shape, (height / 9, width / 4)) * float(rng.uniform(0, 0.3)), 0, None)
    picture *= (1 + clouds)[..., None]
    for _ in range(int(rng.integers(0, 4))):
        _building(rng, picture)
    horizon = rng.uniform(0.1, 0.8) * height
    line = horizon + 0.12 * height * noise_field(rng, (1, width), (1, width / 12))
    line = line + 0.012 * height * noise_field(rng, (1, width), (1, width / 90))
    leaf = np.arange(height, dtype=np.float32)[:, None] > line
    green = colour(*[(70, 98, 48), (96, 110, 60), (60, 74, 50)][int(rng.integers(3))])
    tufts = 1 + 0.45 * noise_field(rng, shape, height / 60) + 0.35 * noise_field(rng, shape, height / 20)
    tufts = tufts + 0.6 * noise_field(rng, shape, height / 180)
    shade = np.where(leaf, np.clip(tufts, 0.1, 2.5), 0).astype(np.float32)
    trees = cv2.merge([shade * np.float32(part) for part in green])
    cv2.copyTo(trees, leaf.astype(np.uint8), picture)
    return picture


def _building(rng: np.random.Generator, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    x, w = int(rng.uniform(-0.2, 0.9) * width), int(rng.uniform(0.2, 0.6) * width)
    top = int(rng.uniform(0.0, 0.5) * height)
    wall = colour(*rng.integers(110, 220, 3).tolist())
    wall = wall + 0.6 * (wall.mean() - wall)
    cv2.rectangle(picture, (x, top), (x + w, height), wall.tolist(), -1)
    left, right = max(0, x), min(width, x + w)
    if right > left:
        grain = 1 + 0.06 * noise_field(rng, (height - top, right - left), 1.5)
        picture[top:, left:right] *= grain[..., None].astype(np.float32)
    step = max(4, int(rng.uniform(0.04, 0.1) * width))
    for wx in range(x + step // 2, x + w - step // 2, step):
        for wy in range(top + step // 2, height, step):
            glass = float(rng.choice([0.2, 0.3, 0.5, 1.3], p=[0.4, 0.35, 0.2, 0.05]))
            cv2.rectangle(picture, (wx, wy), (wx + step // 3, wy + step // 2), (wall * glass).tolist(), -1)
