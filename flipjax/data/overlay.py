"""Heat maps as colour on a face crop, for relevance, attention and cue pictures."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# At this opacity the hottest pixel on black is brighter than the coldest on white.
OPACITY = 0.6
JPEG_QUALITY = 88


def overlay(image: UInt8[np.ndarray, "h w 3"], heat: Float[np.ndarray, "gh gw"]) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop in grey under `heat` in cividis: dark blue is 0, yellow 1, and brighter is always hotter.

    Cividis looks nearly the same with and without a colour vision deficiency and rises evenly in brightness, so that the
    picture can be read without colour. The scale is fixed: the same value has the same colour in every picture, whatever
    else a map holds.

    Args:
      image: RGB crop.
      heat: one value per patch in [0, 1], enlarged bilinearly; values outside are clipped, NaN counts as 0.

    Source: Nunez, Anderton and Renslow, PLOS ONE 13(7), 2018 (cividis); OpenCV's table of it.
    """
    height, width = image.shape[:2]
    values = np.clip(np.nan_to_num(heat.astype(np.float32), nan=0.0), 0.0, 1.0)
    smooth = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))
    bgr = cv2.applyColorMap(np.round(smooth * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    return np.round((1 - OPACITY) * grey + OPACITY * bgr[..., ::-1]).astype(np.uint8)


def save_png(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes the picture as PNG under a temporary name and puts it in place; makes the folder."""
    _save(path, image, "PNG")


def save_jpeg(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes the picture as JPEG, several times smaller than `save_png` does, in the same way."""
    _save(path, image, "JPEG")


def _save(path: Path, image: UInt8[np.ndarray, "h w 3"], encoding: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, encoding, quality=JPEG_QUALITY)  # which PNG ignores
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, path)
