"""Heat maps on crops: hot places are yellow and bright, cold ones blue and dark, and nothing else decides it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flipjax.data.overlay import overlay, save_jpeg, save_png

CROP = np.full((56, 56, 3), 100, np.uint8)


def even(value: float) -> np.ndarray:
    return np.full((7, 7), value, np.float32)


def grey(picture: np.ndarray) -> np.ndarray:
    """What is left of a picture without colour."""
    return np.asarray(Image.fromarray(picture).convert("L")).astype(int)


def test_heat_colours_its_own_corner() -> None:
    heat = even(0.0)
    heat[0, 6] = 1.0
    picture = overlay(CROP, heat).astype(int)
    assert np.array_equal(picture[40:], overlay(CROP, even(0.0))[40:])
    red, green, blue = picture[2, 53]
    assert min(red, green) > blue + 60, "yellow where it is hot"
    red, green, blue = picture[53, 2]
    assert blue > max(red, green) + 20, "blue where it is cold"


@pytest.mark.parametrize("level", [0, 100, 255])
def test_brighter_is_hotter_without_colour(level: int) -> None:
    crop = np.full_like(CROP, level)
    brightness = [int(grey(overlay(crop, even(value)))[28, 28]) for value in np.linspace(0, 1, 21)]
    assert np.all(np.diff(brightness) > 0), brightness


def test_hottest_on_black_is_brighter_than_coldest_on_white() -> None:
    hot, cold = overlay(np.zeros_like(CROP), even(1.0)), overlay(np.full_like(CROP, 255), even(0.0))
    assert grey(hot).min() > grey(cold).max()


def test_the_face_stays_visible_under_any_heat() -> None:
    crop = CROP.copy()
    crop[20:30, 20:30] = 180
    for value in (0.0, 0.5, 1.0):
        picture = grey(overlay(crop, even(value)))
        assert picture[25, 25] > picture[5, 5] + 25


def test_colour_of_the_crop_decides_nothing() -> None:
    tinted, plain = CROP.copy(), CROP.copy()
    tinted[...] = (200, 60, 30)
    plain[...] = np.asarray(Image.fromarray(tinted).convert("L"))[..., None]
    assert np.abs(overlay(tinted, even(0.3)).astype(int) - overlay(plain, even(0.3))).max() <= 1


def test_scale_is_fixed_whatever_else_a_map_holds() -> None:
    beside = even(0.4)
    beside[0, 6] = 1.0
    assert np.array_equal(overlay(CROP, even(0.4))[40:], overlay(CROP, beside)[40:])


def test_values_outside_the_range_and_nan_are_harmless() -> None:
    heat = np.array([[np.nan, -5.0], [9.0, 1.0]], np.float32)
    expected = overlay(CROP, np.array([[0.0, 0.0], [1.0, 1.0]], np.float32))
    assert np.array_equal(overlay(CROP, heat), expected)


def test_saved_picture_is_whole_and_alone(tmp_path: Path) -> None:
    save_png(tmp_path / "new/folder/a.png", CROP)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new/folder/a.png")), CROP)
    assert [p.name for p in (tmp_path / "new/folder").iterdir()] == ["a.png"]


def test_jpeg_is_small_and_close(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = overlay(rng.integers(90, 110, (224, 224, 3), np.uint8), rng.random((14, 14)).astype(np.float32))
    save_jpeg(tmp_path / "a.jpg", picture)
    save_png(tmp_path / "a.png", picture)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jpg", "a.png"]
    with Image.open(tmp_path / "a.jpg") as saved:
        assert saved.format == "JPEG"
        assert np.abs(np.asarray(saved).astype(int) - picture).mean() < 6
    assert (tmp_path / "a.jpg").stat().st_size < 0.4 * (tmp_path / "a.png").stat().st_size
