"""InstructFLIP (ACM MM 2025): content and style branches answer questions through a frozen FLAN-T5; scoring needs none.

A CLIP image tower feeds two Q-Formers that read a question each. Their queries are a soft prompt for the frozen language
model (losses `content` and `style`) and are fused with the content tokens for the classifier (`cls`) and the cue map
(`cue`). Every variant of the paper's Tables 3 - 6 is a setting, see configs/instruct_flip.py.
Published (Table 2, mean HTER of seven targets, trained on CelebA-Spoof): 12.68 %, 14.39 % without the language model.
Differences between paper and code are switches with a row in PARITY.md. Cost at ViT-B/16 with T5-base: 206 GFLOP an image in
training, 37.5 for the score.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

from flipjax.core.errors import ConfigError, check_choice
from flipjax.core.method import Answering, Aux, Batch, Draws, Method, OptimizerSpec, Pretrained, Stage, Tree
from flipjax.core.rng import per_slot, stream
from flipjax.losses.classification import class_cross_entropy, cross_entropy
from flipjax.losses.contrastive import nt_xent
from flipjax.losses.cue import cue_loss
from flipjax.losses.language import token_cross_entropy
from flipjax.models import instructed_clip as network
from flipjax.models.clip import ClipSize
from flipjax.models.cue_generator import add_cue_noise
from flipjax.models.fp4 import fp4_sim
from flipjax.models.heads import Projector, project_unit_columns
from flipjax.models.instructed_clip import InstructedClip, Visual
from flipjax.models.layers import network_input, run
from flipjax.models.relevance import Attention, heat_maps
from flipjax.models.t5 import T5
from flipjax.models.t5_decode import REDUCTIONS, greedy, option_probabilities, option_scores
from flipjax.models.t5_layers import GELU_FORMS, T5_SIZES, T5Size
from flipjax.prompts.branches import T5_VOCABULARY, Branch, compact_language, make_branches
from flipjax.prompts.instruct import ANSWER_LIMIT

SSL_TEMPERATURE = 0.1
FORMULAS = {"half": 0.5, "paper": 1.0}
SWITCHES = {
    "method.answers": ("llm", "queries", "features"),
    "method.llm": (*T5_SIZES, "custom"),
    "method.t5_gelu": tuple(GELU_FORMS),
    "method.t5_quant": ("none", "fp4_sim"),
    "method.attention": ("content", "learned"),
    "method.cue_formula": tuple(FORMULAS),
    "method.option_score": REDUCTIONS,
    "train.frozen_dtype": ("float32", "bfloat16"),
}


@dataclass(frozen=True)
class InstructFlip:
    """Typed settings of one variant; `llm` answers through a soft prompt, without it linear heads do, or nobody.

    `frozen_dtype` and `quantise` say how the language model is stored.
    """

    net: InstructedClip
    llm: T5 | None
    branches: tuple[Branch, ...]
    weights: dict[str, float]
    projector: Projector | None
    cue_noise: float
    cue_quadratic: float
    reduce: str
    normalization: str
    frozen_dtype: DTypeLike
    quantise: bool

    def branch(self, name: str) -> Branch | None:
        return next((branch for branch in self.branches if branch.name == name), None)


def init(flip: InstructFlip, rng: Key[Array, ""]) -> dict[str, Tree]:
    """Returns freshly initialised variables; the language model is frozen."""
    size = flip.net.tower.size
    images = jnp.zeros((1, size.image_size, size.image_size, 3), jnp.float32)
    params = network.init_params(flip.net, partial(stream, rng), images)
    frozen, model_state = {}, {}
    if flip.llm is not None:
        ids, mask = jnp.zeros((1, 1), int), jnp.ones((1, 1), bool)
        fresh = flip.llm.init(stream(rng, "t5"), ids, mask, ids, mask)["params"]
        frozen = {"t5": finish_t5(flip, fresh)}
    if flip.projector is not None:
        variables = flip.projector.init(stream(rng, "projector"), jnp.zeros((2, 2, size.width)), jnp.ones(2, bool))
        params["projector"], model_state["projector"] = variables["params"], variables["batch_stats"]
    return {"params": params, "frozen": frozen, "model_state": model_state}


def finish_t5(flip: InstructFlip, t5: Tree) -> Tree:
    """Returns the language model as it is stored: quantised where the release is, in the frozen type."""
    t5 = fp4_sim(t5) if flip.quantise else t5
    return jax.tree.map(lambda leaf: leaf.astype(flip.frozen_dtype), t5)


def draws(flip: InstructFlip, rng: Key[Array, ""], batch: Batch) -> Draws:
    """Draws `dropout` (raw keys), `cue_noise` (standard normal) and `style_question` (index), per slot."""
    count, drawn = batch["mask"].shape[0], {}
    if flip.net.qformers:
        drawn["dropout"] = jax.random.key_data(per_slot(stream(rng, "dropout"), count))
    if flip.net.cue is not None:
        size = flip.net.tower.size
        noise = partial(jax.random.normal, shape=(size.grid**2, size.width))
        drawn["cue_noise"] = jax.vmap(noise)(per_slot(stream(rng, "cue_noise"), count))
    style = flip.branch("style")
    if style is not None:
        pick = partial(jax.random.randint, shape=(), minval=0, maxval=style.drawn)
        asked = jax.vmap(pick)(per_slot(stream(rng, "style_question"), count))
        drawn["style_question"] = jnp.where(batch["is_bona_fide"], style.live, asked) if style.live >= 0 else asked
    return drawn


def labels_of(branch: Branch, batch: Batch, asked: Int[Array, "b"]) -> Int[Array, "b"]:
    """Returns the index of the right option of each sample's question, -1 where it is unknown."""
    columns = jnp.stack([batch[question.field].astype(jnp.int32) for question in branch.questions], axis=1)
    return jnp.take_along_axis(columns, asked[:, None], axis=1)[:, 0]


