"""Tables of made-up videos."""

from collections.abc import Callable

import numpy as np
import pytest

from flipjax.core.schemas import ScoreTable


def _videos(bona_fide: int, attack: int, *, subjects: int = 0, seed: int = 0, decimals: int = 2) -> ScoreTable:
    rng = np.random.default_rng(seed)
    count = bona_fide + attack
    label = np.arange(count) < bona_fide
    scores = np.round(np.clip(rng.normal(0.35 + 0.3 * label, 0.2), 0, 1), decimals)
    kinds = np.where(label, "", np.where(rng.random(count) < 0.3, "photo", "pc_screen")).astype(object)
    ids = np.array([f"v{i}" for i in range(count)], dtype=object)
    people = (
        rng.integers(subjects, size=count).astype(str).astype(object) if subjects else np.full(count, "", dtype=object)
    )
    return ScoreTable(ids, ids, people, np.full(count, "m", dtype=object), label, kinds, scores)


@pytest.fixture
def make_videos() -> Callable[..., ScoreTable]:
    """Returns a function of (bona_fide, attack, subjects=0, seed=0, decimals=2); 0 subjects: unknown ones."""
    return _videos
