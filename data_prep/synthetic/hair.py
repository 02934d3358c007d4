"""Hair on the head: outline, hairline and flow of the strands by style; strands are seen in albedo, relief and edge."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import colour, noise_field
from data_prep.synthetic.paint import Layers, Patch, blurred, cover, patch, shade, soft, strokes
from data_prep.synthetic.relief import dome, gradient
from data_prep.synthetic.traits import GREY_HAIR, Traits

STRAND_TONE = 0.42
STRAND_DEPTH = 0.004
CURL_DEPTH = 0.02
GLOSS = 0.5
_SPAN = 3.6  # strand textures reach this far from the part, in eye units


@dataclass(frozen=True)
class Hair:
    """Hair on a patch: cover behind the face, beside it (over the clothes) and before it; tone and relief of strands."""

    area: Patch
    back: Float[np.ndarray, "h w"]
    sides: Float[np.ndarray, "h w"]
    front: Float[np.ndarray, "h w"]
    albedo: Float[np.ndarray, "h w 3"]
    relief: Float[np.ndarray, "h w"]
    slopes: Float[np.ndarray, "h w 2"]


def draw_hair(traits: Traits, rng: np.random.Generator, eye_px: float) -> Hair:
    """Draws one session's hair of a person; the style is lasting, strands and stray hairs are not."""
    area = patch(eye_px, -1.75, -2.45, 1.75, max(traits.length, 0.9) + 0.25)
    strands = _curls(rng, area) if traits.hair_style == "curly" else _strands(traits, rng, area)
    depth = CURL_DEPTH if traits.hair_style == "curly" else STRAND_DEPTH
    mix = np.clip(traits.grey + 0.15 * (traits.grey > 0.03) * strands, 0, 1)[..., None]
    tone = traits.hair + (colour(*GREY_HAIR) - traits.hair) * mix
    outer = _outer(traits, area, strands)
    height = cv2.resize(dome(traits, 0.85 * area.x[:, ::4], 0.9 * area.y[::4]), area.shape[::-1])
    return Hair(
        area,
        back=soft(outer, eye_px),
        sides=soft(np.minimum(outer, np.abs(area.x) - 0.72 * traits.half_width - 0.02), eye_px) * (traits.length > 1),
        front=_front(traits, rng, area, strands, outer),
        albedo=tone * np.clip(1 + STRAND_TONE * (1 - 0.5 * traits.grey) * strands, 0.15, 2.2)[..., None],
        relief=(depth * strands).astype(np.float32),
        slopes=gradient(blurred(height, 0.03 * eye_px), eye_px),
    )


def put_back(layers: Layers, hair: Hair) -> None:
    """Paints the hair behind head and neck, in place."""
    _put(layers, hair, hair.back, 0.55)


def put_sides(layers: Layers, hair: Hair) -> None:
    """Paints the long hair that falls over the clothes, in place."""
    _put(layers, hair, hair.sides, 0.8)


def put_front(layers: Layers, hair: Hair) -> None:
    """Paints the hair before the head and its shadow on the skin, in place."""
    drop = round(0.07 * hair.area.eye_px)
    below = np.roll(blurred(hair.front, 0.045 * hair.area.eye_px), drop, axis=0)
    shade(layers, hair.area, 0.45 * below * (1 - hair.front))
    _put(layers, hair, hair.front, 1.0)


def _put(layers: Layers, hair: Hair, mask: np.ndarray, light: float) -> None:
    cover(
        layers,
        hair.area,
        mask,
        albedo=hair.albedo,
        relief=hair.relief,
        slopes=hair.slopes,
        occlusion=np.clip(light + 0.12 * hair.relief / STRAND_DEPTH, 0.2, 1.05),
        gloss=GLOSS,
    )