def answer_loss(
    flip: InstructFlip,
    params: Tree,
    frozen: Tree,
    branch: Branch,
    visual: Visual,
    queries: dict[str, Float[Array, "b q d"]],
    batch: Batch,
    asked: Int[Array, "b"],
) -> Float[Array, ""]:
    """Returns L_content or L_style: over all answer tokens of the labelled samples, or over their classes."""
    labels = labels_of(branch, batch, asked)
    if flip.llm is None:
        classes = jnp.asarray(branch.class_of)[asked, labels + 1]
        logits = network.head_logits(flip.net, params, branch.name, visual, queries)
        return class_cross_entropy(logits, classes, batch["mask"] & (classes >= 0))
    text = branch.texts(asked)
    encoded, mask = network.encode_question(flip.net, flip.llm, params, frozen["t5"], queries[branch.name], *text)
    ids, known = branch.answers((asked, jnp.maximum(labels, 0)))
    known = known & ((labels >= 0) & batch["mask"])[:, None]
    logits = run(flip.llm, frozen["t5"], encoded, mask, ids, known, method="decode")
    return token_cross_entropy(logits, ids, known)


def loss(
    flip: InstructFlip, params: Tree, frozen: Tree, model_state: Tree, batch: Batch, draws: Draws
) -> tuple[Float[Array, ""], Aux]:
    """Returns the weighted sum of Eq. 6 over the parts that the variant has."""
    mask, is_attack = batch["mask"], ~batch["is_bona_fide"]
    keys = draws.get("dropout")
    visual, simclr, model_state = _look_and_contrast(flip, params, model_state, batch)
    only = jnp.zeros(mask.shape[0], jnp.int32)
    asked = {branch.name: draws.get(f"{branch.name}_question", only) for branch in flip.branches}
    texts = {branch.name: branch.instructions(asked[branch.name]) for branch in flip.branches}
    queries = network.ask(flip.net, params, visual, texts, keys)
    fused = network.fuse(flip.net, params, visual, queries, keys)
    terms = {"cls": cross_entropy(network.classify(flip.net, params, fused), batch["is_bona_fide"], mask), **simclr}
    for branch in flip.branches:
        terms[branch.name] = answer_loss(flip, params, frozen, branch, visual, queries, batch, asked[branch.name])
    if flip.net.cue is not None:
        patches = network.cue_patches(flip.net, visual, fused)
        if "cue_noise" in draws:
            patches = add_cue_noise(patches, draws["cue_noise"], is_attack, flip.cue_noise)
        cue_map = run(flip.net.cue, params["cue"], patches)
        terms["cue"] = cue_loss(cue_map, is_attack, mask, quadratic=flip.cue_quadratic)
    total = sum((flip.weights[name] * term for name, term in terms.items()), start=jnp.zeros(()))
    return total, Aux(terms=terms, model_state=model_state)


