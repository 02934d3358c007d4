"""Each operator against a plain statement of it, measured facts of the FLIP code, and the laws of the random draws."""

import colorsys
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flipjax.core.errors import ConfigError
from flipjax.data import transforms
from flipjax.data.transforms import (
    ColorJitter,
    EvalView,
    PlainView,
    RandomResizedCrop,
    SaturationJitter,
    SslView,
    TrainViews,
)


def colours(seed: int = 0, height: int = 40, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def luma(image: np.ndarray) -> np.ndarray:
    r, g, b = (image[..., i].astype(np.int64) for i in range(3))
    return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16


def blend(start: np.ndarray, end: np.ndarray, factor: float) -> np.ndarray:
    mixed = start.astype(np.float32) + np.float32(factor) * (end.astype(np.float32) - start.astype(np.float32))
    return np.clip(mixed, 0, 255).astype(np.uint8)


class Script(np.random.Generator):
    """A generator that hands out fixed numbers, so that one operator can be looked at alone."""

    def __init__(self, *, uniforms: list, permutation: list[int] | None = None, randoms: list[float] | None = None):
        super().__init__(np.random.PCG64(0))
        self.uniforms, self.order, self.randoms = list(uniforms), permutation, list(randoms or [])

    def uniform(self, low: float, high: float, size: int | None = None):
        value = self.uniforms.pop(0)
        assert np.all((low <= np.asarray(value)) & (np.asarray(value) <= high))
        return np.asarray(value) if size else value

    def permutation(self, count: int) -> list[int]:
        assert count == 4
        return self.order or []

    def random(self) -> float:
        return self.randoms.pop(0)


# --- saturation jitter


@pytest.mark.parametrize("overflow", ["clip", "wrap"])
def test_round_trip_lowers_a_quarter_of_random_colours_by_one(overflow):
    image = colours(1, 300, 300)
    out = SaturationJitter(overflow, probability=0.0)(image, np.random.default_rng(0))
    drop = image.astype(int) - out
    assert set(np.unique(drop)) == {0, 1}
    assert (drop == 1).mean() == pytest.approx(0.249, abs=0.01)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_grey_is_exact(factor):
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    out = SaturationJitter(probability=1.0)(grey, Script(randoms=[0.0], uniforms=[factor]))
    np.testing.assert_array_equal(out, grey)


@pytest.mark.parametrize(("factor", "share"), [(1.05, 0.030), (1.1, 0.059), (1.2, 0.110)])
def test_overflow_share_and_what_becomes_of_it(factor, share):
    image = colours(2, 300, 300)
    clip, wrap = (
        SaturationJitter(overflow, probability=1.0)(image, Script(randoms=[0.0], uniforms=[factor])).astype(int)
        for overflow in ("clip", "wrap")
    )
    changed = clip != wrap
    assert changed.mean() == pytest.approx(share, abs=0.005)
    assert (clip[changed] == 0).all()
    assert (wrap[changed] >= 256 - 52).all()


def test_saturation_is_what_is_multiplied():
    image = np.array([[[200, 100, 100], [50, 60, 150]]], np.uint8)
    out = SaturationJitter(probability=1.0)(image, Script(randoms=[0.0], uniforms=[0.8])).astype(int)
    for before, after in zip(image[0].astype(float), out[0], strict=True):
        top = before.max()
        np.testing.assert_allclose(after, top - 0.8 * (top - before), atol=1)


def test_jitter_strikes_half_of_the_time_within_its_range():
    image = np.array([[[200, 100, 100]]], np.uint8)
    lowest = [SaturationJitter()(image, np.random.default_rng(i))[0, 0, 1] for i in range(2000)]
    untouched = np.mean([value in (99, 100) for value in lowest])
    assert untouched == pytest.approx(0.5 + 0.5 * 2 / 41, abs=0.05)
    assert min(lowest) >= 79
    assert max(lowest) <= 120


def test_unknown_overflow_is_a_config_error():
    with pytest.raises(ConfigError, match="'clip' or 'wrap'"):
        SaturationJitter("saturate")


# --- resize and flip


def test_resize_is_nothing_where_the_size_fits_and_bicubic_elsewhere():
    image = colours(3)
    assert EvalView(40)(image) is image
    ramp = np.repeat(np.arange(0, 160, 4, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(30, axis=0)
    out = transforms.eval_view(ramp, size=80, augment="flip")
    assert out.shape == (80, 80, 3)
    inner = np.arange(80)[10:-10]
    np.testing.assert_allclose(out[40, 10:-10, 0], 4 * ((inner + 0.5) / 2 - 0.5), atol=1)


def test_flip_mirrors_half_of_the_time():
    image = colours(4, 2, 6)
    np.testing.assert_array_equal(PlainView(1.0)(image, np.random.default_rng(0)), image[:, ::-1])
    kept = [np.array_equal(PlainView()(image, np.random.default_rng(i)), image) for i in range(1000)]
    assert np.mean(kept) == pytest.approx(0.5, abs=0.05)


# --- random resized crop


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.integers(0, 2**32 - 1))
def test_crop_lies_inside_with_area_and_ratio_in_range(width, height, seed):
    left, top, w, h = RandomResizedCrop(32).box(width, height, np.random.default_rng(seed))
    assert left >= 0
    assert top >= 0
    assert left + w <= width
    assert top + h <= height
    ratio_low, ratio_high = (w - 1) / (h + 1), (w + 1) / (h - 1 or 0.5)
    assert ratio_low <= 4 / 3
    assert ratio_high >= 3 / 4
    if max(width, height) <= 3 * min(width, height):
        assert (w + 1) * (h + 1) >= 0.08 * width * height


def test_crop_areas_and_ratios_follow_the_accepted_draws():
    rng = np.random.default_rng(0)
    boxes = np.array([RandomResizedCrop(32).box(224, 224, rng) for _ in range(6000)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / 224**2, np.log(boxes[:, 2] / boxes[:, 3])
    plain = np.random.default_rng(1)
    areas, ratios = plain.uniform(0.08, 1, 60000), plain.uniform(np.log(3 / 4), np.log(4 / 3), 60000)
    fits = areas * np.exp(np.abs(ratios)) <= 1
    assert area.mean() == pytest.approx(areas[fits].mean(), abs=0.01)
    assert np.quantile(area, 0.1) == pytest.approx(np.quantile(areas[fits], 0.1), abs=0.02)
    assert ratio.mean() == pytest.approx(0, abs=0.01)
    assert ratio.std() == pytest.approx(ratios[fits].std(), abs=0.01)
    centre = (boxes[:, 0] + boxes[:, 2] / 2).mean()
    assert centre == pytest.approx(112, abs=1.5)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 20), (36, 0, 27, 20)), ((20, 100), (0, 36, 20, 27)), ((40, 36), (0, 0, 40, 36))],
)
def test_crop_falls_back_to_the_allowed_centre(size, expected):
    crop = RandomResizedCrop(8, area=(4.0, 5.0))
    assert crop.box(*size, np.random.default_rng(0)) == expected


