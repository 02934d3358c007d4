"""CLIP that scores a face by its cosine to averaged class prompts: what FLIP-IT and FLIP-MCL share at inference."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flipjax.core.method import Batch, Rules, Tree
from flipjax.core.numeric import unit
from flipjax.models.clip import Clip, ImageOutput, class_attention
from flipjax.models.layers import network_input, run


def encode_prompts(clip: Clip, params: Tree, ids: Int[np.ndarray, "2 k t"]) -> Float[Array, "2 k e"]:
    """Returns the raw (un-normalised) embedding of every prompt, class axis first (attack, bona fide)."""
    flat = jnp.asarray(ids.reshape(-1, ids.shape[-1]))
    return run(clip, params, flat, method="encode_text").reshape(2, ids.shape[1], -1)


def class_vectors(prompt_embeds: Float[Array, "2 k e"]) -> Float[Array, "2 e"]:
    """Returns one unit vector per class: mean of the raw prompt embeddings, then normalised (FLIP's order)."""
    return unit(jnp.mean(prompt_embeds, axis=1))


def cosine_logits(
    embed: Float[Array, "b e"], classes: Float[Array, "2 e"], logit_scale: Float[Array, ""]
) -> Float[Array, "b 2"]:
    """Returns exp(logit_scale) times the cosine to each class vector, columns (attack, bona fide)."""
    return jnp.exp(logit_scale) * jnp.dot(unit(embed), classes.T)


def prepare(clip: Clip, ids: Int[np.ndarray, "2 k t"], params: Tree, frozen: Tree, model_state: Tree) -> Tree:
    """Returns the image part of CLIP and the two class vectors; no text is read after this."""
    kept = {name: params["clip"][name] for name in ("image", "logit_scale")}
    return {"clip": kept, "class_vectors": class_vectors(encode_prompts(clip, params["clip"], ids))}


def _forward(clip: Clip, normalization: str, prepared: Tree, batch: Batch) -> ImageOutput:
    return run(clip, prepared["clip"], network_input(batch["image"], normalization), method="encode_image")


def score(clip: Clip, normalization: str, prepared: Tree, batch: Batch) -> Float[Array, "b"]:
    """Returns P(bona fide), the softmax of the cosine logits."""
    embed = _forward(clip, normalization, prepared, batch).embed
    assert embed is not None
    logits = cosine_logits(embed, prepared["class_vectors"], prepared["clip"]["logit_scale"])
    return jax.nn.softmax(logits)[:, 1]


def explain(clip: Clip, normalization: str, prepared: Tree, batch: Batch) -> dict[str, Array]:
    """Returns `attention` [b gh gw], the class token's in the last block, largest = 1."""
    return {"attention": class_attention(_forward(clip, normalization, prepared, batch).attention[-1], clip.size.grid)}


def trainable_rules(train_text: bool) -> Rules:
    """Returns the rules that train everything, or everything but the text tower and the logit scale."""
    return ((".*", True),) if train_text else (("^clip/(text/|logit_scale$)", False), (".*", True))
