"""The camera: one stage for bona fide presentations and attacks alike; it never learns what it films.

Order: lens (defocus disc, Gaussian blur, lateral colour, veiling glare, falloff), sensor area sampling, automatic
exposure, colour mosaic, shot and read noise, demosaicing, white balance, tone curve, sharpening, compression.

Video compression is that of a key frame: each frame is coded for itself in 8 x 8 blocks of luma and chroma at half the
resolution (4:2:0), with coarser steps than a photograph; nothing is predicted from other frames.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_prep.synthetic.cameras import JPEG, VIDEO, Camera
from data_prep.synthetic.geometry import gaussian, saturation_matrix, to_srgb

MIN_GAIN, MAX_GAIN = 0.2, 8.0
EXPOSURE_SPREAD_EV = 0.25
TINT_SPREAD = 0.07
SATURATION_RANGE = (0.75, 1.15)
COMPRESSION_SPREAD = (-12, 5)
_METERED_GREY = 0.2
_GLARE = 0.07
_SAMPLING = {
    JPEG: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    VIDEO: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}


@dataclass(frozen=True)
class Settings:
    """What the camera's automatics make of one video: exposure error in stops, white-balance error, colour, rate.

    tint [3] factors of red, green and blue; saturation a factor; compression added to the camera's.
    """

    exposure_ev: float
    tint: tuple[float, float, float]
    saturation: float
    compression: int


@dataclass(frozen=True)
class Shot:
    """A frame and the factor from radiance to the sensor's white that the exposure metering chose."""

    frame: UInt8[np.ndarray, "h w 3"]
    exposure: float