def test_crop_is_resized_bilinearly():
    image = colours(5)
    seeds = (np.random.default_rng(7) for _ in range(2))
    left, top, w, h = RandomResizedCrop(64).box(40, 40, next(seeds))
    out = np.asarray(RandomResizedCrop(64)(Image.fromarray(image), next(seeds)))
    plain = cv2.resize(
        image[top : top + h, left : left + w].astype(np.float32), (64, 64), interpolation=cv2.INTER_LINEAR
    )
    assert np.abs(out - plain).max() <= 1.01


# --- colour jitter


def jittered(image: np.ndarray, operator: int, factor: float) -> np.ndarray:
    """Applies one of brightness, contrast, saturation, hue with the other three neutral."""
    factors = [1.0, 1.0, 1.0]
    turns = 0.0
    if operator < 3:
        factors[operator] = factor
    else:
        turns = factor
    rng = Script(uniforms=[factors, turns], permutation=[operator])
    return np.asarray(ColorJitter()(Image.fromarray(image), rng))


@pytest.mark.parametrize("factor", [0.6, 0.83, 1.0, 1.37])
def test_brightness_contrast_and_saturation_are_blends(factor):
    image = colours(6)
    flat = np.full_like(image, int(luma(image).mean() + 0.5))
    grey = np.repeat(luma(image)[..., None], 3, axis=2).astype(np.uint8)
    for operator, start in enumerate((np.zeros_like(image), flat, grey)):
        np.testing.assert_array_equal(jittered(image, operator, factor), blend(start, image, factor))


