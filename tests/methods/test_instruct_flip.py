"""InstructFLIP: every switch does what it says, scoring is cached exactly, the language model stays out of training."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_methods import SIZE, batch_of, config_of, loss_and_gradients, variables_of

from configs import instruct_flip as config_file
from flipjax.core.errors import ConfigError
from flipjax.core.labels import ATTACK_INSTRUMENTS
from flipjax.core.method import Method
from flipjax.methods import instruct_flip
from flipjax.models import instructed_clip as network
from flipjax.models.layers import network_input, run
from flipjax.training import optim
from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import init_state
from flipjax.training.step import compile_step
from golden_cases import assert_within

ROWS = 6
STYLES = ("illumination", "environment", "camera_quality")


def settings(**changes: Any) -> instruct_flip.InstructFlip:
    return instruct_flip.settings(config_of("instruct_flip", **changes))


def make(**changes: Any) -> Method:
    return instruct_flip.make(config_of("instruct_flip", **changes))


def batch(rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    """Returns random pictures with every label known; row 0 is bona fide."""
    made = dict(batch_of(rows, seed))
    rng = np.random.default_rng(seed)
    made["is_bona_fide"] = jnp.arange(rows) % 2 == 0
    made["attack_instrument"] = jnp.where(made["is_bona_fide"], 0, 7).astype(jnp.int32)
    for name, count in (("illumination", 4), ("environment", 2), ("camera_quality", 3)):
        made[name] = jnp.asarray(rng.integers(0, count, rows).astype(np.int32))
    return made


def loss_of(method: Method, variables: Any, given: Any, draws: Any) -> tuple[float, dict[str, float]]:
    loss, aux = jax.jit(method.loss)(*(variables[k] for k in ("params", "frozen", "model_state")), given, draws)
    return float(loss), {name: float(value) for name, value in aux.terms.items()}


# Parameters


def test_trainable_total_is_the_published_one_less_what_nothing_reads() -> None:
    config = config_file.get_config()
    shapes = jax.eval_shape(instruct_flip.make(config).init, jax.random.key(0))
    total = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["params"]))
    clip_projection, ssl_projector = 768 * 512, 768 * 256 + 256 + 2 * (256 * 256 + 256) + 4 * 256
    assert (clip_projection, ssl_projector) == (393_216, 329_472)
    assert total == 194_976_773 == 195_699_461 - clip_projection - ssl_projector
    frozen = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["frozen"]))
    assert frozen == 247_577_856


@pytest.mark.parametrize(("layers", "expected"), [(1, 38_036_736), (2, 49_848_576), (4, 75_836_160), (8, 127_811_328)])
def test_qformer_counts(layers: int, expected: int) -> None:
    config = config_file.get_config()
    config.method.qformer.layers = layers
    shapes = jax.eval_shape(instruct_flip.make(config).init, jax.random.key(0))["params"]
    for branch in ("content", "style"):
        assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes[branch])) == expected


def test_used_rows_only_changes_no_loss_and_no_score() -> None:
    full, cut = make(text__used_rows_only=False), make(text__used_rows_only=True)
    variables = variables_of(full)
    flips = [instruct_flip.settings(config_of("instruct_flip", text__used_rows_only=flag)) for flag in (False, True)]
    small = dict(variables["params"])
    for branch in flips[1].branches:
        embed = small[branch.name]["embed"]
        rows = embed["word_embedding"][np.asarray(branch.rows)]
        small[branch.name] = {**small[branch.name], "embed": {**embed, "word_embedding": rows}}
    given, draws = batch(), {"style_question": jnp.arange(ROWS) % 3}
    before, after = (
        jax.jit(m.loss)(params, variables["frozen"], {}, given, draws)[0]
        for m, params in ((full, variables["params"]), (cut, small))
    )
    assert_within(after, before, 1e-6, "loss")


# Style questions


def drawn(flip: instruct_flip.InstructFlip, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    given = {"mask": jnp.ones(rows, bool), "is_bona_fide": jnp.arange(rows) % 2 == 0}
    asked = jax.jit(partial(instruct_flip.draws, flip))(jax.random.key(3), given)["style_question"]
    return np.asarray(asked), np.asarray(given["is_bona_fide"])


def test_released_policy_tells_the_class_and_the_default_does_not() -> None:
    asked, is_bona_fide = drawn(settings(text__style_policy="label_dependent", method__cue=False))
    assert set(asked[is_bona_fide]) == {2}, "bona fide samples are always asked about the camera"
    assert np.bincount(asked[~is_bona_fide], minlength=3).min() > 70
    asked, is_bona_fide = drawn(settings(text__style_policy="label_independent", method__cue=False))
    for group in (asked[is_bona_fide], asked[~is_bona_fide]):
        assert np.bincount(group, minlength=3).min() > 70


def test_released_policy_asks_bona_fide_about_the_camera_even_where_attacks_never_are() -> None:
    flip = settings(
        text__style_policy="label_dependent",
        text__style_questions=STYLES[:1],
        text__eval_style="illumination",
        method__cue=False,
    )
    asked, is_bona_fide = drawn(flip)
    names = [question.name for question in flip.branches[1].questions]
    assert names == ["illumination", "camera_quality"]
    assert set(asked[is_bona_fide]) == {1} and set(asked[~is_bona_fide]) == {0}


def scores(eval_style: str, variables: Any, given: Any) -> np.ndarray:
    method = make(text__eval_style=eval_style)
    prepared = jax.jit(method.prepare)(variables["params"], {}, {})
    return np.asarray(jax.jit(method.score)(prepared, {"image": given["image"]}))


def test_evaluation_styles() -> None:
    variables, given = variables_of(make()), batch(8)
    single = np.stack([scores(style, variables, given) for style in STYLES])
    assert np.ptp(single, axis=0).max() > 1e-4, "the question must matter at random weights"
    assert_within(scores("mean", variables, given), single.mean(axis=0), 1e-5, "mean of three")
    random = scores("random", variables, given)
    nearest = np.abs(single - random).argmin(axis=0)
    assert_within(random, np.take_along_axis(single, nearest[None], 0)[0], 1e-5, "one question per image")
    assert len(set(nearest.tolist())) > 1
    turned = {**given, "image": given["image"][::-1]}
    assert_within(scores("random", variables, turned)[::-1], random, 1e-5, "the draw belongs to the image")


# Scoring


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method__qformer__layers": 1},
        {"method__qformer__layers": 4},
        {"method__fusion__is_causal": False},
        {"method__attention": "learned"},
        {"method__branches": ("style",), "method__cue": False},
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


def test_scoring_costs_at_most_38_gflop_an_image(capsys: pytest.CaptureFixture[str]) -> None:
    config = config_file.get_config()
    config.train.compute_dtype = "float32"
    method = instruct_flip.make(config)
    shapes = jax.eval_shape(method.init, jax.random.key(0))
    prepared = jax.eval_shape(method.prepare, shapes["params"], shapes["frozen"], shapes["model_state"])
    image = {"image": jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.uint8)}
    cached = jax.jit(method.score).lower(prepared, image).compile().cost_analysis()["flops"]
    assert "t5" not in prepared and "word_embedding" not in str(jax.tree.structure(prepared))

    def whole(params: Any, batch: Any) -> jax.Array:
        visual = network.look(flip.net, params, network_input(batch["image"], flip.normalization))
        texts = {b.name: b.instructions(jnp.zeros(1, int)) for b in flip.branches}
        fused = network.fuse(flip.net, params, visual, network.ask(flip.net, params, visual, texts, None))
        cue_map = run(flip.net.cue, params["cue"], network.cue_patches(flip.net, visual, fused))
        return network.classify(flip.net, params, fused), cue_map

    flip = instruct_flip.settings(config)
    plain = jax.jit(whole).lower(shapes["params"], image).compile().cost_analysis()["flops"]
    with capsys.disabled():
        print(f"\nGFLOP an image: {cached / 1e9:.2f} for the score, {plain / 1e9:.2f} for the plain forward with cue map")
    assert cached <= 38e9 < plain


def test_cue_map_is_clipped_and_without_noise() -> None:
    method, given = make(), batch(3)
    prepared = jax.jit(method.prepare)(variables_of(method)["params"], {}, {})
    shown = jax.jit(method.explain)(prepared, given)
    grid = SIZE // 8
    assert shown["cue_map"].shape == shown["attention"].shape == (3, grid, grid)
    assert float(shown["cue_map"].min()) >= 0 and float(shown["cue_map"].max()) <= 1
    assert "cue_map" not in jax.eval_shape(
        make(method__cue=False).explain,
        *(jax.eval_shape(make(method__cue=False).prepare, variables_of(make(method__cue=False))["params"], {}, {}), given),
    )


# Losses


def test_unknown_answers_leave_the_loss() -> None:
    method = make()
    variables, given, draws = variables_of(method), batch(), {"style_question": jnp.arange(ROWS) % 3}
    _, terms = loss_of(method, variables, given, draws)
    unknown = {**given, "attack_instrument": given["attack_instrument"].at[3:].set(-1)}
    _, part = loss_of(method, variables, unknown, draws)
    _, half = loss_of(method, variables, {name: value[:3] for name, value in given.items()}, {"style_question": jnp.arange(3)})
    assert_within(part["content"], half["content"], 1e-5, "content over the known answers")
    assert_within(part["style"], terms["style"], 1e-6, "style")
    nothing = {**given, "attack_instrument": jnp.full(ROWS, -1, jnp.int32)}
    (_, aux), grads = loss_and_gradients(method, variables, nothing, draws)
    assert float(aux.terms["content"]) == 0.0
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(grads))


def test_weights_scale_the_terms() -> None:
    weights = {"content": 0.1, "style": 0.2, "cls": 0.3, "cue": 0.4}
    method = make(**{f"method__weights__{name}": value for name, value in weights.items()})
    loss, terms = loss_of(method, variables_of(method), batch(), {"style_question": jnp.zeros(ROWS, int)})
    assert terms.keys() == weights.keys()
    assert_within(loss, sum(weights[name] * term for name, term in terms.items()), 1e-6, "Eq. 6")


def test_cue_formula_of_the_paper_doubles_the_quadratic_part() -> None:
    half, paper = settings(method__cue_formula="half"), settings(method__cue_formula="paper")
    assert (half.cue_quadratic, paper.cue_quadratic) == (0.5, 1.0)


def test_noise_reaches_the_patches_of_attacks_alone() -> None:
    method = make()
    variables, given = variables_of(method), batch()
    draws = {"style_question": jnp.zeros(ROWS, int), "cue_noise": jnp.ones((ROWS, (SIZE // 8) ** 2, 32)) * 5}
    quiet, loud = (loss_of(method, variables, given, d)[1] for d in ({k: v for k, v in draws.items() if k != "cue_noise"}, draws))
    assert loud["cue"] != quiet["cue"] and loud["cls"] == quiet["cls"] and loud["content"] == quiet["content"]
    bona_fide = {**given, "is_bona_fide": jnp.ones(ROWS, bool)}
    assert loss_of(method, variables, bona_fide, draws)[1]["cue"] == pytest.approx(
        loss_of(method, variables, bona_fide, {"style_question": draws["style_question"]})[1]["cue"], rel=1e-6
    )


def test_learned_queries_ask_and_the_cue_map_reads_the_content_tokens() -> None:
    method = make(method__attention="learned")
    variables, given = variables_of(method), batch()
    draws = {"style_question": jnp.zeros(ROWS, int)}
    _, grads = loss_and_gradients(method, variables, given, draws)
    assert float(jnp.abs(grads["fusion"]["cross"]["null_kv"]).max()) > 0
    only_cue = make(method__attention="learned", **{f"method__weights__{n}": 0.0 for n in ("content", "style", "cls")})
    _, grads = loss_and_gradients(only_cue, variables, given, draws)
    assert float(jnp.abs(grads["fusion"]["fc2"]["kernel"]).max()) == 0.0, "the cue map does not pass the fusion"
    assert float(jnp.abs(grads["clip"]["image"]["ln_post"]["scale"]).max()) > 0


def test_ssl_branch() -> None:
    method = make(method__weights__ssl=1.0)
    assert "ssl_views" in method.inputs
    (loss, aux), grads = loss_and_gradients(
        method, variables_of(method), batch(), {"style_question": jnp.zeros(ROWS, int)}
    )
    assert float(aux.terms["ssl"]) > 0 and float(jnp.abs(grads["projector"]["fc1"]["kernel"]).max()) > 0
    assert jax.tree.structure(aux.model_state) == jax.tree.structure(variables_of(method)["model_state"])


def test_dropout_acts_in_training_and_depends_on_its_keys() -> None:
    method = make()
    variables, given = variables_of(method), batch()
    one, other = (jax.jit(method.draws)(jax.random.key(seed), given) for seed in (0, 1))
    fixed = {name: value for name, value in one.items() if name != "dropout"}
    losses = {loss_of(method, variables, given, d)[0] for d in (fixed, one, {**fixed, "dropout": other["dropout"]})}
    assert len(losses) == 3


# Answers


@pytest.mark.parametrize("answers", ["llm", "queries", "features"])
def test_answers_cover_the_options(answers: str) -> None:
    method = make(method__answers=answers, method__cue=False)
    assert method.answering is not None
    variables = variables_of(method)
    prepared = jax.jit(method.answering.prepare)(variables["params"], variables["frozen"], {})
    told = jax.jit(method.answering.answer)(prepared, batch(3))
    counts = {question.name: len(question.options) for question in method.answering.questions}
    assert counts == {"content": 11, "illumination": 4, "environment": 2, "camera_quality": 3}
    for name, count in counts.items():
        assert told[name].shape == (3, count)
        assert_within(told[name].sum(axis=1), np.ones(3), 1e-5, name)


def test_multi_class_labels_are_the_released_ones() -> None:
    released = settings(method__answers="queries", text__unknown_is_class=True).branches[1]
    assert released.classes == 11
    expected = [[0, 1, 2, 3, 4], [5, 6, 7], [-1, 8, 9, 10]]
    for row, values in zip(released.class_of, expected, strict=True):
        assert row[: len(values)].tolist() == values
    default = settings(method__answers="queries").branches[1].class_of
    assert default[:, 0].tolist() == [-1, -1, -1], "unknown is no class"


def test_option_score_switch() -> None:
    variables, given, told = variables_of(make()), batch(3), {}
    for reduce in ("mean", "sum"):
        method = make(method__option_score=reduce)
        assert method.answering is not None
        prepared = jax.jit(method.answering.prepare)(variables["params"], variables["frozen"], {})
        told[reduce] = jax.jit(method.answering.answer)(prepared, given)["content"]
    assert float(jnp.abs(told["mean"] - told["sum"]).max()) > 1e-3


def test_custom_question_from_a_config() -> None:
    custom = {"glare": {"branch": "style", "field": "is_bona_fide", "text": "Is there glare?", "options": ("Yes", "No")}}
    config = config_of("instruct_flip", text__style_questions=("glare",), text__eval_style="glare")
    config.text.custom.update(custom)
    method = instruct_flip.make(config)
    assert method.answering is not None
    assert [question.name for question in method.answering.questions] == ["content", "glare"]
    assert "illumination" not in method.inputs and "attack_instrument" in method.inputs
    loss, _ = loss_of(method, variables_of(method), batch(), {"style_question": jnp.zeros(ROWS, int)})
    assert np.isfinite(loss)


# Frozen language model


@pytest.mark.parametrize("quant", ["none", "fp4_sim"])
def test_frozen_storage(quant: str) -> None:
    method = make(method__t5_quant=quant, train__frozen_dtype="bfloat16")
    frozen = jax.jit(method.init)(jax.random.key(0))["frozen"]["t5"]
    assert {leaf.dtype for leaf in jax.tree.leaves(frozen)} == {jnp.dtype("bfloat16")}
    kernel = np.asarray(frozen["encoder"]["blocks_0"]["attn"]["query"]["kernel"], np.float32)
    levels = len(np.unique(np.abs(kernel.T.reshape(-1)[:64])))
    assert levels <= 8 if quant == "fp4_sim" else levels > 8, "eight magnitudes a block of 64"


def test_frozen_weights_stay_and_cost_no_gradient_or_optimizer_memory() -> None:
    method = make()
    mesh = make_mesh(1, 1, jax.devices()[:1])
    stage = method.stages[0]
    tx = optim.build(stage)
    state = jax.jit(lambda key: init_state(method, key, tx))(jax.random.key(0))
    shardings = tree_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    frozen = jax.tree.map(np.array, state.frozen)
    moments = sum(leaf.nbytes for leaf in jax.tree.leaves(state.opt_state))
    trained = sum(leaf.nbytes for leaf in jax.tree.leaves(state.params))
    assert 2 * trained <= moments < 2 * trained + 1000, "two moments per trained number and a few scalars"
    step = compile_step(method, rules=stage.trainable, tx=tx, seed=0, accumulate=1, shardings=shardings, mesh=mesh)
    for seed in range(2):
        state, _ = step(state, batch(seed=seed))
    jax.tree.map(np.testing.assert_array_equal, state.frozen, frozen)


def step_memory(hidden: int) -> tuple[int, Any]:
    """Returns the bytes of the frozen weights and the compiled step's memory, for a language model of some hidden width."""
    method = make(method__t5__hidden=hidden)
    mesh = make_mesh(1, 1, jax.devices()[:1])
    stage = method.stages[0]
    tx = optim.build(stage)
    state = jax.eval_shape(lambda key: init_state(method, key, tx), jax.random.key(0))
    shardings = tree_shardings(state, mesh)
    step = compile_step(method, rules=stage.trainable, tx=tx, seed=0, accumulate=1, shardings=shardings, mesh=mesh)
    frozen = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.frozen))
    return frozen, step.lower(state, batch()).compile().memory_analysis()