def camera(radiance: Float[np.ndarray, "H W 3"], model: Camera, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Films linear radiance; the frame is smaller by `model.oversample`.

    The result depends on the three arguments alone, so a bona fide face and an attack with the same radiance give the
    same pixels.
    """
    return film(radiance, model, draw_settings(rng), rng).frame


def draw_settings(rng: np.random.Generator) -> Settings:
    """Draws the settings that the frames of one video share."""
    red, green, blue = np.exp(rng.normal(0.0, TINT_SPREAD, 3)).tolist()
    low, high = COMPRESSION_SPREAD
    return Settings(
        exposure_ev=float(rng.normal(0.0, EXPOSURE_SPREAD_EV)),
        tint=(red, green, blue),
        saturation=float(rng.uniform(*SATURATION_RANGE)),
        compression=int(rng.integers(low, high)),
    )


def film(radiance: Float[np.ndarray, "H W 3"], model: Camera, settings: Settings, rng: np.random.Generator) -> Shot:
    """Films one frame of a video; `rng` draws its noise."""
    light = _optics(radiance, model)
    exposure = _metered_exposure(light, settings)
    exposed = light * np.float32(exposure)
    gain = float(np.clip(exposure, 1.0, MAX_GAIN))
    electrons = model.full_well / gain
    if model.bayer:
        image = _demosaic(_noise(_mosaic(exposed), electrons, model, rng))
    else:
        image = _noise(exposed, 2 * electrons, model, rng)
    if model.denoise:
        image = cv2.GaussianBlur(image, (0, 0), model.denoise * (1 + 0.25 * np.log2(gain)))
    encoded = _render(image, model, settings)
    if model.sharpen:
        soft = cv2.GaussianBlur(encoded, (0, 0), 1.0)
        encoded = cv2.addWeighted(encoded, 1 + model.sharpen, soft, -model.sharpen, 0)
    frame = (np.clip(encoded, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return Shot(_compress(frame, model.codec, min(model.compression + settings.compression, 99)), exposure)


def _optics(radiance: np.ndarray, model: Camera) -> np.ndarray:
    step = model.oversample
    height, width = radiance.shape[0] // step, radiance.shape[1] // step
    image = np.asarray(radiance, np.float32)
    if model.defocus:
        image = cv2.filter2D(image, -1, _disc(model.defocus * step))
    image = cv2.GaussianBlur(image, (0, 0), model.psf * step)
    sensor = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if step > 1 else image
    if model.fringe:
        sensor = _spread_colours(sensor, model.fringe)
    small = cv2.resize(sensor, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.1 * small.shape[1]), (width, height))
    mixed = cv2.addWeighted(sensor, 1 - _GLARE, veil, _GLARE, 0)
    return cv2.multiply(mixed, _falloff(height, width, model.falloff)) if model.falloff else mixed


@lru_cache(maxsize=32)
def _disc(radius: float) -> np.ndarray:
    """Returns the blur kernel of a uniform disc, its rim weighted by coverage."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    cover = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return (cover / cover.sum()).astype(np.float32)


def _spread_colours(image: np.ndarray, fringe: float) -> np.ndarray:
    """Magnifies red and shrinks blue about the centre, as a simple lens does."""
    height, width = image.shape[:2]
    red, green, blue = cv2.split(image)
    moved = []
    for plane, scale in ((red, 1 + fringe), (blue, 1 - fringe)):
        matrix = np.array([[scale, 0, (1 - scale) * width / 2], [0, scale, (1 - scale) * height / 2]])
        moved.append(cv2.warpAffine(plane, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))
    return cv2.merge([moved[0], green, moved[1]])


@lru_cache(maxsize=16)
def _falloff(height: int, width: int, loss: float) -> np.ndarray:
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
    plane = 1 - np.float32(loss / 2) * (x * x + y * y)
    return cv2.merge([plane, plane, plane])


def _metered_exposure(light: np.ndarray, settings: Settings) -> float:
    height, width = light.shape[:2]
    centre = light[height // 4 : -height // 4, width // 3 : -width // 3]
    metered = (0.4 * sum(cv2.mean(centre)) + 0.6 * sum(cv2.mean(light))) / 3
    wanted = _METERED_GREY * 2.0**settings.exposure_ev / max(metered, 1e-5)
    return float(min(max(wanted, MIN_GAIN), MAX_GAIN))


def _mosaic(image: np.ndarray) -> np.ndarray:
    raw = image[..., 1].copy()
    raw[0::2, 0::2] = image[0::2, 0::2, 0]
    raw[1::2, 1::2] = image[1::2, 1::2, 2]
    return raw


def _noise(signal: np.ndarray, electrons: float, model: Camera, rng: np.random.Generator) -> np.ndarray:
    flat = np.ascontiguousarray(signal).reshape(signal.shape[0], -1)
    draws = gaussian(rng, (flat.shape[0], flat.shape[1]))
    variance = cv2.addWeighted(flat, 1 / electrons, flat, 0, (model.read_noise / electrons) ** 2)
    noisy = cv2.add(flat, cv2.multiply(cv2.sqrt(np.maximum(variance, 0)), draws))
    return np.clip(noisy, 0, 1).reshape(signal.shape)


def _demosaic(raw: np.ndarray) -> np.ndarray:
    code = (cv2.sqrt(raw) * 65535).astype(np.uint16)
    colour = cv2.cvtColor(code, cv2.COLOR_BayerRGGB2RGB).astype(np.float32)
    return cv2.multiply(colour, colour, scale=1 / 65535**2)


def _render(image: np.ndarray, model: Camera, settings: Settings) -> np.ndarray:
    """Applies white balance, colour matrix and tone curve; returns encoded values, about 0..1."""
    mean = np.array(cv2.mean(image)[:3]) + 1e-4
    balance = (mean[1] / mean) ** model.wb_adapt * np.array(settings.tint) * (model.tint[0], 1.0, model.tint[1])
    mix = saturation_matrix(model.saturation * settings.saturation)
    encoded = to_srgb(cv2.transform(image, mix * balance))
    if not model.contrast:
        return encoded
    curve = cv2.multiply(cv2.multiply(encoded, encoded), cv2.addWeighted(encoded, -2, encoded, 0, 3))
    return cv2.addWeighted(encoded, 1 - model.contrast, curve, model.contrast, 0)


def _compress(frame: np.ndarray, codec: str, quality: int) -> np.ndarray:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[codec]]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    return cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
