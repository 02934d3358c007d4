"""FLIP-V: CLIP's image tower, fine-tuned whole, under a two-layer head (Srivatsan et al., ICCV 2023, figure (a)).

Published (Table 2, HTER %, 5 seeds, with CelebA-Spoof, best of 40 evaluations on the target): M 3.79, C 1.27, I 4.71, O 4.15.
Differences between paper and code: the figure projects the class token into the joint space, the code feeds the head the
768 numbers before the projection (`method.feature`). Cost: 35.1 GFLOP an image forward at ViT-B/16, three times that in training.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from flipjax.core.errors import check_choice
from flipjax.core.method import Aux, Batch, Draws, Method, OptimizerSpec, Pretrained, Stage, Tree
from flipjax.core.rng import per_slot, stream
from flipjax.losses.classification import cross_entropy
from flipjax.models.clip import ClipSize, ImageOutput, ImageTower
from flipjax.models.heads import DROPOUT_KEEP, UnitColumnHead, project_unit_columns
from flipjax.models.layers import Nudges, network_input, run
from flipjax.models.relevance import Attention, heat_maps

FEATURES = ("unprojected", "projected")


@dataclass(frozen=True)
class FlipV:
    """Typed settings; `projected` feeds the head the joint-space feature of the paper's figure."""

    size: ClipSize
    projected: bool
    head_width: int
    normalization: str
    dtype: DTypeLike
    remat: bool

    @property
    def tower(self) -> ImageTower:
        return ImageTower(self.size, project=self.projected, dtype=self.dtype, remat=self.remat)

    @property
    def head(self) -> UnitColumnHead:
        return UnitColumnHead(self.head_width)


def init(flip: FlipV, rng: Key[Array, ""]) -> dict[str, Tree]:
    """Returns freshly initialised variables."""
    images = jnp.zeros((1, flip.size.image_size, flip.size.image_size, 3), jnp.float32)
    feature_width = flip.size.embed if flip.projected else flip.size.width
    image = flip.tower.init(stream(rng, "image"), images)["params"]
    head = flip.head.init(stream(rng, "head"), jnp.zeros((1, feature_width), jnp.float32))["params"]
    return {"params": {"clip": {"image": image}, "head": head}, "frozen": {}, "model_state": {}}


def draws(flip: FlipV, rng: Key[Array, ""], batch: Batch) -> Draws:
    """Draws the dropout mask of the head, [b head_width], True = kept."""
    keys = per_slot(stream(rng, "dropout"), batch["mask"].shape[0])
    return {"keep": jax.vmap(lambda key: jax.random.bernoulli(key, DROPOUT_KEEP, (flip.head_width,)))(keys)}


def image_features(
    flip: FlipV, params: Tree, batch: Batch, nudges: Nudges = None
) -> tuple[Float[Array, "b f"], ImageOutput]:
    """Returns what the head reads, and everything the tower knows."""
    output = run(flip.tower, params["clip"]["image"], network_input(batch["image"], flip.normalization), nudges)
    feature = output.embed if flip.projected else output.class_token
    assert feature is not None
    return feature, output


def loss(
    flip: FlipV, params: Tree, frozen: Tree, model_state: Tree, batch: Batch, draws: Draws
) -> tuple[Float[Array, ""], Aux]:
    """Returns L_ce over the plain view."""
    feature, _ = image_features(flip, params, batch)
    logits = run(flip.head, params["head"], feature, draws.get("keep"))
    ce = cross_entropy(logits, batch["is_bona_fide"], batch["mask"])
    return ce, Aux(terms={"ce": ce}, model_state=model_state)


def prepare(params: Tree, frozen: Tree, model_state: Tree) -> Tree:
    """Returns what scoring needs: every parameter."""
    return params


def score(flip: FlipV, prepared: Tree, batch: Batch) -> Float[Array, "b"]:
    """Returns P(bona fide); no dropout."""
    feature, _ = image_features(flip, prepared, batch)
    return jax.nn.softmax(run(flip.head, prepared["head"], feature))[:, 1]


def explain(flip: FlipV, prepared: Tree, batch: Batch) -> dict[str, Array]:
    """Returns the heat maps of `models.relevance`, [b gh gw] in [0, 1]; for few pictures, see there."""

    def classify(nudges: Attention) -> tuple[Array, Attention]:
        feature, output = image_features(flip, prepared, batch, nudges)
        return run(flip.head, prepared["head"], feature), output.attention

    return heat_maps(classify, flip.size, len(batch["image"]))


def project(params: Tree, step: Array) -> Tree:
    """Makes every feature's pair of class weights unit length, as the released classifier does before each forward."""
    classifier = params["head"]["classifier"]
    classifier = {**classifier, "kernel": project_unit_columns(classifier["kernel"])}
    return {**params, "head": {**params["head"], "classifier": classifier}}


def make(config: Any) -> Method:
    """Builds FLIP-V from a config of configs/flip_v.py.

    Raises:
      ConfigError: a feature that does not exist.
    """
    check_choice("method.feature", config.method.feature, FEATURES)
    flip = FlipV(
        size=ClipSize(**config.method.clip),
        projected=config.method.feature == "projected",
        head_width=config.method.head_width,
        normalization=config.data.normalization,
        dtype=jnp.dtype(config.train.compute_dtype),
        remat=config.train.remat,
    )
    source = config.weights.clip
    return Method(
        name="flip_v",
        inputs=("image",),
        init=partial(init, flip),
        draws=partial(draws, flip),
        loss=partial(loss, flip),
        prepare=prepare,
        score=partial(score, flip),
        explain=partial(explain, flip),
        project=project,
        stages=(Stage(config.train.steps, ((".*", True),), OptimizerSpec(**config.optim)),),
        pretrained=(Pretrained("clip", source, ("openai_clip", "hf_clip")),) if source else (),
    )
