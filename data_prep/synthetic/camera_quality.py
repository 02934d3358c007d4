"""The quality of a camera as a measured fact: it films a test chart, and four numbers decide low, medium or high.

The chart, in daylight: a slanted edge of low contrast (ISO 12233), a flat grey for noise (ISO 15739), and red, green and
blue patches. All numbers are taken from the delivered pictures, so compression and sharpening count.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_prep.synthetic.camera import camera
from data_prep.synthetic.cameras import HIGH, LOW, MEDIUM, Camera
from data_prep.synthetic.geometry import to_linear, to_srgb

# Lowest value of a medium and of a high camera.
LIMITS = {"mtf50": (64.0, 76.0), "snr": (55.0, 70.0), "colour": (0.75, 1.3), "contrast": (1.03, 1.14)}
CHART_PX = (96, 168)
SHOTS = 8
DIM_LIGHT = 0.12  # of daylight: a lamp in the evening
_DARK, _BRIGHT, _GREY = 0.12, 0.3, 0.2
_SLANT_DEG = 5.0
_PAINTS = ((0.3, 0.14, 0.13), (0.14, 0.27, 0.13), (0.14, 0.15, 0.34))
# Windows y0 y1 x0 x1 of the chart in shares of its sides.
_GREY_WINDOW = (0.1, 0.9, 0.04, 0.28)
_EDGE_WINDOW = (0.1, 0.9, 0.4, 0.64)
_FLANKS = ((0.1, 0.9, 0.37, 0.44), (0.1, 0.9, 0.6, 0.67))
_PATCHES = ((0.06, 0.28, 0.8, 0.95), (0.39, 0.61, 0.8, 0.95), (0.72, 0.94, 0.8, 0.95))


@dataclass(frozen=True)
class Measured:
    """What a camera amounts to.

    mtf50: spatial frequency at half contrast, line pairs per 248 px of reference frame height; snr: mean over standard
    deviation of a grey patch of 20 % reflectance; colour and contrast: share of the chart's colour distance from grey and of
    its grey step that arrives in the picture (1 = as an sRGB rendering of the chart).
    """

    mtf50: float
    snr: float
    colour: float
    contrast: float


def measured_quality(model: Camera) -> int:
    """Returns the option index of CAMERA_QUALITIES that the camera's measured numbers earn.

    Each number is low, medium or high by `LIMITS`; the lower median of the four is the camera's quality.
    """
    numbers = measure(model)
    classes = sorted(_class(getattr(numbers, name), limits) for name, limits in LIMITS.items())
    return classes[(len(classes) - 1) // 2]


def measure(model: Camera) -> Measured:
    """Films the chart a few times and returns the mean of each number; the same model gives the same numbers."""
    chart = _chart(model.oversample)
    rng = np.random.default_rng(0)
    bright = [_read(camera(chart, model, rng)) for _ in range(SHOTS)]
    mtf50, colour, contrast = (float(value) for value in np.mean(bright, axis=0))
    dim = [_snr(camera(DIM_LIGHT * chart, model, rng)) for _ in range(SHOTS)]
    return Measured(mtf50 * model.resolution, float(np.mean(dim)), colour, contrast)


def _class(value: float, limits: tuple[float, float]) -> int:
    return (LOW, MEDIUM, HIGH)[sum(value >= limit for limit in limits)]


def _chart(oversample: int) -> Float[np.ndarray, "H W 3"]:
    height, width = (side * oversample for side in CHART_PX)
    chart = np.full((height, width, 3), _GREY, np.float32)
    y, x = np.indices((height, width), dtype=np.float32)
    distance = (x - 0.52 * width) - (y - height / 2) * np.float32(np.tan(np.deg2rad(_SLANT_DEG)))
    edge = _DARK + (_BRIGHT - _DARK) * np.clip(distance + 0.5, 0, 1)
    left, right = round(0.32 * width), round(0.72 * width)
    chart[:, left:right] = edge[:, left:right, None]
    for window, paint in zip(_PATCHES, _PAINTS, strict=True):
        _part(chart, window, grow=0.03)[:] = paint
    return chart


def _part(image: np.ndarray, window: tuple[float, ...], *, grow: float = 0.0) -> np.ndarray:
    (height, width), (y0, y1, x0, x1) = image.shape[:2], window
    rows = slice(round((y0 - grow) * height), round((y1 + grow) * height))
    return image[rows, round((x0 - grow) * width) : round((x1 + grow) * width)]


def _snr(frame: UInt8[np.ndarray, "h w 3"]) -> float:
    grey = cv2.cvtColor(_part(frame, _GREY_WINDOW), cv2.COLOR_RGB2GRAY).astype(np.float32)
    residue = grey - cv2.GaussianBlur(grey, (0, 0), 8)
    return float(grey.mean() / max(residue.std(), 0.3))


def _read(frame: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float, float]:
    colours = [_chroma(_part(frame, window)) for window in _PATCHES]
    dark, bright = (float(_part(frame, window).mean()) for window in _FLANKS)
    given = [float(np.ptp(_encoded(paint))) for paint in _PAINTS]
    step = float(_encoded((_BRIGHT,) * 3)[0] - _encoded((_DARK,) * 3)[0])
    return (
        _mtf50(_part(frame, _EDGE_WINDOW)) * 248,
        float(np.mean(colours) / np.mean(given)),
        (bright - dark) / step,
    )


def _encoded(linear: tuple[float, ...]) -> np.ndarray:
    return 255 * to_srgb(np.array([[linear]], np.float32))[0, 0]


def _chroma(patch: np.ndarray) -> float:
    return float(np.ptp(patch.reshape(-1, 3).mean(axis=0)))


def _mtf50(patch: UInt8[np.ndarray, "h w 3"]) -> float:
    """Returns the frequency (cycles per pixel across the edge) above which the contrast of a slanted edge is below half."""
    light = to_linear(patch)[..., 1]
    y, x = np.indices(light.shape)
    distance = (x - y * np.tan(np.deg2rad(_SLANT_DEG))) * np.cos(np.deg2rad(_SLANT_DEG))
    bins = np.round((distance - distance.min()) * 4).astype(int)
    spread = np.bincount(bins.ravel(), light.ravel()) / np.maximum(np.bincount(bins.ravel()), 1)
    line = np.diff(spread[8:-8])
    line = line * np.hanning(len(line))
    response = np.abs(np.fft.rfft(line, 512))
    response /= response[0]
    above = np.flatnonzero(response[:256] >= 0.5)
    return float(above[-1] * 4 / 512) if _is_connected(above) else float(np.argmax(response < 0.5) * 4 / 512)


def _is_connected(bins: np.ndarray) -> bool:
    return len(bins) == bins[-1] + 1