@pytest.mark.parametrize("turns", [-0.1, -0.031, 0.0, 0.05, 0.1])
def test_hue_moves_by_whole_eight_bit_steps(turns):
    image = colours(7, 8, 8)
    out = jittered(image, 3, turns)
    for before, after in zip(image.reshape(-1, 3), out.reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(before / 255))
        moved = (int(h * 255) + int(255 * turns)) % 256
        plain = np.array(colorsys.hsv_to_rgb(moved / 255, int(s * 255) / 255, v)) * 255
        np.testing.assert_allclose(after, plain, atol=1.01)


def test_jitter_draws_lie_in_range_and_every_order_occurs():
    class Recorder(np.random.Generator):
        def __init__(self, seed):
            super().__init__(np.random.PCG64(seed))
            self.seen = []

        def uniform(self, low, high, size=None):
            self.seen.append((low, high, size))
            return super().uniform(low, high, size)

        def permutation(self, count):
            self.order = tuple(super().permutation(count))
            return self.order

    image, orders = Image.fromarray(colours(8, 4, 4)), set()
    for seed in range(300):
        recorder = Recorder(seed)
        ColorJitter()(image, recorder)
        assert recorder.seen == [(0.6, 1.4, 3), (-0.1, 0.1, None)]
        orders.add(recorder.order)
    assert len(orders) == 24


# --- the whole self-supervised view


