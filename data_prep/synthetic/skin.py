"""Skin: reflectance from pigments, with pores, veins, freckles and age marks; ears and neck have the same skin.

Reflectance falls exponentially with melanin and haemoglobin (Anderson and Parrish 1981); the densities per colour are
effective values that reproduce the light and the dark skin patch of the ColorChecker, not a spectral model.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic import age
from data_prep.synthetic.geometry import noise_field
from data_prep.synthetic.paint import Patch
from data_prep.synthetic.traits import MELANIN_BORDERS, Traits

BARE = (0.80, 0.60, 0.47)
MELANIN = (0.80, 1.0, 1.12)
BLOOD = (0.15, 0.95, 0.72)
CAROTENE = (0.0, 0.03, 0.16)
PORE_DEPTH = 0.0006  # eye units, about 0.04 mm
PORE_TONE = 0.05
LINE_TONE = 0.22  # optical density that lines add
GRAINS = ((0.28, 0.06), (0.075, 0.045), (0.03, 0.035))  # (size in eye units, relative change of melanin and blood)


@dataclass(frozen=True)
class Skin:
    """Skin on a patch: albedo [h w 3] linear, fine relief [h w] in eye units, gloss [h w]."""

    albedo: Float[np.ndarray, "h w 3"]
    relief: Float[np.ndarray, "h w"]
    gloss: Float[np.ndarray, "h w"]


def reflectance(
    melanin: Float[np.ndarray, "h w"], blood: Float[np.ndarray, "h w"], carotene: float
) -> Float[np.ndarray, "h w 3"]:
    """Returns the linear reflectance of skin with the given pigment densities."""
    density = cv2.transform(cv2.merge([melanin, blood]), -np.array([MELANIN, BLOOD]).T)
    bare = np.asarray(BARE, np.float32) * np.exp(-carotene * np.asarray(CAROTENE, np.float32))
    return np.asarray(cv2.exp(density)) * bare


def plain(traits: Traits) -> Float[np.ndarray, "3"]:
    """Returns the mean colour of a person's skin."""
    one = np.ones((1, 1), np.float32)
    return reflectance(one * np.float32(traits.melanin), one * np.float32(traits.blood), traits.carotene)[0, 0]


def draw_tone(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Draws the mean skin colour of anybody, for hands."""
    melanin = np.full((1, 1), rng.uniform(MELANIN_BORDERS[0], MELANIN_BORDERS[-1]), np.float32)
    return reflectance(melanin, np.full((1, 1), 0.3, np.float32), 0.5)[0, 0]


def draw_skin(traits: Traits, rng: np.random.Generator, area: Patch) -> Skin:
    """Draws the skin of one session; lasting marks come from `traits.marks`, flush and shine from `rng`."""
    own = np.random.default_rng(traits.marks)
    furrows, bags = age.furrows(traits, own, area), age.bags(traits, own, area)
    uneven = sum(share * noise_field(own, area.shape, size * area.eye_px) for size, share in GRAINS)
    pores = noise_field(own, area.shape, max(1.0, 0.013 * area.eye_px))
    pores = np.minimum(pores, 1.2) * (0.8 + 0.4 * own.random())
    warm = _flush(traits, area) * float(rng.uniform(0.5, 1.2))
    melanin = (
        traits.melanin
        + (0.25 + 0.35 * traits.melanin) * uneven
        + age.spots(traits, own, area) * (0.4 + 0.5 * traits.melanin)
    )
    melanin = melanin - PORE_TONE * pores + LINE_TONE * furrows + 0.14 * bags
    blood = traits.blood * (1 + 1.1 * warm + 1.3 * uneven) + LINE_TONE * furrows + 0.16 * bags
    relief = PORE_DEPTH * pores - age.LINE_DEPTH * furrows + age.BAG_DEPTH * bags
    shiny = (0.55 + 0.5 * _shiny_zone(traits, area)) * float(rng.uniform(0.5, 1.3))
    albedo = reflectance(np.maximum(melanin, 0), np.maximum(blood, 0), traits.carotene)
    return Skin(albedo, relief.astype(np.float32), (shiny * np.clip(1 - 0.25 * pores, 0.3, 1.5)).astype(np.float32))


def _flush(traits: Traits, area: Patch) -> np.ndarray:
    side = np.abs(area.x)
    cheeks = np.exp(-(((side - 0.62) / 0.3) ** 2)) * np.exp(-(((area.y - 0.52) / 0.26) ** 2))
    nose = np.exp(-((area.x / 0.2) ** 2)) * np.exp(-(((area.y - traits.nose) / 0.2) ** 2))
    ears = np.clip((side - traits.half_width) / 0.05, 0, 1) * (area.y < 0.8)
    return (0.7 * cheeks + 0.45 * nose + 0.8 * ears).astype(np.float32)


def _shiny_zone(traits: Traits, area: Patch) -> np.ndarray:
    forehead = np.exp(-((area.x / 0.55) ** 2)) * np.exp(-(((area.y + 0.65) / 0.35) ** 2))
    nose = np.exp(-((area.x / 0.15) ** 2)) * np.exp(-(((area.y - 0.35) / 0.5) ** 2))
    return forehead + 1.4 * nose
