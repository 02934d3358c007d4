"""What sheets and displays have in common: the attacker's file, its visible part, edges, lamps mirrored in the front."""

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.scene import plane_coordinates

# Eye distance in pixels of the file that is printed or replayed: from thumbnails of web pages to camera originals.
FILE_EYE_PX = (14.0, 80.0)
LAMP_SIZE, LAMP_STRENGTH, LAMP_ASPECT = (0.02, 0.1), (0.3, 1.6), 0.45  # lamp images: panels wider than high
_COARSE = 8  # radiance pixels per pixel of smooth maps


def cut(points: Float[np.ndarray, "5 2"], eye_px: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Draws the visible part of a photograph (x0 y0 x1 y1): the whole face, with more or less around it."""
    x, y = points[:2].mean(axis=0)
    left, right = rng.uniform(1.0, 1.6, 2) * eye_px
    top, bottom = rng.uniform(1.0, 1.5) * eye_px, rng.uniform(1.7, 2.3) * eye_px
    return float(x - left), float(y - top), float(x + right), float(y + bottom)


def lamps(rng: np.random.Generator, count: int) -> Float[np.ndarray, "k 4"]:
    """Draws mirror images of lamps: x and y on the object (-1..1), half width and strength."""
    places = rng.uniform(-1, 1, (count, 2))
    return np.hstack([places, rng.uniform(*LAMP_SIZE, (count, 1)), rng.uniform(*LAMP_STRENGTH, (count, 1))])


def attacker_file(
    photo: Float[np.ndarray, "h w 3"], eye_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    """Returns the photograph as the attacker has it: often with fewer pixels, enlarged smoothly."""
    low, high = FILE_EYE_PX
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high)))) / eye_px
    if scale >= 1:
        return photo
    size = (photo.shape[1], photo.shape[0])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.clip(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), 0, None)


def sheet_cover(
    x: Float[np.ndarray, "H W"],
    y: Float[np.ndarray, "H W"],
    rectangle: tuple[float, ...],
    ramp: float,
    radius: float = 0,
) -> Float[np.ndarray, "H W"]:
    """Returns coverage of a rectangle (x0 y0 x1 y1), its corners rounded, with an edge `ramp` wide in plane units."""
    x0, y0, x1, y1 = (np.float32(value) for value in rectangle)
    across = np.abs(x - (x0 + x1) / 2) - ((x1 - x0) / 2 - np.float32(radius))
    along = np.abs(y - (y0 + y1) / 2) - ((y1 - y0) / 2 - np.float32(radius))
    outside = cv2.max(across, along)
    if radius:
        across, along = np.clip(across, 0, None), np.clip(along, 0, None)
        corner = np.sqrt(across * across + along * along)  # cv2.magnitude differs in the last bit from call to call
        outside = cv2.max(corner, outside) - np.float32(radius)
    outside *= np.float32(-1 / ramp)
    outside += np.float32(0.5)
    return np.clip(outside, 0, 1, out=outside)


def blend(
    below: Float[np.ndarray, "H W 3"], above: Float[np.ndarray, "H W 3"], alpha: Float[np.ndarray, "H W"]
) -> Float[np.ndarray, "H W 3"]:
    """Composites two pictures of one size; faster than `over`."""
    mixed = cv2.subtract(above, below)
    mixed = cv2.multiply(mixed, cv2.merge([alpha, alpha, alpha]), dst=mixed)
    return cv2.add(mixed, below.astype(np.float32, copy=False), dst=mixed)


def inset(
    colour: Float[np.ndarray, "3"], above: Float[np.ndarray, "H W 3"], alpha: Float[np.ndarray, "H W"]
) -> Float[np.ndarray, "H W 3"]:
    """Composites a picture on one colour."""
    below = np.array([*colour, 0.0])
    mixed = cv2.subtract(above, below)
    mixed = cv2.multiply(mixed, cv2.merge([alpha, alpha, alpha]), dst=mixed)
    return cv2.add(mixed, below, dst=mixed)


def coarse_plane(matrix: Float[np.ndarray, "3 3"], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns object-plane x and y at every eighth frame pixel, for maps that `enlarge` brings back to full size."""
    shrink = np.array([[1 / _COARSE, 0, 0.5 / _COARSE - 0.5], [0, 1 / _COARSE, 0.5 / _COARSE - 0.5], [0, 0, 1]])
    return plane_coordinates(shrink @ matrix, (-(-shape[0] // _COARSE), -(-shape[1] // _COARSE)))


def enlarge(field: Float[np.ndarray, "gh gw 3"], shape: tuple[int, int]) -> Float[np.ndarray, "H W 3"]:
    """Brings a map of `coarse_plane` to the frame's (H, W)."""
    full = (field.shape[1] * _COARSE, field.shape[0] * _COARSE)
    return cv2.resize(field.astype(np.float32), full, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]]


def spots(
    across: Float[np.ndarray, "h w"], along: Float[np.ndarray, "h w"], glare: Float[np.ndarray, "k 4"]
) -> Float[np.ndarray, "h w"]:
    """Returns the brightness of lamp images with a flat top and a soft rim."""
    light = np.zeros_like(across)
    for at_x, at_y, size, strength in glare.astype(np.float32):
        inside = ((across - at_x) / size) ** 4 + ((along - at_y) / (LAMP_ASPECT * size)) ** 4
        light += strength * np.exp(-inside)
    return light
