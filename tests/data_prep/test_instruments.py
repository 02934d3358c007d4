"""Prints and displays: tones, dots, gamut, pixel grids and banding follow the physics their tables state."""

import dataclasses

import cv2
import numpy as np
import pytest

from data_prep.synthetic import halftone
from data_prep.synthetic.camera import camera
from data_prep.synthetic.cameras import CAMERAS
from data_prep.synthetic.displays import PENTILE, SCREENS, STRIPE, Screen
from data_prep.synthetic.geometry import apply, canvas_px, to_canvas
from data_prep.synthetic.lighting import draw_light
from data_prep.synthetic.printers import PRINTERS, Printer
from data_prep.synthetic.prints import ink, make_print, show_print
from data_prep.synthetic.scene import Pose, Scene, Stage
from data_prep.synthetic.screens import banding, emit, grid, make_replay, show_replay

EYE_PX = 40.0
WIDTH, HEIGHT = canvas_px(EYE_PX)
POINTS = to_canvas(np.array([[-0.5, 0], [0.5, 0], [0, 0.65], [-0.4, 1.0], [0.4, 1.0]]), EYE_PX)
PRESS = Printer(
    "press", "poster", 600, 50, 10, 0.16, (1.4, 1.4, 1.35, 1.7), 1.0, 1.0, (0.8, 0.8, 0.8), 0.0, 0.01, 0.2, 0.1
)
PANEL = Screen("panel", "pc_screen", 50, 30, STRIPE, 0.7, 2.2, 1000, 1.0, (1.0, 1.0, 1.0), 1.0, 100, 0.5, 0.03, 0.5, 10)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _stage(room: float = 0.3) -> Stage:
    light = draw_light(_rng(), illumination=0, environment=0, warmth=0.0)
    return Stage(light, np.full((330, 280, 3), room, np.float32))


def _pose() -> Pose:
    turn = np.array([[1.02, 0.06, 9.0], [-0.05, 1.03, 14.0], [2e-5, 1e-5, 1.0]])
    return Pose(turn, 0.0, EYE_PX)


def _photo(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 0.9, (HEIGHT, WIDTH, 3)).astype(np.float32)


def _spectrum(plane: np.ndarray) -> np.ndarray:
    window = np.outer(np.hanning(plane.shape[0]), np.hanning(plane.shape[1]))
    return np.abs(np.fft.fftshift(np.fft.fft2((plane - plane.mean()) * window))) / window.sum()


def _frequencies(size: int) -> tuple[np.ndarray, np.ndarray]:
    axis = np.fft.fftshift(np.fft.fftfreq(size))
    return axis[None, :], axis[:, None]


@pytest.mark.parametrize("pitch", [2.0, 3.3, 5.1, 9.7])
@pytest.mark.parametrize("coverage", [0.05, 0.3, 0.5, 0.85])
def test_dots_keep_the_mean_coverage(pitch, coverage):
    flat = np.full((240, 240), coverage, np.float32)
    local = halftone.dots(flat, pitch, 15.0, np.array([0.3, 1.1]))
    assert abs(local.mean() - coverage) < 0.01
    assert (local.std() > 0.02) == (1 / pitch < halftone.MAX_FREQUENCY)
    assert local.min() > -0.13 and local.max() < 1.13


@pytest.mark.parametrize("angle", halftone.SCREEN_ANGLES)
def test_dots_stand_at_the_pitch_and_angle_of_their_screen(angle):
    size, pitch = 256, 6.4
    local = halftone.dots(np.full((size, size), 0.4, np.float32), pitch, angle, np.zeros(2))
    x, y = np.broadcast_arrays(*_frequencies(size))
    peak = np.argmax(_spectrum(local) * (x > 1e-3) * (y > -0.01))
    assert np.hypot(x.flat[peak], y.flat[peak]) == pytest.approx(1 / pitch, abs=1.5 / size)
    direction = np.rad2deg(np.arctan2(y.flat[peak], x.flat[peak]))
    assert abs((direction - angle + 45) % 90 - 45) < 2.5
    rows, columns = np.indices(local.shape)
    turns = np.deg2rad([angle, angle + 90, angle + 45])
    along, across, between = (
        abs(np.mean(local * np.exp(2j * np.pi * (columns * np.cos(t) + rows * np.sin(t)) / pitch))) for t in turns
    )
    assert min(along, across) > 0.08 and between < 0.02


