"""Where an image tower looks, as heat maps per patch: class attention, attention rollout, gradient-weighted relevance.

All three follow the class token, token 0, back to the patches:

- attention: the weights of the last block, whose patch tokens hold something of every other patch already.
- rollout (Abnar and Zuidema, ACL 2020): every block passes on half of a token and half of its attention, mean over heads.
  The same whatever the class.
- relevance (Chefer, Gur and Wolf, ICCV 2021, "Generic Attention-model Explainability", rule for self-attention): R starts
  as the identity and grows by A R in every block, A = mean over heads of the positive part of gradient x attention. It is
  drawn twice, for what spoke for an attack and for what spoke for bona fide.

Differences from the papers: the gradient is that of attack logit minus bona fide logit and its negative, where Chefer et
al. take one class's logit; only the class token's row is carried, which is the same product from the other end. What a
classifier reads of other tokens counts through the gradient alone. The gradient also holds what all values of a block have
in common, which weights that sum to 1 cannot change; it may lift one class's relevance everywhere, so amounts of the two
classes do not compare.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from flipjax.core.labels import ATTACK, BONA_FIDE
from flipjax.models.clip import ClipSize

Attention = Sequence[Float[Array, "b h n n"]]
Classify = Callable[[Attention], tuple[Float[Array, "b 2"], Attention]]


def heat_maps(classify: Classify, size: ClipSize, rows: int) -> dict[str, Float[Array, "b gh gw"]]:
    """Returns `attack_relevance`, `bona_fide_relevance`, `rollout` and `attention`, in [0, 1], the most telling first.

    The relevances lead because they alone depend on the decision; rollout precedes attention, which sees one block. In
    every map the largest patch is 1: maps compare places, not amounts.

    Attention and gradients of all blocks are held at once, 0.2 GB a picture at ViT-B/16: ask for eight pictures or fewer.
    One call costs two forward passes.

    Args:
      classify: nudges, one per block, to be added to the attention weights -> logits (attack, bona fide) and the weights.
      size: of the tower.
      rows: pictures that `classify` looks at.
    """
    n = 1 + size.grid**2
    still = tuple(jnp.zeros((rows, size.heads, n, n), jnp.float32) for _ in range(size.layers))

    def margin(nudges: Attention) -> tuple[Array, Attention]:
        logits, attention = classify(nudges)
        return jnp.sum(logits[:, ATTACK] - logits[:, BONA_FIDE]), attention  # no row's logits depend on another's nudge

    gradients, attention = jax.grad(margin, has_aux=True)(still)
    tokens = {
        "attack_relevance": relevance(attention, gradients),
        "bona_fide_relevance": relevance(attention, [-gradient for gradient in gradients]),
        "rollout": rollout(attention),
        "attention": class_attention(attention[-1]),
    }
    return {name: on_grid(values) for name, values in tokens.items()}


def class_attention(attention: Float[Array, "b h n n"]) -> Float[Array, "b n"]:
    """Returns how much the class token attends to each token in a block, mean over heads."""
    return jnp.mean(attention[:, :, 0], axis=1)


def rollout(attention: Attention) -> Float[Array, "b n"]:
    """Returns the class token's share of each input token; shares sum to 1.

    Product over blocks of (I + mean over heads of the attention) / 2, the last block leftmost, row 0.
    """
    means = [jnp.mean(weights, axis=1) for weights in attention]
    return _class_row((mean + jnp.eye(mean.shape[-1])) / 2 for mean in means)


def relevance(attention: Attention, gradients: Attention) -> Float[Array, "b n"]:
    """Returns the relevance of each input token to what `gradients` were taken of, through the class token; >= 0.

    Product over blocks of I + mean over heads of max(gradient x attention, 0), the last block leftmost, row 0.

    Args:
      attention: weights of every block, first block first.
      gradients: of the explained number with respect to them.
    """
    pairs = zip(attention, gradients, strict=True)
    positive = [jnp.mean(jax.nn.relu(gradient * weights), axis=1) for weights, gradient in pairs]
    return _class_row(step + jnp.eye(step.shape[-1]) for step in positive)


def on_grid(tokens: Float[Array, "b n"]) -> Float[Array, "b gh gw"]:
    """Returns the patches' values over the largest of them on their square grid; all 0 where none is positive."""
    patches = tokens[:, 1:]
    largest = jnp.max(patches, axis=1, keepdims=True)
    side = round(patches.shape[1] ** 0.5)
    return rearrange(patches / jnp.where(largest > 0, largest, 1.0), "b (gh gw) -> b gh gw", gh=side)


def _class_row(steps: Iterable[Any]) -> Float[Array, "b n"]:
    """Row 0 of the product of the blocks' matrices [b n n], given first block first, multiplied from the last."""
    *earlier, last = steps
    row = last[:, 0]
    for step in reversed(earlier):
        row = jnp.einsum("bn,bnm->bm", row, step)
    return row
