"""Small data sets on disk for the tests of the data layer."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.records import write_domain
from flipjax.core import schemas
from flipjax.data.source import Index


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


# split, subject_id, video_id, is_bona_fide, source_name; the sample is named by video and place.
Row = tuple[str, str, str, bool, str]


def index_columns(domain: str, rows: Iterable[Row]) -> dict[str, list]:
    """Every column of an index; what a row does not say is zero or empty."""
    rows = list(rows)
    columns = {name: [kind()] * len(rows) for name, kind in schemas.SCALAR_FIELDS.items()}
    named = ("split", "subject_id", "video_id", "is_bona_fide", "source_name")
    columns |= {name: [row[place] for row in rows] for place, name in enumerate(named)}
    sample_ids = [f"{row[2]}#{place}" for place, row in enumerate(rows)]
    return {**columns, "domain": [domain] * len(rows), "sample_id": sample_ids, "position": list(range(len(rows)))}


@pytest.fixture(scope="session")
def index_of() -> Callable[..., Index]:
    """index_of("W", rows) makes an index in memory from (split, subject, video, is bona fide, source_name)."""

    def make(domain: str, rows: Iterable[Row]) -> Index:
        columns = {
            name: np.array(values, bool if name == "is_bona_fide" else int if name == "position" else object)
            for name, values in index_columns(domain, rows).items()
        }
        return Index({**columns, "folder": columns["domain"]})

    return make


@pytest.fixture(scope="session")
def write_index() -> Callable[..., None]:
    """write_index(root, "W", rows) writes root/W/index.parquet alone: enough to select from, without pictures."""

    def write(root: Path, domain: str, rows: Iterable[Row]) -> None:
        (root / domain).mkdir(parents=True)
        pq.write_table(pa.table(index_columns(domain, rows)), root / domain / schemas.INDEX_FILE)

    return write


@pytest.fixture(scope="session")
def write_lists() -> Callable[..., Path]:
    """write_lists(folder, casia_real_test=["casia/test/real/1_1_frame0.png"], ...) writes one file a keyword."""

    def write(folder: Path, **files: list[str]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in files.items():
            (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        return folder

    return write
