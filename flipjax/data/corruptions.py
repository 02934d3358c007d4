"""Changes of a stored crop by one stated amount, to ask how far a score depends on them.

Each is what a camera, a codec or another face detector might have done: margin, shift, rotation, blur, JPEG quality,
brightness, resolution. uint8 crop in, uint8 crop of the same size out, before the resize of `transforms.EvalView`. At the
neutral level the crop comes back as it is, bit for bit.

A crop is all that a record stores. Where a change would show what lay outside it, black appears, as `align` puts it outside
the picture; a crop cut anew from the photograph would show the room there. Margin and rotation turn about the point where
`align` puts the eye midpoint, which means little for crops that were cut without a face (detector "none", "box").
"""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from flipjax.core.errors import check_choice
from flipjax.core.rng import host_stream
from flipjax.data import align
from flipjax.data.source import Records

BLUR_REFERENCE_PX = 224

Level = float | None
Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One way to change a crop, at several levels from one end of its range to the other.

    `unit` goes with a level in text, `axis` names the scale. `levels` holds the neutral one; None stands for the crop as
    stored where no number means that. `change` gets a crop, a level that is not neutral, and a generator that starts
    alike at every level of a sample.
    """

    name: str
    meaning: str
    unit: str
    axis: str
    neutral: Level
    levels: tuple[Level, ...]
    change: Change

    def apply(
        self, image: UInt8[np.ndarray, "h w 3"], level: Level, rng: np.random.Generator
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Returns the crop changed to `level`; the crop itself where that is the neutral one."""
        return image if level is None or level == self.neutral else self.change(image, level, rng)


def changed(records: Records, corruption: Corruption, level: Level, *, seed: int) -> Records:
    """Returns the records with their images changed; what chance decides depends on (seed, sample_id) alone."""

    def change(image: np.ndarray, sample_id: str) -> np.ndarray:
        rng = host_stream("corruption", seed, zlib.crc32(sample_id.encode()))
        return corruption.apply(image, level, rng)

    return replace(records, change=change)


def zoom(image: UInt8[np.ndarray, "h w 3"], margin: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop as if cut `margin` times as wide and high about the eye midpoint; above 1 a black frame appears."""
    return _turned(image, 1 / margin, 0.0)


def rotate(image: UInt8[np.ndarray, "h w 3"], degrees: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop turned about the eye midpoint, clockwise as seen where `degrees` is positive; corners turn black."""
    return _turned(image, 1.0, degrees)


def shift(image: UInt8[np.ndarray, "h w 3"], right: float, down: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop with its content moved by these shares of its width and height; black comes in behind it.

    The move is rounded to whole pixels, so that nothing is smoothed.
    """
    height, width = image.shape[:2]
    matrix = np.array([[1.0, 0.0, round(right * width)], [0.0, 1.0, round(down * height)]])
    return align.warp(image, matrix, width, height)


def blur(image: UInt8[np.ndarray, "h w 3"], sigma: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop under a Gaussian of `sigma` pixels of a crop 224 wide, mirrored at the border."""
    pixels = sigma * image.shape[1] / BLUR_REFERENCE_PX
    return np.asarray(cv2.GaussianBlur(image, (0, 0), pixels), np.uint8)


def jpeg(image: UInt8[np.ndarray, "h w 3"], quality: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop after one JPEG compression: libjpeg's quality 1 to 100, colour at half resolution (4:2:0)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(quality), subsampling="4:2:0")
    return np.asarray(Image.open(buffer))


def brighten(image: UInt8[np.ndarray, "h w 3"], factor: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop as if exposed `factor` times as long: linear light is multiplied and clipped.

    Linear light is that of the sRGB curve (IEC 61966-2-1); what the camera's own curve was is not known.
    """
    encoded = np.arange(256) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = np.minimum(light * factor, 1.0)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)[image]


def coarsen(image: UInt8[np.ndarray, "h w 3"], px: float) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop after an area average down to `px` pixels a side and a bilinear resize back.

    A crop with no side above `px` comes back as it is.
    """
    height, width = image.shape[:2]
    small = (min(width, int(px)), min(height, int(px)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _fixed(change: Callable[[np.ndarray, float], np.ndarray]) -> Change:
    """A change that leaves nothing to chance."""
    return lambda image, level, _: change(image, level)


def _shift_anywhere(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return shift(image, share * float(np.cos(angle)), share * float(np.sin(angle)))


def _turned(image: np.ndarray, scale: float, degrees: float) -> np.ndarray:
    height, width = image.shape[:2]
    centre = np.array([align.EYE_MIDPOINT[0] * width, align.EYE_MIDPOINT[1] * height])
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    rotation = np.array([[cos, -sin], [sin, cos]])
    matrix = np.concatenate([rotation, (centre - rotation @ centre)[:, None]], axis=1)
    return align.warp(image, matrix, width, height)


CORRUPTIONS = (
    Corruption(
        name="margin",
        meaning="Room around the face; beyond the stored crop is black.",
        unit="×",
        axis="width of the crop, times that stored",
        neutral=1.0,
        levels=(0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4),
        change=_fixed(zoom),
    ),
    Corruption(
        name="shift",
        meaning="Content moved, each frame in a direction of its own; black comes in behind it.",
        unit="of the side",
        axis="share of the side",
        neutral=0.0,
        levels=(0.0, 0.025, 0.05, 0.1, 0.15),
        change=_shift_anywhere,
    ),
    Corruption(
        name="rotation",
        meaning="Turned clockwise about the eyes; corners turn black.",
        unit="°",
        axis="degrees clockwise",
        neutral=0.0,
        levels=(-20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0),
        change=_fixed(rotate),
    ),
    Corruption(
        name="blur",
        meaning="Gaussian; sigma is scaled with the crop.",
        unit="px",
        axis="sigma, px of a crop 224 wide",
        neutral=0.0,
        levels=(0.0, 0.5, 1.0, 2.0, 3.0, 4.0),
        change=_fixed(blur),
    ),
    Corruption(
        name="jpeg",
        meaning="Compressed once more, after whatever the stored crop went through.",
        unit="quality",
        axis="quality",
        neutral=None,
        levels=(None, 95.0, 75.0, 50.0, 30.0, 15.0),
        change=_fixed(jpeg),
    ),
    Corruption(
        name="brightness",
        meaning="Exposure: linear light multiplied, then clipped.",
        unit="×",
        axis="light, times that stored",
        neutral=1.0,
        levels=(0.25, 0.5, 0.71, 1.0, 1.41, 2.0, 4.0),
        change=_fixed(brighten),
    ),
    Corruption(
        name="resolution",
        meaning="Averaged down to so many pixels a side and resized back; no change where the crop has no more.",
        unit="px",
        axis="px a side",
        neutral=None,
        levels=(None, 160.0, 112.0, 80.0, 56.0, 40.0, 28.0),
        change=_fixed(coarsen),
    ),
)


def chosen(names: Sequence[str]) -> list[Corruption]:
    """Returns the corruptions of these names, in the order given and each once; no name at all means every one.

    Raises:
      ConfigError: a name that is none of them.
    """
    known = {corruption.name: corruption for corruption in CORRUPTIONS}
    for name in names:
        check_choice("corruption", name, tuple(known))
    return [known[name] for name in dict.fromkeys(names or known)]
