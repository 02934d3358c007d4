import time
from dataclasses import astuple

import numpy as np
import pytest
from scipy.stats import norm, t

from flipjax.core.errors import MetricError
from flipjax.metrics import curves, delong


def _scores(bona_fide: int, attack: int, *, seed: int, decimals: int = 1):
    rng = np.random.default_rng(seed)
    label = np.arange(bona_fide + attack) < bona_fide
    latent = rng.normal(size=len(label))
    systems = [np.round(gap * label + latent + rng.normal(size=len(label)), decimals) for gap in (1.0, 1.6)]
    return systems[0], systems[1], label


def _plain(systems, label, groups):
    """The estimator pair by pair: psi is 1 for a bona fide score above an attack's, 1/2 for a tie."""
    aucs, parts = [], []
    for scores in systems:
        bona_fide, attack = scores[label][:, None], scores[~label][None, :]
        psi = (bona_fide > attack) + (bona_fide == attack) / 2
        auc = psi.mean()
        aucs.append(auc)
        parts.append((psi.mean(axis=1) - auc, psi.mean(axis=0) - auc))
    covariance = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            covariance[i, j] = _clustered(parts[i], parts[j], groups[label], groups[~label])
    return np.array(aucs), covariance


def _clustered(one, other, bona_fide_groups, attack_groups) -> float:
    """Obuchowski's S10 / m + S01 / n + 2 S11 / (m n), with sums over groups; S11 of either order for two systems."""
    both = [bona_fide_groups, attack_groups]
    m, n = len(bona_fide_groups), len(attack_groups)
    names = sorted(set(bona_fide_groups) | set(attack_groups))
    sums = [[[parts[side][both[side] == k].sum() for k in names] for side in (0, 1)] for parts in (one, other)]
    total = 0.0
    for side, count in ((0, m), (1, n)):
        groups = len(set(both[side]))
        total += groups / (groups - 1) / count**2 * np.dot(sums[0][side], sums[1][side])
    cross = np.dot(sums[0][0], sums[1][1]) + np.dot(sums[0][1], sums[1][0])
    return total + len(names) / (len(names) - 1) / (m * n) * cross


@pytest.mark.parametrize("decimals", [0, 6], ids=["ties", "no ties"])
@pytest.mark.parametrize("grouped", [False, True])
def test_agrees_with_the_plain_form(grouped: bool, decimals: int) -> None:
    first, second, label = _scores(23, 40, seed=1, decimals=decimals)
    own = np.arange(63)
    groups = np.concatenate([np.arange(23) % 9, np.arange(40) % 12]) if grouped else own
    aucs, covariance = _plain((first, second), label, groups)
    quantile = t(8).ppf if grouped else norm.ppf
    given = groups if grouped else None
    single = delong.delong(first, label, groups=given)
    assert single.auc == pytest.approx(aucs[0]) == pytest.approx(curves.auc(first, label))
    assert single.standard_error == pytest.approx(np.sqrt(covariance[0, 0]))
    reach = quantile(0.975) * single.standard_error / (aucs[0] * (1 - aucs[0]))
    assert np.log(single.high / (1 - single.high)) == pytest.approx(np.log(aucs[0] / (1 - aucs[0])) + reach)
    pair = delong.delong_test(first, second, label, groups=given)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    distribution = t(8) if grouped else norm
    expected = (aucs[1] - aucs[0], error, 2 * distribution.sf(abs(aucs[1] - aucs[0]) / error))
    assert (pair.difference, pair.standard_error, pair.p) == pytest.approx(expected)
    assert (pair.low, pair.high) == pytest.approx(
        (pair.difference - quantile(0.975) * error, pair.difference + quantile(0.975) * error)
    )


def test_hand_worked_standard_error() -> None:
    """Bona fide 3 and 1, attacks 2 and 0: AUC 3/4; shares 1, 1/2 of attacks below and 1/2, 1 of bona fide above."""
    scores, label = np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, True, False, False])
    found = delong.delong(scores, label)
    assert found.auc == 0.75 and found.standard_error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))


def test_copies_of_a_presentation_under_one_group_add_nothing() -> None:
    first, second, label = _scores(20, 30, seed=2)
    rows = np.repeat(np.arange(50), 5)
    copied = delong.delong_test(first[rows], second[rows], label[rows], groups=rows)
    own = delong.delong_test(first, second, label, groups=np.arange(50))
    assert astuple(copied) == pytest.approx(astuple(own))
    assert delong.delong_test(first[rows], second[rows], label[rows]).standard_error < 0.5 * own.standard_error


def test_error_is_that_of_many_repeats() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(150) < 50
    found = [delong.delong(rng.normal(label * 1.0), label) for _ in range(300)]
    spread = np.std([estimate.auc for estimate in found])
    assert np.mean([estimate.standard_error for estimate in found]) == pytest.approx(spread, rel=0.1)


def test_swapping_the_systems_turns_the_sign_and_keeps_p() -> None:
    first, second, label = _scores(20, 30, seed=3)
    one, other = delong.delong_test(first, second, label), delong.delong_test(second, first, label)
    assert (other.difference, other.p) == pytest.approx((-one.difference, one.p))
    assert delong.delong_test(first, first, label).p == 1.0


def test_monotone_scores_change_nothing() -> None:
    first, _, label = _scores(20, 30, seed=4)
    assert delong.delong(np.exp(first), label) == delong.delong(first, label)


def test_200_000_scores_are_quick() -> None:
    first, second, label = _scores(60_000, 140_000, seed=5, decimals=12)
    start = time.process_time()
    delong.delong_test(first, second, label)
    assert time.process_time() - start < 3


def test_what_is_not_defined_is_an_error() -> None:
    label = np.array([True, True, False, False])
    perfect, tied = np.array([4.0, 3.0, 2.0, 1.0]), np.full(4, 0.5)
    with pytest.raises(MetricError, match="AUC is 1: "):
        delong.delong(perfect, label)
    with pytest.raises(MetricError, match=r"differ by -0\.5 with zero variance"):
        delong.delong_test(perfect, tied, label)
    with pytest.raises(MetricError, match="single independent group"):
        delong.delong(perfect, np.array([True, False, False, False]))
    with pytest.raises(MetricError, match="single independent group"):
        delong.delong(perfect, label, groups=np.array([0, 0, 1, 2]))
    with pytest.raises(MetricError, match="no attack"):
        delong.delong(perfect, np.ones(4, dtype=bool))
    with pytest.raises(MetricError, match="not finite"):
        delong.delong(np.array([1.0, np.nan, 2.0, 3.0]), label)
