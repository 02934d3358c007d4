"""Q-Former of BLIP-2 on a BERT body, as InstructFLIP builds it: learned queries and question text in one sequence.

Post-norm layers. Text and queries attend to each other everywhere; in even layers the queries alone also attend to the
image features; queries and text have feed-forward nets of their own. Only the query outputs leave the last layer, so it
computes no text.

`begin` is everything that does not depend on the image, `finish` the rest; for a fixed question without dropout the
result of `begin` (batch of 1) serves every image. Source: Li et al. 2023 (BLIP-2); InstructFLIP section 3.3.
"""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from flipjax.core.errors import ConfigError
from flipjax.core.method import Tree
from flipjax.models.layers import Dense, Dropout, Keys, LayerNorm, attend, split_heads

EPS = 1e-7  # BERT's own is 1e-12
DROPOUT = 0.1
CROSS_EVERY = 2
_INIT = nn.initializers.normal(0.02)


@dataclass(frozen=True)
class QFormerSize:
    """Dimensions of a Q-Former; `vocab` counts the rows kept in the word table, `context` those of the position table.

    Raises:
      ConfigError: heads that do not divide the width, or no layer.
    """

    width: int = 768
    layers: int = 2
    heads: int = 16  # BERT's own 12 are re-split
    hidden: int = 3072
    queries: int = 32
    context: int = 512
    vocab: int = 30523

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ConfigError(f"a Q-Former of {self.layers} layers does not exist; expected at least 1")
        if self.heads < 1 or self.width % self.heads:
            raise ConfigError(f"width {self.width} of the Q-Former does not divide by heads {self.heads}; change one")


@flax.struct.dataclass
class Begun:
    """What a Q-Former knows before it sees the image; b is 1 for a fixed question.

    Leaves are arrays, or shapes of arrays yet to be made: `queries` [b q d] are those after the first self-attention and `asked`
    [b h q k] their cross-attention projection; `mask` [b t]; `text` [b t d] are the text states behind the first layer,
    `text_key` and `text_value` [b h t k] what the second layer attends to of them (None: one layer).
    """

    queries: Tree
    asked: Tree
    mask: Tree
    text: Tree
    text_key: Tree
    text_value: Tree


class BertAttention(nn.Module):
    """Projections of one attention with dropout, residual and norm; queries, keys and values are made apart."""

    heads: int
    width: int
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.query, self.key, self.value, self.out = (
            Dense(self.width, dtype=self.dtype, kernel_init=_INIT) for _ in range(4)
        )
        self.ln = LayerNorm(EPS)
        self.drop_weights, self.drop_out = Dropout(DROPOUT), Dropout(DROPOUT)

    def ask(self, x: Float[Array, "b q d"]) -> Float[Array, "b h q k"]:
        """Returns the scaled queries of `x`."""
        return split_heads(self.query(x), self.heads) * (self.width // self.heads) ** -0.5

    def offer(self, x: Float[Array, "b m e"]) -> tuple[Float[Array, "b h m k"], Float[Array, "b h m k"]]:
        """Returns keys and values of `x`."""
        return split_heads(self.key(x), self.heads), split_heads(self.value(x), self.heads)

    def __call__(
        self,
        x: Float[Array, "b q d"],
        asked: Float[Array, "b h q k"],
        offered: tuple[Float[Array, "b h m k"], Float[Array, "b h m k"]],
        mask: Bool[Array, "b m"] | None,
        keys: Keys,
    ) -> Float[Array, "b q d"]:
        """Returns LN(x + out(attention))."""
        mixed, _ = attend(
            asked,
            *offered,
            mask=None if mask is None else mask[:, None, None, :],
            dtype=self.dtype,
            drop=lambda weights: self.drop_weights(weights, keys),
        )
        return self.ln(x + self.drop_out(self.out(mixed), keys))


class BertMlp(nn.Module):
    """LN(x + W2 gelu(W1 x)) with the exact GELU."""

    hidden: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], keys: Keys) -> Float[Array, "b n d"]:
        h = jax.nn.gelu(Dense(self.hidden, dtype=self.dtype, kernel_init=_INIT, name="fc1")(x), approximate=False)
        h = Dense(x.shape[-1], dtype=self.dtype, kernel_init=_INIT, name="fc2")(h)
        return LayerNorm(EPS, name="ln")(x + Dropout(DROPOUT, name="drop")(h, keys))


