"""Procedural frontal heads: albedo, relief and five known landmarks, lit later like a solid body.

Lengths are in eye units (distance between the eyes), x right, y down, z towards the camera, origin between the eyes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic import features
from data_prep.synthetic.geometry import canvas_px, colour, eye_grid, noise_field, over, to_canvas

SKIN_TONES = ((246, 216, 196), (234, 192, 164), (210, 162, 126), (176, 124, 90), (126, 84, 60), (100, 68, 52))
HAIR_COLOURS = (
    (28, 22, 20),
    (52, 36, 26),
    (88, 58, 36),
    (140, 102, 60),
    (190, 158, 104),
    (150, 148, 146),
    (120, 52, 28),
)


@dataclass(frozen=True)
class Head:
    """A head and shoulders on the head canvas; everything needed to light and turn it.

    Fields: albedo [h w 3] linear; alpha [h w], 1 = person; relief [h w] height in eye units; normals [h w 3];
    occlusion [h w], 1 = open; gloss [h w] strength of the highlight; depth [h w] smooth height used for parallax;
    landmarks [5 2] canvas pixels; eye_px; population and source_name as in the record.
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


@dataclass(frozen=True)
class Traits:
    """What stays the same about one person in all sessions."""

    tone: int
    skin: np.ndarray
    half_width: float
    chin: float
    jaw: float
    crown: float
    hairline: float
    nose: float
    nose_width: float
    mouth: float
    mouth_half: float
    eye_open: float
    brow: float
    hair: np.ndarray
    hair_length: float
    iris: np.ndarray
    beard: float
    freckles: float


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draws the lasting looks of one person."""
    tone = int(rng.integers(len(SKIN_TONES)))
    skin = colour(*SKIN_TONES[tone]) * np.exp(rng.normal(0, 0.06, 3) + rng.normal(0, 0.08)).astype(np.float32)
    hair = HAIR_COLOURS[int(rng.integers(3 if tone > 2 else len(HAIR_COLOURS)))]
    mouth = float(rng.uniform(0.95, 1.1))
    return Traits(
        tone=tone,
        skin=skin,
        half_width=float(rng.uniform(0.95, 1.1)),
        chin=float(rng.uniform(1.58, 1.8)),
        jaw=float(rng.uniform(1.9, 3.0)),
        crown=float(rng.uniform(1.5, 1.75)),
        hairline=float(rng.uniform(-1.1, -0.8)),
        nose=float(mouth - rng.uniform(0.33, 0.4)),
        nose_width=float(rng.uniform(0.17, 0.26)),
        mouth=mouth,
        mouth_half=float(rng.uniform(0.36, 0.46)),
        eye_open=float(rng.uniform(0.075, 0.115)),
        brow=float(rng.uniform(0.3, 0.4)),
        hair=colour(*hair) * float(rng.uniform(0.8, 1.2)),
        hair_length=float(rng.choice([0.0, 0.15, 0.9, 2.0, 2.8], p=[0.1, 0.4, 0.15, 0.2, 0.15])),
        iris=colour(*((70, 45, 28), (90, 110, 120), (60, 84, 60), (48, 30, 20))[int(rng.integers(4))]),
        beard=float(rng.choice([0.0, rng.uniform(0.2, 0.8)], p=[0.7, 0.3])),
        freckles=float(rng.uniform(0.0, 1.0)),
    )


def draw_head(traits: Traits, rng: np.random.Generator, eye_px: float) -> Head:
    """Draws one session of a person: expression, clothes, glasses and skin detail come from `rng`."""
    x, y = eye_grid(eye_px)
    width, height = canvas_px(eye_px)
    face = _face_mask(traits, x, y, eye_px)
    smooth, bumps = _relief(traits, x, y)
    back = _back_hair_mask(traits, x, y, eye_px)
    body = _body_masks(traits, x, y, rng, eye_px)
    skin = _skin(traits, x, y, rng, eye_px)

    albedo = np.broadcast_to(traits.hair, (height, width, 3)).astype(np.float32)
    strands = _strands(rng, (height, width), eye_px)
    albedo = albedo * (1 + 0.35 * strands)[..., None]
    albedo = over(albedo, skin * 0.92, body["neck"])
    albedo = over(albedo, _cloth(rng, (height, width), eye_px), body["cloth"])
    albedo = over(albedo, skin * np.array([1.0, 0.9, 0.88], np.float32), body["ears"])
    albedo = over(albedo, skin, face)
    albedo = features.paint_face(albedo, traits, rng, face, eye_px)
    front = _front_hair_mask(traits, x, y, rng, eye_px)
    albedo = over(albedo, traits.hair * (1 + 0.45 * strands)[..., None], front)
    albedo, frame = features.paint_glasses(albedo, rng, eye_px)

    alpha = np.maximum.reduce([face, back, front, *body.values()])
    covered = np.maximum(face, np.maximum(body["neck"], body["cloth"]))
    hair = np.maximum(front, back * (1 - covered))
    relief = (smooth + bumps * face) * np.maximum(face, 0.25) + 0.04 * strands * hair + frame
    gloss = 0.9 * face * (1 - front) + 0.25 * hair
    normals, occlusion = surface(relief * np.maximum(alpha, 0.05), eye_px)
    return Head(
        np.clip(albedo, 0.003, 0.95),
        alpha,
        normals,
        occlusion,
        gloss,
        smooth,
        to_canvas(_landmarks(traits), eye_px),
        eye_px,
        f"tone_{traits.tone + 1}",
        "procedural",
    )


def _landmarks(traits: Traits) -> Float[np.ndarray, "5 2"]:
    side = traits.mouth_half
    return np.array([[-0.5, 0], [0.5, 0], [0, traits.nose], [-side, traits.mouth], [side, traits.mouth]])


def surface(relief: Float[np.ndarray, "h w"], eye_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns unit normals [h w 3] and occlusion [h w] of a height map in eye units."""
    relief = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), 0.012 * eye_px)
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=eye_px / 8)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=eye_px / 8)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(relief)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    quarter = cv2.resize(relief, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.GaussianBlur(quarter, (0, 0), 0.05 * eye_px), relief.shape[::-1])
    return normals, np.clip(1.0 + 1.6 * (relief - around), 0.45, 1.1)


