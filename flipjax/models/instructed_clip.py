"""InstructFLIP's network: image features, two Q-Former branches, fusion and heads, whichever of them a variant has.

Parameters are nested dicts `clip/image`, `content`, `style` (Q-Formers), `fusion`, `classifier`, `cue`, `t5_proj`,
`content_head` and `style_head`. Source: InstructFLIP sections 3.2 - 3.4.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, UInt32

from flipjax.core.method import Tree
from flipjax.core.rng import stream
from flipjax.models.clip import ClipSize, ImageTower
from flipjax.models.cue_generator import CueGenerator
from flipjax.models.fusion import Fusion, FusionSize
from flipjax.models.layers import Dense, Keys, Nudges, run, torch_dense
from flipjax.models.qformer import QFormer, QFormerSize
from flipjax.models.t5 import T5


@flax.struct.dataclass
class Visual:
    """What the branches and heads read of an image: f_c, f_s and the class token; and where every block looks."""

    content: Float[Array, "b n d"]
    style: Float[Array, "b s d"]
    class_token: Float[Array, "b d"]
    attention: tuple[Float[Array, "b h n n"], ...]


@dataclass(frozen=True)
class InstructedClip:
    """Modules of one variant; None where it has no such part.

    `qformers` are by branch name, in the order in which the fusion reads them. `learned_queries` lets the queries ask
    and the content tokens answer (paper Eq. 5); the code has it the other way round. `head_classes` sizes the linear
    answer heads by branch (empty where a language model answers, or nobody).
    """

    tower: ImageTower
    qformers: dict[str, QFormer]
    fusion: Fusion | None
    cue: CueGenerator | None
    learned_queries: bool
    t5_width: int | None
    head_classes: dict[str, int]
    dtype: DTypeLike

    @property
    def classifier(self) -> Dense:
        return torch_dense(2, self.tower.size.width, "classifier")

    @property
    def t5_proj(self) -> Dense:
        assert self.t5_width is not None
        return torch_dense(self.t5_width, self.tower.size.width, "t5_proj", self.dtype)

    def head(self, branch: str) -> Dense:
        return torch_dense(self.head_classes[branch], self.tower.size.width, f"{branch}_head")


def build(
    size: ClipSize,
    *,
    qformer: Mapping[str, Any],
    vocabularies: Mapping[str, int],
    fusion: Mapping[str, Any],
    cue: bool,
    learned_queries: bool,
    t5_width: int | None,
    head_classes: dict[str, int],
    dtype: DTypeLike,
    remat: bool,
) -> InstructedClip:
    """Returns the modules of a variant; `vocabularies` sizes the word table of every branch that has a Q-Former.

    Raises:
      ConfigError: sizes that contradict each other.
    """
    qformers = {
        branch: QFormer(QFormerSize(size.width, **qformer, vocab=vocab), dtype)
        for branch, vocab in vocabularies.items()
    }
    return InstructedClip(
        tower=ImageTower(size, project=False, dtype=dtype, remat=remat),
        qformers=qformers,
        fusion=Fusion(FusionSize(size.width, **fusion), dtype) if qformers else None,
        cue=CueGenerator(size.grid, dtype) if cue else None,
        learned_queries=learned_queries,
        t5_width=t5_width,
        head_classes=head_classes,
        dtype=dtype,
    )


def style_tokens(blocks: tuple[Float[Array, "b n d"], ...]) -> Float[Array, "b s d"]:
    """Returns f_s (Eq. 1): mean and unbiased standard deviation over the tokens of each block, mean first."""
    stats = []
    for block in blocks:
        mean = jnp.mean(block, axis=1)
        variance = jnp.sum(jnp.square(block - mean[:, None]), axis=1) / (block.shape[1] - 1)
        stats += [mean, jnp.sqrt(variance)]
    return jnp.stack(stats, axis=1)


def look(net: InstructedClip, params: Tree, images: Float[Array, "b h w 3"], nudges: Nudges = None) -> Visual:
    """Returns the image features; `nudges` as in `ImageTower`."""
    output = run(net.tower, params["clip"]["image"], images, nudges)
    return Visual(output.content, style_tokens(output.blocks), output.class_token, output.attention)


def context_of(visual: Visual, branch: str) -> Float[Array, "b m d"]:
    """Returns what a branch's Q-Former attends to."""
    return visual.content if branch == "content" else visual.style


