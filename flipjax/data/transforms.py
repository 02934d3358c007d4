"""Image views of FLIP and InstructFLIP: uint8 crop in, uint8 views out; the device normalises.

Under "flip" every view of one sample starts from the same front end (saturation jitter through HSV, then bicubic
resize). Under "instruct_flip" there is none: the crop is resized bilinearly, flipped and jittered in brightness,
contrast and saturation, and self-supervised views are cut from the crop as it is. Under "none" training sees what
evaluation sees, the crop resized bicubically; self-supervised views stay random. The operators are Pillow's 8-bit ones,
each rounding to uint8, in the order of the published code. Difference from the FLIP code: saturation above 1 is clipped
to the 8-bit range by default; "wrap" reproduces the overflow of its uint8 cast on x86.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageEnhance, ImageFilter

from flipjax.core.errors import ConfigError, suggest

AUGMENTS = ("flip", "instruct_flip", "none")
OVERFLOWS = ("clip", "wrap")
_RESIZE = {
    "flip": Image.Resampling.BICUBIC,
    "instruct_flip": Image.Resampling.BILINEAR,
    "none": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class SaturationJitter:
    """With probability 1/2 multiplies HSV saturation by U(0.8, 1.2); the HSV round trip truncates in either case.

    Untouched saturation is not the identity: float error of the round trip, then truncation, lowers a quarter of the
    channel values of uniform random colours by one level. Grey pixels are exact.
    """

    overflow: str = "clip"
    probability: float = 0.5
    low: float = 0.8
    high: float = 1.2

    def __post_init__(self) -> None:
        if self.overflow not in OVERFLOWS:
            known = " or ".join(f"'{name}'" for name in OVERFLOWS)
            raise ConfigError(
                f"overflow '{self.overflow}' unknown; expected {known}{suggest(self.overflow, OVERFLOWS)}"
            )

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        hsv = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2HSV)
        if rng.random() < self.probability:
            hsv[..., 1] *= rng.uniform(self.low, self.high)
        return self._to_uint8(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))

    def _to_uint8(self, rgb: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        whole = rgb.astype(np.int32)
        return (np.clip(whole, 0, 255) if self.overflow == "clip" else whole % 256).astype(np.uint8)


@dataclass(frozen=True)
class PlainView:
    """Horizontal flip with probability 1/2; the view of the classification loss."""

    probability: float = 0.5

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        return image[:, ::-1] if rng.random() < self.probability else image


@dataclass(frozen=True)
class EvalView:
    """Resize to size x size without keeping the aspect ratio; nothing at all where the size fits already.

    `augment` "flip" and "none" resize bicubically, "instruct_flip" bilinearly.
    """

    size: int
    augment: str = "flip"

    def __post_init__(self) -> None:
        if self.augment not in AUGMENTS:
            known = ", ".join(AUGMENTS)
            hint = suggest(self.augment, AUGMENTS)
            raise ConfigError(f"augment '{self.augment}' unknown; expected one of {known}{hint}")

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator | None = None) -> np.ndarray:
        if image.shape[:2] == (self.size, self.size):
            return image
        return np.asarray(Image.fromarray(image).resize((self.size, self.size), _RESIZE[self.augment]))


@dataclass(frozen=True)
class RandomResizedCrop:
    """A crop of area share U(0.08, 1) and log-uniform aspect ratio in [3/4, 4/3], resized bilinearly to size x size.

    After ten crops that do not fit: the largest central crop whose ratio is allowed.
    """

    size: int
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    tries: int = 10

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        left, top, width, height = self.box(image.width, image.height, rng)
        crop = image.crop((left, top, left + width, top + height))
        return crop.resize((self.size, self.size), Image.Resampling.BILINEAR)

    def box(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Returns left, top, width and height of a random crop of a width x height image, in pixels."""
        for _ in range(self.tries):
            area = width * height * rng.uniform(*self.area)
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
        w = min(width, round(height * self.ratio[1]))
        h = min(height, round(width / self.ratio[0]))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast and saturation factors U(1 - strength, 1 + strength) and hue U(-hue, hue) turns, in random order.

    Hue 0 leaves the colours alone, without the rounding of a round trip through HSV.
    """

    strength: float = 0.4
    hue: float = 0.1

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        factors = rng.uniform(1 - self.strength, 1 + self.strength, 3)
        turns = rng.uniform(-self.hue, self.hue)
        for operator in rng.permutation(4):
            if operator == 3:
                image = shift_hue(image, turns) if self.hue else image
            else:
                enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[operator]
                image = enhance(image).enhance(factors[operator])
        return image


LIGHT_JITTER = ColorJitter(strength=0.2, hue=0.0)  # of InstructFLIP's training view


@dataclass(frozen=True)
class SslView:
    """The self-supervised view: crop, colour jitter (p 0.8), grey (p 0.2), blur of sigma U(0.1, 2) (p 0.5), flip."""

    size: int
    jitter_probability: float = 0.8
    grey_probability: float = 0.2
    blur_probability: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        view = RandomResizedCrop(self.size)(Image.fromarray(image), rng)
        if rng.random() < self.jitter_probability:
            view = ColorJitter()(view, rng)
        if rng.random() < self.grey_probability:
            view = view.convert("L").convert("RGB")
        if rng.random() < self.blur_probability:
            view = view.filter(ImageFilter.GaussianBlur(rng.uniform(*self.sigma)))
        return PlainView()(np.asarray(view), rng)


@dataclass(frozen=True)
class TrainViews:
    """`image` uint8 [size size 3] and, where `ssl`, `ssl_views` uint8 [2 size size 3] of one crop.

    `image` is the same with and without `ssl`. `augment` is one of AUGMENTS; `overflow` concerns "flip" alone.
    """

    size: int
    augment: str
    overflow: str = "clip"
    ssl: bool = False

    def __post_init__(self) -> None:
        EvalView(self.size, self.augment)
        SaturationJitter(self.overflow)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> dict[str, np.ndarray]:
        resize = EvalView(self.size, self.augment)
        if self.augment == "flip":
            image = resize(SaturationJitter(self.overflow)(image, rng))
            views = {"image": PlainView()(image, rng)}
        elif self.augment == "none":
            image = resize(image)
            views = {"image": image}
        else:
            flipped = Image.fromarray(PlainView()(resize(image), rng))
            views = {"image": np.asarray(LIGHT_JITTER(flipped, rng))}
        if self.ssl:
            views["ssl_views"] = np.stack([SslView(self.size)(image, rng) for _ in range(2)])
        return views


def shift_hue(image: Image.Image, turns: float) -> Image.Image:
    """Returns the image with its 8-bit hue channel moved by trunc(255 * turns), modulo 256."""
    hue, saturation, value = image.convert("HSV").split()
    steps = math.trunc(255 * turns)
    moved = hue.point([(level + steps) % 256 for level in range(256)])
    return Image.merge("HSV", (moved, saturation, value)).convert("RGB")


def eval_view(image: UInt8[np.ndarray, "h w 3"], *, size: int, augment: str) -> UInt8[np.ndarray, "size size 3"]:
    """Returns the crop resized to size x size as `augment` does; evaluation and pictures see nothing else."""
    return EvalView(size, augment)(image)
