"""Do 95 % intervals cover the truth in 95 % of test sets? A simulation with people whose presentations are alike.

    python tests/benchmarks/coverage.py [--repeats=2000] [--resamples=400] [--rates]

Every repeat draws a test set: a presentation's latent score is the mean of its class plus a person's effect (30 % of the
variance) plus noise, squashed to [0, 1], so the true error rates are known. A person's effects on bona fide and on attack
presentations are independent (correlation 0), the same (1: this person scores high in both, errors offset each other) or
opposite (-1: this person is hard in both, errors add up). Prints one JSON line per case: for HTER at a fixed threshold
the share of test sets whose interval holds the truth, by kind of interval; with --rates, the same for other rates by the
interval that the project reports. With 2,000 repeats a printed share has a standard error of 0.5 points.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
from absl import flags
from scipy.special import expit, ndtr, ndtri

from flipjax.core import command
from flipjax.core.schemas import ScoreTable
from flipjax.metrics.intervals import bootstrap, interval
from flipjax.metrics.resampling import Clusters, clusters_of, resample
from flipjax.metrics.weighted import threshold_rates

PERSON_SHARE = 0.3
THRESHOLD = 0.5
ERRORS = ((0.05, 0.05), (0.1, 0.1), (0.02, 0.15))
CORRELATIONS = (0, 1, -1)
RULES = ("percentile, classes apart", "percentile", "logit t")


@dataclass(frozen=True)
class Size:
    """People of a test set, and bona fide and attack presentations of each."""

    people: int
    bona_fide: int
    attack: int


# Test parts, and for Replay-Attack and OULU-NPU what the leave-one-out protocols evaluate: train and test together.
SIZES = {
    "MSU-MFSD test": Size(20, 2, 6),
    "Replay-Attack test": Size(20, 4, 20),
    "Replay-Attack train and test": Size(35, 4, 20),
    "OULU-NPU test": Size(20, 18, 72),
    "OULU-NPU train and test": Size(40, 18, 72),
}


@dataclass(frozen=True)
class Case:
    """A test set to draw: its size, true BPCER and APCER, and how a person's effects on the classes correlate."""

    size: Size
    bpcer: float
    apcer: float
    correlation: int

    @property
    def means(self) -> tuple[float, float]:
        """Latent means of bona fide and attack; the threshold is zero, the variance one."""
        return float(ndtri(1 - self.bpcer)), float(ndtri(self.apcer))

    def numbers(self) -> list[int]:
        """The case as whole numbers that are not negative: no two cases share their random stream."""
        rates = (round(1000 * self.bpcer), round(1000 * self.apcer))
        return [self.size.people, self.size.bona_fide, self.size.attack, *rates, self.correlation + 1]

    def truth(self) -> dict[str, float]:
        """Rates of the population; `eer` at the threshold where both errors are equal."""
        gap = self.means[0] - self.means[1]
        return {
            "hter": (self.bpcer + self.apcer) / 2,
            "bpcer": self.bpcer,
            "apcer_pooled": self.apcer,
            "auc": float(ndtr(gap / np.sqrt(2))),
            "eer": float(ndtr(-gap / 2)),
            "tpr_at_fpr1_bona_fide": float(ndtr(gap + ndtri(0.01))),
            "tpr_at_fpr1_attack": float(ndtr(gap + ndtri(0.01))),
        }


