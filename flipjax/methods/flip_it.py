"""FLIP-IT: CLIP fine-tuned whole; a face is scored by its cosine to averaged text prompts (ICCV 2023, figure (b)).

p(y|x) = softmax over classes of exp(logit_scale) cos(x, z_y), z_y = mean of the class's prompt embeddings, normalised after
the mean. The text tower, its token table and the logit scale train too (`text.train_text`), as in the released code.
Published (Table 2, HTER %, 5 seeds, with CelebA-Spoof): M 5.27, C 0.44, I 2.94, O 3.61;
single prompts in Table 6 (`text.prompts`).
Differences between paper and code: prompt 2 reads "bonafide" in the code, "bona fide" in the paper (`text.spelling`).
Cost: FLIP-V plus 0.9 GFLOP a prompt and step.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from flipjax.core.method import Aux, Batch, Draws, Method, OptimizerSpec, Pretrained, Stage, Tree
from flipjax.core.rng import stream
from flipjax.losses.classification import cross_entropy
from flipjax.models import prompted_clip
from flipjax.models.clip import Clip, ClipSize
from flipjax.models.layers import network_input, run
from flipjax.models.prompted_clip import class_vectors, cosine_logits, encode_prompts, trainable_rules
from flipjax.prompts.flip import prompt_tokens


@dataclass(frozen=True)
class FlipIt:
    """Typed settings; `ids` holds the prompts' token ids, class axis first (attack, bona fide)."""

    clip: Clip
    ids: Int[np.ndarray, "2 k t"]
    normalization: str


def init(flip: FlipIt, rng: Key[Array, ""]) -> dict[str, Tree]:
    """Returns freshly initialised variables."""
    size = flip.clip.size.image_size
    params = flip.clip.init(stream(rng, "clip"), jnp.zeros((1, size, size, 3), jnp.float32), jnp.asarray(flip.ids[0]))
    return {"params": {"clip": params["params"]}, "frozen": {}, "model_state": {}}


def draws(rng: Key[Array, ""], batch: Batch) -> Draws:
    """Draws nothing: FLIP-IT has no dropout and no views."""
    return {}


def loss(
    flip: FlipIt, params: Tree, frozen: Tree, model_state: Tree, batch: Batch, draws: Draws
) -> tuple[Float[Array, ""], Aux]:
    """Returns L_ce of the cosine logits over the plain view."""
    images = network_input(batch["image"], flip.normalization)
    embed = run(flip.clip, params["clip"], images, method="encode_image").embed
    classes = class_vectors(encode_prompts(flip.clip, params["clip"], flip.ids))
    logits = cosine_logits(embed, classes, params["clip"]["logit_scale"])
    ce = cross_entropy(logits, batch["is_bona_fide"], batch["mask"])
    return ce, Aux(terms={"ce": ce}, model_state=model_state)


def make(config: Any) -> Method:
    """Builds FLIP-IT from a config of configs/flip_it.py."""
    tokens = prompt_tokens(tuple(config.text.prompts), config.text.spelling, used_rows_only=config.text.used_rows_only)
    size = ClipSize(**config.method.clip, vocab=tokens.vocab)
    clip = Clip(size, dtype=jnp.dtype(config.train.compute_dtype), remat=config.train.remat)
    flip = FlipIt(clip, tokens.ids, config.data.normalization)
    source = config.weights.clip
    return Method(
        name="flip_it",
        inputs=("image",),
        init=partial(init, flip),
        draws=draws,
        loss=partial(loss, flip),
        prepare=partial(prompted_clip.prepare, clip, tokens.ids),
        score=partial(prompted_clip.score, clip, config.data.normalization),
        explain=partial(prompted_clip.explain, clip, config.data.normalization),
        stages=(Stage(config.train.steps, trainable_rules(config.text.train_text), OptimizerSpec(**config.optim)),),
        pretrained=(Pretrained("clip", source, ("openai_clip", "hf_clip"), tokens.rows),) if source else (),
    )