def _look_and_contrast(
    flip: InstructFlip, params: Tree, model_state: Tree, batch: Batch
) -> tuple[Visual, dict[str, Array], Tree]:
    """Returns the features of the plain view, and the contrastive term of two more views where it is switched on."""
    if flip.projector is None:
        return network.look(flip.net, params, network_input(batch["image"], flip.normalization)), {}, model_state
    views = jnp.concatenate([batch["image"][:, None], batch["ssl_views"]], axis=1)
    images = network_input(rearrange(views, "b v h w c -> (v b) h w c"), flip.normalization)
    every = network.look(flip.net, params, images)
    count = batch["mask"].shape[0]
    tokens = rearrange(every.class_token[count:], "(v b) d -> b v d", v=2)
    projector = {"params": params["projector"], "batch_stats": model_state["projector"]}
    h, updated = flip.projector.apply(projector, tokens, batch["mask"], mutable=["batch_stats"])
    simclr = nt_xent(h[:, 0], h[:, 1], batch["mask"], temperature=SSL_TEMPERATURE)
    return jax.tree.map(lambda x: x[:count], every), {"ssl": simclr}, {"projector": updated["batch_stats"]}


def prepare(flip: InstructFlip, params: Tree, frozen: Tree, model_state: Tree) -> Tree:
    """Returns what scoring needs: no language model, no words, each Q-Former begun with its questions."""
    texts = {branch.name: branch.instructions() for branch in flip.branches}
    return network.prepare(flip.net, params, texts)


def score(flip: InstructFlip, prepared: Tree, batch: Batch) -> Float[Array, "b"]:
    """Returns P(bona fide) by the first fused token alone, mean over the style questions that score."""
    visual = network.look(flip.net, prepared["params"], network_input(batch["image"], flip.normalization))
    selections = [jax.nn.softmax(logits)[:, 1] for logits in _logits(flip, prepared, visual, batch["image"])]
    return sum(selections[1:], start=selections[0]) / len(selections)


def _logits(flip: InstructFlip, prepared: Tree, visual: Visual, image: Array) -> list[Float[Array, "b 2"]]:
    """The logits for every style question that scores."""
    every = _fused(flip, prepared, visual, image, first_only=True)
    return [network.classify(flip.net, prepared["params"], fused) for fused in every]


def _fused(
    flip: InstructFlip, prepared: Tree, visual: Visual, image: Array, *, first_only: bool
) -> list[Float[Array, "b r d"]]:
    """Returns the fused tokens for every style question that scores; the content branch has one question."""
    style = flip.branch("style")
    asked: tuple[Any, ...] = (0,) if style is None else style.scored
    if style is not None and style.random_score:
        asked = (jnp.asarray(style.scored)[network.image_number(image) % len(style.scored)],)
    return network.fuse_prepared(flip.net, prepared, visual, asked, first_only=first_only)


