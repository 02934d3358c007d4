"""The smallest run that is still a whole one: a data set of four domains on disk and settings that train on it in seconds."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep.records import write_domain

DOMAINS = ("syn_a", "syn_b", "syn_c", "syn_d")
# Dotted config key -> value small enough for tests; a config takes those that it has.
SMALL: dict[str, Any] = {
    "method.clip.image_size": 32,
    "method.clip.patch": 8,
    "method.clip.width": 32,
    "method.clip.layers": 1,
    "method.clip.heads": 2,
    "method.clip.embed": 16,
    "method.clip.text_width": 16,
    "method.clip.text_layers": 1,
    "method.clip.text_heads": 2,
    "method.projector_hidden": 32,
    "method.projector_out": 16,
    "method.head_width": 32,
    "method.projector": (16, 16),
    "method.qformer.heads": 2,
    "method.qformer.hidden": 32,
    "method.qformer.queries": 4,
    "method.fusion.heads": 2,
    "method.fusion.cross_head_width": 8,
    "method.fusion.hidden": 32,
    "method.llm": "custom",
    "method.t5.width": 16,
    "method.t5.heads": 2,
    "method.t5.head_width": 8,
    "method.t5.hidden": 32,
    "method.t5.layers": 1,
    "text.used_words_only": True,
    "weights.bert": "",
    "weights.t5": "",
    "train.compute_dtype": "float32",
    "train.frozen_dtype": "float32",
}


def shrink(config: Any) -> Any:
    """Returns the ConfigDict with every key of SMALL that it has set to the small value."""
    for key, value in SMALL.items():
        *path, last = key.split(".")
        section = config
        for name in path:
            section = section.get(name, {})
        if last in section:
            section[last] = value
    return config


def png(pixels: np.ndarray) -> bytes:
    """Returns the PNG file of uint8 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def picture(name: str, is_bona_fide: bool, px: int = 32) -> np.ndarray:
    """Returns a noisy picture drawn from `name`; attacks are darker to the right, so that there is something to learn."""
    rng = np.random.default_rng(list(name.encode()))
    pixels = rng.integers(40, 216, (px, px, 3)).astype(np.float64)
    ramp = np.linspace(1.0, 1.0 if is_bona_fide else 0.3, px)
    return (pixels * ramp[None, :, None]).astype(np.uint8)


def subject_records(domain: str, subject: int, instruments: tuple[int, ...]) -> list[dict[str, Any]]:
    """Returns one bona fide and one attack video of two frames each; subjects take turns with the instruments."""
    made = []
    for is_bona_fide in (True, False):
        video = f"{domain}/p{subject}/{'bona_fide' if is_bona_fide else 'attack'}"
        for frame in range(2):
            name = f"{video}/f{frame}"
            made.append(
                {
                    "image": png(picture(name, is_bona_fide)),
                    "box": (0.0, 0.0, 32.0, 32.0),
                    "landmarks": (0.0,) * 10,
                    "is_bona_fide": is_bona_fide,
                    "attack_instrument": 0 if is_bona_fide else instruments[subject % len(instruments)],
                    "subject_id": f"{domain}_p{subject}",
                    "video_id": video,
                    "frame_index": frame,
                    "sample_id": name,
                    "detector": "none",
                }
            )
    return made


def write_data(root: Path, instruments: tuple[int, ...] = (1, 7)) -> Path:
    """Writes the four domains, six subjects each: four train, one dev, one test."""
    subjects = {"train": range(4), "dev": range(4, 5), "test": range(5, 6)}
    for domain in DOMAINS:
        splits = {
            split: [record for subject in numbers for record in subject_records(domain, subject, instruments)]
            for split, numbers in subjects.items()
        }
        write_domain(root, domain, splits)
    return root
