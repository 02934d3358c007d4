"""Two systems on the same presentations: numbers against plain statements, and the page."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from flipjax.core.errors import MetricError
from flipjax.core.schemas import ScoreTable
from flipjax.evaluation import versus
from flipjax.evaluation.versus_page import MOST_POINTS, p_text, render_versus, scatter_figure

SYSTEMS = ("alpha", "beta")


def frames(seed: int, *, skill: float = 1.0, count: int = 240, noise: int = 0) -> ScoreTable:
    """Two frames per video; the same `seed` gives the same people and hardness, `noise` the system's own errors."""
    rng, own = np.random.default_rng(seed), np.random.default_rng(100 + noise)
    label = np.arange(count) % 3 == 0
    kinds = np.where(label, "", np.where(np.arange(count) % 2 == 0, "photo", "pc_screen")).astype(object)
    hardness = rng.normal(0, 1, count)
    logits = np.where(label, skill, -skill) + hardness + own.normal(0, 0.2, count)
    video = np.array([f"v{i}" for i in range(count)], dtype=object)
    people = np.array([f"p{i % 24}" for i in range(count)], dtype=object)
    repeated = [np.repeat(values, 2) for values in (video, people, np.full(count, "m", dtype=object), label, kinds)]
    ids = np.array([f"{name}/{frame}" for name in video for frame in range(2)], dtype=object)
    scores = np.repeat(1 / (1 + np.exp(-logits)), 2)
    return ScoreTable(ids, repeated[0], repeated[1], repeated[2], repeated[3], repeated[4], scores)


def compared(first: ScoreTable, second: ScoreTable, devs=(None, None), **options) -> versus.Comparison:
    options = {"resamples": 100} | options
    return versus.compare((first, second), devs, target="m", systems=SYSTEMS, **options)


@pytest.fixture(scope="module")
def better() -> versus.Comparison:
    return compared(frames(1), frames(1, skill=2.0, noise=1), (frames(2), frames(2, skill=2.0)))


def test_the_same_system_twice_cannot_be_told_apart() -> None:
    table = frames(1)
    found = compared(table, table)
    assert all(rate.first == rate.second and rate.difference and rate.difference.p == 1.0 for rate in found.rates)
    assert found.auc_test is not None and found.auc_test.p == 1.0
    assert (found.decisions.only_first_right, found.decisions.only_second_right) == (0, 0)
    page = render_versus([found], title="t", command="c")
    assert page.count("not distinguishable") == 2 and "Decisions that differ: 0" in page


def test_a_better_system_is_told_apart_in_words(better: versus.Comparison) -> None:
    hter = better.rates[0]
    assert hter.name == "hter" and hter.second < hter.first
    assert hter.difference is not None and hter.difference.high < 0
    page = render_versus([better], title="t", command="c")
    assert "HTER: distinguishable" in page and "beta is better" in page and "alpha is better" not in page


def test_thresholds_come_from_source_validation_and_stay_fixed(better: versus.Comparison) -> None:
    assert [rule.looked_at_target for rule in better.rules] == [False, False]
    assert better.rules[0].threshold != better.rules[1].threshold
    own = compared(frames(1), frames(1, noise=1))
    assert all(rule.looked_at_target for rule in own.rules)
    assert "has looked at the target" in render_versus([own], title="t", command="c")
    assert "has looked at the target" not in render_versus([better], title="t", command="c")


def test_decisions_and_rates_are_those_of_a_plain_count(better: versus.Comparison) -> None:
    label = better.first.is_bona_fide
    accepted = [t.score >= rule.threshold for t, rule in zip((better.first, better.second), better.rules, strict=True)]
    for key, index in (("first", 0), ("second", 1)):
        errors = [np.mean(~accepted[index][label]), np.mean(accepted[index][~label])]
        assert getattr(better.rates[0], key) == pytest.approx(50 * sum(errors))
        pc = accepted[index][better.first.attack_type == "pc_screen"]
        assert getattr(better.instruments[0], key) == pytest.approx(100 * np.mean(pc))
    for rate in better.instruments:
        assert rate.difference is not None
        assert 100 * rate.difference.difference == pytest.approx(rate.second - rate.first)
    right = [chosen == label for chosen in accepted]
    assert better.decisions.only_first_right == np.sum(right[0] & ~right[1])
    table = re.findall(r"<td>(?:<b>)?(\d+)(?:</b>)?</td>", render_versus([better], title="t", command="c"))[:4]
    counts = [np.sum((right[0] == a) & (right[1] == b)) for a in (True, False) for b in (True, False)]
    assert [int(text) for text in table] == counts and sum(counts) == 240


