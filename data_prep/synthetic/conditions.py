"""The conditions of a simulated frame as one line of JSON, so that everything about it is ground truth."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_prep.synthetic.cameras import Camera
from data_prep.synthetic.lighting import Light
from data_prep.synthetic.scene import FRAME_SECONDS, Pose
from flipjax.core.labels import ENVIRONMENTS, ILLUMINATIONS

_DIGITS = 4


def conditions_text(
    presentation: Mapping[str, Any],
    *,
    light: Light,
    flicker: float,
    pose: Pose,
    model: Camera,
    exposure: float,
    room: int,
    frame: int,
) -> str:
    """Returns a JSON object with sorted keys.

    camera (its name), exposure (factor from radiance to the sensor's white), distance_eye_px (eye distance in sensor pixels),
    yaw_deg, pitch_deg, roll_deg; light: illumination, direction (x right, y down, z to the camera), key, ambient and
    background (linear), level of this frame; background: environment and room number; seconds since the first frame; and
    `presentation`: shown ("person", "worn", "held", "fixed"), printer, screen or material with its
    properties.
    """
    facts = {
        **presentation,
        "background": {"environment": ENVIRONMENTS[light.environment], "room": room},
        "camera": model.name,
        "distance_eye_px": pose.eye_px / model.oversample,
        "exposure": exposure,
        "light": {
            "illumination": ILLUMINATIONS[light.illumination],
            "direction": light.direction,
            "key": light.key,
            "ambient": light.ambient,
            "background": light.background,
            "level": light.level * flicker,
        },
        "pitch_deg": float(np.rad2deg(pose.pitch)),
        "roll_deg": pose.roll,
        "seconds": frame * FRAME_SECONDS,
        "yaw_deg": float(np.rad2deg(pose.yaw)),
    }
    return json.dumps(_rounded(facts), sort_keys=True, separators=(",", ":"))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [_rounded(item) for item in value]
    return round(float(value), _DIGITS) if isinstance(value, (float, np.floating)) else value