class QFormerLayer(nn.Module):
    """The parts of one layer; QFormer puts them in order."""

    size: QFormerSize
    has_cross: bool
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        size = self.size
        self.attn = BertAttention(size.heads, size.width, self.dtype)
        if self.has_cross:
            self.cross = BertAttention(size.heads, size.width, self.dtype)
        self.query_mlp = BertMlp(size.hidden, self.dtype)
        self.text_mlp = BertMlp(size.hidden, self.dtype)


class QFormerEmbedding(nn.Module):
    """Learned queries, then words with positions from 0 on; queries have no position."""

    size: QFormerSize

    @nn.compact
    def __call__(self, ids: Int[Array, "b t"], keys: Keys) -> Float[Array, "b n d"]:
        size, (b, t) = self.size, ids.shape
        queries = self.param("queries", _INIT, (size.queries, size.width), jnp.float32)
        words = self.param("word_embedding", _INIT, (size.vocab, size.width), jnp.float32)
        positions = self.param("position_embedding", _INIT, (size.context, size.width), jnp.float32)
        text = jnp.take(words, ids, axis=0) + positions[:t]
        x = jnp.concatenate([jnp.broadcast_to(queries, (b, *queries.shape)), text], axis=1)
        return Dropout(DROPOUT, name="drop")(LayerNorm(EPS, name="ln")(x), keys)


class QFormer(nn.Module):
    """Queries [b q d] that have read the question and the image features."""

    size: QFormerSize
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        size = self.size
        self.embed = QFormerEmbedding(size)
        self.layers = [QFormerLayer(size, i % CROSS_EVERY == 0, self.dtype) for i in range(size.layers)]

    def __call__(
        self,
        ids: Int[Array, "b t"],
        mask: Bool[Array, "b t"],
        context: Float[Array, "b m e"],
        keys: Keys = None,
    ) -> Float[Array, "b q d"]:
        """Returns the queries for text `ids` (mask False = padding) and image features `context`; `keys` for dropout."""
        return self.finish(self.begin(ids, mask, keys), context, keys)

    def begin(self, ids: Int[Array, "b t"], mask: Bool[Array, "b t"], keys: Keys = None) -> Begun:
        """Returns what does not depend on the image."""
        x = self.embed(ids, keys)
        first, count = self.layers[0], self.size.queries
        offered, seen = first.attn.offer(x), _with_queries(mask, count)
        if self.size.layers == 1:
            queries = first.attn(x[:, :count], first.attn.ask(x[:, :count]), offered, seen, keys)
            return Begun(queries, first.cross.ask(queries), mask, None, None, None)
        x = first.attn(x, first.attn.ask(x), offered, seen, keys)
        text = first.text_mlp(x[:, count:], keys)
        key, value = self.layers[1].attn.offer(text)
        return Begun(x[:, :count], first.cross.ask(x[:, :count]), mask, text, key, value)

    def finish(self, begun: Begun, context: Float[Array, "b m e"], keys: Keys = None) -> Float[Array, "b q d"]:
        """Returns the queries after they have read `context`."""
        begun = jax.tree.map(lambda x: jnp.broadcast_to(x, (context.shape[0], *x.shape[1:])), begun)
        first = self.layers[0]
        queries = first.cross(begun.queries, begun.asked, first.cross.offer(context), None, keys)
        queries = first.query_mlp(queries, keys)
        text: Any = begun.text
        seen, count = _with_queries(begun.mask, self.size.queries), self.size.queries
        for i, layer in enumerate(self.layers[1:], start=1):
            is_last = i == self.size.layers - 1
            text_offer = (begun.text_key, begun.text_value) if i == 1 else layer.attn.offer(text)
            offered = _joined(layer.attn.offer(queries), text_offer)
            rows = queries if is_last else jnp.concatenate([queries, text], axis=1)
            rows = layer.attn(rows, layer.attn.ask(rows), offered, seen, keys)
            queries = rows[:, :count]
            if layer.has_cross:
                queries = layer.cross(queries, layer.cross.ask(queries), layer.cross.offer(context), None, keys)
            queries = layer.query_mlp(queries, keys)
            text = None if is_last else layer.text_mlp(rows[:, count:], keys)
        if self.is_initializing():
            self.layers[-1].text_mlp(queries[:, :0], keys)  # published, counted, never read
        return queries


def _with_queries(mask: Bool[Array, "b t"], count: int) -> Bool[Array, "b m"]:
    return jnp.concatenate([jnp.ones((mask.shape[0], count), bool), mask], axis=1)


def _joined(first: tuple[jax.Array, ...], second: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
    key, value = (jnp.concatenate(pair, axis=2) for pair in zip(first, second, strict=True))
    return key, value