@pytest.mark.parametrize("lpi", [0, 50])
def test_a_press_with_the_expected_gain_prints_the_tone_that_was_asked_for(lpi):
    press = dataclasses.replace(PRESS, lpi=lpi)
    wanted = np.array([0.08, 0.2, 0.4, 0.6, 0.8, 1.0])
    printed = [
        halftone.print_tones(np.full((120, 120, 3), tone, np.float32), press, EYE_PX, _rng()).mean() for tone in wanted
    ]
    assert np.all(np.diff(printed) > 0)
    assert np.abs(np.array(printed) - wanted).max() < 0.035


def test_more_dot_gain_darkens_mid_tones_as_murray_davies_says():
    grown = halftone.grow(np.array([[0.0, 0.25, 0.5, 1.0]], np.float32), 0.1)
    assert np.allclose(grown, [[0.0, 0.325, 0.6, 1.0]], atol=1e-6)
    inks = halftone.transmittances(PRESS)
    black = halftone.lay([0 * grown, 0 * grown, 0 * grown, grown], inks)
    assert np.allclose(black[..., 1], 1 - grown * (1 - 10**-1.7), atol=1e-5)
    grey = np.full((60, 60, 3), 0.5, np.float32)
    lean, fat = (
        halftone.print_tones(grey, dataclasses.replace(PRESS, dot_gain=gain), EYE_PX, _rng()).mean()
        for gain in (0.16, 0.26)
    )
    assert fat < lean - 0.06


def test_ruling_and_face_size_give_the_pitch():
    assert PRESS.pitch == pytest.approx(25.4 / 50 / 10)
    assert dataclasses.replace(PRESS, lpi=0).pitch == 0.0
    assert PRESS.blur == pytest.approx(np.hypot(0.01, 25.4 / 600 / np.sqrt(12)) / 10)
    assert PANEL.pitch == pytest.approx(25.4 / 50 / 30)
    assert PANEL.bezel == pytest.approx(1 / 3)


@pytest.mark.parametrize("printer", [PRESS, *PRINTERS["syn_b"]])
def test_prints_stay_between_black_ink_and_paper(printer):
    printer = dataclasses.replace(printer, grain=0.0)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    photo[::2] = 1.0
    photo[:, ::3, 0] = 0.9
    reflectance = ink(photo, printer, EYE_PX, _rng())
    paper = np.asarray(printer.paper)
    black = 10 ** -printer.densities[3] * paper
    assert (reflectance <= paper * 1.16).all() and (reflectance >= np.minimum(0.8 * black, 0.7)).all()


def test_dull_profiles_print_dull_colours():
    red = np.broadcast_to(np.array([0.7, 0.15, 0.1], np.float32), (40, 40, 3)).copy()
    vivid, dull = (
        halftone.print_tones(red, dataclasses.replace(PRESS, lpi=0, saturation=s), EYE_PX, _rng()).mean(axis=(0, 1))
        for s in (1.0, 0.6)
    )
    assert np.abs(vivid - red[0, 0]).max() < 0.06
    assert np.ptp(np.log(dull)) < 0.75 * np.ptp(np.log(vivid))


def test_every_domain_has_its_own_instruments():
    for table, kinds in (
        (PRINTERS, {"photo", "a4_paper", "poster"}),
        (SCREENS, {"pc_screen", "pad_screen", "phone_screen"}),
    ):
        names = [device.name for devices in table.values() for device in devices]
        assert len(set(names)) == len(names)
        for domain, devices in table.items():
            assert {d.instrument for d in devices} == kinds and len(devices) == (9 if domain == "syn_meta" else 3)


@pytest.mark.parametrize("layout", [STRIPE, PENTILE])
def test_the_pixel_grid_has_mean_one_and_nothing_above_the_sampling_limit(layout):
    screen = dataclasses.replace(PANEL, layout=layout)
    y, x = np.indices((256, 256), dtype=np.float32)
    for pitch in (2.3, 2.7, 5.3):
        cells = grid(x, y, screen, pitch, 1.0)
        assert cells is not None and np.allclose([c.mean() for c in cells], 1, atol=0.02)
        assert max(c.std() for c in cells) > 0.05
        frequency = np.maximum(*np.broadcast_arrays(*(np.abs(f) for f in _frequencies(256))))
        allowed = 1 / pitch + 0.04
        assert max(_spectrum(c)[frequency > allowed].max() for c in cells) < 1e-3
    assert grid(x, y, screen, 1.4, 1.0) is None


