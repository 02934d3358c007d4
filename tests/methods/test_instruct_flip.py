"""InstructFLIP: every switch does what it says; sizes and scoring, and the frozen weights, have test files beside this one."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from instruct_flip_cases import ROWS, batch, draws_of, gradients_of_term, largest, loss_of, make, settings, variables_of

from configs import instruct_flip as config_file
from flipjax.core.errors import ConfigError
from flipjax.core.method import Method
from flipjax.methods import instruct_flip
from flipjax.models import instructed_clip as network
from flipjax.training import optim
from golden_cases import assert_within
from tiny_methods import SIZE, config_of

STYLES = ("illumination", "environment", "camera_quality")


def test_used_rows_only_changes_no_loss_and_no_score() -> None:
    full, cut = make(text__used_rows_only=False), make(text__used_rows_only=True)
    variables = variables_of(full)
    flips = [instruct_flip.settings(config_of("instruct_flip", text__used_rows_only=flag)) for flag in (False, True)]
    small = dict(variables["params"])
    for branch in flips[1].branches:
        embed = small[branch.name]["embed"]
        rows = embed["word_embedding"][np.asarray(branch.rows)]
        small[branch.name] = {**small[branch.name], "embed": {**embed, "word_embedding": rows}}
    given, draws = batch(), draws_of()

    @partial(jax.jit, static_argnums=0)
    def loss_and_score(method: Method, params: Any) -> tuple[jax.Array, jax.Array]:
        loss, _ = method.loss(params, variables["frozen"], {}, given, draws)
        return loss, method.score(method.prepare(params, {}, {}), {"image": given["image"]})

    for name, before, after in zip(
        ("loss", "score"), loss_and_score(full, variables["params"]), loss_and_score(cut, small), strict=True
    ):
        assert_within(after, before, 1e-6, name)


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


def test_evaluation_styles() -> None:
    variables, given = variables_of(make()), batch(8)
    methods = {style: make(text__eval_style=style) for style in (*STYLES, "mean", "random")}

    @jax.jit
    def scores(params: Any, image: jax.Array) -> dict[str, jax.Array]:
        return {style: m.score(m.prepare(params, {}, {}), {"image": image}) for style, m in methods.items()}

    found = jax.tree.map(np.asarray, scores(variables["params"], given["image"]))
    single = np.stack([found[style] for style in STYLES])
    assert np.ptp(single, axis=0).max() > 1e-4, "the question must matter at random weights"
    assert_within(found["mean"], single.mean(axis=0), 1e-5, "mean of three")
    nearest = np.abs(single - found["random"]).argmin(axis=0)
    assert_within(found["random"], np.take_along_axis(single, nearest[None], 0)[0], 1e-5, "one question per image")
    assert len(set(nearest.tolist())) > 1
    turned = scores(variables["params"], given["image"][::-1])
    assert_within(turned["random"][::-1], found["random"], 1e-5, "the draw belongs to the image")


def test_unknown_answers_leave_the_loss() -> None:
    method = make()
    variables, given, draws = variables_of(method), batch(), draws_of()
    _, terms = loss_of(method, variables, given, draws)
    unknown = {**given, "attack_instrument": given["attack_instrument"].at[3:].set(-1)}
    _, part = loss_of(method, variables, unknown, draws)
    _, half = loss_of(method, variables, {**given, "mask": jnp.arange(ROWS) < 3}, draws)
    assert abs(part["content"] - terms["content"]) > 1e-4
    assert_within(part["content"], half["content"], 1e-5, "content over the known answers")
    for name in ("style", "cls", "cue"):
        assert_within(part[name], terms[name], 1e-6, name)
    nothing = {**given, "attack_instrument": jnp.full(ROWS, -1, jnp.int32)}
    assert loss_of(method, variables, nothing, draws)[1]["content"] == 0.0
    assert largest(gradients_of_term(method, "content", variables, nothing, draws)) == 0.0, "and no NaN"


def test_weights_scale_the_terms() -> None:
    weights = {"content": 0.1, "style": 0.2, "cls": 0.3, "cue": 0.4}
    method = make(**{f"method__weights__{name}": value for name, value in weights.items()})
    loss, terms = loss_of(method, variables_of(method), batch(), draws_of())
    assert terms.keys() == weights.keys()
    assert_within(loss, sum(weights[name] * term for name, term in terms.items()), 1e-6, "Eq. 6")


def test_cue_formula_of_the_paper_doubles_the_quadratic_part() -> None:
    """The cue generator is made to say 0.004 everywhere: 0.004 from bona fide, in the quadratic part, and 0.996 from attack."""
    variables, draws = variables_of(make()), draws_of()
    cue = jax.tree.map(jnp.zeros_like, variables["params"]["cue"])
    cue = {**cue, "conv2": {**cue["conv2"], "bias": jnp.full(3, 0.004)}}
    found = {}
    for formula in ("half", "paper"):
        method = make(method__cue_formula=formula)

        @jax.jit
        def cue_term(is_bona_fide: jax.Array, loss: Any = method.loss) -> jax.Array:
            params = {**variables["params"], "cue": cue}
            return loss(params, variables["frozen"], {}, {**batch(), "is_bona_fide": is_bona_fide}, draws)[1].terms[
                "cue"
            ]

        found[formula] = [float(cue_term(jnp.full(ROWS, flag))) for flag in (True, False)]
    assert_within(found["half"], [0.5 * 0.004**2 / 0.01, 0.996 - 0.005], 1e-5, "smooth L1")
    assert_within(found["paper"], [0.004**2 / 0.01, 0.996 - 0.005], 1e-5, "Eq. 7")


def test_noise_reaches_the_patches_of_attacks_alone() -> None:
    method = make()
    variables, given = variables_of(method), batch()
    quiet, loud = (loss_of(method, variables, given, draws_of(noise=noise))[1] for noise in (0.0, 5.0))
    assert loud["cue"] != quiet["cue"] and loud["cls"] == quiet["cls"] and loud["content"] == quiet["content"]
    bona_fide = {**given, "is_bona_fide": jnp.ones(ROWS, bool)}
    quiet, loud = (loss_of(method, variables, bona_fide, draws_of(noise=noise))[1] for noise in (0.0, 5.0))
    assert loud["cue"] == pytest.approx(quiet["cue"], rel=1e-6)


def changed(tree: Any, path: str) -> Any:
    """Returns the tree with half as much again of the arrays below `path`."""
    first, _, rest = path.partition("/")
    below = changed(tree[first], rest) if rest else jax.tree.map(lambda leaf: 1.5 * leaf, tree[first])
    return {**tree, first: below}


@pytest.mark.parametrize("attention", ["learned", "content"])
def test_learned_queries_ask_and_the_cue_map_reads_the_content_tokens(attention: str) -> None:
    method, flip = make(method__attention=attention), settings(method__attention=attention)
    variables = variables_of(make())

    def fused(params: Any, images: Any) -> jax.Array:
        visual = network.look(flip.net, params, images)
        texts = {b.name: b.instructions(jnp.zeros(1, int)) for b in flip.branches}
        return network.fuse(flip.net, params, visual, network.ask(flip.net, params, visual, texts, None))

    images = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    askers = 2 * 4 if attention == "learned" else 1 + (SIZE // 8) ** 2
    assert jax.eval_shape(fused, variables["params"], images).shape[1] == askers, "a row for each that asks"

    def terms(path: str) -> dict[str, float]:
        params = changed(variables["params"], path) if path else variables["params"]
        return loss_of(method, {**variables, "params": params}, batch(), draws_of())[1]

    before, fusion, tower = terms(""), terms("fusion/fc2"), terms("clip/image/ln_post")
    assert fusion["cls"] != before["cls"] and tower["cls"] != before["cls"] and tower["cue"] != before["cue"]
    assert (fusion["cue"] == before["cue"]) == (attention == "learned"), "learned: the map does not pass the fusion"


def test_t5_gelu_switch() -> None:
    variables, found = variables_of(make()), {}
    frozen = jax.tree.map(lambda leaf: 4 * leaf, variables["frozen"])  # where the two forms differ visibly
    for form in ("exact", "tanh"):
        found[form] = loss_of(make(method__t5_gelu=form), {**variables, "frozen": frozen}, batch(), draws_of())[1]
    for name in ("content", "style"):
        difference = abs(found["exact"][name] - found["tanh"][name]) / found["exact"][name]
        assert 1e-6 < difference < 1e-2, f"{name}: another form of the same function, by {difference}"
    assert found["exact"]["cls"] == found["tanh"]["cls"] and found["exact"]["cue"] == found["tanh"]["cue"]


def test_ssl_branch() -> None:
    method = make(method__weights__ssl=1.0)
    assert "ssl_views" in method.inputs
    variables, given = variables_of(method), batch()

    @jax.jit
    def of_projector(projector: Any, given: Any) -> Any:
        def term(projector: Any) -> Any:
            params = {**variables["params"], "projector": projector}
            _, aux = method.loss(params, variables["frozen"], variables["model_state"], given, draws_of())
            return aux.terms["ssl"], aux.model_state

        return jax.value_and_grad(term, has_aux=True)(projector)

    (term, model_state), grads = of_projector(variables["params"]["projector"], given)
    (same, _), _ = of_projector(variables["params"]["projector"], {**given, "image": given["image"][::-1]})
    views = given["ssl_views"].at[:, 1].set(given["ssl_views"][::-1, 1])
    (other, _), _ = of_projector(variables["params"]["projector"], {**given, "ssl_views": views})
    assert_within(same, term, 1e-5, "the plain view has no part in it")
    assert abs(float(other - term)) > 1e-3, "the second view of a sample is compared with the first"
    assert float(term) > 0 and largest(grads["fc1"]["kernel"]) > 0
    assert jax.tree.structure(model_state) == jax.tree.structure(variables["model_state"])


def test_dropout_acts_in_training_and_depends_on_its_keys() -> None:
    method = make()
    variables, given = variables_of(method), batch()
    one, other = (jax.jit(method.draws)(jax.random.key(seed), given) for seed in (0, 1))
    assert one.keys() == {"dropout", *draws_of()}

    @jax.jit
    def cls_term(dropout: dict[str, jax.Array]) -> jax.Array:
        draws = {**draws_of(), **dropout}
        return method.loss(variables["params"], variables["frozen"], {}, given, draws)[1].terms["cls"]

    drawn = [{}, *({"dropout": draws["dropout"]} for draws in (one, other, one))]
    none, first, second, again = (float(cls_term(dropout)) for dropout in drawn)
    assert len({none, first, second}) == 3 and first == again


def test_multi_class_labels_are_the_released_ones() -> None:
    released = settings(method__answers="queries", text__unknown_is_class=True).branches[1]
    assert released.classes == 11
    expected = [[0, 1, 2, 3, 4], [5, 6, 7], [-1, 8, 9, 10]]
    for row, values in zip(released.class_of, expected, strict=True):
        assert row[: len(values)].tolist() == values
    default = settings(method__answers="queries").branches[1].class_of
    assert default[:, 0].tolist() == [-1, -1, -1], "unknown is no class"


@pytest.mark.parametrize("quant", ["none", "fp4_sim"])
def test_frozen_storage(quant: str) -> None:
    method = make(
        method__t5_quant=quant,
        train__frozen_dtype="bfloat16",
        text__used_words_only=False,
        weights__t5="t5.safetensors",
    )
    shapes = jax.eval_shape(method.init, jax.random.key(0))["frozen"]
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("bfloat16")}

    def query(t5: Any) -> Any:
        return t5["encoder"]["blocks_0"]["attn"]["query"]["kernel"]

    fresh = jax.jit(lambda rng: query(method.init(rng)["frozen"]["t5"]))(jax.random.key(0))
    (part,) = (part for part in method.pretrained if part.subtree == "t5")
    assert part.is_frozen and part.finish is not None
    loaded = part.finish(variables_of(make())["frozen"]["t5"])
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {jnp.dtype("bfloat16")}
    for origin, kernel in (("fresh", fresh), ("loaded", query(loaded))):
        levels = len(np.unique(np.abs(np.asarray(kernel, np.float32).T.reshape(-1)[:64])))
        assert levels <= 8 if quant == "fp4_sim" else levels > 8, f"{origin}: eight magnitudes a block of 64"


# Step of 1080: rate and beta1 of PyTorch's OneCycleLR with the released settings.
RELEASED_CYCLE = {
    0: (5.000000e-7, 0.950000),
    1: (5.009697e-7, 0.949978),
    54: (2.783030e-6, 0.899266),
    107: (5.0e-6, 0.85),
    108: (4.999988e-6, 0.85),
    540: (3.133545e-6, 0.891477),
    1079: (5.0e-7, 0.95),
}


def test_optimizer_of_each_profile() -> None:
    found = {}
    for profile in ("default", "released", "paper"):
        config: Any = config_file.get_config(f"profile={profile}")
        (stage,) = instruct_flip.make(config).stages
        found[profile] = stage.optimizer
        state = optim.build(stage).init({"w": jnp.ones(())})
        hyper = state.hyperparams
        assert float(hyper["b2"]) == pytest.approx(0.999) and float(hyper["eps"]) == pytest.approx(1e-8)
        assert float(hyper["weight_decay"]) == pytest.approx(1e-6 if profile == "paper" else 1e-7)
        expected = (24, 1, 10680, 534, 534) if profile == "paper" else (24, 10, 1080, 54, 54)
        train = config.train
        schedule = (train.batch_size, train.accumulate, stage.steps, train.checkpoint_every, config.eval.every)
        assert schedule == expected
        rate = optim.learning_rate(stage)
        if profile == "paper":
            assert [float(rate(step)) for step in (0, 1067, 10679)] == pytest.approx([1e-6, 5e-6, 1e-6], rel=1e-5)
            continue
        spec = stage.optimizer
        assert spec.cycle_b1 is not None
        b1 = optim.one_cycle(*spec.cycle_b1, spec.cycle_b1[0], spec, stage.steps)
        for step, (expected_rate, expected_b1) in RELEASED_CYCLE.items():
            assert float(rate(step)) == pytest.approx(expected_rate, rel=2e-6), step
            assert float(b1(step)) == pytest.approx(expected_b1, abs=1e-6), step
        assert float(hyper["b1"]) == pytest.approx(0.95)
    assert found["default"] == found["released"] != found["paper"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method__llm": "huge"}, "method.llm 'huge' unknown"),
        ({"method__branches": ("content", "colour")}, "method.branches 'colour' unknown"),
        ({"method__branches": ()}, "method.cue needs the fusion"),
        (
            {"text__eval_style": "environment", "text__style_questions": ("illumination",)},
            "not among the style questions",
        ),
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
