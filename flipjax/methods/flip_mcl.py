"""FLIP-MCL: FLIP-IT plus SimCLR on two image views plus image-text view consistency (ICCV 2023, figure (c)).

L_mcl = alpha L_ce + beta L_simCLR + gamma L_mse (weights 1, 1, 1; Table 7 varies them: `method.alpha|beta|gamma`).
Published (Table 2, HTER %, 5 seeds, with CelebA-Spoof): M 4.95, C 0.54, I 4.25, O 2.31.
Differences between paper and code: the paper only says "two different prompt views"; the code draws the first with
replacement and takes the prompts it missed as the second (`text.views`). Cost: three image passes a sample, 7.6 TFLOP a step of
24 samples at ViT-B/16; scoring costs one pass, as FLIP-IT.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int, Key

from flipjax.core.errors import ConfigError, check_choice
from flipjax.core.method import Aux, Batch, Draws, Method, OptimizerSpec, Pretrained, Stage, Tree
from flipjax.core.rng import per_slot, stream
from flipjax.losses.classification import cross_entropy
from flipjax.losses.consistency import view_consistency
from flipjax.losses.contrastive import nt_xent
from flipjax.models import prompted_clip
from flipjax.models.clip import Clip, ClipSize
from flipjax.models.heads import Projector
from flipjax.models.layers import network_input, run
from flipjax.models.prompted_clip import class_vectors, cosine_logits, encode_prompts, trainable_rules
from flipjax.prompts.flip import prompt_tokens

VIEWS = ("with_replacement", "disjoint")


@dataclass(frozen=True)
class FlipMcl:
    """Typed settings; `ids` holds the prompts' token ids, class axis first; `disjoint` splits prompts into equal halves."""

    clip: Clip
    projector: Projector
    ids: Int[np.ndarray, "2 k t"]
    weights: tuple[float, float, float]
    temperature: float
    disjoint: bool
    normalization: str


def init(flip: FlipMcl, rng: Key[Array, ""]) -> dict[str, Tree]:
    """Returns freshly initialised variables; the projector's running statistics are the model state."""
    size = flip.clip.size
    images = jnp.zeros((1, size.image_size, size.image_size, 3), jnp.float32)
    clip = flip.clip.init(stream(rng, "clip"), images, jnp.asarray(flip.ids[0]))
    projector = flip.projector.init(stream(rng, "projector"), jnp.zeros((2, 2, size.embed)), jnp.ones(2, bool))
    return {
        "params": {"clip": clip["params"], "projector": projector["params"]},
        "frozen": {},
        "model_state": {"projector": projector["batch_stats"]},
    }


def draws(flip: FlipMcl, rng: Key[Array, ""], batch: Batch) -> Draws:
    """Draws the two prompt views of every sample as averaging weights [b k] over its own class's prompts."""
    keys = per_slot(stream(rng, "prompt_views"), batch["mask"].shape[0])
    view1, view2 = jax.vmap(partial(prompt_views, count=flip.ids.shape[1], disjoint=flip.disjoint))(keys)
    return {"prompt_weights_1": view1, "prompt_weights_2": view2}


