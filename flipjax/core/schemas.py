"""What travels between the layers: record fields, index columns, the crop, the score table.

A record is one face crop with everything known about it. `index.parquet` holds every scalar field of a domain's records
plus `split` and `position` (the row of the record in that split's data source).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

# Scalar record fields in index order. Text is empty and option indices are -1 where unknown; `conditions` is a JSON object
# of everything else known about the capture (light, pose, distance, device properties), written by the simulator.
SCALAR_FIELDS: dict[str, type] = {
    "is_bona_fide": bool,
    "attack_instrument": int,
    "pai_species": str,
    "device": str,
    "session": str,
    "population": str,
    "source_name": str,
    "illumination": int,
    "environment": int,
    "camera_quality": int,
    "domain": str,
    "subject_id": str,
    "video_id": str,
    "frame_index": int,
    "sample_id": str,
    "detector": str,
    "padding": float,
    "conditions": str,
}
# Crop provenance that is not scalar: box x0 y0 x1 y1 and five points (x, y), pixels of the original image.
VECTOR_FIELDS: dict[str, int] = {"box": 4, "landmarks": 10}
IMAGE_FIELDS: tuple[str, ...] = ("image", "attack_mask")
SPLITS: tuple[str, ...] = ("train", "dev", "test")
# The CSV that describes own data; the first two columns are required.
LABEL_COLUMNS: tuple[str, ...] = (
    "path",
    "label",
    "subject_id",
    "video_id",
    "attack_instrument",
    "domain",
    "illumination",
    "environment",
    "camera_quality",
)
# What is known about the capture of a score, by whose values reports split their rates.
CONDITIONS: tuple[str, ...] = ("device", "illumination", "environment", "camera_quality", "population", "session")
INDEX_FILE = "index.parquet"
CONVERSION_FILE = "conversion.json"  # beside the index: how a conversion made it, and what it left out
SYNTHETIC_PREFIX = "syn_"  # of domains whose attacks are simulated
INDEX_COLUMNS: tuple[str, ...] = ("split", "position", *SCALAR_FIELDS)


@dataclass(frozen=True)
class Crop:
    """An aligned face and where it came from; points are left eye, right eye, nose, left and right mouth corner as seen.

    `confidence` is the detector's, in [0, 1]; 1 where no detector was asked.
    """

    image: UInt8[np.ndarray, "h w 3"]
    box: tuple[float, float, float, float]
    landmarks: tuple[float, ...]
    detector: str
    padding: float
    confidence: float = 1.0


@dataclass(frozen=True)
class Question:
    """A multiple-choice question about a face.

    `branch` is "content" or "style" (InstructFLIP section 3.1); `field` is the record column whose value is the index of the
    right option (-1: unknown); `text` is what the model reads, options included; an answer is one string of `options`.
    """

    name: str
    branch: str
    field: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class ScoreTable:
    """One row per frame; `score` is P(bona fide) in [0, 1]; ids and types are NumPy object arrays of str.

    `conditions` maps names of CONDITIONS to one object array of str each, the names of options and never their numbers;
    empty where unknown, and a condition that no row knows may be missing. Where `is_probability` is False, `score` is any
    finite number, higher = more genuine: ranking is defined, the papers' threshold grid and calibration are not.
    """

    sample_id: np.ndarray
    video_id: np.ndarray
    subject_id: np.ndarray
    domain: np.ndarray
    is_bona_fide: Bool[np.ndarray, "rows"]
    attack_type: np.ndarray
    score: Float[np.ndarray, "rows"]
    conditions: Mapping[str, np.ndarray] = field(default_factory=dict)
    is_probability: bool = True

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: Int[np.ndarray, "_"] | Bool[np.ndarray, "rows"]) -> "ScoreTable":
        """Returns the rows with the given numbers in their order, or those marked True."""
        arrays = {name: values[rows] for name, values in vars(self).items() if isinstance(values, np.ndarray)}
        conditions = {name: values[rows] for name, values in self.conditions.items()}
        return replace(self, **arrays, conditions=conditions)
