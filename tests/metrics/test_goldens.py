"""G1 to G3: the FLIP repository's threshold and HTER functions with scikit-learn 1.3.2 on closed-form scores."""

import numpy as np
import pytest

from flipjax.metrics import curves, rates, thresholds


def _g1():
    i = np.arange(200)
    label = np.isin((i**2 + 3 * i) % 7, [0, 4])
    return np.clip(0.6 * ((37 * i + 11) % 101) / 101 + 0.35 * label, 0, 1), label


def _logits():
    i = np.arange(300)
    return ((53 * i + 7) % 211) / 211 * 24 - 12, (5 * i % 13) < 4


def _g2():
    z, label = _logits()
    return 1 / (1 + np.exp(-(z + 6 * label - 3))), label


def _g3():
    z, label = _logits()
    return 1 / (1 + np.exp(-(3 * z + 18 * label + 5))), label


GOLDENS = {
    "G1": (_g1, 115, 0.220460358056266, 0.4752, 0.9104859335038363, 0.5826086956521739),
    "G2": (_g2, 93, 0.37657784011220197, 0.3648, 0.7150797361176043, 0.25806451612903225),
    "G3": (_g3, 93, 0.38405797101449274, 0.9999, 0.7103786816269284, 0.0),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_published_numbers(name: str) -> None:
    make, bona_fide, hter, threshold, auc, tpr = GOLDENS[name]
    scores, label = make()
    assert label.sum() == bona_fide
    rule = thresholds.eer_grid(scores, label)
    assert rule.threshold == threshold
    assert rates.hter(scores, label, rule.threshold) == pytest.approx(hter, abs=1e-12)
    assert curves.auc(scores, label) == pytest.approx(auc, abs=1e-12)
    assert curves.tpr_at_fpr(scores, label, positive="bona_fide") == pytest.approx(tpr, abs=1e-12)


def test_accuracy_of_g1() -> None:
    scores, label = _g1()
    assert rates.accuracy(scores, label, 0.4752) == pytest.approx(0.78, abs=1e-12)


def test_exact_threshold_ignores_how_far_scores_are_sharpened() -> None:
    """G3 is G2 sharpened: the grid moves its HTER by 0.7 points, the exact threshold by scores that round to 1 only."""
    results = []
    for make in (_g2, _g3):
        scores, label = make()
        results.append(rates.hter(scores, label, thresholds.eer_exact(scores, label).threshold))
    assert results[0] == pytest.approx(results[1], abs=1e-3)
    assert results[0] == pytest.approx(0.37657784011220197, abs=1e-12)