def fuse(
    net: InstructedClip,
    params: Tree,
    visual: Visual,
    queries: dict[str, Float[Array, "b q d"]],
    keys: Keys = None,
    *,
    first_only: bool = False,
) -> Float[Array, "b r d"]:
    """Returns the fused tokens, the classified one first; without a fusion the content tokens."""
    if net.fusion is None:
        return visual.content[:, :1] if first_only else visual.content
    joined = jnp.concatenate([queries[branch] for branch in net.qformers], axis=1)
    pair = (joined, visual.content) if net.learned_queries else (visual.content, joined)
    return run(net.fusion, params["fusion"], *pair, keys, first_only)


def classify(net: InstructedClip, params: Tree, fused: Float[Array, "b r d"]) -> Float[Array, "b 2"]:
    """Returns the two logits of the first fused token."""
    return run(net.classifier, params["classifier"], fused[:, 0])


def cue_patches(net: InstructedClip, visual: Visual, fused: Float[Array, "b r d"]) -> Float[Array, "b p d"]:
    """Returns the patch tokens that the cue generator reads; learned queries have no places, so there the content's."""
    return (visual.content if net.learned_queries else fused)[:, 1:]


def ask(
    net: InstructedClip,
    params: Tree,
    visual: Visual,
    texts: dict[str, tuple[Int[Array, "b t"], Bool[Array, "b t"]]],
    keys: Keys,
) -> dict[str, Float[Array, "b q d"]]:
    """Returns every branch's queries for the text (ids and mask) that each sample is asked."""
    queries = {}
    for branch, qformer in net.qformers.items():
        own = None if keys is None else jax.vmap(partial(_substream, name=branch))(keys)
        queries[branch] = run(qformer, params[branch], *texts[branch], context_of(visual, branch), own)
    return queries


def _substream(key: UInt32[Array, "2"], *, name: str) -> UInt32[Array, "2"]:
    return jax.random.key_data(stream(jax.random.wrap_key_data(key), name))


def encode_question(
    net: InstructedClip,
    llm: T5,
    params: Tree,
    t5: Tree,
    queries: Float[Array, "b q d"],
    ids: Int[Array, "#b u"],
    mask: Bool[Array, "#b u"],
) -> tuple[Float[Array, "b m e"], Bool[Array, "b m"]]:
    """Returns the language model's encoding of soft prompt and question, and its mask; both branches share the map."""
    prompt = run(net.t5_proj, params["t5_proj"], queries)
    b, q, _ = prompt.shape
    text = run(llm, t5, ids, method="embed").astype(prompt.dtype)
    joined = jnp.concatenate([prompt, jnp.broadcast_to(text, (b, *text.shape[1:]))], axis=1)
    seen = jnp.concatenate([jnp.ones((b, q), bool), jnp.broadcast_to(mask, (b, mask.shape[1]))], axis=1)
    return run(llm, t5, joined, seen, method="encode"), seen


def head_logits(
    net: InstructedClip, params: Tree, branch: str, visual: Visual, queries: dict[str, Float[Array, "b q d"]]
) -> Float[Array, "b c"]:
    """Returns a branch's class logits: of its first query, or without Q-Formers of the class token and first style token."""
    plain = visual.class_token if branch == "content" else visual.style[:, 0]
    feature = queries[branch][:, 0] if branch in queries else plain
    return run(net.head(branch), params[f"{branch}_head"], feature)


