"""Heat maps on crops: cold leaves the crop alone, hot colours the right place."""

from pathlib import Path

import numpy as np
from PIL import Image

from flipjax.data.overlay import overlay, save_png

CROP = np.full((56, 56, 3), 100, np.uint8)


def test_no_heat_leaves_the_crop_unchanged() -> None:
    assert np.array_equal(overlay(CROP, np.zeros((7, 7), np.float32)), CROP)


def test_heat_colours_its_own_corner_red() -> None:
    heat = np.zeros((7, 7), np.float32)
    heat[0, 6] = 0.9
    picture = overlay(CROP, heat)
    assert np.array_equal(picture[40:], CROP[40:])
    red, green, blue = picture[2, 53].astype(int)
    assert red > green + 60
    assert red > blue + 60


def test_scale_is_fixed_whatever_else_a_map_holds() -> None:
    alone, beside = np.full((7, 7), 0.4, np.float32), np.full((7, 7), 0.4, np.float32)
    beside[0, 6] = 1.0
    assert np.array_equal(overlay(CROP, alone)[40:], overlay(CROP, beside)[40:])


def test_values_outside_the_range_and_nan_are_harmless() -> None:
    heat = np.array([[np.nan, -5.0], [9.0, 1.0]], np.float32)
    expected = overlay(CROP, np.array([[0.0, 0.0], [1.0, 1.0]], np.float32))
    assert np.array_equal(overlay(CROP, heat), expected)


def test_saved_picture_is_whole_and_alone(tmp_path: Path) -> None:
    save_png(tmp_path / "new/folder/a.png", CROP)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new/folder/a.png")), CROP)
    assert [p.name for p in (tmp_path / "new/folder").iterdir()] == ["a.png"]
