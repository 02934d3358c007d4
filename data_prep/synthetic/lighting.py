"""Light of one capture: a distant key light and an ambient sky, and what heads and flat sheets make of it."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.faces import Head
from flipjax.core.labels import ENVIRONMENTS, ILLUMINATIONS

WRAP = 0.15  # how far diffuse light reaches round a head, as a cosine
SHINE, SHINE_POWER = 0.07, 24  # strength and exponent of the skin highlight


@dataclass(frozen=True)
class Light:
    """Illumination and environment are option indices; key and ambient [3] linear; background scales the room."""

    illumination: int
    environment: int
    direction: Float[np.ndarray, "3"]
    key: Float[np.ndarray, "3"]
    ambient: Float[np.ndarray, "3"]
    background: float
    level: float


def draw_light(rng: np.random.Generator, *, illumination: int, environment: int, warmth: float) -> Light:
    """Draws the light of one video for the option indices given; `warmth` > 0 makes indoor light yellow."""
    kind, outdoor = ILLUMINATIONS[illumination], ENVIRONMENTS[environment] == "outdoor"
    key, ambient, background, spread = {
        "normal": (rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.75), rng.uniform(0.5, 1.1), 40.0),
        "strong": (rng.uniform(1.6, 2.4), rng.uniform(0.12, 0.22), rng.uniform(0.3, 0.7), 65.0),
        "back": (rng.uniform(0.05, 0.2), rng.uniform(0.2, 0.35), rng.uniform(2.2, 3.6), 60.0),
        "dark": (rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.4), rng.uniform(0.3, 0.8), 60.0),
    }[kind]
    azimuth, height = np.deg2rad(rng.uniform(-spread, spread)), np.deg2rad(rng.uniform(5, 50))
    direction = np.array([np.sin(azimuth) * np.cos(height), -np.sin(height), np.cos(azimuth) * np.cos(height)])
    tint = rng.normal(-0.3, 0.1) if outdoor else rng.normal(0.35 + warmth, 0.1)
    sky = rng.normal(-0.4, 0.08) if outdoor else 0.7 * tint
    return Light(
        illumination,
        environment,
        direction.astype(np.float32),
        (key * _tint(tint)).astype(np.float32),
        (ambient * _tint(sky)).astype(np.float32),
        background,
        {"dark": 0.08, "strong": 2.0}.get(kind, 1.0) * float(np.exp(rng.normal(0.4 if outdoor else -0.3, 0.3))),
    )


def _tint(warmth: float) -> np.ndarray:
    return np.exp(np.array([0.45, 0.0, -0.6]) * warmth)


def light_head(head: Head, light: Light) -> Float[np.ndarray, "h w 3"]:
    """Returns the radiance of a lit head: wrapped diffuse, sky from above, skin highlight."""
    half = light.direction + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    rows = np.array([[*(light.direction / (1 + WRAP)), WRAP / (1 + WRAP)], [0, -0.2, 0, 0.8], [*half, 0]])
    diffuse, sky, shine = cv2.split(cv2.transform(head.normals, rows))
    occlusion = np.asarray(head.occlusion, np.float32)
    diffuse = cv2.multiply(np.maximum(diffuse, 0), np.minimum(occlusion, 1))
    irradiance = cv2.transform(
        cv2.merge([diffuse, cv2.multiply(sky, occlusion)]), np.stack([light.key, light.ambient], axis=1)
    )
    shine = cv2.multiply(cv2.pow(np.maximum(shine, 0), SHINE_POWER), np.asarray(head.gloss, np.float32), scale=SHINE)
    reflected = cv2.multiply(np.asarray(head.albedo, np.float32), irradiance)
    return cv2.add(reflected, cv2.transform(shine, light.key[:, None]))


def light_sheet(light: Light, normals: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """Returns the irradiance on flat matter with the given unit normals."""
    rows = np.array([[*light.direction, 0.0], [0.0, -0.2, 0.0, 0.8]])
    field = np.asarray(normals, np.float32).reshape(1, -1, 3)
    facing, sky = cv2.split(cv2.transform(field, rows))
    lit = cv2.transform(cv2.merge([np.clip(facing, 0, None), sky]), np.stack([light.key, light.ambient], axis=1))
    return lit.reshape(normals.shape)
