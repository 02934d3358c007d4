"""T5 by itself: sizes, storage in bfloat16, rematerialisation, padding, and what random weights are good for."""

import dataclasses
import functools
import math
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flipjax.core.errors import ConfigError
from flipjax.losses.language import token_cross_entropy
from flipjax.models.layers import run
from flipjax.models.t5 import T5, shift_right
from flipjax.models.t5_decode import option_probabilities, option_scores
from flipjax.models.t5_layers import T5_SIZES, T5Size, position_buckets
from golden_cases import assert_within

SIZE = T5Size(width=24, heads=3, head_width=8, hidden=40, layers=2, vocab=30, buckets=16, max_distance=40)
COUNTS = {"small": 76_961_152, "base": 247_577_856, "large": 783_150_080, "xl": 2_849_757_184}
B, N, T = 3, 9, 4


def shapes(size: T5Size) -> Any:
    ids, mask = jnp.zeros((1, 2), int), jnp.ones((1, 2), bool)
    return jax.eval_shape(T5(size).init, jax.random.key(0), ids, mask, ids, mask)["params"]


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    rng = np.random.default_rng(0)
    inputs = {
        "embeddings": jnp.asarray(rng.normal(size=(B, N, SIZE.width)).astype(np.float32)),
        "mask": jnp.asarray(np.arange(N) < np.array([[9], [5], [7]])),
        "answer_ids": jnp.asarray(rng.integers(2, SIZE.vocab, size=(B, T))),
        "answer_mask": jnp.asarray(np.arange(T) < np.array([[4], [2], [0]])),
    }
    start = jax.jit(T5(SIZE).init)(jax.random.key(0), *[inputs["answer_ids"], inputs["answer_mask"]] * 2)
    return SimpleNamespace(params=start["params"], **inputs)


def forward(t5: T5, params: Any, embeddings: Any, mask: Any, answer_ids: Any, answer_mask: Any) -> jax.Array:
    encoded = run(t5, params, embeddings, mask, method="encode")
    return run(t5, params, encoded, mask, answer_ids, answer_mask, method="decode")


logits_of = jax.jit(forward, static_argnums=0)


def of_case(case: SimpleNamespace, t5: T5 | None = None, params: Any = None) -> jax.Array:
    inputs = (case.embeddings, case.mask, case.answer_ids, case.answer_mask)
    return logits_of(t5 or T5(SIZE), params or case.params, *inputs)


def count(size: T5Size) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes(size)))


@pytest.mark.parametrize("name", COUNTS)
def test_published_sizes(name) -> None:
    # Blocks of a stack are equal, so two shallow networks tell the size of a deep one.
    one, two = (count(dataclasses.replace(T5_SIZES[name], layers=layers)) for layers in (1, 2))
    assert one + (T5_SIZES[name].layers - 1) * (two - one) == COUNTS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_published_sizes_at_full_depth(name) -> None:
    assert count(T5_SIZES[name]) == COUNTS[name]


def test_tree_layout() -> None:
    tree = shapes(SIZE)
    d, inner, hidden = SIZE.width, SIZE.heads * SIZE.head_width, SIZE.hidden
    attention = {name: {"kernel": (d, inner)} for name in ("query", "key", "value")} | {"out": {"kernel": (inner, d)}}
    norm = {"scale": (d,)}
    mlp = {"gate": {"kernel": (d, hidden)}, "fc1": {"kernel": (d, hidden)}, "fc2": {"kernel": (hidden, d)}}
    block = {"ln_1": norm, "attn": attention, "ln_2": norm, "mlp": mlp}
    stack = {"relative_bias": (SIZE.buckets, SIZE.heads), "ln_final": norm}
    found = jax.tree.map(lambda leaf: leaf.shape, tree)
    assert set(found) == {"shared", "encoder", "decoder", "lm_head"}
    assert found["shared"] == (SIZE.vocab, d) and found["lm_head"] == {"kernel": (d, SIZE.vocab)}
    assert found["encoder"] == stack | {"blocks_0": block, "blocks_1": block}
    crossing = block | {"cross": attention, "ln_cross": norm}
    assert found["decoder"] == stack | {"blocks_0": crossing, "blocks_1": crossing}


@pytest.mark.parametrize("wrong", [{"gelu": "quick"}, {"buckets": 6}, {"max_distance": 8}])
def test_sizes_that_are_no_t5(wrong) -> None:
    with pytest.raises(ConfigError, match=r"expected exact, tanh|position buckets up to distance"):
        dataclasses.replace(SIZE, **wrong)


def test_buckets_by_hand() -> None:
    # Four buckets a direction: two for single distances, then one for 2 .. 3 and one from 4 = sqrt(2 * 8) on.
    forwards = position_buckets(np.arange(6)[None], is_bidirectional=True, buckets=8, max_distance=8)
    np.testing.assert_array_equal(forwards, [[0, 5, 6, 6, 7, 7]])
    backwards = position_buckets(-np.arange(6)[None], is_bidirectional=True, buckets=8, max_distance=8)
    np.testing.assert_array_equal(backwards, [[0, 1, 2, 2, 3, 3]])
    causal = position_buckets(np.array([[3, 0, -1, -2, -3, -9]]), is_bidirectional=False, buckets=4, max_distance=8)
    np.testing.assert_array_equal(causal, [[0, 0, 1, 2, 2, 3]])


