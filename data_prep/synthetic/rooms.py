"""Backgrounds: what stands behind a person or behind an attack, indoors or outdoors, as relative linear radiance."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import colour, noise_field
from flipjax.core.labels import ENVIRONMENTS

OUTDOOR = ENVIRONMENTS.index("outdoor")


def room(
    rng: np.random.Generator, shape: tuple[int, int], *, environment: int, walls: Sequence[tuple[int, int, int]]
) -> Float[np.ndarray, "h w 3"]:
    """Draws a background of `shape` (h, w) out of focus by a random amount.

    Frames, shelves and windows give bona fide pictures straight edges too, so that an edge alone is no evidence.
    """
    height, width = max(2, shape[0] // 2), max(2, shape[1] // 2)
    if environment == OUTDOOR:
        picture = _outdoors(rng, (height, width))
    else:
        picture = _indoors(rng, (height, width), colour(*walls[int(rng.integers(len(walls)))]))
    focus = float(rng.choice([rng.uniform(0.3, 1.0), rng.uniform(1.0, 5.0)], p=[0.6, 0.4]))
    picture = cv2.GaussianBlur(picture, (0, 0), focus * height / 320)
    return np.clip(cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), 0, None)


def _indoors(rng: np.random.Generator, shape: tuple[int, int], wall: np.ndarray) -> np.ndarray:
    height, width = shape
    ramp = np.linspace(rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.3), width, dtype=np.float32)[None, :, None]
    picture = np.ones((height, width, 3), np.float32) * wall * ramp
    picture *= 1 + 0.03 * noise_field(rng, shape, 3)[..., None] + 0.06 * noise_field(rng, shape, height / 4)[..., None]
    if rng.random() < 0.3:
        picture *= _wallpaper(rng, shape)[..., None]
    for _ in range(int(rng.integers(1, 7))):
        _furniture(rng, picture)
    if rng.random() < 0.25:
        x, y = int(rng.uniform(-0.2, 0.9) * width), int(rng.uniform(-0.1, 0.3) * height)
        w, h = int(rng.uniform(0.2, 0.5) * width), int(rng.uniform(0.2, 0.5) * height)
        pane = colour(*rng.integers(190, 256, 3).tolist()) * float(rng.uniform(1.2, 3.0))
        cv2.rectangle(picture, (x, y), (x + w, y + h), pane.tolist(), -1)
        cv2.line(picture, (x + w // 2, y), (x + w // 2, y + h), (wall * 0.6).tolist(), max(1, width // 60))
    return picture


def _wallpaper(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    period, turn = rng.uniform(2.5, 16.0) * shape[0] / 248, rng.uniform(0, np.pi)
    y, x = np.indices(shape, dtype=np.float32) * np.float32(2 * np.pi / period)
    wave = np.sin(x * np.cos(turn) + y * np.sin(turn))
    if rng.random() < 0.5:
        wave = wave * np.sin(y * np.cos(turn) - x * np.sin(turn))
    return 1 + float(rng.uniform(0.05, 0.3)) * np.sign(wave)


def _furniture(rng: np.random.Generator, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    x, y = rng.uniform(-0.2, 1.0) * width, rng.uniform(-0.1, 1.0) * height
    w, h = rng.uniform(0.06, 0.7) * width, rng.uniform(0.05, 0.6) * height
    turn = rng.normal(0, 4) if rng.random() < 0.7 else rng.uniform(-45, 45)
    corners = cv2.boxPoints(((float(x), float(y)), (float(w), float(h)), float(turn))).astype(np.int32)
    fill = _paint(rng)
    kind = rng.random()
    if kind < 0.15:
        cv2.ellipse(picture, ((float(x), float(y)), (float(w), float(h)), float(turn)), fill.tolist(), -1, cv2.LINE_AA)
        return
    cv2.fillPoly(picture, [corners], fill.tolist(), cv2.LINE_AA)
    if kind < 0.6:
        edge = _paint(rng).tolist()
        cv2.polylines(picture, [corners], True, edge, max(1, int(rng.uniform(0.005, 0.03) * width)), cv2.LINE_AA)
    elif kind < 0.8:
        _shelf(rng, picture, corners)


def _paint(rng: np.random.Generator) -> np.ndarray:
    paint = colour(*rng.integers(15, 245, 3).tolist())
    return paint + float(rng.uniform(0.4, 0.95)) * (paint.mean() - paint)


def _shelf(rng: np.random.Generator, picture: np.ndarray, corners: np.ndarray) -> None:
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    x = int(x0)
    while x < x1:
        wide = max(2, int(rng.uniform(0.01, 0.04) * picture.shape[1]))
        top = int(y0 + rng.uniform(0, 0.3) * (y1 - y0))
        spine = _paint(rng).tolist()
        cv2.rectangle(picture, (x, top), (x + wide - 1, int(y1)), spine, -1)
        x += wide + int(rng.integers(0, 2))


def _outdoors(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = colour(150, 190, 235) * float(rng.uniform(0.8, 1.8))
    picture = np.broadcast_to(sky * (1 - down) + colour(225, 232, 240) * down * 1.3, (height, width, 3)).copy()
    for _ in range(int(rng.integers(0, 4))):
        _building(rng, picture)
    horizon = rng.uniform(0.1, 0.8) * height
    line = horizon + 0.12 * height * noise_field(rng, (1, width), (1, width / 12))
    leaf = np.arange(height, dtype=np.float32)[:, None] > line
    green = colour(*[(70, 98, 48), (96, 110, 60), (60, 74, 50)][int(rng.integers(3))])
    tufts = 1 + 0.45 * noise_field(rng, shape, height / 60) + 0.35 * noise_field(rng, shape, height / 20)
    trees = green * np.clip(tufts, 0.1, 2.5)[..., None]
    return np.where(leaf[..., None], trees, picture).astype(np.float32)


def _building(rng: np.random.Generator, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    x, w = int(rng.uniform(-0.2, 0.9) * width), int(rng.uniform(0.2, 0.6) * width)
    top = int(rng.uniform(0.0, 0.5) * height)
    wall = colour(*rng.integers(110, 220, 3).tolist())
    cv2.rectangle(picture, (x, top), (x + w, height), (wall + 0.6 * (wall.mean() - wall)).tolist(), -1)
    step = max(4, int(rng.uniform(0.04, 0.1) * width))
    for wx in range(x + step // 2, x + w - step // 2, step):
        for wy in range(top + step // 2, height, step):
            cv2.rectangle(picture, (wx, wy), (wx + step // 3, wy + step // 2), (wall * 0.3).tolist(), -1)