def main(argv: list[str]) -> None:
    """Simulates every case, and prints what it covers."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    measure = covered_rates if given.rates else covered
    for name, size in SIZES.items():
        for case in (Case(size, *errors, correlation) for errors in ERRORS for correlation in CORRELATIONS):
            shares = measure(case, repeats=given.repeats, resamples=given.resamples)
            percent = {key: round(100 * share, 1) for key, share in shares.items()}
            sys.stdout.write(json.dumps({"name": name, **asdict(case), "covered_percent": percent}) + "\n")
            sys.stdout.flush()


def covered(case: Case, *, repeats: int, resamples: int, seed: int = 0) -> dict[str, float]:
    """Returns the share of test sets in which the interval of HTER at the fixed threshold holds the truth, by rule."""
    hits, truth = Counter[str](), case.truth()["hter"]
    template = blank(case.size)
    drawn = {"together": clusters_of(template), "apart": clusters_of(_named_by_class(template))}
    for number, table in enumerate(drawn_sets(case, template, repeats, seed)):
        estimate, together = _hter(table, drawn["together"], resamples, number)
        _, apart = _hter(table, drawn["apart"], resamples, number)
        ends = (
            np.percentile(apart, [2.5, 97.5]),
            np.percentile(together, [2.5, 97.5]),
            interval(estimate, together, case.size.people),
        )
        hits.update(rule for rule, (low, high) in zip(RULES, ends, strict=True) if low <= truth <= high)
    return {rule: hits[rule] / repeats for rule in RULES}


def covered_rates(case: Case, *, repeats: int, resamples: int, seed: int = 0) -> dict[str, float]:
    """Returns the share of test sets in which the reported interval holds the truth, by rate."""
    hits, truth = Counter[str](), case.truth()
    for number, table in enumerate(drawn_sets(case, blank(case.size), repeats, seed)):
        found = bootstrap(table, threshold=None, resamples=resamples, seed=number)
        found |= bootstrap(table, threshold=THRESHOLD, resamples=resamples, seed=number)
        hits.update(key for key, value in truth.items() if found[key][0] <= value <= found[key][1])
    return {key: hits[key] / repeats for key in truth}


def drawn_sets(case: Case, template: ScoreTable, repeats: int, seed: int) -> Iterator[ScoreTable]:
    """Yields test sets of the case, drawn anew."""
    rng = np.random.default_rng([seed, *case.numbers()])
    person = np.unique(template.subject_id, return_inverse=True)[1]
    label = template.is_bona_fide
    for _ in range(repeats):
        effects = rng.normal(size=(2, case.size.people))
        if case.correlation:
            effects[1] = case.correlation * effects[0]
        shift = np.where(label, effects[0][person], effects[1][person]) * np.sqrt(PERSON_SHARE)
        noise = rng.normal(size=len(label)) * np.sqrt(1 - PERSON_SHARE)
        yield replace(template, score=expit(np.where(label, *case.means) + shift + noise))


def blank(size: Size) -> ScoreTable:
    """Returns the presentations of a test set, all scores zero."""
    each = size.bona_fide + size.attack
    people = np.repeat(np.arange(size.people), each).astype(str).astype(object)
    label = np.tile(np.arange(each) < size.bona_fide, size.people)
    ids = np.arange(len(label)).astype(str).astype(object)
    kinds = np.where(label, "", "photo").astype(object)
    return ScoreTable(ids, ids, people, np.full(len(label), "m", dtype=object), label, kinds, np.zeros(len(label)))


def _named_by_class(table: ScoreTable) -> ScoreTable:
    """The same people under another name in either class, so that the classes are drawn apart."""
    return replace(table, subject_id=table.subject_id + np.where(table.is_bona_fide, "b", "a").astype(object))


def _hter(table: ScoreTable, clusters: Clusters, resamples: int, seed: int) -> tuple[float, np.ndarray]:
    measure = threshold_rates(table, clusters.group, THRESHOLD)
    estimate = measure(np.ones((1, len(clusters)), dtype=np.int32))["hter"]
    return float(estimate[0]), resample(clusters, measure, resamples=resamples, seed=seed)["hter"]


if __name__ == "__main__":
    flags.DEFINE_integer("repeats", 2000, "test sets to draw per case", lower_bound=1)
    flags.DEFINE_integer("resamples", 400, "bootstrap resamples per test set", lower_bound=2)
    flags.DEFINE_bool("rates", False, "cover other rates, not other intervals")
    command.run(main)
