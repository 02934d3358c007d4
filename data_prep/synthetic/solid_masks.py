"""Three-dimensional masks: a smooth rigid or rubber copy of a face worn over another, with gaps for the wearer's eyes.

Its colour is a low-pass copy of the pictured face without pores, its relief and silhouette are its own, it stands off
the wearer's face and shines like the material. Refractive indices of 1.4 (silicone) to 1.6 (resin) reflect 3-5 % at
normal incidence (Fresnel); a polished surface gathers that light in a narrow lobe.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.faces import Head
from data_prep.synthetic.geometry import apply, dot, noise_field, over
from data_prep.synthetic.lighting import Light, light_head
from data_prep.synthetic.paint import Patch, blurred, patch, soft
from data_prep.synthetic.relief import dome, face_relief, gradient, normals_of, slopes_of
from data_prep.synthetic.scene import Pose, Scene, Stage, before_room, lit_head, turn
from data_prep.synthetic.traits import Traits, draw_traits

SHADOW = 0.65
HOLE_SHADE = 0.45  # light that is missing on the eyes behind the holes
EDGE_WIDTH = 0.05  # eye units over which the rim bends back
EDGE_TONE = 0.35


@dataclass(frozen=True)
class Material:
    """What a mask is made of.

    blur: low-pass of the colour in eye units; uniform: share of the one colour it was cast in; saturation; sheen and
    glint: strengths of the wide and the narrow highlight; relief: how strongly features are modelled; thick: eye units.
    """

    name: str
    blur: float
    uniform: float
    saturation: float
    sheen: float
    glint: float
    relief: float
    thick: float


MATERIALS = (
    Material("plastic", 0.03, 0.55, 1.1, 2.2, 0.5, 1.1, 0.05),
    Material("resin", 0.04, 0.3, 0.85, 1.6, 0.3, 1.15, 0.08),
    Material("silicone", 0.035, 0.15, 0.95, 1.2, 0.12, 0.95, 0.07),
    Material("latex", 0.06, 0.35, 1.15, 0.6, 0.06, 1.25, 0.06),
)


@dataclass(frozen=True)
class SolidMask:
    """A mask over a wearer's head: `shell` is lit like a head, but covers only `area` of the wearer's canvas.

    shell.alpha: 1 = material, 0 in the eye gaps; shell.landmarks are pixels of `area`; gap: distance to the wearer's
    face in eye units.
    """

    wearer: Head
    shell: Head
    area: Patch
    material: Material
    gap: float


@dataclass(frozen=True)
class LitMask:
    """Radiance and cover of wearer [h w 4] and shell [a b 4] under one light."""

    wearer: Float[np.ndarray, "h w 4"]
    shell: Float[np.ndarray, "a b 4"]


def make_solid_mask(head: Head, wearer: Head, rng: np.random.Generator) -> SolidMask:
    """Casts a mask of `head`'s face for `wearer`; both heads have the same eye distance and eye place on the canvas."""
    eye_px = wearer.eye_px
    material = MATERIALS[int(rng.integers(len(MATERIALS)))]
    area = patch(eye_px, -1.4, -1.75, 1.4, 2.2)
    form = _form(head, rng)
    outline = _outline(form, area, rng)
    gaps = _gaps(form, head, area, rng)
    edge = np.minimum(outline, -gaps)
    alpha = soft(edge, eye_px)
    normals, occlusion = _surface(form, material, area, edge, rng)
    gap = float(rng.uniform(0.1, 0.2))
    shell = Head(
        albedo=_cast_colour(head, material, area, edge, rng),
        alpha=alpha,
        normals=normals,
        occlusion=occlusion,
        gloss=np.full(area.shape, material.sheen, np.float32),
        depth=dome(form, area.x, area.y) + np.float32(gap),
        landmarks=head.landmarks - _corner(area),
        eye_px=eye_px,
        population=head.population,
        source_name=head.source_name,
    )
    return SolidMask(wearer, shell, area, material, gap)


def light_mask(mask: SolidMask, light: Light) -> LitMask:
    """Returns wearer and mask under a light; the same for all frames of a video."""
    half = light.direction + np.array([0, 0, 1], np.float32)
    towards = dot(mask.shell.normals, (half / np.linalg.norm(half))[None])[..., 0]
    glint = np.float32(mask.material.glint) * cv2.pow(np.clip(towards, 0, None), 140)
    radiance = light_head(mask.shell, light) + glint[..., None] * light.key
    return LitMask(lit_head(mask.wearer, light), np.dstack([radiance, mask.shell.alpha]).astype(np.float32))