def prompt_views(key: Key[Array, ""], *, count: int, disjoint: bool) -> tuple[Float[Array, "k"], Float[Array, "k"]]:
    """Returns averaging weights over `count` prompts for two views.

    View 1 is the mean of count // 2 draws with replacement (duplicates count twice), view 2 the mean of the prompts that
    view 1 missed; `disjoint` draws view 1 without replacement instead. Only consistent for at least two prompts.
    """
    half = max(count // 2, 1)
    without, with_replacement = jax.random.permutation(key, count)[:half], jax.random.randint(key, (half,), 0, count)
    drawn = without if disjoint else with_replacement
    counts = jnp.zeros(count).at[drawn].add(1.0)
    missed = (counts == 0).astype(jnp.float32)
    return counts / half, missed / jnp.maximum(jnp.sum(missed), 1)


def own_class_texts(
    prompts: Float[Array, "2 k e"], is_bona_fide: Bool[Array, "b"], draws: Draws
) -> Float[Array, "b 2 e"]:
    """Returns each sample's two text views: weighted means of its own class's raw prompt embeddings."""
    weights = jnp.stack([draws["prompt_weights_1"], draws["prompt_weights_2"]], axis=1)
    attack, bona_fide = jnp.einsum("bvk,cke->cbve", weights, prompts)
    return jnp.where(is_bona_fide[:, None, None], bona_fide, attack)


def loss(
    flip: FlipMcl, params: Tree, frozen: Tree, model_state: Tree, batch: Batch, draws: Draws
) -> tuple[Float[Array, ""], Aux]:
    """Returns L_mcl; the three views (plain, ssl 1, ssl 2) go through the tower in one call."""
    mask, is_bona_fide = batch["mask"], batch["is_bona_fide"]
    views = jnp.concatenate([batch["image"][:, None], batch["ssl_views"]], axis=1)
    images = network_input(rearrange(views, "b v h w c -> (b v) h w c"), flip.normalization)
    embed = run(flip.clip, params["clip"], images, method="encode_image").embed
    embed = rearrange(embed, "(b v) e -> b v e", v=3)
    prompts = encode_prompts(flip.clip, params["clip"], flip.ids)

    logits = cosine_logits(embed[:, 0], class_vectors(prompts), params["clip"]["logit_scale"])
    ce = cross_entropy(logits, is_bona_fide, mask)

    projector = {"params": params["projector"], "batch_stats": model_state["projector"]}
    h, updated = flip.projector.apply(projector, embed[:, 1:], mask, mutable=["batch_stats"])
    simclr = nt_xent(h[:, 0], h[:, 1], mask, temperature=flip.temperature)

    mse = view_consistency(embed[:, 1:], own_class_texts(prompts, is_bona_fide, draws), mask)

    alpha, beta, gamma = flip.weights
    total = alpha * ce + beta * simclr + gamma * mse
    terms = {"ce": ce, "simclr": simclr, "mse": mse}
    return total, Aux(terms=terms, model_state={"projector": updated["batch_stats"]})


def make(config: Any) -> Method:
    """Builds FLIP-MCL from a config of configs/flip_mcl.py.

    Raises:
      ConfigError: an unknown rule of views, or one prompt per class with gamma > 0, since two views need two prompts.
    """
    method, text = config.method, config.text
    check_choice("text.views", text.views, VIEWS)
    if len(text.prompts) < 2 and method.gamma > 0:
        raise ConfigError("text.prompts holds one prompt but method.gamma > 0 needs two views; set method.gamma=0")
    tokens = prompt_tokens(tuple(text.prompts), text.spelling, used_rows_only=text.used_rows_only)
    size = ClipSize(**method.clip, vocab=tokens.vocab)
    clip = Clip(size, dtype=jnp.dtype(config.train.compute_dtype), remat=config.train.remat)
    flip = FlipMcl(
        clip=clip,
        projector=Projector(method.projector_hidden, method.projector_out),
        ids=tokens.ids,
        weights=(method.alpha, method.beta, method.gamma),
        temperature=method.temperature,
        disjoint=text.views == "disjoint",
        normalization=config.data.normalization,
    )
    source = config.weights.clip
    return Method(
        name="flip_mcl",
        inputs=("image", "ssl_views"),
        init=partial(init, flip),
        draws=partial(draws, flip),
        loss=partial(loss, flip),
        prepare=partial(prompted_clip.prepare, clip, tokens.ids),
        score=partial(prompted_clip.score, clip, config.data.normalization),
        explain=partial(prompted_clip.explain, clip, config.data.normalization),
        stages=(Stage(config.train.steps, trainable_rules(text.train_text), OptimizerSpec(**config.optim)),),
        pretrained=(Pretrained("clip", source, ("openai_clip", "hf_clip"), tokens.rows),) if source else (),
    )