def explain(flip: InstructFlip, prepared: Tree, batch: Batch) -> dict[str, Array]:
    """Returns `cue_map` without noise, trained to be 1 = attack, where there is one; then the maps of `models.relevance`.

    All [b gh gw] in [0, 1]; for few pictures, see there.
    """
    image, params = batch["image"], prepared["params"]
    look = partial(network.look, flip.net, params, network_input(image, flip.normalization))

    def classify(nudges: Attention) -> tuple[Array, Attention]:
        visual = look(nudges)
        return jnp.mean(jnp.stack(_logits(flip, prepared, visual, image)), axis=0), visual.attention

    shown = heat_maps(classify, flip.net.tower.size, len(image))
    if flip.net.cue is None:
        return shown
    visual = look()
    fused = _fused(flip, prepared, visual, image, first_only=False)[0]
    cue_map = run(flip.net.cue, params["cue"], network.cue_patches(flip.net, visual, fused))
    return {"cue_map": jnp.clip(jnp.mean(cue_map, axis=-1), 0.0, 1.0), **shown}


def prepare_answers(flip: InstructFlip, params: Tree, frozen: Tree, model_state: Tree) -> Tree:
    """Returns what answering needs: scoring's part, the answer heads or the language model."""
    heads = {name: leaf for name, leaf in params.items() if name == "t5_proj" or name.endswith("_head")}
    prepared = prepare(flip, params, frozen, model_state)
    return {**prepared, "params": {**prepared["params"], **heads}, **frozen}


def answer(flip: InstructFlip, prepared: Tree, batch: Batch) -> dict[str, Float[Array, "b o"]]:
    """Returns the probability of every option of every question, by option scoring or by the linear heads."""
    return {
        branch.questions[number].name: option_shares(flip, prepared, branch, number, visual, queries)
        for branch, number, visual, queries in _every_question(flip, prepared, batch)
    }


def speak(flip: InstructFlip, prepared: Tree, batch: Batch) -> dict[str, Int[Array, "b t"]]:
    """Returns what the language model writes of itself to every question, as token ids."""
    spoken = {}
    assert flip.llm is not None
    for branch, number, _, queries in _every_question(flip, prepared, batch):
        encoded, mask = _encoded(flip, prepared, branch, number, queries)
        name = branch.questions[number].name
        spoken[name] = greedy(flip.llm, prepared["t5"], encoded, mask, max_length=ANSWER_LIMIT)
    return spoken


def _every_question(
    flip: InstructFlip, prepared: Tree, batch: Batch
) -> Iterator[tuple[Branch, int, Visual, dict[str, Array]]]:
    """Yields branch, number of the question, image features, and the branch's queries for it."""
    visual = network.look(flip.net, prepared["params"], network_input(batch["image"], flip.normalization))
    for branch in flip.branches:
        for number in range(len(branch.questions)):
            queries = {}
            if branch.name in flip.net.qformers:
                queries = {branch.name: network.finish(flip.net, prepared, branch.name, visual, number)}
            yield branch, number, visual, queries


def _encoded(
    flip: InstructFlip, prepared: Tree, branch: Branch, number: int, queries: dict[str, Array]
) -> tuple[Array, Array]:
    assert flip.llm is not None
    text = branch.texts(slice(number, number + 1))
    return network.encode_question(flip.net, flip.llm, prepared["params"], prepared["t5"], queries[branch.name], *text)


def option_shares(
    flip: InstructFlip, prepared: Tree, branch: Branch, number: int, visual: Visual, queries: dict[str, Array]
) -> Float[Array, "b o"]:
    """Returns the probability of each option of one question."""
    count = len(branch.questions[number].options)
    if flip.llm is None:
        logits = network.head_logits(flip.net, prepared["params"], branch.name, visual, queries)
        return jax.nn.softmax(logits[:, branch.class_of[number, 1 : count + 1]], axis=-1)
    encoded, mask = _encoded(flip, prepared, branch, number, queries)
    options = branch.answers((number, slice(count)))
    sums, lengths = option_scores(flip.llm, prepared["t5"], encoded, mask, *options)
    return option_probabilities(sums, lengths, reduce=flip.reduce)


def project(params: Tree, step: Array) -> Tree:
    """Makes every feature's class weights unit length, as the released classifiers do before each forward."""
    heads = [name for name in params if name == "classifier" or name.endswith("_head")]
    made = {name: {**params[name], "kernel": project_unit_columns(params[name]["kernel"])} for name in heads}
    return {**params, **made}


