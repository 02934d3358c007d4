"""InstructFLIP's training and evaluation views: no front end, light colour jitter, bilinear resize, crops for the SSL views."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from flipjax.core.errors import ConfigError
from flipjax.data import transforms
from flipjax.data.transforms import ColorJitter, EvalView, SslView, TrainViews

ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def colours(seed: int = 0, height: int = 40, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


class Script(np.random.Generator):
    """A generator that hands out a fixed flip, fixed factors and a fixed order, and notes the ranges asked for."""

    def __init__(self, *, flips: bool, factors: list[float], order: list[int]):
        super().__init__(np.random.PCG64(0))
        self.flips, self.factors, self.order = flips, factors, order
        self.asked: list[tuple[float, float]] = []

    def random(self) -> float:
        return 0.0 if self.flips else 0.99

    def uniform(self, low: float, high: float, size: int | None = None):
        self.asked.append((low, high))
        return np.array(self.factors) if size else 0.0

    def permutation(self, count: int) -> list[int]:
        assert count == 4
        return self.order


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 3, 1, 0], [1, 0, 3, 2]])
@pytest.mark.parametrize("flips", [False, True])
def test_the_view_is_a_flip_and_three_blends_in_the_drawn_order(flips, order):
    image, factors = colours(1), [0.83, 1.2, 1.07]
    rng = Script(flips=flips, factors=factors, order=order)
    expected = Image.fromarray(image[:, ::-1] if flips else image)
    for operator in order:
        if operator < 3:
            expected = ENHANCERS[operator](expected).enhance(factors[operator])
    np.testing.assert_array_equal(TrainViews(40, "instruct_flip")(image, rng)["image"], np.asarray(expected))
    assert np.allclose(rng.asked[0], (0.8, 1.2))


def test_neutral_factors_change_nothing_so_there_is_no_round_trip_through_hsv():
    image = colours(2, 100, 100)
    neutral = Script(flips=False, factors=[1.0, 1.0, 1.0], order=[3, 0, 1, 2])
    np.testing.assert_array_equal(TrainViews(100, "instruct_flip")(image, neutral)["image"], image)
    again = Script(flips=False, factors=[1.0, 1.0, 1.0], order=[3, 0, 1, 2])
    with_hue = np.asarray(ColorJitter(0.2, hue=0.1)(Image.fromarray(image), again))
    assert (with_hue != image).any(), "an eight-bit round trip is seen by this test"


def test_flips_and_brightness_are_drawn_in_their_ranges():
    image = np.full((2, 4, 3), 100, np.uint8)
    image[:, 0] = 0
    views = [TrainViews(4, "instruct_flip")(image, np.random.default_rng(i))["image"] for i in range(600)]
    flipped = [int(view[0, 0].sum()) > int(view[0, -1].sum()) for view in views]
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.06)
    grey = np.full((4, 4, 3), 100, np.uint8)
    levels = [TrainViews(4, "instruct_flip")(grey, np.random.default_rng(i))["image"].max() for i in range(600)]
    assert 79 <= min(levels) <= 82
    assert 118 <= max(levels) <= 120


def test_resize_is_bilinear_in_training_and_evaluation_and_nothing_where_the_size_fits():
    image = colours(3, 30, 20)
    plain = cv2.resize(image.astype(np.float32), (80, 80), interpolation=cv2.INTER_LINEAR)
    neutral = Script(flips=False, factors=[1.0, 1.0, 1.0], order=[0, 1, 2, 3])
    seen = transforms.eval_view(image, size=80, augment="instruct_flip")
    assert np.abs(seen - plain).max() <= 1.01
    np.testing.assert_array_equal(TrainViews(80, "instruct_flip")(image, neutral)["image"], seen)
    assert not np.array_equal(seen, transforms.eval_view(image, size=80, augment="flip"))
    assert EvalView(40, "instruct_flip")(colours(3)).shape == (40, 40, 3)
    square = colours(4)
    assert EvalView(40, "instruct_flip")(square) is square


def test_ssl_views_are_cut_from_the_crop_as_it_is_and_leave_the_plain_view_alone():
    image = colours(5, 60, 50)
    for seed in range(10):
        views = TrainViews(32, "instruct_flip", ssl=True)(image, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        alone = TrainViews(32, "instruct_flip")(image, rng)
        assert alone.keys() == {"image"}
        np.testing.assert_array_equal(views["image"], alone["image"])
        expected = [SslView(32)(image, rng) for _ in range(2)]
        np.testing.assert_array_equal(views["ssl_views"], np.stack(expected))
        assert views["image"].dtype == views["ssl_views"].dtype == np.uint8


@pytest.mark.parametrize("make", [lambda name: EvalView(8, name), lambda name: TrainViews(8, name)])
def test_unknown_augmentation_is_a_config_error(make):
    with pytest.raises(ConfigError, match="flip, instruct_flip, none; did you mean 'instruct_flip'"):
        make("instruct_flp")