def prepare(net: InstructedClip, params: Tree, texts: dict[str, tuple[Int[Array, "q t"], Bool[Array, "q t"]]]) -> Tree:
    """Returns what scoring needs: the parameters that images meet, and each branch's Q-Former up to the image.

    `texts` holds the fixed questions of every branch, ids and mask; `begun` has them on the leading axis.
    """
    used = ("clip", "fusion", "classifier", "cue", *net.qformers)
    kept = {name: params[name] for name in used if name in params}
    begun = {}
    for branch, qformer in net.qformers.items():
        begun[branch] = run(qformer, params[branch], *texts[branch], method="begin")
        layers = {name: leaf for name, leaf in params[branch].items() if name.startswith("layers_")}
        first = {name: leaf for name, leaf in layers["layers_0"].items() if name not in ("attn", "text_mlp")}
        kept[branch] = {**layers, "layers_0": first}
    return {"params": kept, "begun": begun}


def finish(
    net: InstructedClip, prepared: Tree, branch: str, visual: Visual, which: Int[Array, "b"] | int
) -> Float[Array, "b q d"]:
    """Returns a branch's queries for a prepared question, one for all images or one per image."""
    rows = jnp.atleast_1d(jnp.asarray(which))
    begun = jax.tree.map(lambda leaf: leaf[rows], prepared["begun"][branch])
    return run(net.qformers[branch], prepared["params"][branch], begun, context_of(visual, branch), method="finish")


def fuse_prepared(
    net: InstructedClip,
    prepared: Tree,
    visual: Visual,
    asked: Sequence[Int[Array, "b"] | int],
    *,
    first_only: bool,
) -> list[Float[Array, "b r d"]]:
    """Returns the fused tokens for every style question `asked`, numbers as in `finish`; the content branch has one."""
    content, *selections = [
        {branch: finish(net, prepared, branch, visual, which)} if branch in net.qformers else {}
        for branch, which in (("content", 0), *(("style", which) for which in asked))
    ]
    return [fuse(net, prepared["params"], visual, {**content, **own}, first_only=first_only) for own in selections]


def image_number(image: Array) -> Int[Array, "b"]:
    """Returns a number per image that depends on its pixels alone, so that a draw by it can be repeated.

    Stored pixels are summed as integers: in float32 the order of the sum, and so the device, would decide the last digit.
    """
    kind = jnp.float32 if jnp.issubdtype(image.dtype, jnp.floating) else jnp.int32
    return jnp.sum(image.astype(kind), axis=(1, 2, 3)).astype(jnp.int32) % 9973


def init_params(net: InstructedClip, stream_of: Callable[[str], jax.Array], images: Float[Array, "b h w 3"]) -> Tree:
    """Returns fresh parameters; `stream_of(name)` is the key of each part."""
    width = net.tower.size.width

    def fresh(module: nn.Module, name: str, *inputs: Array) -> Tree:
        return module.init(stream_of(name), *inputs)["params"]

    tokens = jnp.zeros((1, 1 + net.tower.size.grid**2, width))
    params: Tree = {"clip": {"image": fresh(net.tower, "image", images)}}
    params["classifier"] = fresh(net.classifier, "classifier", tokens[:, 0])
    for branch, qformer in net.qformers.items():
        params[branch] = fresh(qformer, branch, jnp.zeros((1, 1), int), jnp.ones((1, 1), bool), tokens)
    if net.fusion is not None:
        params["fusion"] = fresh(net.fusion, "fusion", tokens, tokens)
    if net.cue is not None:
        params["cue"] = fresh(net.cue, "cue", tokens[:, 1:])
    if net.t5_width is not None:
        params["t5_proj"] = fresh(net.t5_proj, "t5_proj", tokens)
    for branch in net.head_classes:
        params[f"{branch}_head"] = fresh(net.head(branch), f"{branch}_head", tokens[:, 0])
    return params
