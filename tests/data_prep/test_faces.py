"""Drawn people and what they wear: variety, honest light, dark eyes, masks that cover what they say."""

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest

from data_prep.synthetic import cutouts
from data_prep.synthetic.age import furrows
from data_prep.synthetic.cutouts import CUTOUTS, FACE_MASK, UPPER_BODY_MASK, make_cutout, show_cutout
from data_prep.synthetic.faces import Head, draw_head
from data_prep.synthetic.geometry import similarity
from data_prep.synthetic.hands import Grip, grip_outline, hold
from data_prep.synthetic.lighting import Light
from data_prep.synthetic.paint import patch
from data_prep.synthetic.printers import PRINTERS
from data_prep.synthetic.scene import Pose, Scene, Stage, lit_head, show_head
from data_prep.synthetic.skin import plain
from data_prep.synthetic.solid_masks import SolidMask, light_mask, make_solid_mask, show_solid_mask
from data_prep.synthetic.traits import BEARDS, MELANIN_BORDERS, STYLES_LONG, STYLES_SHORT, Traits, draw_traits

EYE_PX = 48.0
PRINTER = PRINTERS["syn_a"][0]


def _traits(seed: int, **changes: Any) -> Traits:
    plain_looks = {"glasses": "none", "headscarf": False, "hair_style": "short", "length": 0.0, "recede": 0.0}
    return dataclasses.replace(draw_traits(np.random.default_rng(seed)), **{**plain_looks, **changes})


@pytest.fixture(scope="module")
def head() -> Head:
    """Somebody with skin in sight."""
    return draw_head(_traits(0, beard="none"), np.random.default_rng(5), EYE_PX)


@pytest.fixture(scope="module")
def wearer() -> Head:
    """Somebody else."""
    return draw_head(_traits(1, beard="none"), np.random.default_rng(6), EYE_PX)


def _show(mask: SolidMask, stage: Stage, pose: Pose) -> Scene:
    return show_solid_mask(mask, light_mask(mask, stage.light), stage, pose)


def _stage(head: Head, azimuth_deg: float = 0.0) -> Stage:
    turn = np.deg2rad(azimuth_deg)
    direction = np.array([np.sin(turn), -0.2, np.cos(turn)], np.float32)
    white, shape = np.ones(3, np.float32), head.alpha.shape
    light = Light(0, 0, direction / np.linalg.norm(direction), 0.8 * white, 0.2 * white, 1.0, 1.0)
    return Stage(light, np.full((*shape, 3), 0.2, np.float32))


def _pose(yaw: float = 0.0) -> Pose:
    middle = np.array([140.0, 134.0])
    return Pose(similarity(0.95, 3.0, middle, middle + 4.0), yaw, 0.95 * EYE_PX)


def _at(head: Head, x: float, y: float, radius: float = 0.1) -> tuple[slice, slice]:
    """Window about a point in eye units from between the eyes."""
    at = head.landmarks[:2].mean(axis=0) + np.array([x, y]) * EYE_PX
    low, high = (at - radius * EYE_PX).round().astype(int), (at + radius * EYE_PX).round().astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def test_people_differ_and_sessions_of_one_person_agree():
    traits = _traits(2, beard="none")
    one, again = (draw_head(traits, np.random.default_rng(seed), EYE_PX) for seed in (0, 1))
    other = draw_head(_traits(3, beard="none"), np.random.default_rng(0), EYE_PX)
    assert np.array_equal(one.landmarks, again.landmarks) and not np.allclose(one.landmarks, other.landmarks, atol=0.5)
    assert one.population == again.population == f"tone_{traits.tone + 1}"
    cheek = _at(one, 0.55, 0.55, 0.15)
    colours = [head.albedo[cheek].mean(axis=(0, 1)) for head in (one, again, other)]
    assert np.abs(colours[0] / colours[1] - 1).max() < 0.12 < np.abs(colours[0] / colours[2] - 1).max()
    assert np.abs(one.albedo - again.albedo).mean() > 0.005


def test_traits_vary_in_every_field():
    people = [draw_traits(np.random.default_rng(seed)) for seed in range(150)]
    for name in ("hair_style", "beard", "glasses", "headscarf", "tone"):
        assert len({getattr(p, name) for p in people}) >= 2, name
    assert {p.hair_style for p in people} == {*STYLES_SHORT, *STYLES_LONG}
    assert {p.beard for p in people} == set(BEARDS)
    assert {p.tone for p in people} == set(range(len(MELANIN_BORDERS) - 1))
    assert min(p.age for p in people) < 25 and max(p.age for p in people) > 65


def test_tones_run_from_light_to_dark_without_steps():
    tones = np.linspace(MELANIN_BORDERS[0], MELANIN_BORDERS[-1], 20)
    skins = np.array([plain(dataclasses.replace(_traits(0), melanin=float(m))) for m in tones])
    assert (np.diff(skins, axis=0) < 0).all() and (skins[:, 0] > skins[:, 2]).all()
    assert skins[0].mean() > 5 * skins[-1].mean()
    assert (skins[1:] / skins[:-1]).min() > 0.85


