"""What stays the same about one person: skin pigments, age, shape of face and features, hair, beard, things worn.

Lengths are in eye units; 1 is about 63 mm, the mean distance between the pupils of adults (Dodgson 2004).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import colour

# Melanin (effective optical density in green) of the borders between tone_1 ... tone_6.
MELANIN_BORDERS = (0.03, 0.22, 0.45, 0.8, 1.2, 1.65, 2.15)
HAIR_COLOURS = (
    (24, 20, 19),
    (38, 30, 26),
    (58, 42, 32),
    (86, 62, 44),
    (128, 98, 66),
    (176, 146, 102),
    (128, 66, 38),
)
GREY_HAIR = (196, 194, 190)
IRIS_COLOURS = ((60, 38, 24), (44, 28, 18), (96, 116, 128), (74, 92, 70), (112, 84, 50))
STYLES_SHORT = ("bald", "buzz", "short", "side_part", "curly")
STYLES_LONG = ("side_part", "curly", "long", "fringe", "bun")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")


@dataclass(frozen=True)
class Traits:
    """The lasting looks of one person.

    Fields: tone 0..5 (light to dark); melanin, blood, carotene: pigment densities; age in years; then lengths in eye
    units, colours in linear light [3], shares 0..1 and names; `marks` seeds wrinkles, moles and freckles.
    """

    tone: int
    melanin: float
    blood: float
    carotene: float
    age: float
    half_width: float
    chin: float
    jaw: float
    cheek: float
    crown: float
    nose: float
    nose_width: float
    nose_height: float
    mouth: float
    mouth_half: float
    lips: tuple[float, float]
    eye_half: float
    eye_open: float
    eye_tilt: float
    crease: float
    iris: Float[np.ndarray, "3"]
    brow: float
    brow_thick: float
    brow_arch: float
    hair_style: str
    hair: Float[np.ndarray, "3"]
    grey: float
    hairline: float
    recede: float
    volume: float
    length: float
    parting: float
    beard: str
    freckles: float
    glasses: str
    lens_shape: float
    headscarf: bool
    marks: int

    @property
    def wrinkles(self) -> float:
        """Strength of age marks, 0 at thirty and 1 at seventy."""
        return float(np.clip((self.age - 30) / 40, 0.0, 1.2))


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draws the lasting looks of one person."""
    strong = bool(rng.random() < 0.5)  # heavier brow and jaw, short hair, beard
    skin = _draw_skin(rng)
    hair = _draw_hair(rng, strong=strong, tone=skin["tone"], age=skin["age"])
    return Traits(**skin, **_draw_shape(rng, strong=strong), **_draw_features(rng, skin["tone"]), **hair)


def _draw_skin(rng: np.random.Generator) -> dict[str, Any]:
    tone = int(rng.integers(len(MELANIN_BORDERS) - 1))
    return {
        "tone": tone,
        "melanin": float(rng.uniform(MELANIN_BORDERS[tone], MELANIN_BORDERS[tone + 1])),
        "blood": float(rng.uniform(0.12, 0.38)),
        "carotene": float(rng.uniform(0.0, 1.0)),
        "age": float(18 + 60 * rng.beta(1.3, 1.6)),
        "freckles": float(rng.choice([0.0, rng.uniform(0.2, 1.0)], p=[0.75, 0.25])),
        "marks": int(rng.integers(2**31)),
    }


def _draw_shape(rng: np.random.Generator, *, strong: bool) -> dict[str, Any]:
    mouth = float(rng.uniform(0.97, 1.14))
    return {
        "half_width": float(rng.uniform(0.93, 1.12)),
        "chin": float(mouth + rng.uniform(0.56, 0.74)),
        "jaw": float(rng.uniform(2.1, 3.4) if strong else rng.uniform(1.75, 2.6)),
        "cheek": float(rng.uniform(-0.03, 0.05)),
        "crown": float(rng.uniform(1.5, 1.72)),
        "nose": float(mouth - rng.uniform(0.36, 0.43)),
        "nose_width": float(rng.uniform(0.17, 0.27)),
        "nose_height": float(rng.uniform(0.26, 0.42)),
        "mouth": mouth,
        "mouth_half": float(rng.uniform(0.36, 0.46)),
        "lips": (float(rng.uniform(0.05, 0.11)), float(rng.uniform(0.08, 0.15))),
        "brow": float(rng.uniform(0.27, 0.32) if strong else rng.uniform(0.3, 0.38)),
        "brow_thick": float(rng.uniform(0.05, 0.085) if strong else rng.uniform(0.03, 0.06)),
        "brow_arch": float(rng.uniform(0.0, 0.1)),
    }


def _draw_features(rng: np.random.Generator, tone: int) -> dict[str, Any]:
    kinds = ("none", "thick", "thin", "rimless")
    return {
        "eye_half": float(rng.uniform(0.215, 0.27)),
        "eye_open": float(rng.uniform(0.068, 0.105)),
        "eye_tilt": float(rng.normal(0.04, 0.07)),
        "crease": float(rng.choice([0.0, rng.uniform(0.04, 0.09)], p=[0.25, 0.75])),
        "iris": colour(*IRIS_COLOURS[int(rng.integers(2 if tone > 2 else len(IRIS_COLOURS)))]),
        "glasses": str(rng.choice(kinds, p=[0.66, 0.14, 0.13, 0.07])),
        "lens_shape": float(rng.uniform(2.0, 4.2)),
    }


def _draw_hair(rng: np.random.Generator, *, strong: bool, tone: int, age: float) -> dict[str, Any]:
    styles, shares = (
        (STYLES_SHORT, (0.13, 0.19, 0.3, 0.23, 0.15)) if strong else (STYLES_LONG, (0.17, 0.2, 0.27, 0.2, 0.16))
    )
    style = str(rng.choice(styles, p=shares))
    kind = int(rng.integers(3 if tone > 2 else len(HAIR_COLOURS)))
    lengths = {"long": (1.6, 3.3), "fringe": (0.9, 2.8)}
    return {
        "hair_style": style,
        "hair": colour(*HAIR_COLOURS[kind]) * np.float32(rng.uniform(0.8, 1.25)),
        "grey": float(np.clip((age - 50) / 30 + rng.normal(0, 0.25), 0, 0.95)),
        "hairline": float(rng.uniform(-1.12, -0.86)),
        "recede": float(rng.uniform(0.0, 0.32 if strong else 0.08)),
        "volume": float(rng.uniform(0.05, 0.3)),
        "length": float(rng.uniform(*lengths.get(style, (0.0, 0.0)))),
        "parting": float(rng.choice([-1.0, 1.0]) * rng.uniform(0.0, 0.5)),
        "beard": str(rng.choice(BEARDS, p=(0.46, 0.22, 0.09, 0.09, 0.14))) if strong else "none",
        "headscarf": bool(not strong and rng.random() < 0.12),
    }
