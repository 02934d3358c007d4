"""One presentation file -> its crops, each with where it came from. Nothing here knows where they are stored."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from data_prep import camera_quality
from data_prep.catalogue import face_box, open_entry
from data_prep.entries import Entry
from data_prep.recipes import LISTED, CropOptions
from flipjax.core import labels
from flipjax.core.errors import ImageError
from flipjax.core.schemas import Crop
from flipjax.data import align
from flipjax.data.frames import FrameRule

_JPEG_QUALITY = 95
_BORDERS = {"trim": True, "trim_released": False}


@dataclass(frozen=True)
class CropFrame:
    """A stored crop: `image` is the encoded picture, `fields` the record fields that the entry does not know.

    `sharpness` is what the no-reference rule for camera quality needs, NaN where nobody asked.
    """

    image: bytes
    fields: dict[str, Any]
    sharpness: float


@dataclass(frozen=True)
class EntryCrops:
    """All crops of one entry, and the sample ids of its frames in which no face was found."""

    frames: tuple[CropFrame, ...]
    missed: tuple[str, ...]


def crop_entry(module: Any, entry: Entry, options: CropOptions) -> EntryCrops:
    """Decodes and crops one entry of the data set `module`.

    Raises:
      ImageError: the file cannot be read, or no face was found and `options.no_face` is "error".
    """
    clip = open_entry(module, entry)
    published = FrameRule(module.FACTS.frames).choose(clip.numbers)
    found, missed = [], []
    for number, image in clip.read(_wanted(entry, clip.numbers, options)):
        sample_id = f"{entry.sample_id}#{number}" if entry.has_frames else entry.sample_id
        crop = _crop(module, entry, image, options)
        if crop is None and options.no_face == "error":
            raise ImageError(
                f"{entry.name}: no face found in frame {number}; use --no_face=drop to leave such pictures out, or "
                "--detector=none if they are face crops already"
            )
        if crop is None:
            missed.append(sample_id)
            continue
        rank = published.index(number) if number in published else None
        fields = {"sample_id": sample_id, "frame_index": number, "source_name": _listed_name(entry, number, rank)}
        found.append(_frame(entry, crop, fields, options))
    return EntryCrops(tuple(found), tuple(missed))


def encode(image: np.ndarray, encoding: str) -> bytes:
    """Returns the picture as a PNG or JPEG file."""
    buffer = io.BytesIO()
    extra = {"quality": _JPEG_QUALITY, "subsampling": 0} if encoding == "jpeg" else {}
    Image.fromarray(image).save(buffer, format=encoding.upper(), **extra)
    return buffer.getvalue()


def _wanted(entry: Entry, numbers: Any, options: CropOptions) -> tuple[int, ...]:
    if entry.frames is not None:
        there = set(numbers)
        return tuple(number for number in sorted(entry.frames) if number in there)
    return FrameRule("all" if options.frames == LISTED else options.frames).choose(numbers)


def _listed_name(entry: Entry, number: int, rank: int | None) -> str:
    """The record's name in the published lists; empty for a frame that the published rule, which ranks them, leaves out."""
    if "{rank}" in entry.source_name and rank is None:
        return ""
    return entry.source_name.format(rank=rank, number=number)


def _crop(module: Any, entry: Entry, image: np.ndarray, options: CropOptions) -> Crop | None:
    if options.border in _BORDERS:
        image = align.trim_border(image, keep_last=_BORDERS[options.border])
    faces = align.align(
        image, detector=options.detector, size=options.size, padding=options.padding, search=options.search
    )
    if faces and options.faces == "most_confident":
        return max(faces, key=lambda crop: crop.confidence)
    return faces[0] if faces else _without_face(module, entry, image, options)


def _without_face(module: Any, entry: Entry, image: np.ndarray, options: CropOptions) -> Crop | None:
    if options.no_face not in ("box", "centre"):
        return None
    shares = face_box(module, entry)
    height, width = image.shape[:2]
    box = None if shares is None else tuple(s * side for s, side in zip(shares, (width, height) * 2, strict=True))
    if options.no_face == "centre":
        return align.centre_crop(image, box and (box[2] - box[0], box[3] - box[1]), size=options.size)
    return None if box is None else align.box_crop(image, (box[0], box[1], box[2], box[3]), size=options.size)


def _frame(entry: Entry, crop: Crop, fields: dict[str, Any], options: CropOptions) -> CropFrame:
    wants_quality = options.quality == "measured" and entry.camera_quality == labels.UNKNOWN
    return CropFrame(
        image=encode(crop.image, options.encoding),
        fields={
            **fields,
            "box": tuple(float(v) for v in crop.box),
            "landmarks": tuple(float(v) for v in crop.landmarks),
            "detector": crop.detector,
            "padding": float(crop.padding),
        },
        sharpness=camera_quality.sharpness(crop.image) if wants_quality else float("nan"),
    )