def make(config: Any) -> Method:
    """Builds InstructFLIP, or the variant that the switches describe, from a config of configs/instruct_flip.py.

    Raises:
      ConfigError: a switch with an unknown value, or parts that do not go together.
    """
    flip = settings(config)
    fields = (question.field for branch in flip.branches for question in branch.questions)
    inputs = dict.fromkeys(("image", *(name for name in fields if name != "is_bona_fide")))
    answering = Answering(
        questions=tuple(question for branch in flip.branches for question in branch.questions),
        prepare=partial(prepare_answers, flip),
        answer=partial(answer, flip),
        # With a vocabulary of its own, or from scratch, the model's own words mean nothing.
        speak=partial(speak, flip) if flip.llm is not None and config.weights.t5 else None,
    )
    return Method(
        name="instruct_flip",
        inputs=(*inputs, "ssl_views") if flip.projector is not None else tuple(inputs),
        init=partial(init, flip),
        draws=partial(draws, flip),
        loss=partial(loss, flip),
        prepare=partial(prepare, flip),
        score=partial(score, flip),
        explain=partial(explain, flip),
        answering=answering if flip.branches else None,
        project=project,
        stages=(Stage(config.train.steps, ((".*", True),), OptimizerSpec(**config.optim)),),
        pretrained=_pretrained(flip, config.weights),
    )


def settings(config: Any) -> InstructFlip:
    """Returns the typed settings of a config.

    Raises:
      ConfigError: as `make`.
    """
    method, dtype = config.method, jnp.dtype(config.train.compute_dtype)
    for key, known in SWITCHES.items():
        section, name = key.split(".")
        check_choice(key, config[section][name], known)
    text = config.text.to_dict()
    cuts_words = text.pop("used_words_only")
    branches = make_branches(tuple(method.branches), **text)
    if method.cue and (not branches or method.answers == "features"):
        raise ConfigError("method.cue needs the fusion of at least one branch; set method.cue=False or name branches")
    llm = None
    if branches and method.answers == "llm":
        if cuts_words and config.weights.t5:
            raise ConfigError("text.used_words_only cuts the vocabulary of weights.t5 and so its answers; drop one")
        branches, vocab = compact_language(branches) if cuts_words else (branches, T5_VOCABULARY)
        size = T5Size(**method.t5) if method.llm == "custom" else T5_SIZES[method.llm]
        llm = T5(replace(size, vocab=vocab, gelu=method.t5_gelu), dtype, config.train.remat)
    net = network.build(
        ClipSize(**method.clip),
        qformer=method.qformer.to_dict(),
        vocabularies={branch.name: branch.vocab for branch in branches if method.answers != "features"},
        fusion=method.fusion.to_dict(),
        cue=method.cue,
        learned_queries=method.attention == "learned",
        t5_width=None if llm is None else llm.size.width,
        head_classes={branch.name: branch.classes for branch in branches if method.answers != "llm"},
        dtype=dtype,
        remat=config.train.remat,
    )
    return InstructFlip(
        net=net,
        llm=llm,
        branches=branches,
        weights=dict(method.weights),
        projector=Projector(*method.projector) if method.weights.ssl else None,
        cue_noise=method.cue_noise,
        cue_quadratic=FORMULAS[method.cue_formula],
        reduce=method.option_score,
        normalization=config.data.normalization,
        frozen_dtype=jnp.dtype(config.train.frozen_dtype),
        quantise=method.t5_quant == "fp4_sim",
    )


def _pretrained(flip: InstructFlip, weights: Any) -> tuple[Pretrained, ...]:
    parts = [Pretrained("clip", weights.clip, ("openai_clip", "hf_clip"))] if weights.clip else []
    if weights.bert:
        bert = [branch for branch in flip.branches if branch.name in flip.net.qformers]
        parts += [Pretrained(branch.name, weights.bert, ("hf_bert",), branch.rows) for branch in bert]
    if weights.t5 and flip.llm is not None:
        parts.append(Pretrained("t5", weights.t5, ("hf_t5",), is_frozen=True, finish=partial(finish_t5, flip)))
    return tuple(parts)
