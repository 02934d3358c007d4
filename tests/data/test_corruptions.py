"""Every corruption against a plain statement of what it does, at small size; neutral levels; what chance may depend on."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from flipjax.core.errors import ConfigError
from flipjax.data import align, corruptions
from flipjax.data.corruptions import CORRUPTIONS, Corruption, changed, chosen
from flipjax.data.source import Records, read_index

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}
LEVELS = [(corruption, level) for corruption in CORRUPTIONS for level in corruption.levels]


def named(value: object) -> str:
    return value.name if isinstance(value, Corruption) else str(value)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def noise(px: int = 24) -> np.ndarray:
    return np.random.default_rng(px).integers(0, 256, (px, px, 3), np.uint8)


def smooth(height: int = 30, width: int = 20) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([60 + 6 * x, 60 + 4 * y, 200 - 3 * x - 2 * y], axis=2).astype(np.uint8)


def plain_bilinear(image: np.ndarray, inverse) -> np.ndarray:
    """Pixel by pixel: the source point of every output pixel, weighted by nearness; zero outside."""
    height, width = image.shape[:2]
    made = np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            u, v = inverse(x, y)
            for column in (math.floor(u), math.floor(u) + 1):
                for row in (math.floor(v), math.floor(v) + 1):
                    if 0 <= column < width and 0 <= row < height:
                        made[y, x] += max(0, 1 - abs(u - column)) * max(0, 1 - abs(v - row)) * image[row, column]
    return made


@pytest.mark.parametrize(("corruption", "level"), LEVELS, ids=named)
def test_only_the_neutral_level_leaves_the_crop_alone(corruption: Corruption, level: float | None):
    image = noise(224)
    before = image.copy()
    changed = corruption.apply(image, level, rng())
    assert changed.shape == image.shape and changed.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    assert (level == corruption.neutral) == (changed is image) == np.array_equal(changed, image)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=named)
def test_levels_run_one_way_and_hold_the_neutral_one(corruption: Corruption):
    assert corruption.neutral in corruption.levels
    numbers = [level for level in corruption.levels if level is not None]
    assert numbers in (sorted(set(numbers)), sorted(set(numbers), reverse=True))
    assert corruption.levels.index(None) == 0 if None in corruption.levels else True


def test_the_fixed_point_is_where_alignment_puts_the_eyes():
    landmarks = np.array([[40.0, 50.0], [70.0, 56.0], [57.0, 70.0], [44.0, 85.0], [66.0, 88.0]])
    matrix = align.alignment_matrix(landmarks, 100, 0.37)
    eyes = matrix @ np.append(landmarks[:2].mean(axis=0), 1.0)
    np.testing.assert_allclose(eyes / 100, align.EYE_MIDPOINT)


@pytest.mark.parametrize("margin", [0.8, 0.9, 1.1, 1.4])
def test_margin_scales_about_the_eyes(margin: float):
    image = smooth()
    x0, y0 = 0.5 * 20, 0.4 * 30
    plain = plain_bilinear(image, lambda x, y: (x0 + (x - x0) * margin, y0 + (y - y0) * margin))
    # OpenCV places samples in steps of 1/32 px; where the border falls to black, a 64th of 255 is 4 levels.
    np.testing.assert_allclose(corruptions.zoom(image, margin), plain, atol=6)


def test_a_margin_of_two_shows_every_second_pixel_in_a_black_frame():
    image = noise(20)
    expected = np.zeros_like(image)
    for y in range(20):
        for x in range(20):
            u, v = 10 + 2 * (x - 10), 8 + 2 * (y - 8)
            if 0 <= u < 20 and 0 <= v < 20:
                expected[y, x] = image[v, u]
    np.testing.assert_array_equal(corruptions.zoom(image, 2.0), expected)


@pytest.mark.parametrize("degrees", [-20.0, 5.0])
def test_rotation_turns_about_the_eyes(degrees: float):
    image = smooth()
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def inverse(x: float, y: float) -> tuple[float, float]:
        dx, dy = x - 10, y - 12
        return 10 + cos * dx + sin * dy, 12 - sin * dx + cos * dy

    np.testing.assert_allclose(corruptions.rotate(image, degrees), plain_bilinear(image, inverse), atol=6)


def test_a_quarter_turn_is_clockwise():
    image = np.zeros((20, 20, 3), np.uint8)
    image[8, 13] = 255  # right of the fixed point (10, 8)
    turned = corruptions.rotate(image, 90.0)
    assert turned[11, 10].tolist() == [255] * 3 and turned.sum() == 3 * 255, "now below it"


def test_shift_moves_whole_pixels_and_black_comes_in():
    image = noise(20)
    moved = corruptions.shift(image, 0.1, -0.24)  # 2 right, 4.8 up
    expected = np.zeros_like(image)
    expected[:15, 2:] = image[5:, :18]
    np.testing.assert_array_equal(moved, expected)


def test_shift_keeps_its_length_in_any_direction():
    image = np.zeros((200, 200, 3), np.uint8)
    image[100, 100] = 255
    directions = set()
    for seed in range(8):
        moved = BY_NAME["shift"].apply(image, 0.1, np.random.default_rng(seed))
        ((y, x),) = np.argwhere(moved[..., 0])
        assert math.hypot(x - 100, y - 100) == pytest.approx(20, abs=1)
        directions.add((bool(x > 100), bool(y > 100)))
    assert len(directions) > 2


def test_blur_is_a_gaussian_scaled_with_the_crop():
    image = noise(56)
    sigma = 4.0 * 56 / 224
    reach = 5
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(image.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    rows = sum(w * padded[k : k + 56] for k, w in enumerate(weights))
    plain = sum(w * rows[:, k : k + 56] for k, w in enumerate(weights))
    assert np.abs(corruptions.blur(image, 4.0) - plain).max() < 2.5
    assert np.abs(corruptions.blur(image, 4.0) - plain).mean() < 0.6


def test_jpeg_is_what_another_encoder_of_that_quality_gives():
    image = smooth(64, 48)
    for quality in (95, 50, 15):
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR]
        _, encoded = cv2.imencode(".jpg", image[..., ::-1], [*options, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])
        other = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
        assert np.abs(corruptions.jpeg(image, float(quality)) - other).max() <= 3


def test_lower_jpeg_quality_loses_more():
    image = noise(64).astype(int)
    losses = [
        np.abs(corruptions.jpeg(image.astype(np.uint8), float(quality)) - image).mean() for quality in (95, 75, 50, 15)
    ]
    assert losses == sorted(losses) and losses[0] > 0


def plain_brighter(level: int, factor: float) -> int:
    share = level / 255
    light = share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
    light = min(1.0, factor * light)
    return round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("factor", [0.25, 0.71, 2.0, 4.0])
def test_brightness_multiplies_linear_light(factor: float):
    image = np.arange(255, -1, -1, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    changed = corruptions.brighten(image, factor)
    assert changed.tolist() == [[[plain_brighter(v, factor) for v in pixel] for pixel in row] for row in image.tolist()]


def test_half_the_light_of_white_is_188():
    white = np.full((2, 2, 3), 255, np.uint8)
    assert corruptions.brighten(white, 0.5).max() == 188 and corruptions.brighten(white, 2.0).min() == 255


def test_resolution_averages_blocks_and_interpolates_back():
    image = noise(16)
    small = image.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3))
    centres = np.clip((np.arange(16) + 0.5) / 4 - 0.5, 0, 3)
    low = np.minimum(centres.astype(int), 2)
    part = (centres - low)[:, None, None]
    rows = small[low] * (1 - part) + small[low + 1] * part
    part = (centres - low)[None, :, None]
    plain = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    np.testing.assert_allclose(corruptions.coarsen(image, 4.0), plain, atol=1.5)


def test_resolution_never_adds_pixels():
    image = noise(24)
    np.testing.assert_array_equal(corruptions.coarsen(image, 28.0), image)


def test_names_choose_in_order_and_once():
    assert [c.name for c in chosen(["jpeg", "blur", "jpeg"])] == ["jpeg", "blur"]
    assert chosen([]) == list(CORRUPTIONS)
    with pytest.raises(ConfigError, match=r"corruption 'blurr' unknown.*did you mean 'blur'"):
        chosen(["margin", "blurr"])


def test_chance_depends_on_seed_and_sample_alone(make_domain, tmp_path: Path):
    make_domain(tmp_path, "M", px=64, test=range(3))
    index = read_index(tmp_path, "M")

    def image(row: int, *, level: float = 0.1, seed: int = 0, rows: np.ndarray | None = None) -> np.ndarray:
        part = index if rows is None else index.take(rows)
        return changed(Records(tmp_path, part), BY_NAME["shift"], level, seed=seed).image(row)

    first = image(5)
    np.testing.assert_array_equal(first, image(1, rows=np.array([2, 5, 7])))
    stored = Records(tmp_path, index).image(5)
    np.testing.assert_array_equal(image(5, level=0.0), stored)
    assert any(not np.array_equal(first, image(5, seed=seed)) for seed in (1, 2))

    def direction(level: float) -> float:
        moved = image(5, level=level)
        lit = np.argwhere(moved.any(axis=2))
        down = lit[:, 0].min() if lit[:, 0].min() else lit[:, 0].max() - 63
        right = lit[:, 1].min() if lit[:, 1].min() else lit[:, 1].max() - 63
        return math.degrees(math.atan2(down, right))

    assert direction(0.15) == pytest.approx(direction(0.1), abs=12), "the same way at every level, but for rounding"