@pytest.mark.parametrize("style", sorted({*STYLES_SHORT, *STYLES_LONG}))
def test_eyes_are_dark_at_the_landmarks(style):
    length = 2.0 if style in ("long", "fringe") else 0.0
    glasses = {"bun": "thick", "curly": "thin", "long": "rimless"}.get(style, "none")
    worn = {"glasses": glasses, "headscarf": style == "fringe", "beard": "full"}
    traits = _traits(7, hair_style=style, length=length, melanin=0.4, **worn)
    head = draw_head(traits, np.random.default_rng(1), EYE_PX)
    light = head.albedo.mean(axis=-1)
    for x, y in head.landmarks[:2].round().astype(int):
        assert light[y : y + 2, x - 1 : x + 2].mean() < 0.6 * np.median(light[y - 24 : y + 25, x - 24 : x + 25])


@pytest.mark.parametrize("kind", ["head", "solid_mask"])
def test_light_from_the_left_brightens_the_left_cheek(kind, head, wearer):
    for azimuth, brighter in ((-60, -0.62), (60, 0.62)):
        stage, pose = _stage(head, azimuth), Pose(np.eye(3), 0.0, EYE_PX)
        if kind == "head":
            scene = show_head(head, lit_head(head, stage.light), stage, pose)
        else:
            scene = _show(make_solid_mask(head, wearer, np.random.default_rng(0)), stage, pose)
        cheeks = [scene.radiance[_at(head, side, 0.5)].mean() for side in (brighter, -brighter)]
        assert cheeks[0] > 1.3 * cheeks[1]


def test_age_deepens_the_lines_of_the_same_face():
    area = patch(EYE_PX, -1.2, -1.4, 1.2, 1.8)
    depth = [
        float(furrows(_traits(4, age=age), np.random.default_rng(0), area).mean()) for age in (20.0, 40.0, 60.0, 80.0)
    ]
    assert depth == sorted(depth) and depth[3] > 4 * depth[0]


@pytest.mark.parametrize("kind", [FACE_MASK, UPPER_BODY_MASK, "solid"])
def test_eye_gaps_lie_on_the_eyes_and_are_no_attack(kind, head, wearer, monkeypatch):
    stage, pose = _stage(wearer), _pose()
    monkeypatch.setattr(cutouts, "HOLES_SHARE", dict.fromkeys(CUTOUTS, 1.0))
    monkeypatch.setattr(cutouts, "HELD_SHARE", dict.fromkeys(CUTOUTS, 0.0))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        if kind == "solid":
            scene = _show(make_solid_mask(head, wearer, rng), stage, pose)
        else:
            mask = make_cutout(head.albedo, head.landmarks, kind, PRINTER, wearer, rng)
            scene = show_cutout(mask, lit_head(wearer, stage.light), stage, pose)
        for x, y in scene.landmarks[:2].round().astype(int):
            assert scene.attack[y - 1 : y + 2, x - 1 : x + 2].max() < 0.1
        middle = scene.landmarks[:3].mean(axis=0).round().astype(int)
        assert scene.attack[middle[1], middle[0]] > 0.99
        assert scene.attack.min() >= 0 and scene.attack.max() <= 1 and np.isfinite(scene.radiance).all()


def test_an_upper_body_cut_out_covers_face_and_shoulders(head, wearer):
    for seed in range(4):
        mask = make_cutout(head.albedo, head.landmarks, UPPER_BODY_MASK, PRINTER, wearer, np.random.default_rng(seed))
        face = make_cutout(head.albedo, head.landmarks, FACE_MASK, PRINTER, wearer, np.random.default_rng(seed))
        for x, y in ((0.7, 0.4), (-0.7, 0.4), (0, -1.0), (1.5, 2.4), (-1.5, 2.4)):
            assert mask.cover[_at(wearer, x, y, 0.05)].mean() > 0.95, (seed, x, y)
        assert face.cover[_at(wearer, 1.5, 2.4, 0.05)].max() == 0
        assert mask.cover[:, 0].max() == mask.cover[:, -1].max() == 0


def test_a_held_cut_out_loses_the_fingers_from_its_attack_region(head, wearer):
    mask = make_cutout(head.albedo, head.landmarks, FACE_MASK, PRINTER, wearer, np.random.default_rng(0))
    grip = grip_outline(mask.cover, EYE_PX, np.random.default_rng(1))
    assert isinstance(grip, Grip)
    scene = Scene(np.full((*mask.cover.shape, 3), 0.3, np.float32), mask.cover, mask.points)
    held = hold(scene, grip, np.eye(3), _stage(wearer).light)
    for tip in grip.segments[:, 1].round().astype(int):
        assert mask.cover[tip[1], tip[0]] > 0.9 > 0.1 > held.attack[tip[1], tip[0]]
    assert np.array_equal(scene.attack, mask.cover) and held.attack.sum() > 0.5 * mask.cover.sum()