def test_inputs_of_the_decoder() -> None:
    ids, mask = jnp.array([[5, 6, 1, 9], [7, 1, 9, 9]]), jnp.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
    np.testing.assert_array_equal(shift_right(ids, mask), [[0, 5, 6, 1], [0, 7, 1, 0]])


def test_masked_positions_change_nothing(case) -> None:
    noisy = jnp.where(case.mask[..., None], case.embeddings, 50.0)
    longer = jnp.concatenate([noisy, jnp.full((B, 3, SIZE.width), -9.0)], axis=1)
    mask = jnp.concatenate([case.mask, jnp.zeros((B, 3), bool)], axis=1)
    ids = jnp.pad(jnp.where(case.answer_mask, case.answer_ids, 3), ((0, 0), (0, 2)), constant_values=4)
    answer_mask = jnp.pad(case.answer_mask, ((0, 0), (0, 2)))
    padded = logits_of(T5(SIZE), case.params, longer, mask, ids, answer_mask)[:, :T]
    assert_within(padded[case.answer_mask], of_case(case)[case.answer_mask], 1e-6)


def test_a_token_reads_those_before_it_only(case) -> None:
    changed = case.answer_ids.at[0, 2].set((case.answer_ids[0, 2] + 1) % SIZE.vocab)
    before = of_case(case)
    after = logits_of(T5(SIZE), case.params, case.embeddings, case.mask, changed, case.answer_mask)
    np.testing.assert_array_equal(after[0, :3], before[0, :3])
    assert np.abs(after[0, 3] - before[0, 3]).max() > 1e-3


def test_rows_without_answer_stay_numbers(case) -> None:
    def loss(embeddings):
        return jnp.sum(jnp.square(forward(T5(SIZE), case.params, embeddings, *inputs)))

    inputs = (case.mask, case.answer_ids, jnp.zeros_like(case.answer_mask))
    assert np.isfinite(jax.jit(jax.grad(loss))(case.embeddings)).all()


def test_rematerialised_blocks_give_the_same_gradient_and_keep_less(case) -> None:
    def loss(t5, embeddings):
        logits = forward(t5, case.params, embeddings, case.mask, case.answer_ids, case.answer_mask)
        return token_cross_entropy(logits, case.answer_ids, case.answer_mask)

    def kept(t5):
        """Number of values that the forward pass keeps for the backward pass."""
        residuals = jax.eval_shape(lambda x: jax.vjp(functools.partial(loss, t5), x)[1], case.embeddings)
        return sum(leaf.size for leaf in jax.tree.leaves(residuals))

    size = dataclasses.replace(SIZE, layers=1)
    plain, remat = T5(size), T5(size, remat=True)
    gradient = jax.jit(jax.value_and_grad(loss, argnums=1), static_argnums=0)
    jax.tree.map(
        lambda a, b: assert_within(a, b, 1e-5), gradient(remat, case.embeddings), gradient(plain, case.embeddings)
    )
    assert kept(remat) < 0.6 * kept(plain)


def test_storage_in_bfloat16_computes_with_the_rounded_weights(case) -> None:
    stored = jax.tree.map(lambda x: x.astype(jnp.bfloat16), case.params)
    rounded = jax.tree.map(lambda x: x.astype(jnp.float32), stored)
    logits = of_case(case, params=stored)
    assert logits.dtype == jnp.float32
    np.testing.assert_array_equal(logits, of_case(case, params=rounded))


def test_computing_in_bfloat16_stays_near(case) -> None:
    logits = of_case(case, t5=T5(SIZE, dtype=jnp.bfloat16))
    assert logits.dtype == jnp.float32
    assert_within(logits, of_case(case), 0.05)


def test_other_values_of_the_same_shape_compile_nothing_new(case) -> None:
    of_case(case)
    count = logits_of._cache_size()
    logits_of(T5(SIZE), case.params, case.embeddings + 1, ~case.mask, case.answer_ids * 0, ~case.answer_mask)
    assert logits_of._cache_size() == count


def test_random_weights_give_logits_of_order_three(case) -> None:
    assert 1.8 < of_case(case).std() < 4.5


def test_a_soft_prompt_steers_a_frozen_random_t5(case) -> None:
    """Eight learned embeddings per answer make each of five answers the likeliest one."""
    k, n, t = 5, 8, 3
    t5, ids = T5(SIZE), jnp.asarray(np.random.default_rng(3).integers(2, SIZE.vocab, size=(k, t)))
    mask, prompt_mask = jnp.ones((k, t), bool), jnp.ones((k, n), bool)
    optimizer = optax.adam(0.1)

    def loss(prompt):
        return token_cross_entropy(forward(t5, case.params, prompt, prompt_mask, ids, mask), ids, mask)

    def update(_, carry):
        prompt, state = carry
        changes, state = optimizer.update(jax.grad(loss)(prompt), state)
        return optax.apply_updates(prompt, changes), state

    @jax.jit
    def chosen_after_training(prompt):
        prompt, _ = jax.lax.fori_loop(0, 60, update, (prompt, optimizer.init(prompt)))
        encoded = run(t5, case.params, prompt, prompt_mask, method="encode")
        return option_probabilities(*option_scores(t5, case.params, encoded, prompt_mask, ids, mask)).argmax(axis=1)

    start = jax.random.normal(jax.random.key(1), (k, n, SIZE.width))
    np.testing.assert_array_equal(chosen_after_training(start), np.arange(k))
