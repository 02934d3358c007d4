"""The smoke test on photographs counts as it says: at the stored threshold, and whatever is undecided is wrong."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import sim_to_real
from flipjax.core.errors import DataError
from flipjax.serving.predictor import Predictor

BRIGHTNESS = {"attack_print": 40, "attack_replay": 200, "bona_fide": 160}


def predictor() -> Predictor:
    """Scores a crop by its brightness."""
    return Predictor(
        score=lambda images: images.mean(axis=(1, 2, 3)) / 255,
        image_size=16,
        detector="none",
        padding=0.0,
        threshold=0.5,
        threshold_rule="source_val",
    )


def write(folder: Path, levels: dict[str, int]) -> Path:
    folder.mkdir()
    for name, level in levels.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.full((64, 64, 3), level, np.uint8))
    return folder


def test_right_and_wrong_are_counted_at_the_threshold(tmp_path: Path):
    write(tmp_path / "samples", BRIGHTNESS)
    (tmp_path / "samples" / "bona_fide_broken.png").write_text("no picture")
    photos = sim_to_real.photographs(tmp_path / "samples")
    verdicts = sim_to_real.judge(predictor(), [(path, sim_to_real.truth_of(path)) for path in photos])
    assert {v.file: v.is_right for v in verdicts} == {
        "attack_print.png": True,
        "attack_replay.png": False,
        "bona_fide.png": True,
        "bona_fide_broken.png": False,
    }
    found = sim_to_real.summary(verdicts[:3], verdicts[3:])
    assert (found["samples_right"], found["samples"], found["portraits_right"]) == (2, 3, 0)


def test_a_sample_of_unknown_class_and_an_empty_folder_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="must begin with"):
        sim_to_real.truth_of(Path("replay.jpg"))
    with pytest.raises(DataError, match="holds no picture"):
        sim_to_real.photographs(tmp_path)
