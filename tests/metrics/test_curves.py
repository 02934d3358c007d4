import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from flipjax.core.errors import MetricError
from flipjax.metrics import curves


@st.composite
def labelled_scores(draw):
    """Scores on a coarse or fine lattice (so ties abound) with both classes present."""
    count = draw(st.integers(2, 60))
    steps = draw(st.sampled_from([2, 7, 50, 1000]))
    scores = np.array(draw(st.lists(st.integers(0, steps), min_size=count, max_size=count))) / steps
    label = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    label[0], label[1] = True, False
    return scores, label


def _oracle_tpr(scores, positive, limit):
    fpr, tpr, _ = roc_curve(positive, scores)
    return tpr[fpr <= limit][-1]


def test_hand_worked_roc() -> None:
    result = curves.roc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
    np.testing.assert_array_equal(result.fpr, [0, 0, 0.5, 1])
    np.testing.assert_array_equal(result.tpr, [0, 0.5, 1, 1])
    np.testing.assert_array_equal(result.threshold, [np.inf, 0.9, 0.5, 0.1])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1, 0.9, 0.2, 0.1], 1.0), ([0.1, 0.2, 0.9, 1], 0.0), ([0.5] * 4, 0.5)],
    ids=["all right", "all wrong", "all tied"],
)
def test_auc_of_extremes(scores, expected: float) -> None:
    assert curves.auc(np.array(scores, dtype=float), np.array([True, True, False, False])) == expected


@settings(deadline=None, max_examples=40)
@given(labelled_scores())
def test_agrees_with_scikit_learn(case) -> None:
    scores, label = case
    fpr, tpr, threshold = roc_curve(label, scores, drop_intermediate=False)
    ours = curves.roc(scores, label)
    np.testing.assert_allclose(ours.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(ours.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(ours.threshold, threshold)
    assert curves.auc(scores, label) == pytest.approx(roc_auc_score(label, scores), abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(labelled_scores(), st.sampled_from([0.0, 0.01, 0.1, 0.3]))
def test_tpr_at_fpr_agrees_with_scikit_learn_for_both_classes(case, limit: float) -> None:
    scores, label = case
    ours = {p: curves.tpr_at_fpr(scores, label, positive=p, fpr=limit) for p in curves.POSITIVE_CLASSES}
    assert ours["bona_fide"] == pytest.approx(_oracle_tpr(scores, label, limit), abs=1e-12)
    assert ours["attack"] == pytest.approx(_oracle_tpr(-scores, ~label, limit), abs=1e-12)


def test_dropping_collinear_points_lowers_the_value_as_in_the_papers() -> None:
    """Five equal steps (+1 attack, +10 bona fide) lie on a line: the point at FPR 2 % goes, the one at 1 % answers."""
    steps = 5
    scores = np.repeat(np.linspace(0.9, 0.5, steps), 11)
    label = np.tile(np.arange(11) > 0, steps)
    rest = np.full(95, 0.1)
    scores, label = np.concatenate([scores, rest]), np.concatenate([label, np.zeros(95, dtype=bool)])
    undropped = curves.roc(scores, label)
    assert undropped.tpr[undropped.fpr <= 0.02][-1] == pytest.approx(0.4)
    assert curves.tpr_at_fpr(scores, label, positive="bona_fide", fpr=0.02) == pytest.approx(0.2)


def test_tpr_is_zero_when_only_the_origin_is_within_the_limit() -> None:
    scores, label = np.array([0.5, 0.9]), np.array([True, False])
    for positive in curves.POSITIVE_CLASSES:
        assert curves.tpr_at_fpr(scores, label, positive=positive) == 0.0


def test_the_two_positive_classes_answer_different_questions() -> None:
    """Two bona fide below most attacks: few attacks are caught without rejecting them, yet most bona fide pass."""
    scores = np.concatenate([np.full(98, 0.9), [0.01, 0.01], np.full(100, 0.3)])
    label = np.arange(200) < 100
    assert curves.tpr_at_fpr(scores, label, positive="bona_fide") == pytest.approx(0.98)
    assert curves.tpr_at_fpr(scores, label, positive="attack") == 0.0


@settings(deadline=None, max_examples=40)
@given(labelled_scores())
def test_laws(case) -> None:
    scores, label = case
    flipped = curves.auc(1 - scores, ~label)
    assert curves.auc(scores, label) == pytest.approx(flipped, abs=1e-12)
    order = np.argsort(scores[::-1], kind="stable")
    assert curves.auc(scores[::-1][order], label[::-1][order]) == curves.auc(scores, label)
    assert curves.auc(scores**3 / 2, label) == curves.auc(scores, label)
    result = curves.roc(scores, label)
    assert (np.diff(result.fpr) >= 0).all() and (np.diff(result.tpr) >= 0).all()
    assert result.fpr[-1] == result.tpr[-1] == 1


def test_errors_name_the_class_that_is_missing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for positive in curves.POSITIVE_CLASSES:
            with pytest.raises(MetricError, match="no attack presentation"):
                curves.tpr_at_fpr(np.array([0.2]), np.array([True]), positive=positive)
        with pytest.raises(MetricError, match="no bona fide presentation"):
            curves.auc(np.array([0.2]), np.array([False]))


def test_attacks_are_ranked_by_the_score_itself() -> None:
    """1 - score would round all of these to one."""
    scores, label = np.array([3e-20, 2e-20, 1e-20]), np.array([True, False, False])
    assert curves.tpr_at_fpr(scores, label, positive="attack") == 1.0


def test_unknown_positive_class_is_an_error() -> None:
    with pytest.raises(MetricError, match="'spoof' unknown"):
        curves.tpr_at_fpr(np.array([0.2, 0.1]), np.array([True, False]), positive="spoof")
