"""Greedy decoding and option scoring against the plain forward with teacher forcing."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.core.errors import ConfigError
from flipjax.models.layers import run
from flipjax.models.t5 import END, T5
from flipjax.models.t5_decode import greedy, option_probabilities, option_scores
from flipjax.models.t5_layers import T5Size
from golden_cases import assert_within
from plain_numpy import scrambled

SIZE = T5Size(width=24, heads=3, head_width=8, hidden=40, layers=2, vocab=30, buckets=16, max_distance=40)
B, N, MAX_LENGTH = 6, 7, 9
OPTION_IDS = np.array([[5, 6, 1, 0], [5, 1, 0, 0], [9, 8, 7, 1], [4, 4, 4, 4]], np.int32)
OPTION_MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)

decoded = jax.jit(greedy, static_argnums=0, static_argnames="max_length")
scored = jax.jit(option_scores, static_argnums=0)
teacher_forced = jax.jit(functools.partial(run, T5(SIZE), method="decode"))


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    rng = np.random.default_rng(1)
    ids, mask = jnp.ones((1, 2), int), jnp.ones((1, 2), bool)
    shapes = jax.eval_shape(T5(SIZE).init, jax.random.key(0), ids, mask, ids, mask)["params"]
    params = jax.tree.map(jnp.asarray, scrambled(shapes))
    params["lm_head"]["kernel"] = params["lm_head"]["kernel"].at[:, END].multiply(1.4)
    encoded = jnp.asarray(rng.normal(size=(B, N, SIZE.width)).astype(np.float32))
    mask = jnp.asarray(np.arange(N) < rng.integers(1, N + 1, size=(B, 1)))
    return SimpleNamespace(params=params, encoded=encoded, mask=mask)


def test_every_token_is_the_likeliest_after_those_before_it(case) -> None:
    ids = np.asarray(decoded(T5(SIZE), case.params, case.encoded, case.mask, max_length=MAX_LENGTH))
    assert ids.shape == (B, MAX_LENGTH) and (ids[:, 0] == 0).all()
    answers = jnp.asarray(ids[:, 1:])
    likeliest = np.asarray(
        teacher_forced(case.params, case.encoded, case.mask, answers, jnp.ones_like(answers, bool)).argmax(axis=-1)
    )
    ended = 0
    for row, expected in zip(ids[:, 1:], likeliest, strict=True):
        length = list(row).index(END) + 1 if END in row else len(row)
        ended += length < len(row)
        np.testing.assert_array_equal(row[:length], expected[:length])
        assert (row[length:] == 0).all()
    assert 0 < ended < B  # some answers end early, some do not


def test_a_lower_limit_cuts_the_answers(case) -> None:
    long, short = (
        np.asarray(decoded(T5(SIZE), case.params, case.encoded, case.mask, max_length=length)) for length in (9, 4)
    )
    np.testing.assert_array_equal(short, long[:, :4])


def test_other_states_compile_nothing_new(case) -> None:
    def both(encoded, option_ids):
        decoded(T5(SIZE), case.params, encoded, case.mask, max_length=MAX_LENGTH)
        scored(T5(SIZE), case.params, encoded, case.mask, option_ids, OPTION_MASK)
        return decoded._cache_size(), scored._cache_size()

    assert both(case.encoded, OPTION_IDS) == both(case.encoded + 1, OPTION_IDS[::-1])


def test_options_side_by_side_equal_options_one_by_one(case) -> None:
    sums, lengths = scored(T5(SIZE), case.params, case.encoded, case.mask, OPTION_IDS, OPTION_MASK)
    np.testing.assert_array_equal(lengths, [3, 2, 4, 0])
    for j, (ids, real) in enumerate(zip(OPTION_IDS, OPTION_MASK, strict=True)):
        rows, mask = jnp.tile(ids, (B, 1)), jnp.tile(real, (B, 1))
        log_probability = jax.nn.log_softmax(teacher_forced(case.params, case.encoded, case.mask, rows, mask))
        of_tokens = np.take_along_axis(np.asarray(log_probability), np.asarray(rows)[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(sums[:, j], (of_tokens * real).sum(axis=1), rtol=1e-5, atol=1e-6)


def test_options_do_not_read_each_other(case) -> None:
    sums, _ = scored(T5(SIZE), case.params, case.encoded, case.mask, OPTION_IDS, OPTION_MASK)
    order = np.array([2, 3, 0, 1])
    shuffled, _ = scored(T5(SIZE), case.params, case.encoded, case.mask, OPTION_IDS[order], OPTION_MASK[order])
    assert_within(shuffled, sums[:, order], 1e-6)


def test_options_cost_one_pass_over_the_encoder_states(case) -> None:
    """Ten times as many options do not project the encoder's states again."""

    def flops(k):
        shapes = [jax.ShapeDtypeStruct((k, 4), dtype) for dtype in (np.int32, bool)]
        states = jax.ShapeDtypeStruct((1, 4000, SIZE.width), np.float32), jax.ShapeDtypeStruct((1, 4000), bool)
        params = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), case.params)
        return scored.lower(T5(SIZE), params, *states, *shapes).cost_analysis()["flops"]

    projections = 2 * 2 * SIZE.layers * 4000 * SIZE.width * SIZE.heads * SIZE.head_width
    assert flops(1) < 1.7 * projections and flops(2) - flops(1) < 0.6 * projections


def test_probabilities_by_hand() -> None:
    sums, lengths = jnp.log(jnp.array([[0.25, 0.5, 0.3]])), jnp.array([2, 1, 0])
    np.testing.assert_allclose(option_probabilities(sums, lengths), [[0.5, 0.5, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(option_probabilities(sums, lengths, "sum"), [[1 / 3, 2 / 3, 0.0]], rtol=1e-6)
    with pytest.raises(ConfigError, match="option reduction 'max' unknown; use one of mean, sum"):
        option_probabilities(sums, lengths, "max")