def box_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Three passes per axis of the extended box whose variance is sigma**2 in all, in floats, edges repeated."""
    whole = math.floor((math.sqrt(4 * sigma**2 + 1) - 1) / 2)
    part = (2 * whole + 1) * (whole * (whole + 1) - sigma**2) / (6 * (sigma**2 / 3 - (whole + 1) ** 2))
    kernel = np.array([part, *[1.0] * (2 * whole + 1), part])
    kernel /= kernel.sum()
    out = image.astype(np.float64)
    for axis in (0, 1):
        for _ in range(3):
            pad = [(0, 0)] * 3
            pad[axis] = (whole + 1, whole + 1)
            padded = np.pad(out, pad, mode="edge")
            out = sum(w * np.take(padded, range(i, i + out.shape[axis]), axis=axis) for i, w in enumerate(kernel))
    return out


def replay(seed: int, image: np.ndarray, size: int) -> tuple[np.ndarray, np.random.Generator]:
    """The crop that SslView(size) starts from, and the generator behind it."""
    rng = np.random.default_rng(seed)
    return np.asarray(RandomResizedCrop(size)(Image.fromarray(image), rng)), rng


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.3, 2.0])
def test_blur_is_the_extended_box(sigma):
    view = SslView(48, jitter_probability=0.0, grey_probability=0.0, blur_probability=1.0, sigma=(sigma, sigma))
    image = colours(9, 48, 48)
    crop, rng = replay(3, image, 48)
    rng.random(3)
    rng.uniform()
    plain = box_blur(crop, sigma)
    plain = plain[:, ::-1] if rng.random() < 0.5 else plain
    out = view(image, np.random.default_rng(3))
    assert np.abs(out - plain).max() <= 4
    assert np.abs(out - plain).mean() <= 1.0


def test_without_jitter_grey_and_blur_a_view_is_a_flipped_crop():
    view = SslView(32, jitter_probability=0.0, grey_probability=0.0, blur_probability=0.0)
    image, flips = colours(10), 0
    for seed in range(200):
        crop, _ = replay(seed, image, 32)
        out = view(image, np.random.default_rng(seed))
        flipped = np.array_equal(out, crop[:, ::-1])
        assert flipped or np.array_equal(out, crop)
        flips += flipped
    assert flips == pytest.approx(100, abs=25)


def test_grey_is_luma_and_strikes_a_fifth_of_the_time():
    image = colours(11, 16, 16)
    always = SslView(16, jitter_probability=0.0, grey_probability=1.0, blur_probability=0.0)
    crop, _ = replay(0, image, 16)
    out = always(image, np.random.default_rng(0))
    grey = np.repeat(luma(crop)[..., None], 3, axis=2)
    assert np.array_equal(out, grey) or np.array_equal(out, grey[:, ::-1])
    usual = SslView(16)
    share = np.mean([np.ptp(usual(image, np.random.default_rng(i)), axis=2).max() == 0 for i in range(1500)])
    assert share == pytest.approx(0.2, abs=0.04)


def test_jitter_and_blur_strike_as_often_as_they_should():
    image = colours(12, 16, 16)
    for field, probability in (("jitter_probability", 0.8), ("blur_probability", 0.5)):
        others = {"jitter_probability": 0.0, "grey_probability": 0.0, "blur_probability": 0.0}
        others[field] = probability
        view, struck = SslView(16, **others, sigma=(2.0, 2.0)), 0
        assert getattr(SslView(16), field) == probability
        for seed in range(1000):
            crop, _ = replay(seed, image, 16)
            out = view(image, np.random.default_rng(seed))
            struck += not (np.array_equal(out, crop) or np.array_equal(out, crop[:, ::-1]))
        assert struck / 1000 == pytest.approx(probability, abs=0.05)


# --- composition


def test_views_share_one_front_end_and_the_plain_one_ignores_ssl():
    image = colours(13, 50, 40)
    for seed in range(20):
        with_ssl = TrainViews(32, "flip", ssl=True)(image, np.random.default_rng(seed))
        without = TrainViews(32, "flip")(image, np.random.default_rng(seed))
        assert set(without) == {"image"}
        np.testing.assert_array_equal(with_ssl["image"], without["image"])
        assert with_ssl["ssl_views"].shape == (2, 32, 32, 3)
        assert with_ssl["ssl_views"].dtype == with_ssl["image"].dtype == np.uint8
        assert not np.array_equal(*with_ssl["ssl_views"])
        rng = np.random.default_rng(seed)
        front = EvalView(32)(SaturationJitter()(image, rng))
        plain = PlainView()(front, rng)
        np.testing.assert_array_equal(with_ssl["image"], plain)
        np.testing.assert_array_equal(with_ssl["ssl_views"][0], SslView(32)(front, rng))
        np.testing.assert_array_equal(with_ssl["ssl_views"][1], SslView(32)(front, rng))


def test_without_augmentation_training_sees_what_evaluation_sees():
    image = colours(17, 50, 40)
    seen = EvalView(32, "none")(image)
    np.testing.assert_array_equal(seen, EvalView(32, "flip")(image))
    for seed in range(4):
        views = TrainViews(32, "none", ssl=True)(image, np.random.default_rng(seed))
        np.testing.assert_array_equal(views["image"], seen)
        np.testing.assert_array_equal(views["ssl_views"][0], SslView(32)(seen, np.random.default_rng(seed)))


def test_the_overflow_rule_reaches_the_views():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0], red[..., 1] = 255, 3
    wrapped = [
        TrainViews(32, "flip", "wrap")(red, np.random.default_rng(i))["image"].max(axis=(0, 1)) for i in range(60)
    ]
    clipped = [TrainViews(32, "flip")(red, np.random.default_rng(i))["image"].max(axis=(0, 1)) for i in range(60)]
    assert max(value[2] for value in wrapped) > 200
    assert max(value[2] for value in clipped) < 60