def test_order_of_rows_does_not_matter(better: versus.Comparison) -> None:
    second = frames(1, skill=2.0, noise=1)
    mixed = second.take(np.random.default_rng(0).permutation(len(second)))
    again = compared(frames(1), mixed, (frames(2), frames(2, skill=2.0)))
    assert again.rates == better.rates and again.auc_test == better.auc_test


@pytest.mark.parametrize(
    ("rows", "swap", "message"),
    [
        (
            slice(4, None),
            False,
            r"target 'm': 2 presentations that alpha has are missing from beta, such as m/v0, m/v1;",
        ),
        (slice(2, None), True, r"1 presentations that beta has are missing from alpha, such as m/v0;"),
    ],
)
def test_other_presentations_are_named(rows: slice, swap: bool, message: str) -> None:
    whole = frames(1)
    part = whole.take(np.arange(len(whole))[rows])
    with pytest.raises(MetricError, match=message):
        compared(*((part, whole) if swap else (whole, part)))


def test_labels_must_agree() -> None:
    table = frames(1)
    with pytest.raises(MetricError, match="disagree about is_bona_fide"):
        compared(table, replace(table, is_bona_fide=~table.is_bona_fide))


def test_an_instrument_of_few_people_has_no_interval() -> None:
    table = frames(1)
    kinds = table.attack_type.copy()
    kinds[(table.subject_id == "p1") & ~table.is_bona_fide] = "mask_3d"
    table = replace(table, attack_type=kinds)
    found = compared(table, replace(frames(1, noise=1), attack_type=kinds))
    assert {rate.name: rate.difference is None for rate in found.instruments} == {
        "mask_3d": True, "pc_screen": False, "photo": False,
    }  # fmt: skip
    assert "too few people" in render_versus([found], title="t", command="c")


def test_pairs_on_the_same_videos_are_seeds_kept_apart_from_sampling() -> None:
    pairs = [compared(frames(1, noise=i), frames(1, skill=1.3, noise=i + 5), resamples=20) for i in range(3)]
    other = compared(frames(1, count=120), frames(1, count=120, noise=1))
    (found,) = versus.repeats([*pairs, other])
    assert found.pairs == pairs and found.difference.seeds == 3
    differences = [each.rates[0].second - each.rates[0].first for each in pairs]
    assert found.difference.mean == pytest.approx(np.mean(differences))
    assert found.difference.sd == pytest.approx(np.std(differences, ddof=1))
    page = render_versus(pairs, title="t", command="c")
    assert "3 pairs on the same videos" in page and f"± {found.difference.sd:.2f}" in page
    assert "pairs on the same videos" not in render_versus([other], title="t", command="c")


def test_names_are_what_tells_paths_apart() -> None:
    assert versus.names_of(Path("a/M.csv"), Path("b/M.csv")) == ("a", "b")
    assert versus.names_of(Path("M.csv"), Path("N.csv")) == ("M", "N")
    assert versus.names_of(Path("M.csv"), Path("M.csv")) == ("first", "second")


def test_scatter_takes_at_most_two_thousand_videos_always_the_same() -> None:
    found = compared(frames(1, count=2400), frames(1, count=2400, noise=1), resamples=2)
    picture = scatter_figure(found)
    drawn = [path.get("d", "").count("M") for path in ElementTree.fromstring(picture).iter("path")]
    assert sum(drawn) == MOST_POINTS and picture == scatter_figure(found)
    share = drawn[1] / MOST_POINTS
    assert share == pytest.approx(1 / 3, abs=0.05), "bona fide and attacks are drawn as they occur"
    assert len(render_versus([found], title="t", command="c").encode()) < 300_000


def test_everything_from_outside_is_escaped() -> None:
    evil = "<script>"
    kinds = np.where(frames(1).is_bona_fide, "", evil).astype(object)
    tables = [replace(frames(1, noise=i), attack_type=kinds) for i in (0, 1)]
    found = versus.compare((tables[0], tables[1]), (None, None), target=evil, systems=(evil, evil), resamples=20)
    assert evil not in render_versus([found], title=evil, command=evil)


def test_p_values_in_words() -> None:
    assert p_text(None) == "–" and p_text(0.0001).startswith("<") and p_text(0.0432) == "0.043" and p_text(1.0) == "1"
