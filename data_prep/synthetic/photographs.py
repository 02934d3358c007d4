"""Photographs of people as heads: found, aligned to the head canvas and given a coarse relief to be lit by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from data_prep.synthetic.faces import Head
from data_prep.synthetic.geometry import ORIGIN_EYES, apply, canvas_px, eye_grid, similarity, to_linear
from data_prep.synthetic.relief import normals_of, slopes_of
from flipjax.core.errors import DataError, ImageError
from flipjax.data.align import detect

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Photo:
    """A photograph with a face: its file, whose face it is, and the five points as (x, y) pairs."""

    path: str
    subject: str
    landmarks: tuple[tuple[float, float], ...]


def list_photos(folder: Path) -> list[Path]:
    """Returns the jpg and png files of a folder in order of their names.

    Raises:
      DataError: the folder is missing or holds no photograph.
    """
    if not folder.is_dir():
        raise DataError(f"--faces folder '{folder}' does not exist; name a folder of jpg or png photographs")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise DataError(f"--faces folder '{folder}' holds no jpg or png photograph; name a folder that does")
    return paths


def subject_of(path: Path) -> str:
    """Returns the subject of a photograph: its stem up to the first underscore, with odd characters replaced.

    Example:
      >>> subject_of(Path("001_neutral.jpg"))
      '001'
    """
    return re.sub(r"[^A-Za-z0-9.-]", "-", path.stem.split("_")[0]) or "unnamed"


def find_face(path: Path) -> Photo | None:
    """Returns the photograph with the points of its largest face, or None where no face is found.

    Raises:
      ImageError: the file cannot be decoded.
    """
    faces = detect(read_rgb(path))
    if not faces:
        return None
    points = tuple((float(x), float(y)) for x, y in faces[0].landmarks)
    return Photo(str(path), subject_of(path), points)


def read_rgb(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes a photograph.

    Raises:
      ImageError: the file cannot be decoded.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ImageError(f"photograph '{path}' cannot be decoded; replace it or take it out of the folder")
    return np.ascontiguousarray(image[..., ::-1])


def deal_subjects(photos: Sequence[Photo], domains: int, limit: int | None) -> list[dict[str, tuple[Photo, ...]]]:
    """Deals the photographs' subjects to the domains in turn, at most `limit` each; no subject is in two.

    Raises:
      DataError: fewer subjects than domains.
    """
    by_subject: dict[str, list[Photo]] = {}
    for photo in photos:
        by_subject.setdefault(photo.subject, []).append(photo)
    if len(by_subject) < domains:
        raise DataError(
            f"the photographs show {len(by_subject)} subjects, but {domains} domains need at least one each; "
            "a subject is the file name up to the first '_'"
        )
    dealt: list[dict[str, tuple[Photo, ...]]] = [{} for _ in range(domains)]
    for number, subject in enumerate(sorted(by_subject)):
        hand = dealt[number % domains]
        if limit is None or len(hand) < limit:
            hand[subject] = tuple(by_subject[subject])
    return dealt


def photo_head(photo: Photo, eye_px: float) -> Head:
    """Puts a photograph on the head canvas, eyes at the usual place, with the relief of an average face."""
    points = np.array(photo.landmarks)
    across = points[1] - points[0]
    distance = max(float(np.linalg.norm(across)), 1.0)
    roll = float(np.rad2deg(np.arctan2(across[1], across[0])))
    scale = eye_px / distance
    matrix = similarity(scale, -roll, points[:2].mean(axis=0), np.array(ORIGIN_EYES) * eye_px)
    image = read_rgb(Path(photo.path))
    if scale < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    canvas = cv2.warpPerspective(
        image, matrix, canvas_px(eye_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    smooth, relief = _average_relief(eye_px)
    slopes, _ = slopes_of(relief, eye_px, relief.shape)
    ones = np.ones(smooth.shape, np.float32)
    albedo = np.clip(1.15 * to_linear(canvas), 0.003, 1.0)
    landmarks = apply(matrix, points)
    return Head(albedo, ones, normals_of(slopes), ones, 0 * ones, smooth, landmarks, eye_px, "", Path(photo.path).name)


def _average_relief(eye_px: float) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    x, y = eye_grid(eye_px)
    inside = np.clip(1 - 0.8 * (x / 1.1) ** 2 - 0.75 * ((y - 0.15) / 1.8) ** 2, 0.0, None)
    smooth = (0.9 * np.sqrt(inside + 0.01)).astype(np.float32)
    nose = 0.2 * np.exp(-((x / 0.2) ** 2) - ((y - 0.55) / np.where(y < 0.55, 0.4, 0.16)) ** 2)
    return smooth, (0.6 * smooth + nose).astype(np.float32)
