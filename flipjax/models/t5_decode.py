"""Answers from T5: cached greedy decoding, and the probability of each of a fixed list of options.

Shapes are static: one compiled program whatever the answers. Letters: b batch, n encoder positions, k options, t tokens.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from flipjax.core.errors import ConfigError
from flipjax.core.method import Tree
from flipjax.models.layers import run
from flipjax.models.t5 import END, PADDING, START, T5, shift_right
from flipjax.models.t5_layers import Memory

REDUCTIONS = ("mean", "sum")


class _Decoding(NamedTuple):
    """State of greedy decoding; `ids` is filled up to `index`."""

    index: Int[Array, ""]
    ids: Int[Array, "b t"]
    is_done: Bool[Array, "b"]
    caches: tuple[Memory, ...]


def greedy(
    t5: T5, params: Tree, encoded: Float[Array, "b n d"], encoded_mask: Bool[Array, "b n"], *, max_length: int
) -> Int[Array, "b t"]:
    """Returns the likeliest next token again and again, from the start token (id 0) on; t = max_length counts it.

    After the end token (id 1) a row holds padding (id 0). Decoding stops when every row has ended.
    """
    b = encoded.shape[0]
    cross = run(t5, params, encoded, method="cross_memories")
    empty = jnp.zeros((b, max_length, t5.size.heads, t5.size.head_width), t5.dtype)
    start = _Decoding(
        index=jnp.zeros((), jnp.int32),
        ids=jnp.full((b, max_length), PADDING, jnp.int32).at[:, 0].set(START),
        is_done=jnp.zeros(b, bool),
        caches=(Memory(keys=empty, values=empty),) * t5.size.layers,
    )

    def goes_on(state: _Decoding) -> jax.Array:
        return (state.index < max_length - 1) & ~jnp.all(state.is_done)

    def advance(state: _Decoding) -> _Decoding:
        token = jax.lax.dynamic_index_in_dim(state.ids, state.index, axis=1, keepdims=False)
        logits, caches = run(t5, params, token, state.index, cross, encoded_mask, state.caches, method="step")
        chosen = jnp.where(state.is_done, PADDING, jnp.argmax(logits, axis=-1)).astype(jnp.int32)
        ids = jax.lax.dynamic_update_slice_in_dim(state.ids, chosen[:, None], state.index + 1, axis=1)
        return _Decoding(state.index + 1, ids, state.is_done | (chosen == END), caches)

    return jax.lax.while_loop(goes_on, advance, start).ids


def option_scores(
    t5: T5,
    params: Tree,
    encoded: Float[Array, "b n d"],
    encoded_mask: Bool[Array, "b n"],
    option_ids: Int[Array, "k t"],
    option_mask: Bool[Array, "k t"],
) -> tuple[Float[Array, "b k"], Int[Array, "k"]]:
    """Returns the log-probability of every option (its tokens' sum, in nats, end token included) and its length in tokens.

    All options of all rows run in one pass: their tokens stand side by side as queries of the decoder, where an option reads
    only itself, so the encoder's states are neither repeated nor projected more than once. An option that is all padding
    gets sum 0 and length 0.
    """
    k, t = option_ids.shape
    positions, option = np.tile(np.arange(t), k), np.repeat(np.arange(k), t)
    reads = (option[None, :] == option[:, None]) & (positions[None, :] <= positions[:, None])
    mask = jnp.asarray(reads)[None] & option_mask.reshape(1, 1, k * t)
    inputs = shift_right(option_ids, option_mask).reshape(1, k * t)
    cross = run(t5, params, encoded, method="cross_memories")
    logits = run(t5, params, inputs, positions, mask, cross, encoded_mask, method="predict")
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, option_ids.reshape(1, k * t))
    sums = -jnp.sum(jnp.where(option_mask, losses.reshape(-1, k, t), 0.0), axis=-1)
    return sums, jnp.sum(option_mask, axis=-1)


def option_probabilities(
    sums: Float[Array, "b k"], lengths: Int[Array, "k"], reduce: str = "mean"
) -> Float[Array, "b k"]:
    """Returns the softmax over options of their mean (or summed) token log-probability; length 0 gives probability 0.

    Raises:
      ConfigError: an unknown `reduce`.
    """
    if reduce not in REDUCTIONS:
        raise ConfigError(f"option reduction '{reduce}' unknown; use one of {', '.join(REDUCTIONS)}")
    values = sums / jnp.maximum(lengths, 1) if reduce == "mean" else sums
    return jax.nn.softmax(jnp.where(lengths > 0, values, -jnp.inf), axis=-1)
