"""Balance, coverage and repeatability of the batches, for any mix of stream sizes."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipjax.core.errors import ConfigError
from flipjax.core.rng import host_stream
from flipjax.data import sampling
from flipjax.data.source import Index

SIZES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=4)


def index_of(sizes: list[tuple[int, int]]) -> Index:
    """Domain d has sizes[d][0] attacks and sizes[d][1] bona fide rows, shuffled together."""
    rows = [(f"d{i}", flag) for i, pair in enumerate(sizes) for flag, n in enumerate(pair) for _ in range(n)]
    order = np.random.default_rng(0).permutation(len(rows))
    return Index(
        {
            "domain": np.array([rows[i][0] for i in order], object),
            "is_bona_fide": np.array([rows[i][1] == 1 for i in order]),
            "position": np.arange(len(rows)),
        }
    )


def stream_of(index: Index, row: int) -> tuple[str, bool]:
    return index["domain"][row], bool(index["is_bona_fide"][row])


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 4), st.integers(0, 2**31), st.integers(0, 5000))
def test_balance_is_exact_where_the_streams_divide_the_batch(sizes, per_stream, seed, step):
    index = index_of(sizes)
    sampler = sampling.balanced(index, batch_size=2 * len(sizes) * per_stream, seed=seed)
    counts = Counter(stream_of(index, row) for row in sampler.global_indices(step))
    assert counts == {(f"d{i}", flag): per_stream for i in range(len(sizes)) for flag in (False, True)}


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 11), st.integers(0, 2**31))
def test_balance_holds_in_the_long_run_for_any_batch_size(sizes, batch_size, seed):
    index = index_of(sizes)
    sampler = sampling.balanced(index, batch_size=batch_size, seed=seed)
    drawn = np.concatenate([sampler.global_indices(step) for step in range(20)])
    counts = Counter(stream_of(index, row) for row in drawn)
    assert max(counts.values()) - min(counts.get((f"d{i}", f), 0) for i in range(len(sizes)) for f in (0, 1)) <= 1


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 11), st.integers(0, 2**31))
def test_every_epoch_of_a_stream_covers_each_row_once(sizes, batch_size, seed):
    index = index_of(sizes)
    sampler = sampling.balanced(index, batch_size=batch_size, seed=seed)
    steps = math.ceil(3 * max(map(max, sizes)) * 2 * len(sizes) / batch_size)
    drawn = np.concatenate([sampler.global_indices(step) for step in range(steps)])
    for rows in sampler.streams:
        of_stream = drawn[np.isin(drawn, rows)]
        for epoch in range(3):
            assert sorted(of_stream[epoch * len(rows) : (epoch + 1) * len(rows)]) == sorted(rows)


def test_batches_do_not_depend_on_what_was_asked_before():
    index = index_of([(7, 3), (5, 9)])
    forward = sampling.balanced(index, batch_size=6, seed=3)
    expected = [forward.global_indices(step) for step in range(30)]
    backward = sampling.balanced(index, batch_size=6, seed=3)
    sampling._permutation.cache_clear()
    for step in reversed(range(30)):
        np.testing.assert_array_equal(backward.global_indices(step), expected[step])
    assert [forward.row(4, slot) for slot in range(6)] == expected[4].tolist()
    assert expected[0].dtype == np.int64


def test_seeds_streams_and_epochs_have_different_orders():
    index = index_of([(50, 50)])
    one, two = (sampling.balanced(index, batch_size=100, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.global_indices(0), two.global_indices(0))
    assert not np.array_equal(one.global_indices(0), one.global_indices(1))
    ranks = [np.searchsorted(rows, one.global_indices(0)[i::2]) for i, rows in enumerate(one.streams)]
    assert not np.array_equal(*ranks)


def test_released_rule_by_hand():
    """Batch 4 of two streams: 2 + 2 rows; 5 attacks -> 2 batches a pass (the fifth is dropped), 7 bona fide -> 3."""
    index = index_of([(5, 7)])
    sampler = sampling.balanced(index, batch_size=4, seed=11, cycling="drop_last")
    attacks, bona_fide = sampler.streams
    for step, (attack_pass, attack_at, bona_fide_pass, bona_fide_at) in enumerate(
        [(0, 0, 0, 0), (0, 2, 0, 2), (1, 0, 0, 4), (1, 2, 1, 0), (2, 0, 1, 2), (2, 2, 1, 4), (3, 0, 2, 0)]
    ):
        attack_order = attacks[host_stream("order", 11, 0, attack_pass).permutation(5)]
        bona_fide_order = bona_fide[host_stream("order", 11, 1, bona_fide_pass).permutation(7)]
        a, b = attack_order[attack_at : attack_at + 2], bona_fide_order[bona_fide_at : bona_fide_at + 2]
        assert sampler.global_indices(step).tolist() == [a[0], b[0], a[1], b[1]]


def test_released_rule_without_remainder_equals_the_continuous_one():
    index = index_of([(6, 9), (3, 12)])
    released = sampling.balanced(index, batch_size=12, seed=1, cycling="drop_last")
    continuous = sampling.balanced(index, batch_size=12, seed=1)
    for step in range(40):
        np.testing.assert_array_equal(released.global_indices(step), continuous.global_indices(step))


def test_a_single_row_stream_repeats():
    index = index_of([(1, 4)])
    sampler = sampling.balanced(index, batch_size=4, seed=0)
    assert all((sampler.global_indices(step)[::2] == sampler.streams[0][0]).all() for step in range(5))


def test_domains_of_one_class_have_one_stream():
    sampler = sampling.balanced(index_of([(4, 0), (0, 5), (2, 2)]), batch_size=8, seed=0)
    assert sampler.names == ("(d0, attack)", "(d1, bona_fide)", "(d2, attack)", "(d2, bona_fide)")


def quality_index(counts: dict[tuple[bool, int], int]) -> Index:
    """Rows of two domains by (is bona fide, camera quality), shuffled together."""
    rows = [key for key, n in counts.items() for _ in range(n)]
    order = np.random.default_rng(0).permutation(len(rows))
    return Index(
        {
            "domain": np.array([f"d{i % 2}" for i in order], object),
            "is_bona_fide": np.array([rows[i][0] for i in order]),
            "camera_quality": np.array([rows[i][1] for i in order], np.int64),
            "position": np.arange(len(rows)),
        }
    )


def test_class_and_quality_make_six_streams_over_all_domains():
    counts = {(flag, quality): 3 + 2 * quality + flag for flag in (False, True) for quality in range(3)}
    index = quality_index(counts)
    sampler = sampling.balanced(index, batch_size=24, seed=2, by=sampling.CLASS_QUALITY)
    assert sampler.names == (
        "(attack, low)", "(attack, medium)", "(attack, high)",
        "(bona_fide, low)", "(bona_fide, medium)", "(bona_fide, high)",
    )  # fmt: skip
    for step in range(8):
        rows = sampler.global_indices(step)
        drawn = Counter(zip(index["is_bona_fide"][rows].tolist(), index["camera_quality"][rows].tolist(), strict=True))
        assert drawn == dict.fromkeys(counts, 4)
    seen = np.concatenate([sampler.global_indices(step) for step in range(2)])
    assert set(seen) >= set(np.concatenate(sampler.streams[:2])), "two passes of the small streams leave no row out"


def test_unknown_quality_is_a_stream_of_its_own_only_where_there_is_some():
    index = quality_index({(False, -1): 2, (False, 1): 3, (True, 2): 4})
    sampler = sampling.balanced(index, batch_size=6, seed=0, by=sampling.CLASS_QUALITY)
    assert sampler.names == ("(attack, unknown)", "(attack, medium)", "(bona_fide, high)")
    assert [len(rows) for rows in sampler.streams] == [2, 3, 4]
    with pytest.raises(ConfigError, match=r"batch size 4 does not divide into 3 \(class, camera quality\) streams"):
        sampling.balanced(index, batch_size=4, seed=0, by=sampling.CLASS_QUALITY, cycling="drop_last")


def test_twenty_published_epochs_by_hand():
    """12,800 samples in micro-batches of 24, ten an update: 533 full ones and one of 8, so 54 updates, the last of 80."""
    epoch = sampling.VirtualEpoch(samples=12800, batch_size=24, accumulate=10)
    assert epoch.updates == 54
    counts = [
        [sum(epoch.has(update * 10 + micro, slot) for slot in range(24)) for micro in range(10)]
        for update in (*range(108), 1079)
    ]
    full, last = [24] * 10, [24, 24, 24, 8, 0, 0, 0, 0, 0, 0]
    assert counts == [*[full] * 53, last, *[full] * 53, last, last]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
def test_every_virtual_epoch_holds_its_samples_and_ends_with_an_update(samples, batch_size, accumulate, number):
    epoch = sampling.VirtualEpoch(samples, batch_size, accumulate)
    steps = epoch.updates * accumulate
    held = [
        sum(epoch.has(step, slot) for slot in range(batch_size)) for step in range(number * steps, (number + 1) * steps)
    ]
    assert sum(held) == samples
    assert held == sorted(held, reverse=True)
    assert sum(held[-accumulate:]) > 0, "no update is empty"


def test_uniform_takes_every_row_once_per_pass():
    index = index_of([(5, 1), (2, 3)])
    sampler = sampling.uniform(index, batch_size=4, seed=5)
    drawn = np.concatenate([sampler.global_indices(step) for step in range(11)])
    for epoch in range(4):
        assert sorted(drawn[epoch * 11 : (epoch + 1) * 11]) == list(range(11))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"batch_size": 0}, "batch size 0"),
        ({"batch_size": 4, "cycling": "dropped_last"}, "did you mean 'drop_last'"),
        ({"batch_size": 5, "cycling": "drop_last"}, "batch size 5 does not divide into 2"),
        ({"batch_size": 8, "cycling": "drop_last"}, r"stream \(d0, attack\) has 3 rows, fewer than its 4"),
    ],
)
def test_what_does_not_fit_is_a_config_error(arguments, said):
    with pytest.raises(ConfigError, match=said):
        sampling.balanced(index_of([(3, 5)]), seed=0, **arguments)


def test_no_rows_is_a_config_error():
    with pytest.raises(ConfigError, match="no row"):
        sampling.balanced(index_of([(0, 0)]), batch_size=2, seed=0)
    with pytest.raises(ConfigError, match="no row"):
        sampling.uniform(index_of([(0, 0)]), batch_size=2, seed=0)