def show_solid_mask(mask: SolidMask, lit: LitMask, stage: Stage, pose: Pose) -> Scene:
    """Returns the scene of the lit wearer behind the mask; the eyes are seen in depth through its gaps."""
    picture, _ = turn(mask.wearer, lit.wearer, pose.yaw, pose.pitch)
    shell, points = turn(mask.shell, lit.shell, pose.yaw, pose.pitch)
    cover = np.clip(shell[..., 3], 0, 1)
    where, window = mask.area.where, picture[mask.area.where]
    shadow = _shadow(cover, mask, stage.light) * (1 - cover)
    below = window[..., :3] * (1 - shadow)[..., None]
    picture[where] = np.dstack([over(below, shell[..., :3], cover), np.maximum(window[..., 3], cover)])
    attack = np.zeros(picture.shape[:2], np.float32)
    attack[where] = cover
    shape = stage.room.shape[:2]
    seen = cv2.warpPerspective(picture, pose.matrix, shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    region = cv2.warpPerspective(attack, pose.matrix, shape[::-1])
    return Scene(before_room(stage, seen), region, apply(pose.matrix, points + _corner(mask.area)))


def _corner(area: Patch) -> np.ndarray:
    return np.array([area.where[1].start, area.where[0].start], np.float64)


def _form(head: Head, rng: np.random.Generator) -> Traits:
    """Returns a shape that fits the five points of the pictured face, also where it is a photograph."""
    middle = head.landmarks[:2].mean(axis=0)
    nose, left, right = (head.landmarks[2:] - middle) / head.eye_px
    mouth = float(left[1] + right[1]) / 2
    return replace(
        draw_traits(rng),
        nose=float(nose[1]),
        mouth=mouth,
        mouth_half=float(np.clip((right[0] - left[0]) / 2, 0.25, 0.55)),
        chin=mouth + 0.68,
        half_width=float(rng.uniform(1.02, 1.15)),
        nose_height=float(rng.uniform(0.34, 0.46)),
    )


def _outline(form: Traits, area: Patch, rng: np.random.Generator) -> np.ndarray:
    """Returns the signed distance to the outer rim, positive inside: a smooth oval over forehead and chin."""
    top, bottom = float(rng.uniform(1.05, 1.5)), form.chin + float(rng.uniform(0.0, 0.12))
    up, down = np.clip((0.2 - area.y) / (0.2 + top), 0, None), np.clip((area.y - 0.2) / (bottom - 0.2), 0, None)
    radius = (np.abs(area.x / form.half_width) ** 2.4 + np.maximum(up, down) ** 2.4) ** np.float32(1 / 2.4)
    return ((1 - radius) * form.half_width).astype(np.float32)


def _gaps(form: Traits, head: Head, area: Patch, rng: np.random.Generator) -> np.ndarray:
    """Returns the signed distance to the gaps, positive in them: both eyes, often nostrils, sometimes the mouth."""
    wide, high = float(rng.uniform(0.23, 0.29)), float(rng.uniform(0.095, 0.135))
    holes = [(point, wide, high) for point in head.landmarks[:2]]
    if rng.random() < 0.7:
        holes += [(head.landmarks[2] + np.array([s * 0.09, 0.11]) * head.eye_px, 0.045, 0.03) for s in (-1, 1)]
    if rng.random() < 0.35:
        holes.append((head.landmarks[3:].mean(axis=0), 0.6 * form.mouth_half, 0.03))
    corner = _corner(area)
    gaps = np.full(area.shape, -1.0, np.float32)
    for point, half_width, half_height in holes:
        at = (point - corner) / head.eye_px + np.array([area.x[0, 0], area.y[0, 0]])
        radius = np.sqrt(((area.x - at[0]) / half_width) ** 2 + ((area.y - at[1]) / half_height) ** 2)
        gaps = np.maximum(gaps, ((1 - radius) * half_height).astype(np.float32))
    return gaps


def _surface(
    form: Traits, material: Material, area: Patch, edge: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns normals [a b 3] and occlusion [a b]: modelled features, a rounded rim, slight lumps, no pores."""
    x, y = area.x[:, ::2], area.y[::2]
    smooth = dome(form, x, y)
    relief = smooth + np.float32(material.relief) * (face_relief(form, x, y) - smooth)
    relief = relief + 0.012 * noise_field(rng, relief.shape, 0.22 * area.eye_px)
    slopes, occlusion = slopes_of(relief.astype(np.float32), area.eye_px / 2, area.shape)
    bevel = material.thick * np.sqrt(np.clip(edge / EDGE_WIDTH, 0, 1))
    slopes = slopes + gradient(blurred(bevel.astype(np.float32), 0.012 * area.eye_px), area.eye_px)
    return normals_of(slopes), occlusion


def _cast_colour(
    head: Head, material: Material, area: Patch, edge: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, "a b 3"]:
    """Returns the colour of the mask: a blurred copy of the face, drawn towards the one colour it was cast in."""
    face = head.albedo[area.where]
    small = cv2.resize(face, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    copy = cv2.GaussianBlur(cv2.medianBlur(small, 5), (0, 0), max(0.5, material.blur * head.eye_px / 4))
    copy = cv2.resize(copy, area.shape[::-1], interpolation=cv2.INTER_CUBIC)
    cheeks = (np.abs(np.abs(area.x) - 0.55) < 0.2) & (np.abs(area.y - 0.5) < 0.25)
    cast = np.median(face[cheeks], axis=0) * np.exp(rng.normal(0, 0.08, 3))
    inner = np.clip((0.95 - np.hypot(area.x / 0.95, (area.y - 0.35) / 1.25)) / 0.25, 0, 1)[..., None]
    painted = cast + (copy - cast) * (1 - material.uniform) * inner
    grey = painted.mean(axis=-1, keepdims=True)
    rim = EDGE_TONE * (1 - np.clip(edge / EDGE_WIDTH, 0, 1))[..., None]
    tone = (grey + (painted - grey) * material.saturation) * (1 - rim)
    return np.clip(tone, 0.01, 0.92).astype(np.float32)


def _shadow(cover: np.ndarray, mask: SolidMask, light: Light) -> np.ndarray:
    """Returns how much light the mask takes from what lies behind it, 0..1: beside its rim and deep in its gaps."""
    reach = mask.gap * mask.shell.eye_px
    shift = np.array([[1, 0, -reach * light.direction[0]], [0, 1, -reach * light.direction[1]]], np.float32)
    cast = cv2.warpAffine(cover, shift, cover.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    around = blurred(np.maximum(cast, cover), 0.35 * reach)
    return np.clip(SHADOW * around + HOLE_SHADE * blurred(cover, 0.1 * mask.shell.eye_px), 0, 0.9)