def test_moire_comes_from_the_camera_and_is_not_in_the_radiance():
    y, x = np.indices((512, 512), dtype=np.float32)
    cells = grid(x, y, PANEL, 2.8, 1.0)  # 1.4 sensor pixels a period: more than the sensor can sample
    assert cells is not None
    radiance = 0.3 * cv2.merge(cells)
    model = next(m for m in CAMERAS["syn_a"] if m.quality == 2)
    fx, fy = _frequencies(256)
    slow = (np.hypot(fx, fy) < 0.3) & (np.hypot(fx, fy) > 0.02)
    frame, flat = (
        camera(picture, model, _rng())[:256, :256].astype(float) / 255
        for picture in (radiance, np.full_like(radiance, 0.3))
    )
    seen, noise = (max(_spectrum(picture[..., c])[slow].max() for c in range(3)) for picture in (frame, flat))
    fx, fy = _frequencies(512)
    below = np.hypot(fx, fy) < 0.15
    assert max(_spectrum(radiance[..., c])[below & (np.hypot(fx, fy) > 0.01)].max() for c in range(3)) < 1e-3
    assert seen > 20 * noise and seen > 0.01


def test_bands_follow_the_refresh_rate_and_the_exposure():
    depth, bands, _ = banding(PANEL, 0.03, 0.005, _rng())
    assert bands == pytest.approx(3.0) and depth == pytest.approx(0.5 * 2 / np.pi)
    assert banding(PANEL, 0.03, 0.02, _rng())[0] == pytest.approx(0.0, abs=1e-9)
    replay = make_replay(np.full_like(_photo(), 0.5), POINTS, dataclasses.replace(PANEL, ppi=400), EYE_PX, _rng())
    far = (-9999.0, -9999.0, 9999.0, 9999.0)
    bare = dataclasses.replace(
        replay, bands=(0.3, 5.0, 0.0), glare=np.zeros((0, 4)), rectangle=far, shown=far, grip=None
    )
    rows = show_replay(bare, _stage(), _pose()).radiance.mean(axis=(1, 2))
    assert np.argmax(np.abs(np.fft.rfft(rows - rows.mean()))) == 5


def test_panels_add_their_black_white_and_gamut():
    photo = np.array([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.8, 0.1, 0.1]]], np.float32)
    cold = dataclasses.replace(PANEL, contrast=500, white=(0.8, 1.0, 1.2), saturation=0.5)
    black, white, red = emit(photo, cold)[0]
    assert np.allclose(white, (0.8, 1.0, 1.2), atol=1e-5)
    assert np.allclose(white / black, 500, rtol=1e-3)
    assert red[0] / red[1] < 3.0


@pytest.mark.parametrize("kind", ["print", "replay"])
def test_the_attack_region_is_the_object_and_nothing_else_shows_it(kind):
    scenes = []
    for seed in (1, 2):
        if kind == "print":
            sheet = make_print(_photo(seed), POINTS, PRESS, EYE_PX, _rng())
            rectangle, lean = (40.5, 30.25, 180.0, 200.75), sheet.lean
            bare = dataclasses.replace(sheet, rectangle=rectangle, bend=0.0, grip=None)
            scenes.append(show_print(bare, _stage(), _pose()))
        else:
            replay = make_replay(_photo(seed), POINTS, PANEL, EYE_PX, _rng())
            rectangle, lean = (30.5, 20.25, 190.0, 210.75), replay.lean
            lit = (40.5, 30.25, 180.0, 200.75)
            bare = dataclasses.replace(replay, rectangle=lit, shown=lit, bezel=10.0, grip=None)
            scenes.append(show_replay(bare, _stage(), _pose()))
    x0, y0, x1, y1 = rectangle
    corners = apply(_pose().matrix @ lean, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    area = cv2.contourArea(corners.astype(np.float32))
    assert scenes[0].attack.sum() == pytest.approx(area, rel=0.006)
    outside = scenes[0].attack == 0
    assert outside.sum() > 1000 and np.array_equal(scenes[0].radiance[outside], scenes[1].radiance[outside])
    assert not np.array_equal(scenes[0].radiance[~outside], scenes[1].radiance[~outside])


def _film_twice(device: Printer | Screen) -> list[Scene]:
    if isinstance(device, Printer):
        return [show_print(make_print(_photo(), POINTS, device, EYE_PX, _rng()), _stage(), _pose()) for _ in range(2)]
    return [show_replay(make_replay(_photo(), POINTS, device, EYE_PX, _rng()), _stage(), _pose()) for _ in range(2)]


@pytest.mark.parametrize(
    "device", [PRINTERS["syn_c"][1], PRINTERS["syn_b"][2], SCREENS["syn_d"][0], SCREENS["syn_c"][2]]
)
def test_equal_settings_give_equal_pictures(device):
    one, two = _film_twice(device)
    assert one.radiance.dtype == np.float32 and np.array_equal(one.radiance, two.radiance)
    assert np.isfinite(one.radiance).all() and one.radiance.min() >= 0
