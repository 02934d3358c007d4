"""Small data sets on disk for the tests of the data layer."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.records import write_domain


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def subject_records(domain: str, subject: int, *, videos: int = 2, frames: int = 2, px: int = 8) -> list[dict]:
    """As many bona fide as attack videos of `frames` frames each; pixels are drawn from the sample's name."""
    made = []
    for video in range(2 * videos):
        for frame in range(frames):
            name = f"{domain}/p{subject}/v{video}/f{frame}"
            rng = np.random.default_rng(list(name.encode()))
            made.append(
                {
                    "image": png(rng.integers(0, 256, (px, px, 3), np.uint8)),
                    "box": (0.0, 0.0, 8.0, 8.0),
                    "landmarks": (0.0,) * 10,
                    "is_bona_fide": video < videos,
                    "attack_instrument": 0 if video < videos else 1 + video % 3,
                    "illumination": subject % 4,
                    "subject_id": f"p{subject}",
                    "video_id": f"{domain}/p{subject}/v{video}",
                    "frame_index": frame,
                    "sample_id": name,
                }
            )
    return made


@pytest.fixture(scope="session")
def make_domain() -> Callable[..., Path]:
    """make_domain(root, "M", train=range(8), test=range(8, 12), videos=1) writes those subjects into root/M."""

    def make(root: Path, domain: str, *, videos: int = 2, frames: int = 2, px: int = 8, **splits: range) -> Path:
        records = {
            split: [
                record
                for subject in subjects
                for record in subject_records(domain, subject, videos=videos, frames=frames, px=px)
            ]
            for split, subjects in splits.items()
        }
        return write_domain(root, domain, records)

    return make
