from dataclasses import replace

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.metrics import curves, rates, thresholds, weighted
from flipjax.metrics.operating_points import APCER_LIMITS, bpcer_at_apcer


def _tpr(scores, positive) -> float:
    """The papers' rule without scikit-learn's dropping of points."""
    found = curves.roc(scores, positive)
    return float(found.tpr[found.fpr <= 0.01][-1])


def _plain(table, threshold) -> dict[str, float]:
    pair, triple = (table.score, table.is_bona_fide), (table.score, table.is_bona_fide, table.attack_type)
    cut = thresholds.eer_grid(*pair).threshold if threshold is None else threshold
    found = {name: getattr(rates, name)(*pair, cut) for name in ("hter", "apcer_pooled", "bpcer", "accuracy")}
    found |= {name: getattr(rates, name)(*triple, cut) for name in ("apcer_max", "acer")}
    found |= {"eer": found["hter"]} if threshold is None else {}
    found |= {name: bpcer_at_apcer(*triple, limit=limit) for name, limit in APCER_LIMITS.items()}
    return found | {
        "auc": curves.auc(*pair),
        "tpr_at_fpr1_bona_fide": _tpr(*pair),
        "tpr_at_fpr1_attack": _tpr(-table.score, ~table.is_bona_fide),
    }


@pytest.mark.parametrize("threshold", [None, 0.5, 0.37])
@pytest.mark.parametrize("decimals", [1, 3, 6], ids=["many ties", "on the grid", "between grid points"])
def test_equal_plain_metrics_on_repeated_rows(make_videos, decimals: int, threshold: float | None) -> None:
    videos = make_videos(40, 130, decimals=decimals)
    group = np.random.default_rng(2).permutation(len(videos)) // 2
    weights = np.random.default_rng(1).integers(0, 4, size=(12, group.max() + 1)).astype(np.int32)
    found = weighted.all_rates(videos, group, threshold)(weights)
    for row, times in enumerate(weights[:, group]):
        plain = _plain(videos.take(np.repeat(np.arange(len(videos)), times)), threshold)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("bona_fide", [150, 3], ids=["many of either class", "few"])
def test_one_percent_of_many(make_videos, bona_fide: int) -> None:
    """1 % allows some errors here, unlike in the smaller case."""
    videos = make_videos(bona_fide, 700, decimals=3)
    weights = np.random.default_rng(1).integers(0, 3, size=(5, len(videos))).astype(np.int32)
    weights[:, :3] += 1
    found = weighted.all_rates(videos, np.arange(len(videos)), None)(weights)
    for row, times in enumerate(weights):
        plain = _plain(videos.take(np.repeat(np.arange(len(videos)), times)), None)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(plain, abs=1e-12)


def test_an_instrument_that_a_sample_misses_leaves_the_maximum(make_videos) -> None:
    videos = make_videos(4, 6)
    videos = replace(videos, attack_type=np.array([""] * 4 + ["photo"] * 3 + ["pc_screen"] * 3, dtype=object))
    videos = replace(videos, score=np.array([0.9, 0.8, 0.7, 0.6, 0.1, 0.1, 0.1, 0.95, 0.95, 0.95]))
    weights = np.ones((2, 10), dtype=np.int32)
    weights[1, 7:] = 0
    found = weighted.all_rates(videos, np.arange(10), 0.5)(weights)
    assert list(found["apcer_max"]) == [1.0, 0.0] and list(found["bpcer20"]) == [1.0, 0.0]


def test_the_last_of_equally_good_grid_points_counts(make_videos) -> None:
    """Of one bona fide at 0.6 and attacks at 0.7 and 0.5: |BPCER - APCER| is 1/2 at cuts 0.6 and 0.7, HTER 1/4 and 3/4."""
    kinds = np.array(["", "photo", "photo"], dtype=object)
    videos = replace(make_videos(1, 2), score=np.array([0.6, 0.7, 0.5]), attack_type=kinds)
    found = weighted.threshold_rates(videos, np.arange(3), None)(np.ones((1, 3), dtype=np.int32))
    assert found["hter"][0] == 0.75 == _plain(videos, None)["hter"]


def test_the_grid_needs_probabilities(make_videos) -> None:
    videos = make_videos(5, 5)
    group = np.arange(10)
    with pytest.raises(MetricError, match="needs P"):
        weighted.all_rates(replace(videos, is_probability=False), group, None)
    with pytest.raises(MetricError, match="outside"):
        weighted.all_rates(replace(videos, score=videos.score * 10), group, None)
    logits = replace(videos, score=10 * videos.score - 5, is_probability=False)
    rated = weighted.all_rates(logits, group, 0.0)(np.ones((1, 10), dtype=np.int32))
    assert rated["hter"][0] == rates.hter(videos.score, videos.is_bona_fide, 0.5)
