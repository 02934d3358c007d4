"""Clothes, glasses, caps and headscarves of a drawn head, painted on its layers."""

import numpy as np

from data_prep.synthetic.geometry import colour, noise_field
from data_prep.synthetic.paint import Layers, Patch, blurred, cover, lay, patch, shade, soft
from data_prep.synthetic.relief import body_slopes, gradient
from data_prep.synthetic.traits import Traits

CAP_SHARE = 0.06
GLASSES_ON = 0.85
FRAME_WIDTHS = {"thick": 0.045, "thin": 0.016, "rimless": 0.007}
LENS_GLOSS = 5.0
WEAVE_TONE = 0.045
FOLD_DEPTH = 0.05


def paint_clothes(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    """Paints shoulders with a shirt of one session, in place."""
    area = patch(eye_px, -3.2, traits.chin, 3.2, 4.0)
    x = np.abs(area.x)
    shoulder = traits.chin + 0.32 + 0.34 * np.clip(x - 0.55, 0, None) ** 1.25 + 0.05 * np.clip(x - 1.6, 0, None) ** 3
    collar = float(rng.uniform(0.02, 0.25)) + float(rng.choice([0.0, rng.uniform(0.15, 0.4)], p=[0.6, 0.4])) * (
        1 - x / 0.7
    )
    neckline = shoulder + np.where(x < 0.7, np.maximum(collar, 0.03) * np.sqrt(np.clip(1 - (x / 0.7) ** 2, 0, 1)), 0)
    mask = soft(area.y - neckline, eye_px)
    folds = noise_field(rng, area.shape, (0.9 * eye_px, 0.35 * eye_px)) + 0.5 * noise_field(
        rng, area.shape, 0.25 * eye_px
    )
    slopes = body_slopes(traits, area)[1] + gradient(blurred(FOLD_DEPTH * folds, 0.05 * eye_px), eye_px)
    weave = noise_field(rng, area.shape, (max(1, 0.02 * eye_px), max(1, 0.01 * eye_px)))
    weave = weave + noise_field(rng, area.shape, (max(1, 0.01 * eye_px), max(1, 0.02 * eye_px)))
    tone = _pattern(rng, area, folds) * (1 + WEAVE_TONE * weave)[..., None]
    seam = np.exp(-(((area.y - neckline - 0.07) / 0.012) ** 2))
    cover(layers, area, mask, albedo=tone * (1 - 0.45 * seam)[..., None], slopes=slopes, relief=0.0002 * weave)


def _pattern(rng: np.random.Generator, area: Patch, folds: np.ndarray) -> np.ndarray:
    base, other = (_dye(rng) for _ in range(2))
    kind, period = rng.random(), float(rng.uniform(0.08, 0.5))
    bent = 0.012 * folds
    rows, columns = (np.sin((z + bent) * np.float32(2 * np.pi / period)) > 0 for z in (area.y, area.x))
    share = {0: rows, 1: columns, 2: 0.5 * (rows.astype(np.float32) + columns)}.get(int(kind * 8), 0 * bent)
    return base + (other - base) * np.asarray(share, np.float32)[..., None]


def _dye(rng: np.random.Generator) -> np.ndarray:
    base = colour(*rng.integers(18, 232, 3).tolist())
    return base + float(rng.uniform(0.25, 0.95)) * (base.mean() - base)


def paint_scarf_inside(layers: Layers, traits: Traits, eye_px: float) -> None:
    """Paints the dark inside of a scarf behind the head, in place."""
    area = patch(eye_px, -2.0, -2.3, 2.0, 2.2)
    cover(layers, area, soft(_scarf_outer(traits, area), eye_px), albedo=np.full(3, 0.02, np.float32), occlusion=0.3)


def _scarf_outer(traits: Traits, area: Patch) -> np.ndarray:
    up, down = np.clip((0.3 - area.y) / (0.45 + traits.crown), 0, None), np.clip(area.y - 0.3, 0, None)
    wide = traits.half_width + 0.2 + 0.04 * down + 0.1 * down**2
    return (1 - (np.abs(area.x / wide) ** 2.4 + up**2.4) ** (1 / 2.4)) * traits.half_width


def paint_headscarf(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    """Paints a scarf around the face, over hair, ears and neck, in place."""
    area = patch(eye_px, -2.0, -2.3, 2.0, 3.4)
    outer = _scarf_outer(traits, area)
    hem = 2.7 + 0.08 * noise_field(rng, (1, area.x.size), (1, 0.7 * eye_px)) - area.y
    reach = np.where(area.y < 0.3, (0.3 - area.y) / (0.3 - traits.hairline), (area.y - 0.3) / (traits.chin - 0.3))
    opening = 1 - (np.abs(area.x / (0.9 * traits.half_width)) ** 2.2 + reach**2.2) ** (1 / 2.2)
    mask = soft(np.minimum(np.minimum(outer, hem), -0.9 * opening), eye_px)
    folds = noise_field(rng, area.shape, (0.5 * eye_px, 0.22 * eye_px)) + np.cos(26 * np.clip(opening, -0.6, 0))
    weave = noise_field(rng, area.shape, max(1.0, 0.012 * eye_px))
    tone = _pattern(rng, area, folds) * (1 + WEAVE_TONE * weave)[..., None]
    slopes = gradient(blurred(0.035 * folds - 0.4 * (area.x / 1.25) ** 2, 0.03 * eye_px).astype(np.float32), eye_px)
    shade(layers, area, 0.55 * blurred(mask, 0.06 * eye_px) * (1 - mask))
    cover(
        layers,
        area,
        mask,
        albedo=tone,
        slopes=slopes,
        relief=0.0002 * weave,
        occlusion=np.clip(0.9 + 0.1 * folds, 0.5, 1.05),
    )


def paint_cap(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    """Paints a cap with a peak and its shadow on the forehead, in place."""
    area = patch(eye_px, -1.6, -2.3, 1.6, 0.3)
    up = np.clip((0.1 - area.y) / (0.3 + traits.crown), 0, None)
    shell = (1 - (np.abs(area.x / (traits.half_width + 0.12)) ** 2.3 + up**2.3) ** (1 / 2.3)) * traits.half_width
    band = -0.72 + 0.12 * area.x**2 - area.y
    peak = np.minimum(-0.5 + 0.28 * area.x**2 - area.y, area.y + 0.95 - 0.1 * area.x**2)
    peak = np.minimum(peak, 1.02 - np.abs(area.x))
    dome, brim = soft(np.minimum(shell, band), eye_px), soft(peak, eye_px)
    tone = _dye(rng) * (1 + WEAVE_TONE * noise_field(rng, area.shape, max(1.0, 0.012 * eye_px)))[..., None]
    height = -0.45 * area.x**2 - 0.35 * (area.y + 0.6) ** 2
    slopes = gradient(np.asarray(height, np.float32), eye_px)
    seams = np.exp(-((np.abs(area.x - 0.02) / 0.012) ** 2)) + np.exp(-((np.abs(band - 0.02) / 0.012) ** 2))
    drop = round(0.2 * eye_px)
    shade(layers, area, 0.6 * np.roll(blurred(brim, 0.08 * eye_px), drop, axis=0))
    cover(layers, area, dome, albedo=tone * (1 - 0.4 * np.clip(seams, 0, 1))[..., None], slopes=slopes)
    slopes = slopes * 0 + np.array([0.0, -0.5], np.float32)
    cover(
        layers,
        area,
        brim,
        albedo=0.8 * tone,
        slopes=slopes,
        occlusion=np.clip(0.75 - area.y - 0.95, 0.5, 1.0) + 0 * area.x,
    )


def paint_glasses(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    """Paints a person's glasses in place: frame with its shadow, and lenses that mirror a window and the key light."""
    area = patch(eye_px, -1.2, -0.6, 1.2, 0.75)
    own = np.random.default_rng(traits.marks + 3)
    width, wide, high = FRAME_WIDTHS[traits.glasses], own.uniform(0.36, 0.42), own.uniform(0.25, 0.34)
    p, slip = traits.lens_shape, float(rng.uniform(0.02, 0.09))
    side, y = np.abs(area.x), area.y - slip
    radius = (np.abs((side - 0.52) / wide) ** p + np.abs(y / high) ** p) ** np.float32(1 / p)
    edge = (1 - radius) * high
    rim = soft(width / 2 - np.abs(edge), eye_px) * min(1.0, width * eye_px)
    bridge = soft(np.minimum(max(width, 0.02) / 2 - np.abs(y + 0.07 + 0.3 * side**2), 0.54 - wide - side), eye_px)
    arms = soft(np.minimum(max(width, 0.02) / 2 - np.abs(y + 0.1), np.minimum(side - 0.5 - wide, 1.1 - side)), eye_px)
    frame = np.maximum.reduce([rim, bridge, arms])
    drop = max(1, round(0.05 * eye_px))
    shade(layers, area, 0.4 * np.roll(blurred(frame, 0.02 * eye_px), drop, axis=0))
    _lens(layers, area, soft(edge, eye_px), rng)
    dyes = ((14, 13, 13), (60, 34, 20), (128, 98, 52), (110, 112, 116), (90, 20, 24))
    tone = colour(*dyes[int(own.choice(len(dyes), p=(0.45, 0.2, 0.15, 0.12, 0.08)))])
    cover(layers, area, frame, albedo=tone, relief=0.02 * blurred(frame, 0.008 * eye_px), gloss=2.0)


def _lens(layers: Layers, area: Patch, glass: np.ndarray, rng: np.random.Generator) -> None:
    lay(layers.albedo, area, np.zeros(3, np.float32), float(rng.uniform(0.02, 0.1)) * glass)
    at_x, at_y, lean = rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.1), rng.normal(0, 0.3)
    for side in (-0.52, 0.52):
        u, v = area.x - side - at_x - lean * area.y, area.y - at_y
        pane = np.clip(np.minimum(0.1 - np.abs(u), 0.13 - np.abs(v)) / 0.02, 0, 1) * (np.abs(u) > 0.006)
        lay(layers.albedo, area, colour(225, 235, 250), float(rng.uniform(0.0, 0.35)) * glass * pane.astype(np.float32))
    bulge_x = (np.abs(area.x) - 0.52) * np.sign(area.x)
    slopes = np.dstack(np.broadcast_arrays(-0.5 * bulge_x, -0.5 * area.y + 0.05)).astype(np.float32)
    lay(layers.slopes, area, slopes, 0.35 * glass)
    layers.gloss[area.where] += (LENS_GLOSS - layers.gloss[area.where]) * 0.6 * glass
