"""Heat maps as colour on a face crop, for attention and cue pictures."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

MAX_OPACITY = 0.6


def overlay(image: UInt8[np.ndarray, "h w 3"], heat: Float[np.ndarray, "gh gw"]) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the crop with `heat` laid over it in the turbo colour map; hotter is more opaque, 0 shows the crop alone.

    The scale is fixed, so that the same value has the same colour in every picture, whatever else a map holds.

    Args:
      image: RGB crop.
      heat: one value per patch in [0, 1], enlarged bilinearly; values outside are clipped, NaN counts as 0.
    """
    height, width = image.shape[:2]
    values = np.clip(np.nan_to_num(heat.astype(np.float32), nan=0.0), 0.0, 1.0)
    smooth = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))
    bgr = cv2.applyColorMap(np.round(smooth * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    opacity = MAX_OPACITY * smooth[..., None]
    return np.round((1 - opacity) * image + opacity * bgr[..., ::-1]).astype(np.uint8)


def save_png(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes the picture as PNG under a temporary name and puts it in place; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, path)