def test_compiled_step_holds_the_frozen_weights_once() -> None:
    (small, before), (large, after) = step_memory(32), step_memory(65536)
    grown = large - small
    assert after.argument_size_in_bytes - before.argument_size_in_bytes == grown, "no optimizer state"
    assert after.alias_size_in_bytes - before.alias_size_in_bytes == grown, "handed on in place"
    print(grown, after.temp_size_in_bytes - before.temp_size_in_bytes)


# Bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method__llm": "huge"}, "method.llm 'huge' unknown"),
        ({"method__branches": ("content", "colour")}, "method.branches 'colour' unknown"),
        ({"method__branches": ()}, "method.cue needs the fusion"),
        ({"text__eval_style": "environment", "text__style_questions": ("illumination",)}, "not among the style questions"),
        ({"text__limit": 20}, "needs 82 tokens but at most 20"),
        ({"weights__t5": "t5.safetensors"}, "text.used_words_only cuts the vocabulary"),
        ({"method__qformer__heads": 5}, "does not divide by heads 5"),
        ({"method__qformer__layers": 0}, "0 layers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_settings_are_one_clear_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


def test_the_content_options_are_the_attack_instruments() -> None:
    question = settings().branches[0].questions[0]
    assert question.field == "attack_instrument" and len(question.options) == len(ATTACK_INSTRUMENTS)
