"""The camera: one stage for bona fide presentations and attacks alike; it never learns what it films.

Order: lens blur and veiling glare, sensor area sampling, automatic exposure, colour mosaic, shot and read noise,
demosaicing, white balance, tone curve, sharpening, JPEG.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_prep.synthetic.devices import Camera
from data_prep.synthetic.geometry import to_srgb

MIN_GAIN, MAX_GAIN = 0.2, 8.0


def camera(radiance: Float[np.ndarray, "H W 3"], model: Camera, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Films linear radiance; the frame is smaller by `model.oversample`.

    The result depends on the three arguments alone, so a bona fide face and an attack with the same radiance give the
    same pixels.
    """
    light = _optics(radiance, model)
    exposed, gain = _expose(light, rng)
    electrons = model.full_well / gain
    if model.bayer:
        image = _demosaic(_noise(_mosaic(exposed), electrons, model, rng))
    else:
        image = _noise(exposed, 2 * electrons, model, rng)
    if model.denoise:
        image = cv2.GaussianBlur(image, (0, 0), model.denoise * (1 + 0.25 * np.log2(gain)))
    balanced = _white_balance(image, model, rng)
    encoded = _tone(balanced, model.contrast, model.saturation * float(rng.uniform(0.75, 1.15)))
    if model.sharpen:
        encoded = encoded + model.sharpen * (encoded - cv2.GaussianBlur(encoded, (0, 0), 1.0))
    frame = (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)
    return _jpeg(frame, int(rng.integers(model.jpeg - 12, min(model.jpeg + 5, 99))))


def _optics(radiance: np.ndarray, model: Camera) -> np.ndarray:
    step = model.oversample
    height, width = radiance.shape[0] // step, radiance.shape[1] // step
    blurred = cv2.GaussianBlur(radiance.astype(np.float32), (0, 0), model.psf * step)
    sensor = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.resize(sensor, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.1 * small.shape[1]), (width, height))
    return 0.93 * sensor + 0.07 * veil


def _expose(light: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    height, width = light.shape[:2]
    centre = light[height // 4 : -height // 4, width // 3 : -width // 3]
    metered = (0.4 * sum(cv2.mean(centre)) + 0.6 * sum(cv2.mean(light))) / 3
    wanted = 0.2 * 2.0 ** float(rng.normal(0.0, 0.25)) / max(metered, 1e-5)
    exposure = min(max(wanted, MIN_GAIN), MAX_GAIN)
    return light * np.float32(exposure), float(np.clip(exposure, 1.0, MAX_GAIN))


def _mosaic(image: np.ndarray) -> np.ndarray:
    raw = image[..., 1].copy()
    raw[0::2, 0::2] = image[0::2, 0::2, 0]
    raw[1::2, 1::2] = image[1::2, 1::2, 2]
    return raw


def _noise(signal: np.ndarray, electrons: float, model: Camera, rng: np.random.Generator) -> np.ndarray:
    variance = np.clip(signal, 0, None) / electrons + (model.read_noise / electrons) ** 2
    noisy = signal + np.sqrt(variance) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.clip(noisy, 0.0, 1.0).astype(np.float32)


def _demosaic(raw: np.ndarray) -> np.ndarray:
    code = (np.sqrt(raw) * 65535).astype(np.uint16)
    colour = cv2.cvtColor(code, cv2.COLOR_BayerRGGB2RGB).astype(np.float32) / 65535
    return colour * colour


def _white_balance(image: np.ndarray, model: Camera, rng: np.random.Generator) -> np.ndarray:
    mean = np.array(cv2.mean(image)[:3]) + 1e-4
    gains = (mean[1] / mean) ** model.wb_adapt
    tint = np.array([model.tint[0], 1.0, model.tint[1]]) * np.exp(rng.normal(0.0, 0.07, 3))
    return image * (gains * tint).astype(np.float32)


def _tone(image: np.ndarray, contrast: float, saturation: float) -> np.ndarray:
    mix = np.full((3, 3), (1 - saturation) / 3) + saturation * np.eye(3)
    encoded = to_srgb(cv2.transform(image, mix))
    curve = encoded * encoded * (3 - 2 * encoded)
    return encoded + np.float32(contrast) * (curve - encoded)


def _jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])
