"""Patches of the head canvas, soft edges and strokes: the brushes with which heads and masks are drawn.

Working on patches instead of the whole canvas is what keeps a head below half a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import canvas_px, eye_grid, over

_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Patch:
    """A rectangle of the head canvas: its slices and the coordinates of its pixels in eye units."""

    where: tuple[slice, slice]
    x: Float[np.ndarray, "1 w"]
    y: Float[np.ndarray, "h 1"]
    eye_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the patch."""
        return self.y.size, self.x.size


def whole(eye_px: float) -> Patch:
    """Returns the whole head canvas as a patch."""
    width, height = canvas_px(eye_px)
    return Patch((slice(0, height), slice(0, width)), *eye_grid(eye_px), eye_px)


def patch(eye_px: float, left: float, top: float, right: float, bottom: float) -> Patch:
    """Returns the part of the head canvas between the given sides, in eye units."""
    x, y = eye_grid(eye_px)
    columns = np.searchsorted(x[0], [left, right])
    rows = np.searchsorted(y[:, 0], [top, bottom])
    across, down = slice(int(columns[0]), int(columns[1])), slice(int(rows[0]), int(rows[1]))
    return Patch((down, across), x[:, across], y[down], eye_px)


def soft(inside: Float[np.ndarray, "h w"], eye_px: float) -> Float[np.ndarray, "h w"]:
    """Turns a signed distance in eye units (positive inside) into coverage 0..1 with a one-pixel ramp."""
    return np.clip(inside * np.float32(eye_px) + np.float32(0.5), 0, 1).astype(np.float32)


def bump(across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Returns a bell of height 1 in two coordinates that are measured in its own half widths."""
    return np.exp(-across * across) * np.exp(-along * along)


def blurred(field: Float[np.ndarray, "h w"], sigma_px: float) -> Float[np.ndarray, "h w"]:
    """Blurs a field; wide blurs are done on a quarter of the pixels."""
    if sigma_px < 0.3:
        return field
    if sigma_px < 6:
        return cv2.GaussianBlur(field, (0, 0), sigma_px)
    small = cv2.resize(field, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma_px / 4), field.shape[::-1])


def strokes(area: Patch, lines: Sequence[np.ndarray], width: float) -> Float[np.ndarray, "h w"]:
    """Draws lines, each [k 2] in eye units, `width` eye units wide; strokes thinner than a pixel are faint instead."""
    canvas = np.zeros(area.shape, np.uint8)
    start = np.array([area.x[0, 0], area.y[0, 0]])
    points = [((line - start) * (area.eye_px * 2**_SUBPIXEL_BITS)).round().astype(np.int32) for line in lines]
    thick = width * area.eye_px
    cv2.polylines(canvas, points, False, 255, max(1, round(thick)), cv2.LINE_AA, _SUBPIXEL_BITS)
    return canvas.astype(np.float32) * np.float32(min(1.0, thick) / 255)


def lay(
    below: Float[np.ndarray, "h w c"], area: Patch, above: Float[np.ndarray, "..."], alpha: Float[np.ndarray, "a b"]
) -> None:
    """Paints `above` with coverage `alpha` (both of the patch's size) on `below`, in place."""
    below[area.where] = over(below[area.where], above, alpha)


def mirrored(line: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
    """Returns a line of the other half of the face."""
    return line * np.array([-1.0, 1.0])


@dataclass(frozen=True)
class Layers:
    """What is painted in place while a head is drawn, all on the whole canvas.

    Fields: albedo [h w 3] linear; relief [h w], fine heights in eye units; slopes [h w 2] of the coarse shape;
    occlusion [h w], 1 = open; gloss [h w]; alpha [h w], 1 = person.
    """

    albedo: Float[np.ndarray, "h w 3"]
    relief: Float[np.ndarray, "h w"]
    slopes: Float[np.ndarray, "h w 2"]
    occlusion: Float[np.ndarray, "h w"]
    gloss: Float[np.ndarray, "h w"]
    alpha: Float[np.ndarray, "h w"]


def blank(eye_px: float) -> Layers:
    """Returns empty layers of the head canvas."""
    width, height = canvas_px(eye_px)

    def field(*more: int) -> np.ndarray:
        return np.zeros((height, width, *more), np.float32)

    return Layers(field(3), field(), field(2), field() + 1, field(), field())


def cover(
    layers: Layers,
    area: Patch,
    mask: Float[np.ndarray, "a b"],
    *,
    albedo: Float[np.ndarray, "..."],
    relief: Float[np.ndarray, "a b"] | float = 0.0,
    slopes: Float[np.ndarray, "a b 2"] | None = None,
    occlusion: Float[np.ndarray, "a b"] | float = 1.0,
    gloss: Float[np.ndarray, "a b"] | float = 0.0,
) -> None:
    """Puts matter on the layers where `mask` is 1, in place; without `slopes` it follows the shape below."""
    lay(layers.albedo, area, albedo, mask)
    for field, value in ((layers.relief, relief), (layers.occlusion, occlusion), (layers.gloss, gloss)):
        below = field[area.where]
        field[area.where] = below + (value - below) * mask
    if slopes is not None:
        lay(layers.slopes, area, slopes, mask)
    layers.alpha[area.where] = np.maximum(layers.alpha[area.where], mask)


def shade(layers: Layers, area: Patch, shadow: Float[np.ndarray, "a b"]) -> None:
    """Takes ambient and key light from what lies below something, 0..1, in place."""
    layers.occlusion[area.where] *= 1 - shadow
