"""Frame rules: the published choices by hand, laws that hold for every clip, and one line for every mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipjax.core.errors import ConfigError
from flipjax.data.frames import FrameRule, frame_indices

NUMBERS = st.lists(st.integers(0, 400), unique=True, max_size=60).map(sorted)
RULES = ("pair", "all", "equidistant:10", "every:5", "first:10", "first:3+every:4", "pair+equidistant:7")


@pytest.mark.parametrize(
    ("rule", "count", "chosen"),
    [
        ("pair", 100, (6, 56)),
        ("pair", 101, (6, 56)),
        ("pair", 12, (6, 11)),
        ("pair", 1, (0,)),
        ("equidistant:10", 50, tuple(range(0, 50, 5))),
        ("equidistant:10", 4, (0, 1, 2, 3)),
        ("every:5", 12, (0, 5, 10)),
        ("first:3", 2, (0, 1)),
        ("first:3+every:5", 12, (0, 1, 2, 5, 10)),
        ("all", 3, (0, 1, 2)),
    ],
)
def test_frames_by_hand(rule: str, count: int, chosen: tuple[int, ...]) -> None:
    assert FrameRule(rule).choose(range(count)) == chosen


def test_numbers_are_those_of_the_recording_not_places() -> None:
    recorded = [0, 1, 3, 5, 6, 7, 9, 10, 15]
    assert FrameRule("every:5").choose(recorded) == (0, 5, 10, 15)
    assert FrameRule("first:4").choose(recorded) == (0, 1, 3)
    assert FrameRule("equidistant:3").choose(recorded) == (0, 5, 9)


@given(NUMBERS, st.sampled_from(RULES))
def test_chosen_frames_exist_ascend_and_an_empty_clip_gives_none(numbers: list[int], rule: str) -> None:
    chosen = FrameRule(rule).choose(numbers)
    assert set(chosen) <= set(numbers)
    assert list(chosen) == sorted(set(chosen))
    if not numbers:
        assert chosen == ()


@given(NUMBERS, st.integers(1, 20))
def test_equidistant_gives_as_many_as_asked_where_there_are_enough(numbers: list[int], wanted: int) -> None:
    assert len(FrameRule(f"equidistant:{wanted}").choose(numbers)) == min(wanted, len(numbers))


@given(st.integers(1, 10_000))
def test_the_pair_is_never_outside_the_clip(count: int) -> None:
    indices = frame_indices(count)
    assert 1 <= len(indices) <= 2
    assert 0 <= min(indices) <= max(indices) < count


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "frame rule '' unknown"),
        ("pairs", "frame rule 'pairs' unknown.*did you mean 'pair'"),
        ("every", "expected 'every:N'"),
        ("every:0", "expected 'every:N'"),
        ("first:-2", "expected 'first:N'"),
        ("pair:2", "expected 'pair' alone"),
        ("all+", "frame rule '' unknown"),
    ],
)
def test_mistakes_are_named(rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FrameRule(rule)
