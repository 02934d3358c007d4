"""Age marks: forehead lines, frown lines, crow's feet, folds beside nose and mouth, eye bags, neck lines, spots."""

import numpy as np
from jaxtyping import Float

from data_prep.synthetic.paint import Patch, blurred, mirrored, strokes
from data_prep.synthetic.traits import Traits

LINE_DEPTH = 0.018  # eye units, about 1.1 mm
LINE_WIDTH = 0.02
BAG_DEPTH = 0.03


def furrows(traits: Traits, rng: np.random.Generator, area: Patch) -> Float[np.ndarray, "h w"]:
    """Returns the lines of age on a patch, 0..1, stronger with `traits.wrinkles`; even the young have a few."""
    strength = 0.12 + 0.88 * traits.wrinkles
    folds = [(strokes(area, _folds(traits, rng), 1.6 * LINE_WIDTH), 0.035, 0.9)]
    fine = [*_forehead(traits, rng), *_crows_feet(traits, rng), *_frown(traits, rng), *_neck(traits, rng)]
    kept = [line for line in fine if rng.random() < strength]
    folds.append((strokes(area, kept, LINE_WIDTH), 0.017, 0.8))
    lines = sum(weight * _swelling(blurred(field, sigma * area.eye_px)) for field, sigma, weight in folds)
    return np.clip(lines * strength, 0, 1).astype(np.float32)


def _swelling(field: np.ndarray) -> np.ndarray:
    return field / max(float(field.max()), 1e-3)


def bags(traits: Traits, rng: np.random.Generator, area: Patch) -> Float[np.ndarray, "h w"]:
    """Returns the bags below the eyes, 0..1, seen in relief and as darker skin."""
    strength = 0.2 + 0.7 * traits.wrinkles * rng.uniform(0.5, 1.0)
    at_x, at_y = (np.abs(area.x) - 0.49) / 0.22, (area.y - 0.19 - 0.05 * np.abs(area.x)) / 0.075
    return (strength * np.exp(-(at_x**4)) * np.exp(-(at_y**2))).astype(np.float32)


def spots(traits: Traits, rng: np.random.Generator, area: Patch) -> Float[np.ndarray, "h w"]:
    """Returns extra melanin of moles, freckles and age spots, as optical density."""
    density = np.zeros(area.shape, np.float32)
    freckles, old = round(260 * traits.freckles), round(18 * max(traits.wrinkles - 0.3, 0) * rng.random())
    for count, size, strength in ((rng.poisson(2), 0.02, 1.2), (freckles, 0.016, 0.45), (old, 0.06, 0.3)):
        sizes = size * rng.uniform(0.5, 1.3, int(count))
        at_x, at_y = rng.normal(0, 0.55, int(count)), rng.normal(0.35, 0.55, int(count))
        dots = [np.array([[x - s / 2, y], [x + s / 2, y + 0.2 * s]]) for x, y, s in zip(at_x, at_y, sizes, strict=True)]
        if dots:
            density += strength * blurred(strokes(area, dots, size), 0.25 * size * area.eye_px)
    return density


def _wave(rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float], sag: float) -> np.ndarray:
    t = np.linspace(0, 1, 24)
    line = np.outer(1 - t, start) + np.outer(t, end)
    line[:, 1] += sag * 4 * t * (1 - t) + 0.012 * np.sin(t * rng.uniform(6, 14) + rng.uniform(0, 6))
    return line


def _forehead(traits: Traits, rng: np.random.Generator) -> list[np.ndarray]:
    top, low = max(traits.hairline + 0.2, -1.0), -traits.brow - 0.14
    heights = np.linspace(top, low, 5) + rng.normal(0, 0.02, 5)
    return [
        _wave(rng, (-rng.uniform(0.3, 0.7), y), (rng.uniform(0.3, 0.7), y), rng.uniform(-0.06, 0.02)) for y in heights
    ]


def _frown(traits: Traits, rng: np.random.Generator) -> list[np.ndarray]:
    return [
        _wave(rng, (s * rng.uniform(0.08, 0.12), -traits.brow + 0.1), (s * 0.1, -traits.brow - 0.12), 0.0)
        for s in (-1, 1)
    ]


def _crows_feet(traits: Traits, rng: np.random.Generator) -> list[np.ndarray]:
    lines = []
    corner = 0.5 + traits.eye_half + 0.05
    for side in (-1.0, 1.0):
        for slope in (-0.55, -0.2, 0.12, 0.45):
            reach = rng.uniform(0.12, 0.24)
            line = _wave(rng, (corner, 0.05 * slope), (corner + reach, 0.02 + reach * slope), 0.02 * slope)
            lines.append(line if side > 0 else mirrored(line))
    return lines


def _folds(traits: Traits, rng: np.random.Generator) -> list[np.ndarray]:
    wing = (traits.nose_width + 0.05, traits.nose - 0.05)
    corner = (traits.mouth_half + 0.1, traits.mouth - 0.02)
    fold = _wave(rng, wing, corner, -0.03)
    fold[:, 0] += 0.05 * np.sin(np.linspace(0, np.pi, len(fold)))
    return [fold, mirrored(fold)]


def _neck(traits: Traits, rng: np.random.Generator) -> list[np.ndarray]:
    heights = traits.chin + np.array([0.12, 0.27])
    return [_wave(rng, (-0.5, y - 0.06), (0.5, y - 0.06), 0.1) for y in heights]
