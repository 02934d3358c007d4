"""Eyes, brows, mouth, nostrils and beard of a drawn head, painted on its layers."""

import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import colour, noise_field
from data_prep.synthetic.paint import Layers, Patch, blurred, bump, cover, lay, mirrored, patch, soft, strokes
from data_prep.synthetic.skin import plain, reflectance
from data_prep.synthetic.traits import Traits

IRIS_RADIUS = 0.094  # eye units: 11.8 mm across
SCLERA = (200, 190, 184)
LID_DEPTH = 0.012


def paint_face(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    """Paints eyes, brows, nostrils, mouth and beard in place; expression and pupils are of the session."""
    pupil = float(rng.uniform(0.03, 0.05))
    for side in (-1.0, 1.0):
        _eye(layers, traits, side, pupil, eye_px)
    _brows(layers, traits, rng, eye_px)
    _nostrils(layers, traits, eye_px)
    _mouth(layers, traits, rng, eye_px)
    if traits.beard != "none":
        _beard(layers, traits, rng, eye_px)


def _lids(traits: Traits, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the heights of the upper and the lower lid over x, which grows towards the temple."""
    t = np.clip(x / traits.eye_half, -1, 1)
    arc = np.clip(1 - np.abs(t) ** 2.3, 0, None)
    upper = -1.08 * traits.eye_open * arc * (1 - 0.12 * t) - traits.eye_tilt * x
    lower = 0.72 * traits.eye_open * arc * (1 + 0.2 * t) - traits.eye_tilt * x
    return upper, lower


def _eye(layers: Layers, traits: Traits, side: float, pupil: float, eye_px: float) -> None:
    area = patch(eye_px, 0.5 * side - 0.4, -0.3, 0.5 * side + 0.4, 0.3)
    x, y = side * area.x - 0.5, area.y
    upper, lower = _lids(traits, x)
    corner = traits.eye_half - np.abs(x)
    opening = soft(np.minimum(np.minimum(y - upper, lower - y), corner), eye_px)
    crease = np.exp(-(((y - upper + max(traits.crease, 0.03)) / 0.017) ** 2)) * np.clip(1.1 - (x / 0.3) ** 2, 0, 1)
    crease = crease * (0.35 + 0.65 * (traits.crease > 0))
    pouch = np.exp(-(((y - lower - 0.05) / 0.02) ** 2)) * np.clip(1 - (x / 0.26) ** 2, 0, 1)
    layers.relief[area.where] -= LID_DEPTH * (crease + 0.4 * pouch) * (1 - opening)
    lay(layers.albedo, area, plain(traits) * np.float32(0.3), 0.45 * crease * (1 - opening))
    wet = np.clip(1.3 * np.clip((y - upper) / (0.9 * traits.eye_open), 0, 1), 0.3, 1) * np.clip(
        1.15 - (x / 0.3) ** 2, 0.5, 1
    )
    pink = np.clip((np.abs(x) - 0.14) / 0.14, 0, 1)[..., None] * np.array([0.0, -0.25, -0.25], np.float32)
    ball = colour(*SCLERA) * (0.85 * wet[..., None] * (1 + pink))
    cover(layers, area, opening, albedo=_iris(traits, ball, x, y, pupil, eye_px), occlusion=0.95, gloss=0.9)
    _lashes(layers, traits, area, side, opening)


def _iris(traits: Traits, ball: np.ndarray, x: np.ndarray, y: np.ndarray, pupil: float, eye_px: float) -> np.ndarray:
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    rays = 1 + 0.18 * np.sin(23 * turn + 3 * np.sin(5 * turn)) + 0.12 * np.sin(41 * turn)
    limbus = 1.15 - 0.75 * np.clip((radius - 0.066) / 0.028, 0, 1) ** 2
    shadow = np.clip(0.55 + 4.5 * (y + 0.07), 0.3, 1)
    iris = traits.iris * (rays * limbus * shadow)[..., None]
    shown = ball + (iris - ball) * soft(IRIS_RADIUS - radius, eye_px)[..., None]
    shown = shown + (0.004 - shown) * soft(pupil - radius, eye_px)[..., None]
    glint = soft(0.016 - np.hypot(x - 0.032, y + 0.042), eye_px)
    return shown + (0.85 - shown) * glint[..., None]


def _lashes(layers: Layers, traits: Traits, area: Patch, side: float, opening: np.ndarray) -> None:
    t = np.linspace(-0.97, 1.05, 60) * traits.eye_half
    upper, lower = _lids(traits, t)
    own = np.random.default_rng(traits.marks + 1)
    lines = []
    for k in range(0, 60, 2):
        length = 0.035 + 0.03 * k / 60 + 0.01 * own.random()
        tip = np.array([t[k] + 0.4 * length * (k - 22) / 30, upper[k] - length])
        lines.append(np.array([[t[k], upper[k]], [t[k] + 0.1 * length, upper[k] - 0.6 * length], tip]))
    place = np.array([0.5, 0.0])
    flip = (lambda line: line) if side > 0 else mirrored
    rim = strokes(area, [flip(np.stack([t, upper], axis=1) + place)], 0.02)
    low = strokes(area, [flip(np.stack([t, lower + 0.006], axis=1) + place)], 0.012)
    hairs = strokes(area, [flip(line + place) for line in lines], 0.006)
    lay(layers.albedo, area, plain(traits) * np.float32(0.06), np.clip(0.85 * rim + 0.45 * hairs, 0, 0.92))
    lay(layers.albedo, area, plain(traits) * np.float32(0.45), 0.6 * low * (1 - 0.3 * opening))


def _brows(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    area = patch(eye_px, -1.1, -0.7, 1.1, 0.05)
    own = np.random.default_rng(traits.marks + 2)
    lines = []
    raised = float(rng.normal(0, 0.015))
    for along in own.beta(1.2, 1.3, 220):
        thick = traits.brow_thick * (1 - 0.75 * along**2) * min(1.0, 0.45 + 4 * along)
        root = np.array(
            [0.2 + 0.62 * along, -traits.brow + raised - traits.brow_arch * np.sin(2.4 * along) + 0.06 * along**3]
        )
        root = root + np.array([own.normal(0, 0.012), thick * own.uniform(-0.75, 0.75)])
        turn = -1.2 + 1.45 * along**0.6 + own.normal(0, 0.15)
        hair = root + own.uniform(0.06, 0.11) * np.array([[0, 0], [np.cos(turn), np.sin(turn)]])
        lines.append(hair if own.random() < 0.5 else mirrored(hair))
    hairs = np.clip(strokes(area, lines, 0.011) + 0.6 * blurred(strokes(area, lines, 0.02), 0.022 * eye_px), 0, 1)
    tone = traits.hair * np.float32(0.55) + traits.grey * np.float32(0.25)
    lay(layers.albedo, area, np.minimum(tone, 0.55 * plain(traits) + 0.3 * traits.grey), 0.85 * hairs)
    layers.relief[area.where] += 0.004 * hairs


def _nostrils(layers: Layers, traits: Traits, eye_px: float) -> None:
    area = patch(eye_px, -0.45, traits.nose - 0.3, 0.45, traits.nose + 0.25)
    side = np.abs(area.x)
    hole = 0.045 - np.hypot((side - 0.5 * traits.nose_width) / 1.5, area.y - traits.nose - 0.085 + 0.25 * (side - 0.1))
    dark = plain(traits) * np.float32(0.1)
    lay(layers.albedo, area, dark, 0.85 * blurred(soft(hole, eye_px), 0.006 * eye_px))
    under = bump(side / (0.9 * traits.nose_width), (area.y - traits.nose - 0.12) / 0.05)
    t = np.linspace(-1.0, 1.25, 14)
    edge = [traits.nose_width * 0.98 + 0.045 * np.cos(1.15 * t), traits.nose + 0.005 + 0.075 * np.sin(1.15 * t)]
    wing = np.stack(edge, axis=1)
    line = blurred(strokes(area, [wing, mirrored(wing)], 0.02), 0.012 * eye_px)
    lay(
        layers.albedo,
        area,
        plain(traits) * np.array([0.4, 0.3, 0.3], np.float32),
        np.clip(0.3 * under + 0.55 * line, 0, 0.9),
    )
    layers.relief[area.where] -= 0.008 * line


def _mouth(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    area = patch(eye_px, -0.65, traits.mouth - 0.3, 0.65, traits.mouth + 0.3)
    across = area.x / traits.mouth_half
    smile, parted = float(rng.uniform(-0.01, 0.05)), float(rng.choice([0.0, rng.uniform(0.015, 0.05)], p=[0.75, 0.25]))
    taper = np.clip(1 - across**2, 0, 1)
    middle = traits.mouth + smile * taper + 0.01 * np.cos(5 * across) * taper
    bow = 0.022 * np.exp(-((across / 0.13) ** 2))
    upper, lower = traits.lips
    top = middle - upper * taper**0.75 * (1 + 0.1 * np.cos(7 * across)) + bow
    red = soft(np.minimum(area.y - top, middle + lower * taper**0.65 - area.y), eye_px)
    lines = noise_field(rng, area.shape, (0.12 * eye_px, max(1.0, 0.016 * eye_px)))
    blood = traits.blood * (2.1 + 0.25 * lines) + 0.35
    tint = reflectance(np.float32(traits.melanin * 1.05) + 0 * red, blood.astype(np.float32), traits.carotene)
    tint = tint * np.where(area.y < middle, np.float32(0.82), np.float32(1.0))[..., None]
    edge = blurred(red, 0.01 * eye_px)
    cover(
        layers, area, 0.92 * edge, albedo=tint, relief=0.002 * lines, occlusion=layers.occlusion[area.where], gloss=1.1
    )
    gap = soft(np.minimum(parted * taper - np.abs(area.y - middle - parted), 0.95 - np.abs(across)), eye_px)
    teeth = (
        colour(206, 194, 176)
        * (0.75 * np.clip(1 - across**2, 0.2, 1) * (1 - 0.12 * (np.abs(np.sin(22 * area.x)) < 0.2)))[..., None]
    )
    lay(layers.albedo, area, teeth.astype(np.float32), 0.9 * gap)
    line = np.exp(-(((area.y - middle) / 0.014) ** 2)) * (np.abs(across) < 1.08) + 0.35 * bump(
        (np.abs(across) - 1.02) / 0.08, (area.y - middle) / 0.03
    )
    lay(
        layers.albedo,
        area,
        plain(traits) * np.array([0.16, 0.08, 0.07], np.float32),
        np.clip(0.75 * line, 0, 0.8) * (1 - gap),
    )


def _beard(layers: Layers, traits: Traits, rng: np.random.Generator, eye_px: float) -> None:
    area = patch(eye_px, -1.25, 0.1, 1.25, 2.25)
    density = beard_density(traits, area)
    short = traits.beard == "stubble"
    count, length = (6000, 0.02) if short else (5000, 0.11)
    at = np.stack([rng.uniform(-1.15, 1.15, count), rng.uniform(0.15, 2.1, count)], axis=1)
    rows, columns = np.searchsorted(area.y[:, 0], at[:, 1]) - 1, np.searchsorted(area.x[0], at[:, 0]) - 1
    at = at[density[rows, columns] > rng.uniform(0.15, 1.0, count)]
    turn = np.pi / 2 - 0.7 * at[:, 0] + rng.normal(0, 0.45, len(at))
    ends = at + length * rng.uniform(0.6, 1.2, (len(at), 1)) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    hairs = strokes(area, list(np.stack([at, ends], axis=1)), 0.008)
    body = (
        (0.28 if short else 0.82) * density * np.clip(0.85 + 0.15 * noise_field(rng, area.shape, 0.03 * eye_px), 0, 1.2)
    )
    tone = traits.hair * np.float32(0.7) + np.float32(0.35 * traits.grey)
    lay(layers.albedo, area, np.minimum(tone, plain(traits) + 0.35 * traits.grey), np.clip(body, 0, 0.9))
    shine = tone * np.float32(1.5 if not short else 0.6)
    lay(layers.albedo, area, np.minimum(shine, 0.9), np.clip((0.55 if short else 0.4) * hairs, 0, 0.8))
    layers.relief[area.where] += (0.001 if short else 0.005) * hairs
    layers.gloss[area.where] *= 1 - 0.6 * density


def beard_density(traits: Traits, area: Patch) -> Float[np.ndarray, "h w"]:
    """Returns how dense the beard grows, 0..1: free at the lips, on the upper lip, chin and cheeks by kind."""
    x, y = np.abs(area.x), area.y
    lips = np.exp(-((x / (traits.mouth_half + 0.05)) ** 6) - ((y - traits.mouth - 0.01) / 0.12) ** 4)
    lip = np.clip((y - traits.nose - 0.12) / 0.06, 0, 1) * np.clip((traits.mouth + 0.1 - y) / 0.05, 0, 1)
    moustache = lip * np.clip((0.52 - x) / 0.1, 0, 1)
    chin = np.clip((y - traits.mouth - 0.12) / 0.1, 0, 1) * np.clip((0.36 - x) / 0.1, 0, 1)
    around = (
        np.clip((0.52 - x) / 0.07, 0, 1)
        * np.clip((x - 0.38) / 0.07, 0, 1)
        * np.clip((y - traits.mouth + 0.1) / 0.1, 0, 1)
    )
    cheek = np.clip((y - 0.95 + 0.75 * (x - 0.35)) / 0.2, 0, 1) * np.clip((x - 0.3) / 0.15 + (y > traits.mouth), 0, 1)
    parts = {"moustache": [moustache], "goatee": [moustache, chin, around], "none": [0 * moustache]}
    grown = np.maximum.reduce(parts.get(traits.beard, [moustache, chin, np.clip(cheek, 0, 1)]))
    jaw = np.clip((traits.chin + 0.04 - y) / 0.05, 0, 1)
    return (grown * (1 - lips) * jaw).astype(np.float32)
