"""Copies are found and nothing else is: the lookup equals comparing all pairs, and damage that storage does is forgiven."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.doctor import similarity


def scene(seed: int, px: int = 96) -> np.ndarray:
    """A smooth picture of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(coarse, (px, px), interpolation=cv2.INTER_CUBIC)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def thumbnails(*images: np.ndarray) -> np.ndarray:
    return np.stack([similarity.thumbnail(image) for image in images])


def found(images: list[np.ndarray], groups: list[str] | None = None) -> list[list[int]]:
    names = groups or [str(place) for place in range(len(images))]
    return similarity.look_alikes(thumbnails(*images), np.array(names, object)).tolist()


def nearby(values: list[int], flips: list[list[int]]) -> np.ndarray:
    """The values and copies of them with a few bits flipped, so that near pairs are common."""
    flipped = [value ^ sum({1 << bit for bit in bits}) for value, bits in zip(values * 3, flips, strict=False)]
    return np.unique(np.array(values + flipped, np.uint64))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.lists(st.lists(st.integers(0, 63), max_size=5), max_size=36),
)
def test_lookup_equals_comparing_all_pairs(values: list[int], flips: list[list[int]]) -> None:
    hashes = nearby(values, flips)
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(bits <= similarity.MAX_BITS, k=1))
    assert similarity.near_pairs(hashes).tolist() == expected.tolist()


def test_lookup_finds_any_three_flipped_bits_and_no_four() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        value, bits = int(rng.integers(0, 2**63)), rng.choice(64, 4, replace=False)
        near, far = (value ^ sum(1 << int(bit) for bit in bits[:n]) for n in (3, 4))
        assert len(similarity.near_pairs(np.array([value, near], np.uint64))) == 1
        assert len(similarity.near_pairs(np.array([value, far], np.uint64))) == 0


@pytest.mark.parametrize(
    "stored_again",
    [
        lambda image: image.copy(),
        lambda image: jpeg(image, 50),
        lambda image: cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA),
        lambda image: cv2.GaussianBlur(image, (0, 0), 1.0),
    ],
)
def test_copy_is_found_whatever_storing_did_to_it(stored_again) -> None:
    images = [scene(seed) for seed in range(6)]
    assert found([*images, stored_again(images[2])]) == [[2, 6]]


@pytest.mark.parametrize(
    "other",
    [lambda image: image[:, ::-1].copy(), lambda image: cv2.convertScaleAbs(image, alpha=0.8), lambda _: scene(99)],
)
def test_other_picture_is_not_a_copy(other) -> None:
    images = [scene(seed) for seed in range(6)]
    assert found([*images, other(images[2])]) == []


def test_same_hash_alone_is_not_enough() -> None:
    dark = cv2.convertScaleAbs(scene(1), alpha=0.5)
    hashes = similarity.difference_hashes(thumbnails(scene(1), dark))
    assert np.bitwise_count(hashes[0] ^ hashes[1]) <= similarity.MAX_BITS
    assert found([scene(1), dark]) == []


def test_frames_of_one_video_and_pictures_of_one_colour_are_left_alone() -> None:
    black = np.zeros((96, 96, 3), np.uint8)
    assert found([scene(1), scene(1), scene(1)], ["a", "a", "b"]) == [[0, 2], [1, 2]]
    assert found([scene(1), scene(1)], ["a", "a"]) == []
    assert found([black, black]) == []


def test_hash_compares_neighbours_from_left_to_right() -> None:
    rising = np.tile(np.arange(0, 180, 10, dtype=np.uint8), (16, 1))
    assert similarity.difference_hashes(rising[None]).tolist() == [2**64 - 1]
    assert similarity.difference_hashes(rising[None, :, ::-1]).tolist() == [0]


def test_noise_does_not_decide_where_a_picture_is_flat() -> None:
    half = scene(1)
    half[:, 48:] = 128
    noisy = np.clip(half + np.random.default_rng(0).normal(0, 3, half.shape), 0, 255).astype(np.uint8)
    hashes = similarity.difference_hashes(thumbnails(half, noisy))
    assert np.bitwise_count(hashes[0] ^ hashes[1]) <= 1


def test_what_all_pictures_share_does_not_make_them_alike() -> None:
    frame = scene(1000, 18)[:16, :, 0].astype(np.int16)
    rng = np.random.default_rng(0)
    many = np.clip(frame + rng.normal(0, 6, (similarity.MANY, 16, 18)), 0, 255).astype(np.uint8)
    bits = np.unpackbits(similarity.difference_hashes(many).view(np.uint8)).reshape(len(many), 64)
    assert np.all(np.abs(bits.mean(axis=0) - 0.5) < 0.15)
    plain = np.unpackbits(similarity.difference_hashes(many[1:]).view(np.uint8)).reshape(-1, 64)
    assert np.abs(plain.mean(axis=0) - 0.5).max() > 0.45


def test_copies_are_found_among_many() -> None:
    rng = np.random.default_rng(0)
    many = np.stack([cv2.resize(tile, (18, 16)) for tile in rng.integers(0, 256, (2000, 5, 5), np.uint8)])
    many[1500] = np.clip(many[3].astype(int) + rng.integers(-1, 2, (16, 18)), 0, 255)
    assert similarity.look_alikes(many, np.arange(2000)).tolist() == [[3, 1500]]


def test_picture_stored_a_thousand_times_gives_few_pairs_that_reach_every_group() -> None:
    stack = np.repeat(thumbnails(scene(1)), 1000, axis=0)
    groups = np.array([f"{'train' if row < 900 else 'test'} {row}" for row in range(1000)], object)
    pairs = similarity.look_alikes(stack, groups)
    assert len(pairs) == 64 * 63 // 2
    assert np.any((pairs[:, 0] < 900) & (pairs[:, 1] >= 900))


def test_nothing_at_all_is_no_pair() -> None:
    none = similarity.stacked(())
    assert similarity.look_alikes(none, np.zeros(0, object)).shape == (0, 2)


def test_thumbnails_survive_being_kept_as_bytes() -> None:
    kept = similarity.stacked(similarity.thumbnail(scene(seed)).tobytes() for seed in range(3))
    np.testing.assert_array_equal(kept, thumbnails(*(scene(seed) for seed in range(3))))
