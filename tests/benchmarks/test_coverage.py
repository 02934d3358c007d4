"""The simulated test sets are what they say, and 95 % intervals cover the truth about as often as they claim."""

import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks import coverage
from flipjax.metrics import curves, rates
from flipjax.metrics.resampling import clusters_of

BIG = coverage.Size(people=1500, bona_fide=8, attack=20)
# Share of test sets that must be covered; at 20 people fewer are where the same people are hard in both classes.
BOUNDS = {name: (0.90, 0.98) if size.people == 20 else (0.92, 0.97) for name, size in coverage.SIZES.items()}


@pytest.mark.parametrize("correlation", coverage.CORRELATIONS)
def test_a_large_test_set_has_the_rates_of_the_population(correlation: int) -> None:
    case = coverage.Case(BIG, bpcer=0.05, apcer=0.1, correlation=correlation)
    table = next(coverage.drawn_sets(case, coverage.blank(BIG), 1, seed=0))
    pair, truth = (table.score, table.is_bona_fide), case.truth()
    for rate in (rates.bpcer, rates.apcer_pooled, rates.hter):
        assert rate(*pair, coverage.THRESHOLD) == pytest.approx(truth[rate.__name__], abs=0.01)
    assert curves.auc(*pair) == pytest.approx(truth["auc"], abs=0.005)
    tpr = curves.tpr_at_fpr(*pair, positive="bona_fide")
    assert tpr == pytest.approx(truth["tpr_at_fpr1_bona_fide"], abs=0.04)


@pytest.mark.parametrize("correlation", coverage.CORRELATIONS)
def test_presentations_of_a_person_are_alike(correlation: int) -> None:
    case = coverage.Case(BIG, bpcer=0.5, apcer=0.5, correlation=correlation)
    table = next(coverage.drawn_sets(case, coverage.blank(BIG), 1, seed=0))
    latent = np.log(table.score / (1 - table.score)).reshape(BIG.people, -1)
    alike = np.corrcoef(latent[:, 0], latent[:, 1])[0, 1]
    assert alike == pytest.approx(coverage.PERSON_SHARE, abs=0.08)
    across = np.corrcoef(latent[:, 0], latent[:, -1])[0, 1]
    assert across == pytest.approx(correlation * coverage.PERSON_SHARE, abs=0.08)


def test_truth_by_hand() -> None:
    truth = coverage.Case(BIG, bpcer=float(ndtr(-1)), apcer=float(ndtr(-3)), correlation=0).truth()
    assert truth["eer"] == pytest.approx(ndtr(-2)) and truth["auc"] == pytest.approx(ndtr(4 / np.sqrt(2)))


def test_presentations_are_counted_as_the_data_sets_do() -> None:
    counts = {name: (size.people * size.bona_fide, size.people * size.attack) for name, size in coverage.SIZES.items()}
    assert counts["MSU-MFSD test"] == (40, 120) and counts["Replay-Attack test"] == (80, 400)
    assert counts["Replay-Attack train and test"] == (140, 700) and counts["OULU-NPU train and test"] == (720, 2880)
    for size in coverage.SIZES.values():
        assert len(clusters_of(coverage.blank(size))) == size.people


def test_a_few_test_sets_are_covered() -> None:
    case = coverage.Case(coverage.SIZES["MSU-MFSD test"], 0.1, 0.1, correlation=0)
    shares = coverage.covered(case, repeats=30, resamples=40)
    assert set(shares) == set(coverage.RULES) and all(0.7 < share <= 1 for share in shares.values())
    found = coverage.covered_rates(case, repeats=8, resamples=20)
    assert set(found) == set(case.truth()) and all(0.5 < share <= 1 for share in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("correlation", coverage.CORRELATIONS)
@pytest.mark.parametrize("error", [0.05, 0.1])
@pytest.mark.parametrize("name", coverage.SIZES)
def test_intervals_cover_what_they_claim(name: str, error: float, correlation: int) -> None:
    case = coverage.Case(coverage.SIZES[name], error, error, correlation)
    share = coverage.covered(case, repeats=2000, resamples=400)["logit t"]
    low, high = BOUNDS[name]
    assert low <= share <= high