def _roughness(albedo: np.ndarray) -> float:
    grey = albedo.mean(axis=-1)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std() / grey.mean())


def test_a_solid_mask_is_smoother_than_skin(head, wearer):
    for seed in range(4):
        mask = make_solid_mask(head, wearer, np.random.default_rng(seed))
        top, left = (s.start for s in mask.area.where)
        rows, columns = _at(head, 0.55, 0.5, 0.2)
        cheek = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        assert _roughness(mask.shell.albedo[cheek]) < 0.2 * _roughness(head.albedo[rows, columns])
        skin, cast = head.albedo[rows, columns].mean(axis=(0, 1)), mask.shell.albedo[cheek].mean(axis=(0, 1))
        assert np.abs(cast / skin - 1).max() < 0.5


def _marks(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """Bright marks at points on dark matter, as albedo."""
    rows, columns = np.indices(shape, dtype=np.float32)
    spots = np.stack([np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 6) for x, y in points])
    return np.repeat((0.02 + 0.9 * spots.sum(axis=0))[..., None], 3, axis=2).astype(np.float32)


def _worst_offset(scene: Scene) -> float:
    """Distance of the points from the centroids of the marks next to them, in pixels."""
    light, worst = scene.radiance.mean(axis=-1), 0.0
    for x, y in scene.landmarks:
        left, top = round(float(x)) - 6, round(float(y)) - 6
        window = light[top : top + 13, left : left + 13]
        weight = np.clip(window - np.quantile(window, 0.75), 0, None)
        rows, columns = np.indices(window.shape)
        centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        worst = max(worst, float(np.hypot(*(centre + np.array([left - x, top - y])))))
    return worst


@pytest.mark.parametrize("yaw", [-0.2, 0.0, 0.25])
def test_points_of_a_solid_mask_lie_where_the_picture_shows_them(yaw, head, wearer):
    mask = make_solid_mask(head, wearer, np.random.default_rng(3))
    shell, ones = mask.shell, np.ones(mask.area.shape, np.float32)
    up, albedo = np.dstack([0 * ones, 0 * ones, ones]), _marks(mask.area.shape, shell.landmarks)
    shell = dataclasses.replace(shell, albedo=albedo, normals=up, gloss=0 * ones, occlusion=ones, alpha=ones)
    marked = dataclasses.replace(mask, shell=shell, material=dataclasses.replace(mask.material, glint=0.0))
    assert _worst_offset(_show(marked, _stage(wearer), _pose(yaw))) < 1.0


@pytest.mark.parametrize("yaw", [-0.2, 0.25])
@pytest.mark.parametrize("kind", [FACE_MASK, UPPER_BODY_MASK])
def test_points_of_a_cut_out_lie_where_the_picture_shows_them(kind, yaw, head, wearer, monkeypatch):
    monkeypatch.setattr(cutouts, "HOLES_SHARE", dict.fromkeys(CUTOUTS, 0.0))
    monkeypatch.setattr(cutouts, "ink", lambda photo, printer, eye_px, rng: photo)
    photo = _marks(head.alpha.shape, head.landmarks)
    for seed in range(3):
        mask = make_cutout(photo, head.landmarks, kind, PRINTER, wearer, np.random.default_rng(seed))
        stage = _stage(wearer)
        bare = dataclasses.replace(mask, grip=None, lean=(0.3, -0.2))
        assert _worst_offset(show_cutout(bare, lit_head(wearer, stage.light), stage, _pose(yaw))) < 1.0


def test_a_mask_stands_off_the_face_and_shades_it(wearer):
    stage = _stage(wearer)
    mask, lit = make_solid_mask(wearer, wearer, np.random.default_rng(0)), lit_head(wearer, stage.light)
    turned = [_show(mask, stage, _pose(0.2)), show_head(wearer, lit, stage, _pose(0.2))]
    assert (turned[0].landmarks[:, 0] > turned[1].landmarks[:, 0] + 0.8 * np.tan(0.2) * mask.gap * EYE_PX).all()
    straight = Pose(np.eye(3), 0.0, EYE_PX)
    masked, bare = _show(mask, stage, straight), show_head(wearer, lit, stage, straight)
    ring = (cv2.dilate(masked.attack, np.ones((7, 7))) > 0.5) & (masked.attack < 0.01) & (wearer.alpha > 0.99)
    assert masked.radiance[ring].mean() < 0.75 * bare.radiance[ring].mean()
    far = (cv2.dilate(masked.attack, np.ones((61, 61))) < 0.01) & (wearer.alpha > 0.99)
    assert np.allclose(masked.radiance[far], bare.radiance[far], atol=1e-3)
