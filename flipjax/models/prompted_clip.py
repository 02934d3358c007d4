"""CLIP that scores a face by its cosine to averaged class prompts: what FLIP-IT and FLIP-MCL share at inference."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flipjax.core.method import Batch, Rules, Tree
from flipjax.core.numeric import unit
from flipjax.models.clip import Clip
from flipjax.models.layers import Nudges, network_input, run
from flipjax.models.relevance import Attention, heat_maps


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


def _classify(
    clip: Clip, normalization: str, prepared: Tree, batch: Batch, nudges: Nudges = None
) -> tuple[Float[Array, "b 2"], Attention]:
    """The cosine logits, and every block's attention."""
    images = network_input(batch["image"], normalization)
    output = run(clip, prepared["clip"], images, nudges, method="encode_image")
    logits = cosine_logits(output.embed, prepared["class_vectors"], prepared["clip"]["logit_scale"])
    return logits, output.attention


def score(clip: Clip, normalization: str, prepared: Tree, batch: Batch) -> Float[Array, "b"]:
    """Returns P(bona fide), the softmax of the cosine logits."""
    logits, _ = _classify(clip, normalization, prepared, batch)
    return jax.nn.softmax(logits)[:, 1]


def explain(clip: Clip, normalization: str, prepared: Tree, batch: Batch) -> dict[str, Array]:
    """Returns the heat maps of `models.relevance`, [b gh gw] in [0, 1]; for few pictures, see there."""
    classify = partial(_classify, clip, normalization, prepared, batch)
    return heat_maps(classify, clip.size, len(batch["image"]))


def trainable_rules(train_text: bool) -> Rules:
    """Returns the rules that train everything, or everything but the text tower and the logit scale."""
    return ((".*", True),) if train_text else (("^clip/(text/|logit_scale$)", False), (".*", True))
