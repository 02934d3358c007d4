"""Eyes, brows, mouth, nostrils and glasses of a procedural head, painted on its albedo."""

from typing import Any

import numpy as np

from data_prep.synthetic.geometry import colour, eye_grid, noise_field, over


def soft(inside: np.ndarray, eye_px: float) -> np.ndarray:
    """Turns a signed distance in eye units (positive inside) into coverage 0..1 with a one-pixel ramp."""
    return np.clip(inside * eye_px + 0.5, 0, 1).astype(np.float32)


def beard_field(traits: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns beard density [h w]: jaw, chin and upper lip, free at the lips."""
    jaw = np.clip((y - traits.nose - 0.15 + 0.3 * (np.abs(x) < 0.2)) / 0.15, 0, 1) * np.clip(1.35 - np.abs(x), 0, 1)
    low = np.clip((y - traits.mouth + 0.35 - 0.3 * np.abs(x)) / 0.2, 0, 1)
    lips = np.exp(-((x / (traits.mouth_half + 0.04)) ** 6) - ((y - traits.mouth) / 0.11) ** 4)
    return np.clip(jaw * low, 0, 1) * (1 - lips)


def paint_face(
    albedo: np.ndarray, traits: Any, rng: np.random.Generator, face: np.ndarray, eye_px: float
) -> np.ndarray:
    """Paints brows, eyes, nostrils and mouth inside `face`."""
    x, y = eye_grid(eye_px)
    columns, rows = np.flatnonzero(np.abs(x[0]) < 1.0), np.flatnonzero(np.abs(y[:, 0] - 0.35) < 1.05)
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    x, y = x[:, window[1]], y[window[0]]
    painted = _brows(albedo[window], traits, rng, x, y, eye_px)
    for side in (-1.0, 1.0):
        painted = _eye(painted, traits, x - 0.5 * side, y, eye_px)
    painted = _mouth(painted, traits, rng, x, y, eye_px)
    hole = 0.05 - np.hypot((np.abs(x) - 0.5 * traits.nose_width) / 1.5, y - traits.nose - 0.09)
    painted = over(painted, traits.skin * 0.18, 0.8 * soft(hole, eye_px))
    result = albedo.copy()
    result[window] = over(albedo[window], painted, face[window])
    return result


def _brows(albedo: np.ndarray, traits: Any, rng: np.random.Generator, x: np.ndarray, y: np.ndarray, eye_px: float):
    across = (np.abs(x) - 0.5) / 0.33
    arch = -traits.brow + 0.09 * across**2 + 0.03 * across
    thick = (0.035 + 0.045 * rng.random()) * np.clip(1 - across**4, 0, 1)
    hairs = 0.8 + 0.2 * noise_field(rng, (y.size, x.size), (0.05 * eye_px, 0.02 * eye_px))
    mask = soft(thick - np.abs(y - arch) - 0.01 * (np.abs(across) > 1), eye_px) * np.clip(hairs, 0, 1)
    return over(albedo, traits.hair * 0.6, 0.85 * mask)


def _eye(albedo: np.ndarray, traits: Any, x: np.ndarray, y: np.ndarray, eye_px: float) -> np.ndarray:
    opening = traits.eye_open * np.clip(1 - (np.abs(x) / 0.26) ** 2.2, 0, None)
    lid = np.minimum(opening - np.abs(y), 0.26 - np.abs(x))
    inside = soft(lid, eye_px)
    shade = np.clip(0.5 + (y + traits.eye_open) / (2.2 * traits.eye_open), 0.35, 1)[..., None]
    white = over(albedo, colour(226, 218, 212) * shade, inside)
    radius = np.hypot(x, y)
    ring = 0.75 + 0.35 * np.clip(radius / 0.11, 0, 1)
    iris = over(white, traits.iris * ring[..., None], soft(0.12 - radius, eye_px) * inside)
    pupil = over(iris, np.full(3, 0.004, np.float32), soft(0.052 - radius, eye_px) * inside)
    glint = soft(0.022 - np.hypot(x - 0.035, y + 0.035), eye_px) * inside
    pupil = over(pupil, np.full(3, 0.9, np.float32), glint)
    lash = np.exp(-(((y + opening) / 0.022) ** 2)) * (np.abs(x) < 0.27)
    crease = np.exp(-(((y + opening + 0.075) / 0.018) ** 2)) * np.clip(1 - (np.abs(x) / 0.28) ** 2, 0, 1)
    below = np.exp(-(((y - opening) / 0.015) ** 2)) * (np.abs(x) < 0.25)
    line = np.clip(0.85 * lash + 0.4 * below + 0.35 * crease, 0, 0.9)
    return over(pupil, traits.skin * 0.12, line)


def _mouth(albedo: np.ndarray, traits: Any, rng: np.random.Generator, x: np.ndarray, y: np.ndarray, eye_px: float):
    smile = rng.uniform(-0.02, 0.09)
    across = x / traits.mouth_half
    middle = traits.mouth + smile * (0.4 - across**2)
    taper = np.clip(1 - across**2, 0, 1)
    bow = 0.02 * np.exp(-((across / 0.12) ** 2))
    upper = soft(np.minimum(y - middle + 0.1 * taper**0.8 - bow, middle - y), eye_px)
    lower = soft(np.minimum(middle + 0.13 * taper**0.7 - y, y - middle), eye_px)
    red = traits.skin * np.array([0.82, 0.5, 0.5], np.float32) * float(rng.uniform(0.75, 1.0))
    gap = 0.5 * np.exp(-(((y - middle) / 0.02) ** 2)) * taper
    lips = over(albedo, red * 0.85, 0.9 * upper)
    lips = over(lips, red, 0.9 * lower)
    if rng.random() < 0.25:
        teeth = soft(np.minimum(0.045 * taper - np.abs(y - middle), 0.8 - np.abs(across)), eye_px)
        return over(lips, colour(216, 206, 190), 0.85 * teeth)
    return over(lips, traits.skin * 0.08, np.clip(gap + 0.35 * (np.abs(across) < 1.06) * gap, 0, 0.85))


def paint_glasses(albedo: np.ndarray, rng: np.random.Generator, eye_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Paints glasses on every fourth person; returns the albedo and the frame's relief [h w] in eye units."""
    x, y = eye_grid(eye_px)
    present, dark, round_ = rng.random() < 0.25, rng.random(), rng.uniform(2.2, 4.0)
    if not present:
        return albedo, np.zeros((y.size, x.size), np.float32)
    radius = (np.abs((np.abs(x) - 0.52) / 0.4) ** round_ + np.abs((y - 0.04) / 0.3) ** round_) ** (1 / round_)
    rim = soft(0.035 - 0.35 * np.abs(radius - 1), eye_px)
    bridge = soft(np.minimum(0.025 - np.abs(y + 0.06), 0.14 - np.abs(x)), eye_px)
    arms = soft(np.minimum(0.03 - np.abs(y + 0.08), np.minimum(np.abs(x) - 0.9, 1.1 - np.abs(x))), eye_px)
    frame = np.maximum.reduce([rim, bridge, arms])
    return over(albedo, colour(*([18, 16, 16] if dark < 0.6 else [120, 90, 50])), frame), 0.04 * frame