def _face_mask(traits: Traits, x: np.ndarray, y: np.ndarray, eye_px: float) -> np.ndarray:
    up = np.clip((0.25 - y) / (0.25 + traits.crown), 0, 1)
    down = np.clip((y - 0.25) / (traits.chin - 0.25), 0, 1)
    half = traits.half_width * np.where(y < 0.25, (1 - up**2.4) ** (1 / 2.4), (1 - down**traits.jaw) ** (1 / 1.7))
    inside = (half - np.abs(x)) * ((y > -traits.crown) & (y < traits.chin)) - 0.01 * (
        (y <= -traits.crown) | (y >= traits.chin)
    )
    return cv2.GaussianBlur(features.soft(inside, eye_px), (0, 0), 0.012 * eye_px)


def _relief(traits: Traits, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across = (x / (traits.half_width * 1.04)) ** 2
    along = ((y - 0.1) / 1.85) ** 2
    smooth = (1.05 * np.sqrt(np.clip(1 - 0.92 * across - 0.7 * along, 0.02, None))).astype(np.float32)
    side = np.abs(x)

    def bump(height: float, at_x: float, at_y: float, size_x: float, size_y: float) -> np.ndarray:
        return height * np.exp(-(((side - at_x) / size_x) ** 2)) * np.exp(-(((y - at_y) / size_y) ** 2))

    fall = np.where(y < traits.nose, 0.42, 0.13)
    nose = 0.42 * np.exp(-((x / (0.75 * traits.nose_width)) ** 2)) * np.exp(-(((y - traits.nose) / fall) ** 2))
    bumps = nose + bump(0.1, traits.nose_width * 0.95, traits.nose + 0.03, 0.09, 0.09)
    bumps = bumps + bump(-0.17, 0.5, -0.02, 0.27, 0.17) + bump(0.06, 0.5, 0.0, 0.16, 0.12)
    bumps = bumps + bump(0.06, 0.48, -traits.brow, 0.34, 0.1) + bump(0.08, 0.62, 0.48, 0.28, 0.28)
    bumps = bumps + bump(0.09, 0.0, traits.mouth, 0.28, 0.12) + bump(-0.05, 0.0, traits.mouth, 0.34, 0.025)
    bumps = bumps + bump(0.1, 0.0, traits.chin - 0.26, 0.26, 0.16) + bump(-0.05, 0.0, traits.mouth + 0.23, 0.2, 0.06)
    return smooth, bumps.astype(np.float32)


def _back_hair_mask(traits: Traits, x: np.ndarray, y: np.ndarray, eye_px: float) -> np.ndarray:
    thick = 0.05 if traits.hair_length == 0 else 0.16
    bottom = traits.hair_length - 0.1
    up = np.clip((0.1 - y) / (0.1 + traits.crown + thick), 0, 1)
    half = (traits.half_width + thick) * np.where(y < 0.1, (1 - up**2.4) ** (1 / 2.4), 1 + 0.1 * np.clip(y, 0, 2))
    inside = np.minimum(half - np.abs(x), np.minimum(bottom - y, y + traits.crown + thick))
    return cv2.GaussianBlur(features.soft(inside, eye_px), (0, 0), 0.03 * eye_px)


def _front_hair_mask(
    traits: Traits, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, eye_px: float
) -> np.ndarray:
    if traits.hair_length == 0:
        return np.zeros((y.size, x.size), np.float32)
    parting = rng.uniform(-0.5, 0.5)
    ragged = 0.05 * noise_field(rng, (1, x.size), (1, 0.07 * eye_px))
    line = traits.hairline + 0.12 * (x - parting) ** 2 + ragged
    rim = np.clip((np.abs(x) - traits.half_width * 0.86) / 0.12, 0, 1)
    line = line + rim * min(1.3, 0.7 + traits.hair_length)
    inside = np.minimum(line - y, _back_extent(traits, x, y))
    return cv2.GaussianBlur(features.soft(inside, eye_px), (0, 0), 0.025 * eye_px)


def _back_extent(traits: Traits, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    up = np.clip((0.1 - y) / (0.26 + traits.crown), 0, 1)
    return (traits.half_width + 0.14) * (1 - up**2.4) ** (1 / 2.4) - np.abs(x) - 0.05 * (up >= 1)


def _body_masks(
    traits: Traits, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, eye_px: float
) -> dict[str, np.ndarray]:
    neck_half = 0.62 * traits.half_width + 0.15 * np.clip(y - 1.6, 0, 1)
    neck = features.soft(np.minimum(neck_half - np.abs(x), y - 0.8), eye_px)
    shoulder = traits.chin + 0.35 + 0.12 * x**2 + 0.02 * x**4
    collar = float(rng.uniform(0.1, 0.7)) * np.clip(1 - np.abs(x) / 0.6, 0, 1)
    cloth = features.soft(np.minimum(y - shoulder - collar, 3.1 - np.abs(x)), eye_px)
    ear = 1 - ((np.abs(x) - traits.half_width * 0.99) / 0.14) ** 2 - ((y - 0.2) / 0.3) ** 2
    return {"neck": neck, "cloth": cloth, "ears": features.soft(0.12 * ear, eye_px)}


def _skin(traits: Traits, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, eye_px: float) -> np.ndarray:
    shape = (y.size, x.size)
    mottle = 0.035 * noise_field(rng, shape, 0.3 * eye_px) + 0.03 * noise_field(rng, shape, 0.06 * eye_px)
    pores = 0.06 * noise_field(rng, shape, 0.022 * eye_px)
    spots = np.clip(noise_field(rng, shape, 0.035 * eye_px) - 2.2, 0, 1) * 0.5 * traits.freckles
    warm = 0.2 * np.exp(-(((np.abs(x) - 0.62) / 0.3) ** 2 + ((y - 0.5) / 0.25) ** 2))
    warm = warm + 0.18 * np.exp(-((x / 0.22) ** 2 + ((y - traits.nose) / 0.2) ** 2))
    red = np.array([0.25, -0.5, -0.45], np.float32)
    texture = (1 + mottle + pores - spots)[..., None] * (1 + warm[..., None] * red)
    beard = (
        traits.beard
        * (y < traits.chin)
        * features.beard_field(traits, x, y)
        * (0.75 + 0.25 * noise_field(rng, shape, 0.02 * eye_px))
    )
    return over(traits.skin * texture, traits.hair * 0.7, np.clip(beard, 0, 0.9)).astype(np.float32)


def _strands(rng: np.random.Generator, shape: tuple[int, int], eye_px: float) -> np.ndarray:
    coarse = noise_field(rng, shape, (0.8 * eye_px, 0.1 * eye_px))
    return (0.6 * coarse + 0.6 * noise_field(rng, shape, (0.5 * eye_px, 0.025 * eye_px))).clip(-1.6, 1.6)


def _cloth(rng: np.random.Generator, shape: tuple[int, int], eye_px: float) -> np.ndarray:
    base = colour(*rng.integers(20, 236, 3).tolist())
    base = base + 0.5 * (base.mean() - base)
    folds = 1 + 0.12 * noise_field(rng, shape, (0.8 * eye_px, 0.3 * eye_px)) + 0.04 * noise_field(rng, shape, 2)
    if rng.random() < 0.35:
        rows = np.arange(shape[0], dtype=np.float32)[:, None] if rng.random() < 0.5 else np.arange(shape[1])[None, :]
        folds = folds * (1 - 0.4 * (np.sin(rows * 2 * np.pi / (rng.uniform(0.12, 0.5) * eye_px)) > 0))
    return (base * folds[..., None]).astype(np.float32)
