"""InstructFLIP's sizes, its cached scoring against the plain forward, what a score costs, its answers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from instruct_flip_cases import ROWS, batch, draws_of, loss_of, make, settings, variables_of

from configs import instruct_flip as config_file
from flipjax.core.labels import ATTACK_INSTRUMENTS
from flipjax.methods import instruct_flip
from flipjax.models import instructed_clip as network
from flipjax.models.layers import network_input, run
from flipjax.models.t5_decode import option_probabilities, option_scores
from golden_cases import assert_within
from tiny_methods import SIZE, config_of


def test_trainable_total_is_the_published_one_less_what_nothing_reads() -> None:
    config: Any = config_file.get_config()
    shapes = jax.eval_shape(instruct_flip.make(config).init, jax.random.key(0))
    total = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["params"]))
    clip_projection, ssl_projector = 768 * 512, 768 * 256 + 256 + 2 * (256 * 256 + 256) + 4 * 256
    assert (clip_projection, ssl_projector) == (393_216, 329_472)
    assert total == 194_976_773 == 195_699_461 - clip_projection - ssl_projector
    frozen = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["frozen"]))
    assert frozen == 247_577_856


@pytest.mark.parametrize(("layers", "expected"), [(1, 38_036_736), (2, 49_848_576), (4, 75_836_160), (8, 127_811_328)])
def test_qformer_counts(layers: int, expected: int) -> None:
    config: Any = config_file.get_config()
    config.method.update(answers="queries", cue=False)
    config.method.qformer.layers = layers
    shapes = jax.eval_shape(instruct_flip.make(config).init, jax.random.key(0))["params"]
    for branch in ("content", "style"):
        assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes[branch])) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"method__qformer__layers": 1}, marks=pytest.mark.slow),
        {"method__qformer__layers": 4},
        pytest.param({"method__fusion__is_causal": False}, marks=pytest.mark.slow),
        {"method__attention": "learned"},
        pytest.param({"method__branches": ("style",), "method__cue": False}, marks=pytest.mark.slow),
        {"method__branches": (), "method__cue": False},
        {"method__answers": "features", "method__cue": False},
    ],
    ids=str,
)
def test_cached_scoring_equals_the_plain_forward(changes: dict[str, Any]) -> None:
    flip = settings(**changes)
    variables, given = variables_of(instruct_flip.make(config_of("instruct_flip", **changes))), batch(3)

    def plain(params: Any) -> jax.Array:
        visual = network.look(flip.net, params, network_input(given["image"], flip.normalization))
        asked = {b.name: jnp.full(3, b.scored[0]) for b in flip.branches}
        texts = {b.name: b.instructions(asked[b.name]) for b in flip.branches}
        queries = network.ask(flip.net, params, visual, texts, None)
        fused = network.fuse(flip.net, params, visual, queries)
        return jax.nn.softmax(network.classify(flip.net, params, fused))[:, 1]

    prepared = jax.jit(partial(instruct_flip.prepare, flip))(variables["params"], {}, {})
    cached = jax.jit(partial(instruct_flip.score, flip))(prepared, given)
    assert_within(cached, jax.jit(plain)(variables["params"]), 1e-5, "score")


def flops(compiled: Any) -> float:
    return compiled.cost_analysis()["flops"]


def test_scoring_costs_at_most_38_gflop_an_image(capsys: pytest.CaptureFixture[str]) -> None:
    config: Any = config_file.get_config()
    config.train.compute_dtype = "float32"
    method = instruct_flip.make(config)
    shapes = jax.eval_shape(method.init, jax.random.key(0))
    prepared = jax.eval_shape(method.prepare, shapes["params"], shapes["frozen"], shapes["model_state"])
    image = {"image": jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.uint8)}
    cached = flops(jax.jit(method.score).lower(prepared, image).compile())
    assert "t5" not in prepared and "word_embedding" not in str(jax.tree.structure(prepared))

    def whole(params: Any, batch: Any) -> tuple[jax.Array, jax.Array]:
        visual = network.look(flip.net, params, network_input(batch["image"], flip.normalization))
        texts = {b.name: b.instructions(jnp.zeros(1, int)) for b in flip.branches}
        fused = network.fuse(flip.net, params, visual, network.ask(flip.net, params, visual, texts, None))
        assert flip.net.cue is not None
        cue_map = run(flip.net.cue, params["cue"], network.cue_patches(flip.net, visual, fused))
        return network.classify(flip.net, params, fused), cue_map

    flip = instruct_flip.settings(config)
    plain = flops(jax.jit(whole).lower(shapes["params"], image).compile())
    with capsys.disabled():
        print(
            f"\nGFLOP an image: {cached / 1e9:.2f} for the score, {plain / 1e9:.2f} for the plain forward with cue map"
        )
    assert cached <= 38e9 < plain


def test_cue_map_is_clipped_and_without_noise() -> None:
    method, given = make(), batch(3)
    prepared = jax.jit(method.prepare)(variables_of(method)["params"], {}, {})
    assert method.explain is not None
    shown = jax.jit(method.explain)(prepared, given)
    grid = SIZE // 8
    assert shown["cue_map"].shape == shown["attention"].shape == (3, grid, grid)
    assert float(shown["cue_map"].min()) >= 0 and float(shown["cue_map"].max()) <= 1
    without = make(method__cue=False)
    assert without.explain is not None
    shapes = jax.eval_shape(without.init, jax.random.key(0))["params"]
    assert "cue_map" not in jax.eval_shape(without.explain, jax.eval_shape(without.prepare, shapes, {}, {}), given)


@pytest.mark.parametrize("answers", ["llm", "queries", "features"])
def test_answers_cover_the_options_of_their_question(answers: str) -> None:
    changes = {"method__answers": answers, "method__cue": False}
    method, flip, given = make(**changes), settings(**changes), batch(3)
    assert method.answering is not None

    def environment(params: Any, frozen: Any) -> jax.Array:
        """The second style question, whose two options are classes 6 and 7 of the linear head."""
        visual, asked = (
            network.look(flip.net, params, network_input(given["image"], flip.normalization)),
            jnp.ones(3, int),
        )
        content, style = flip.branches
        texts = {"content": content.instructions(0 * asked), "style": style.instructions(asked)}
        queries = network.ask(flip.net, params, visual, texts, None)
        if flip.llm is None:
            return jax.nn.softmax(network.head_logits(flip.net, params, "style", visual, queries)[:, 6:8])
        encoded = network.encode_question(
            flip.net, flip.llm, params, frozen["t5"], queries["style"], *style.texts(asked)
        )
        ids, mask = style.tokens.answer_ids[1, :2], style.tokens.answer_mask[1, :2]
        scores = option_scores(flip.llm, frozen["t5"], *encoded, jnp.asarray(ids), jnp.asarray(mask))
        return option_probabilities(*scores, reduce=flip.reduce)

    variables = variables_of(method)
    prepared = jax.jit(method.answering.prepare)(variables["params"], variables["frozen"], {})
    told = jax.jit(method.answering.answer)(prepared, given)
    assert_within(told["environment"], jax.jit(environment)(variables["params"], variables["frozen"]), 1e-5, answers)
    counts = {question.name: len(question.options) for question in method.answering.questions}
    assert counts == {"content": 11, "illumination": 4, "environment": 2, "camera_quality": 3}
    for name, count in counts.items():
        assert told[name].shape == (3, count)
        assert_within(told[name].sum(axis=1), np.ones(3), 1e-5, name)


def test_option_score_switch() -> None:
    variables, given = variables_of(make()), batch(3)
    methods = {reduce: make(method__option_score=reduce) for reduce in ("mean", "sum")}

    @jax.jit
    def told(params: Any, frozen: Any) -> dict[str, jax.Array]:
        every = {reduce: method.answering for reduce, method in methods.items()}
        return {r: a.answer(a.prepare(params, frozen, {}), given)["content"] for r, a in every.items() if a is not None}

    found = told(variables["params"], variables["frozen"])
    assert float(jnp.abs(found["mean"] - found["sum"]).max()) > 1e-3
    assert_within(found["mean"].sum(axis=1), np.ones(3), 1e-5, "shares")


def test_custom_question_from_a_config() -> None:
    custom = {
        "glare": {"branch": "style", "field": "is_bona_fide", "text": "Is there glare?", "options": ("Yes", "No")}
    }
    config = config_of("instruct_flip", text__style_questions=("glare",), text__eval_style="glare")
    config.text.custom.update(custom)
    method = instruct_flip.make(config)
    assert method.answering is not None
    assert [question.name for question in method.answering.questions] == ["content", "glare"]
    assert "illumination" not in method.inputs and "attack_instrument" in method.inputs
    draws = {**draws_of(), "style_question": jnp.zeros(ROWS, int)}
    found, flipped = (
        loss_of(method, variables_of(method), {**batch(), "is_bona_fide": flags}, draws)[1]["style"]
        for flags in (jnp.arange(ROWS) % 2 == 0, jnp.arange(ROWS) % 2 == 1)
    )
    assert np.isfinite(found) and found != flipped, "the answer is read from the column that the config names"


def test_the_content_options_are_the_attack_instruments() -> None:
    question = settings().branches[0].questions[0]
    assert question.field == "attack_instrument" and len(question.options) == len(ATTACK_INSTRUMENTS)
