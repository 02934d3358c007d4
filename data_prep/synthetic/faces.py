"""Procedural frontal heads: albedo, relief and five known landmarks, lit later like a solid body.

Lengths are in eye units (distance between the eyes), x right, y down, z towards the camera, origin between the eyes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic import features, hair, relief, worn
from data_prep.synthetic.geometry import eye_grid, to_canvas
from data_prep.synthetic.paint import Layers, Patch, blank, blurred, bump, cover, patch, soft
from data_prep.synthetic.skin import draw_skin
from data_prep.synthetic.traits import Traits


@dataclass(frozen=True)
class Head:
    """A head and shoulders on the head canvas; everything needed to light and turn it.

    Fields: albedo [h w 3] linear; alpha [h w], 1 = person; normals [h w 3]; occlusion [h w], 1 = open; gloss [h w]
    strength of the highlight; depth [h w] smooth height in eye units, used for parallax; landmarks [5 2] canvas pixels;
    eye_px; population and source_name as in the record.
    """

    albedo: Float[np.ndarray, "h w 3"]
    alpha: Float[np.ndarray, "h w"]
    normals: Float[np.ndarray, "h w 3"]
    occlusion: Float[np.ndarray, "h w"]
    gloss: Float[np.ndarray, "h w"]
    depth: Float[np.ndarray, "h w"]
    landmarks: Float[np.ndarray, "5 2"]
    eye_px: float
    population: str
    source_name: str


def draw_head(traits: Traits, rng: np.random.Generator, eye_px: float) -> Head:
    """Draws one session of a person: expression, clothes, cap and shine of the skin come from `rng`."""
    layers = blank(eye_px)
    locks = hair.draw_hair(traits, rng, eye_px)
    if traits.headscarf:
        worn.paint_scarf_inside(layers, traits, eye_px)
    else:
        hair.put_back(layers, locks)
    _paint_skin(layers, traits, rng, eye_px)
    if not traits.headscarf:
        hair.put_sides(layers, locks)
    _paint_front(layers, traits, rng, eye_px, locks)
    return _finish(layers, traits, eye_px)


def _paint_skin(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    """Paints neck, clothes, ears and face, in this order."""
    area = patch(eye_px, -1.35, -traits.crown - 0.1, 1.35, 3.0)
    skin = draw_skin(traits, rng, area)
    face = relief.face_mask(traits, area)
    neck_slopes, _ = relief.body_slopes(traits, area)
    below_chin = np.roll(blurred(face, 0.12 * eye_px), round(0.16 * eye_px), axis=0)
    neck = {"albedo": 0.94 * skin.albedo, "relief": skin.relief, "slopes": neck_slopes, "gloss": 0.6 * skin.gloss}
    cover(layers, area, _neck_mask(traits, area), **neck, occlusion=np.clip(1 - 0.62 * below_chin, 0.2, 1))
    worn.paint_clothes(layers, traits, rng, eye_px)
    _paint_ears(layers, traits, area, skin.albedo)
    slopes, occlusion = relief.face_slopes(traits, area)
    cover(
        layers, area, face, albedo=skin.albedo, relief=skin.relief, slopes=slopes, occlusion=occlusion, gloss=skin.gloss
    )


def _paint_front(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float, locks: hair.Hair) -> None:
    """Paints what lies on the face: features, hair, glasses, scarf or cap."""
    features.paint_face(layers, traits, rng, eye_px)
    bare = bool(rng.random() >= worn.GLASSES_ON) or traits.glasses == "none"
    cap = bool(rng.random() < worn.CAP_SHARE)
    if traits.headscarf:
        worn.paint_headscarf(layers, traits, rng, eye_px)
    else:
        hair.put_front(layers, locks)
    if cap and not traits.headscarf:
        worn.paint_cap(layers, traits, rng, eye_px)
    if not bare:
        worn.paint_glasses(layers, traits, rng, eye_px)


def _neck_mask(traits: Traits, area: Patch) -> np.ndarray:
    half = 0.6 * traits.half_width + 0.3 * np.clip(area.y - traits.chin - 0.1, 0, 1) ** 2
    return soft(np.minimum(half - np.abs(area.x), area.y - 0.8), area.eye_px)


def _paint_ears(layers: Layers, traits: Traits, area: Patch, skin: np.ndarray) -> None:
    across = (np.abs(area.x) - float(relief.outline(traits, np.full((1, 1), 0.2, np.float32))[0, 0])) / 0.13
    along = (area.y - 0.22) / (0.32 - 0.06 * np.clip(across, -1, 1))
    radius = np.sqrt(across**2 + along**2)
    inner = bump((radius - 0.6) / 0.15, 0 * radius) * (across > -0.2) + bump((across - 0.1) / 0.4, (along - 0.1) / 0.35)
    mask = soft(0.13 * (1 - radius), area.eye_px)
    slopes = np.dstack(np.broadcast_arrays(0.9 * np.sign(area.x) * across, 0.2 * along)).astype(np.float32)
    cover(layers, area, mask, albedo=skin, slopes=slopes, occlusion=np.clip(0.85 - 0.4 * inner, 0.3, 1), gloss=0.4)


def _finish(layers: Layers, traits: Traits, eye_px: float) -> Head:
    x, y = eye_grid(eye_px)
    depth = cv2.resize(relief.dome(traits, x[:, ::4], y[::4]), layers.alpha.shape[::-1])
    return Head(
        albedo=np.clip(layers.albedo, 0.003, 0.95),
        alpha=layers.alpha,
        normals=relief.normals_of(layers.slopes + relief.gradient(layers.relief, eye_px)),
        occlusion=layers.occlusion,
        gloss=layers.gloss,
        depth=depth,
        landmarks=to_canvas(landmarks(traits), eye_px),
        eye_px=eye_px,
        population=f"tone_{traits.tone + 1}",
        source_name="procedural",
    )


def landmarks(traits: Traits) -> Float[np.ndarray, "5 2"]:
    """Returns eyes, tip of the nose and corners of the mouth in eye units; they do not change between sessions."""
    side = traits.mouth_half
    return np.array([[-0.5, 0], [0.5, 0], [0, traits.nose], [-side, traits.mouth], [side, traits.mouth]])