def _flow(traits: Traits, area: Patch) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns the coordinates across and along the strands, and how often a strand changes along its way."""
    x, y, part = area.x, area.y, 0.8 * traits.parting
    if traits.hair_style in ("long", "fringe"):
        fall = np.minimum(y, 0.5) + traits.crown + 0.55
        return 1.5 * (x - part) / fall + 0.03 * np.sin(3 * y + 2 * x), y + 0 * x, 1.0
    if traits.hair_style == "side_part":
        return y + 0.05 * x - 0.42 * (x - part) ** 2, np.abs(x - part) + 0 * y, 1.5
    rise = np.maximum(1.1 - y, 0.2)
    return (
        2.2 * (x - 0.4 * part) / rise + 0.06 * np.sin(5 * y),
        y + 0 * x,
        {"buzz": 12.0, "short": 4.0}.get(traits.hair_style, 1.5),
    )


def _strands(traits: Traits, rng: np.random.Generator, area: Patch) -> np.ndarray:
    """Returns the relief of strands, unit variance: noise that is fine across the flow and long along it."""
    across, along, changes = _flow(traits, area)
    columns, rows = round(2 * _SPAN * area.eye_px / 1.7), round(2 * _SPAN * changes * 1.6)
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    octaves = [(0.9, 0.004), (0.8, 0.016), (0.55, 0.05)]
    texture = np.zeros_like(noise)
    for weight, size in octaves:
        sigma = max(0.4, size * columns / (2 * _SPAN))
        texture += weight * _unit(cv2.GaussianBlur(noise, (0, 0), sigma, sigmaY=0.5))
    at_x = ((across + _SPAN) * (columns / (2 * _SPAN))).astype(np.float32)
    at_y = ((along + _SPAN) * (rows / (2 * _SPAN))).astype(np.float32)
    at_x, at_y = np.broadcast_arrays(at_x, at_y)
    field = cv2.remap(texture, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.clip(_unit(field), -2.2, 2.2)


def _unit(field: np.ndarray) -> np.ndarray:
    return field / max(float(field.std()), 1e-6)


def _curls(rng: np.random.Generator, area: Patch) -> np.ndarray:
    """Returns the relief of curls, unit variance: contour lines of a smooth field look like rings of hair."""
    size = float(rng.uniform(0.1, 0.24)) * area.eye_px
    phase = 5.0 * noise_field(rng, area.shape, size) + 1.2 * noise_field(rng, area.shape, 0.3 * size)
    rings = np.cos(phase) + 0.6 * noise_field(rng, area.shape, size) + 0.45 * noise_field(rng, area.shape, 2)
    return np.clip(_unit(rings), -2.2, 2.2)


def _outer(traits: Traits, area: Patch, strands: np.ndarray) -> np.ndarray:
    """Returns the signed distance, positive inside, of all hair."""
    thin = {"bald": 0.0, "buzz": 0.02, "bun": 0.05}.get(traits.hair_style, 0.06 + 0.6 * traits.volume)
    thick = thin + (0.2 + 0.5 * traits.volume) * (traits.hair_style == "curly")
    bottom = {"bald": 0.1, "buzz": 0.3, "bun": 0.45, "curly": 0.35 + 4 * (traits.volume - 0.05)}.get(
        traits.hair_style, max(traits.length, 0.4)
    )
    side = traits.half_width + (0.7 * thick if traits.length == 0 else 0.08 + 0.5 * traits.volume)
    top = traits.crown + thick
    up = np.clip((0.2 - area.y) / (0.2 + top), 0, None)
    wide = side + (0.09 * np.clip(area.y, 0, 2.5) if traits.length > 0 else -0.06 * np.clip(area.y, 0, 2))
    radius = (np.abs(area.x / wide) ** 2.3 + up**2.3) ** np.float32(1 / 2.3)
    ragged = {"curly": 0.045, "buzz": 0.003, "bald": 0.0, "bun": 0.004}.get(traits.hair_style, 0.008) * strands
    inside = np.minimum((1 - radius) * side + ragged, bottom - area.y + 4 * ragged - 0.1 * np.abs(area.x))
    if traits.hair_style == "bun":
        knot = 0.36 - np.hypot(area.x - 0.1 * traits.parting, 0.9 * (area.y + traits.crown + 0.2)) + ragged
        inside = np.maximum(inside, knot)
    return inside


def _hairline(traits: Traits, area: Patch) -> np.ndarray:
    """Returns the height of the hairline at each x, sideburns included."""
    side = np.abs(area.x) / traits.half_width
    temple = 0.3 * np.clip((side - 0.45) / 0.55, 0, 1) ** 2
    line = traits.hairline + temple - 0.9 * traits.recede * np.exp(-(((side - 0.5) / 0.22) ** 2)) - 0.25 * traits.recede
    if traits.hair_style == "side_part":
        way = -np.sign(traits.parting)
        line = line + 0.22 * np.clip(way * (area.x - 0.8 * traits.parting), 0, 1) ** 1.5
    if traits.hair_style == "fringe":
        line = np.where(side < 0.8, -traits.brow - 0.12 + 0.12 * side**2, line)
    if traits.hair_style == "bald":
        line = np.full_like(line, -traits.crown - 0.5)
    burn = {"bald": 0.1, "bun": -0.1, "buzz": 0.25}.get(traits.hair_style, 0.3 if traits.length == 0 else -0.6)
    return np.maximum(line, np.where(side > 0.88, line + (burn - line) * np.clip((side - 0.88) / 0.07, 0, 1), -9))


def _front(traits: Traits, rng: np.random.Generator, area: Patch, strands: np.ndarray, outer: np.ndarray) -> np.ndarray:
    line = _hairline(traits, area)
    if traits.length > 0:
        curtain = np.clip((_curtain(traits, area) + 0.012 * strands) / 0.02, 0, 1)
    else:
        curtain = np.zeros(area.shape, np.float32)
    fringed = traits.hair_style in ("fringe", "long")
    ragged = 0.03 * noise_field(rng, (1, area.x.size), (1, 0.05 * area.eye_px)) * fringed
    ramp = 0.02 if fringed else 0.08
    below = np.clip((line + ragged - area.y) / ramp + 0.45 * strands + 0.2, 0, 1)
    density = {"bald": 0.55, "buzz": 0.72}.get(traits.hair_style, 1.0)
    cover = np.maximum(below, curtain) * soft(outer, area.eye_px) * density
    if traits.hair_style in ("bald", "buzz"):
        return cover * np.clip(0.8 + 0.2 * strands, 0, 1)
    return np.maximum(cover, 0.6 * _stray(traits, rng, area))


def _curtain(traits: Traits, area: Patch) -> np.ndarray:
    """Returns the signed distance, positive inside, of long hair that falls beside the face."""
    wave = 0.02 * np.sin(4 * area.y + traits.marks % 7)
    temple, jaw = np.exp(-(((area.y + 1.05) / 0.6) ** 2)), np.clip((area.y - 0.5) / 0.8, 0, 1)
    return np.abs(area.x) - traits.half_width * (0.96 - 0.34 * temple - 0.14 * jaw) + wave


def _stray(traits: Traits, rng: np.random.Generator, area: Patch) -> np.ndarray:
    """Returns a few single hairs that stand off the outline."""
    lines = []
    radius_x, radius_y = traits.half_width + 0.5 * traits.volume, traits.crown + 0.6 * traits.volume
    for turn in rng.uniform(-2.6, -0.5, int(rng.integers(10, 40))):
        t = np.linspace(0, 1, 6)
        way = turn + rng.normal(0, 0.15) * t + rng.choice([-0.2, 0.2]) * t
        reach = 0.97 + 0.14 * rng.random() * t
        lines.append(np.stack([radius_x * reach * np.cos(way), radius_y * reach * np.sin(way)], axis=1))
    return strokes(area, lines, 0.006)
