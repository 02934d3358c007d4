"""bob.measure's thresholds and rates on twenty score sets, and bob.pad.base's rules from their definition."""

import json

import numpy as np
import pytest
from golden_metrics.bob_measure import GOLDEN, RECIPES, SHARES, score_set

from flipjax.metrics import rates, thresholds
from flipjax.metrics.operating_points import bpcer_at_apcer

SETS = json.loads(GOLDEN.read_text(encoding="utf-8"))["sets"]


def _errors(scores, label, threshold) -> tuple[int, int]:
    """(attacks accepted, bona fide rejected)"""
    far, frr = rates.apcer_pooled(scores, label, threshold), rates.bpcer(scores, label, threshold)
    return round(far * int((~label).sum())), round(frr * int(label.sum()))


def _its_errors(answer, label) -> tuple[int, int]:
    return round(answer["far"] * int((~label).sum())), round(answer["frr"] * int(label.sum()))


@pytest.fixture(params=SETS, ids=lambda found: "-".join(str(value) for value in found["recipe"].values()))
def golden(request):
    scores, label = score_set(**request.param["recipe"])
    return request.param, scores, label


def test_the_golden_is_of_today_s_recipes() -> None:
    assert [found["recipe"] for found in SETS] == list(RECIPES)


def test_same_rates_at_its_own_thresholds(golden) -> None:
    found, scores, label = golden
    for name in ("eer", *(f"{kind}_{share:g}" for kind in ("far", "frr") for share in SHARES)):
        assert _errors(scores, label, found[name]["threshold"]) == _its_errors(found[name], label)


@pytest.mark.parametrize("search", [thresholds.eer_exact, thresholds.eer_grid])
def test_equal_error_rate_within_one_sample(golden, search) -> None:
    found, scores, label = golden
    its = (found["eer"]["far"] + found["eer"]["frr"]) / 2
    sample = 1 / min(label.sum(), (~label).sum())
    assert abs(thresholds.equal_error_rate(scores, label, search) - its) <= sample / 2


@pytest.mark.parametrize("share", SHARES)
def test_apcer_limit_accepts_the_same_attacks(golden, share: float) -> None:
    """bob cuts at the lowest attack it accepts, we just above the highest we reject: no more bona fide are lost."""
    found, scores, label = golden
    its_accepted, its_rejected = _its_errors(found[f"far_{share:g}"], label)
    rule = thresholds.at_apcer(scores, label, np.where(label, "", "photo"), limit=share, data="")
    accepted, rejected = _errors(scores, label, rule.threshold)
    assert accepted == its_accepted and rejected <= its_rejected


@pytest.mark.parametrize("share", SHARES)
def test_bpcer_limit_cuts_at_the_same_score(golden, share: float) -> None:
    """Where too many bona fide share the lowest score bob cuts above it, beyond its limit; we cut at it."""
    found, scores, label = golden
    its = found[f"frr_{share:g}"]
    threshold = thresholds.at_bpcer(scores, label, limit=share, data="").threshold
    if its["frr"] <= share:
        assert threshold == its["threshold"]
    assert rates.bpcer(scores, label, threshold) <= share


@pytest.mark.parametrize("n", [20, 100])
def test_rules_of_bob_pad_from_their_definition(golden, n: int) -> None:
    """APCER is the largest of the instruments'; BPCERn cuts at the largest of their thresholds for an APCER of 1 / n."""
    _, scores, label = golden
    pai = np.array(["photo", "pc_screen", "mask"], dtype=object)[np.arange(len(label)) % 3]
    attacks = {name: np.sort(scores[~label & (pai == name)]) for name in set(pai[~label])}
    shares = {name: np.sum(found >= 0.5) / len(found) for name, found in attacks.items()}
    assert rates.apcer_per_pai(scores, label, pai, 0.5) == pytest.approx(shares)
    assert rates.apcer_max(scores, label, pai, 0.5) == max(shares.values())
    cuts = []
    for found in attacks.values():
        candidates = [*np.unique(found), np.nextafter(found[-1], 2)]
        cuts.append(min(cut for cut in candidates if np.sum(found >= cut) / len(found) <= 1 / n))
    ours = bpcer_at_apcer(scores, label, pai, limit=1 / n)
    threshold = thresholds.at_apcer(scores, label, pai, limit=1 / n, data="").threshold
    assert ours <= np.mean(scores[label] < max(cuts)) and threshold <= max(cuts)
    assert all(np.sum(found >= threshold) / len(found) <= 1 / n for found in attacks.values())
