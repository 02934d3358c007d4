"""What every method promises to everything generic; methods are found by listing flipjax/methods."""

import functools
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file
from tiny_runs import shrink

import flipjax.methods
from flipjax.core.errors import WeightError
from flipjax.core.method import Method, Tree
from flipjax.core.schemas import SCALAR_FIELDS
from flipjax.experiment.assemble import method_of
from flipjax.training import optim
from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import TrainState, partition
from flipjax.training.step import StepFn, compile_step
from flipjax.weights.load import load
from golden_cases import assert_within

METHODS = [module.name for module in pkgutil.iter_modules(flipjax.methods.__path__)]
ALWAYS = ("image", "is_bona_fide", "mask")
HEAT_MAPS = {"attack_relevance", "attention", "bona_fide_relevance", "cue_map", "rollout"}
# Published and counted, but read by nothing: the text outputs of the last Q-Former layer, of two, are discarded.
READ_BY_NOTHING = {"instruct_flip": r"(content|style)/layers_1/text_mlp/"}
REAL, PADDED = 6, 8


def small_config(name: str) -> Any:
    return shrink(importlib.import_module(f"configs.{name}").get_config("tiny"))


def random_batch(config: Any, inputs: tuple[str, ...], rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Every field that a batch with `inputs` has; the first REAL rows are real and the same for any `rows`."""
    size = config.method.clip.image_size
    rng = np.random.default_rng(seed)
    batch = {
        "image": rng.integers(0, 256, (PADDED, size, size, 3), np.uint8),
        "ssl_views": rng.integers(0, 256, (PADDED, 2, size, size, 3), np.uint8),
        "is_bona_fide": np.arange(PADDED) % 2 == 1,
        "mask": np.arange(PADDED) < REAL,
    }
    batch |= {name: np.zeros(PADDED, np.int32) for name in inputs if name in SCALAR_FIELDS and name not in batch}
    return {name: value[:rows] for name, value in batch.items() if name in (*ALWAYS, *inputs)}


class Case:
    """One method with its variables, a padded batch and the draws for it; compiled functions are shared by the tests."""

    def __init__(self, name: str):
        self.config = small_config(name)
        self.method: Method = method_of(self.config)
        self.variables = jax.jit(self.method.init)(jax.random.key(0))
        self.batch = random_batch(self.config, self.method.inputs, PADDED)
        self.draws = jax.jit(self.method.draws)(jax.random.key(1), self.batch)

        def objective(params: Tree, batch: Any, draws: Any) -> Any:
            return self.method.loss(params, self.variables["frozen"], self.variables["model_state"], batch, draws)

        self.loss_and_grads = jax.jit(jax.value_and_grad(objective, has_aux=True))
        self.prepared = jax.jit(self.method.prepare)(*(self.variables[k] for k in ("params", "frozen", "model_state")))
        self.score = jax.jit(self.method.score)

    def answers(self, images: np.ndarray) -> dict[str, np.ndarray]:
        prepared, answer = self.answering
        return {name: np.asarray(values) for name, values in answer(prepared, {"image": images}).items()}

    @functools.cached_property
    def answering(self) -> Any:
        if self.method.answering is None:
            pytest.skip("this method answers no questions")
        prepare = jax.jit(self.method.answering.prepare)
        return prepare(*(self.variables[k] for k in ("params", "frozen", "model_state"))), jax.jit(
            self.method.answering.answer
        )

    @functools.cached_property
    def padded(self) -> Any:
        return self.loss_and_grads(self.variables["params"], self.batch, self.draws)


@pytest.fixture(scope="module", params=METHODS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def assert_finite(tree: Tree, what: str) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        assert bool(jnp.all(jnp.isfinite(leaf))), f"{what}{jax.tree_util.keystr(path)}"


def test_methods_are_found_and_carry_their_module_name():
    assert METHODS
    for name in METHODS:
        config = small_config(name)
        assert config.method.name == name
        assert method_of(config).name == name


def test_scoring_does_without_frozen_weights_unless_it_says_so(case: Case):
    params, frozen, state = (case.variables[name] for name in ("params", "frozen", "model_state"))
    with_frozen, without = (jax.eval_shape(case.method.prepare, params, given, state) for given in (frozen, {}))
    assert case.method.scores_with_frozen or with_frozen == without


def test_init_gives_finite_float32_parameters(case: Case):
    assert sorted(case.variables) == ["frozen", "model_state", "params"]
    leaves = jax.tree.leaves(case.variables["params"])
    assert leaves and all(leaf.dtype == jnp.float32 for leaf in leaves)
    assert_finite(case.variables, "init ")
    again = jax.jit(case.method.init)(jax.random.key(2))["params"]
    other = flatten_dict(again, sep="/")
    for path, leaf in flatten_dict(case.variables["params"], sep="/").items():
        is_constant = bool(jnp.all(leaf == leaf.ravel()[0]))
        assert is_constant or not np.array_equal(leaf, other[path]), f"'{path}' ignores the seed"


def test_loss_is_a_finite_scalar_with_finite_terms(case: Case):
    (loss, aux), grads = case.padded
    assert loss.shape == () and loss.dtype == jnp.float32
    assert aux.terms and not {"loss", "grad_norm"} & aux.terms.keys(), "the step adds these two names itself"
    assert all(term.shape == () for term in aux.terms.values())
    assert_finite((loss, aux, grads), "loss ")
    before = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), case.variables["model_state"])
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), aux.model_state) == before


def test_score_is_a_probability_and_explain_a_picture(case: Case):
    scores = case.score(case.prepared, {"image": case.batch["image"]})
    assert scores.shape == (PADDED,) and scores.dtype == jnp.float32
    assert bool(jnp.all((scores >= 0) & (scores <= 1))) and len(set(np.asarray(scores).tolist())) > 1
    if case.method.explain is None:
        return
    clip = case.config.method.clip
    shown = jax.jit(case.method.explain)(case.prepared, {"image": case.batch["image"]})
    assert shown and shown.keys() <= HEAT_MAPS
    assert_finite(shown, "explain ")
    for name, values in shown.items():
        assert values.shape == (PADDED, clip.image_size // clip.patch, clip.image_size // clip.patch), name
        assert float(values.min()) >= 0 and float(values.max()) <= 1 + 1e-6, name


def test_questions_have_names_of_their_own_and_fields_that_exist(case: Case):
    if case.method.answering is None:
        pytest.skip("this method answers no questions")
    questions = case.method.answering.questions
    assert questions and len({question.name for question in questions}) == len(questions)
    for question in questions:
        assert question.name.isidentifier(), "the name becomes a key of metrics.json and a column"
        assert question.branch in ("content", "style") and question.text.strip()
        assert SCALAR_FIELDS.get(question.field) in (int, bool), question.field
        assert len(question.options) > 1 and len(set(question.options)) == len(question.options)


def test_answers_are_probabilities_of_the_options(case: Case):
    found = case.answers(case.batch["image"])
    questions = case.method.answering.questions if case.method.answering else ()
    assert found.keys() == {question.name for question in questions}
    for question in questions:
        shares = found[question.name]
        assert shares.shape == (PADDED, len(question.options)) and shares.dtype == np.float32
        assert np.all(np.isfinite(shares)) and shares.min() >= 0, question.name
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5, err_msg=question.name)
        assert len(np.unique(shares[:, 0])) > 1, f"the answer to '{question.name}' ignores the picture"


def test_answers_of_a_row_do_not_depend_on_the_others(case: Case):
    whole, part = case.answers(case.batch["image"]), case.answers(case.batch["image"][::-1])
    for name, shares in whole.items():
        assert_within(part[name][::-1], shares, 1e-5, name)


class Watched(dict):
    """A batch that remembers which fields were read."""

    def __init__(self, values: dict[str, Any]):
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


def test_loss_and_draws_read_the_inputs_and_nothing_else(case: Case):
    variables, read = case.variables, set()

    def run(arrays: dict[str, jax.Array]) -> Any:
        batch = Watched(arrays)
        draws = case.method.draws(jax.random.key(1), batch)
        out = case.method.loss(variables["params"], variables["frozen"], variables["model_state"], batch, draws)
        read.update(batch.read)
        return out[0]

    jax.eval_shape(run, case.batch)
    assert read <= {*ALWAYS, *case.method.inputs}, "the pipeline builds no other field"
    assert set(case.method.inputs) <= read, "an input that nobody reads is made for nothing"
    jax.eval_shape(run, {name: case.batch[name] for name in read})
    for name in case.method.inputs:
        with pytest.raises(KeyError, match=name):
            jax.eval_shape(run, {key: value for key, value in case.batch.items() if key != name})


def test_padding_is_as_if_it_were_not_there(case: Case):
    short = random_batch(case.config, case.method.inputs, REAL)
    draws = jax.jit(case.method.draws)(jax.random.key(1), short)
    for name, drawn in draws.items():
        np.testing.assert_array_equal(case.draws[name][:REAL], drawn, err_msg=f"draws {name} depend on the padding")
    (loss, aux), grads = case.loss_and_grads(case.variables["params"], short, draws)
    (padded_loss, padded_aux), padded_grads = case.padded
    assert_within(padded_loss, loss, 1e-5, "loss")
    for name, term in aux.terms.items():
        assert_within(padded_aux.terms[name], term, 1e-5, name)
    for (path, expected), actual in zip(
        jax.tree_util.tree_leaves_with_path(aux.model_state), jax.tree.leaves(padded_aux.model_state), strict=True
    ):
        assert_within(actual, expected, 1e-5, jax.tree_util.keystr(path))
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads))
    padded_grads = flatten_dict(padded_grads, sep="/")
    for path, expected in flatten_dict(grads, sep="/").items():
        # A bias before batch norm has no gradient but rounding, hence the floor.
        error = float(jnp.abs(padded_grads[path] - expected).max())
        assert error <= 1e-4 * float(jnp.abs(expected).max()) + 1e-6 * largest, path


def test_padding_alone_teaches_nothing(case: Case):
    empty = {**case.batch, "mask": np.zeros(PADDED, bool)}
    (loss, aux), grads = case.loss_and_grads(case.variables["params"], empty, case.draws)
    assert float(loss) == 0 and all(float(term) == 0 for term in aux.terms.values())
    for path, leaf in flatten_dict(grads, sep="/").items():
        assert not np.asarray(leaf).any(), path
    before = jax.tree.leaves(case.variables["model_state"])
    for old, new in zip(before, jax.tree.leaves(aux.model_state), strict=True):
        np.testing.assert_array_equal(new, old)


def test_scores_of_a_row_do_not_depend_on_the_others(case: Case):
    whole = case.score(case.prepared, {"image": case.batch["image"]})
    part = case.score(case.prepared, {"image": case.batch["image"][::-1]})
    assert_within(part[::-1], whole, 1e-5, "score")


def test_projection_is_idempotent(case: Case):
    if case.method.project is None:
        pytest.skip("this method projects nothing")
    project = jax.jit(case.method.project)
    moved = jax.tree.map(lambda leaf: 1.5 * leaf + 0.1, case.variables["params"])
    once = project(moved, jnp.int32(1))
    twice = flatten_dict(project(once, jnp.int32(1)), sep="/")
    assert any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(moved), strict=True))
    for path, leaf in flatten_dict(once, sep="/").items():
        assert_within(twice[path], leaf, 1e-6, path)


@pytest.mark.parametrize("name", METHODS)
def test_weights_that_a_method_takes_are_of_a_known_format_and_have_a_place(name: str, tmp_path: Path):
    config = importlib.import_module(f"configs.{name}").get_config()
    method = method_of(config)
    assert method.pretrained, "the published recipe starts from pretrained weights"
    shapes = jax.eval_shape(method.init, jax.random.key(0))
    empty = tmp_path / "empty.safetensors"
    save_file({"nothing": np.zeros(1, np.float32)}, empty)
    for part in method.pretrained:
        path = ("frozen" if part.is_frozen else "params", *part.subtree.split("/"))
        target = functools.reduce(lambda tree, key: tree[key], path, shapes)
        with pytest.raises(WeightError, match=r"empty\.safetensors"):
            load(empty, target, part.tables, token_rows=part.token_rows)


def test_stages_cover_every_parameter_and_every_step(case: Case):
    assert sum(stage.steps for stage in case.method.stages) == case.config.train.steps
    for stage in case.method.stages:
        trained, _ = partition(case.variables["params"], stage.trainable)
        assert trained, "a stage that trains nothing"
        optim.build(stage)


def start(method: Method, variables: Tree, accumulate: int) -> tuple[TrainState, StepFn]:
    """Returns the state before the first update, which the step may donate, and the compiled step."""
    mesh = make_mesh(1, 1, jax.devices()[:1])
    stage = method.stages[0]
    tx = optim.build(stage)
    params = jax.tree.map(jnp.copy, variables["params"])
    if method.project is not None:
        params = method.project(params, jnp.int32(0))
    trained, _ = partition(params, stage.trainable)
    rest = jax.tree.map(jnp.copy, (variables["frozen"], variables["model_state"]))
    state = TrainState(jnp.zeros((), jnp.int32), params, *rest, tx.init(dict(trained)))
    shardings = tree_shardings(state, mesh)
    step = compile_step(
        method, rules=stage.trainable, tx=tx, seed=0, accumulate=accumulate, shardings=shardings, mesh=mesh
    )
    return jax.device_put(state, shardings), step


def flat_copy(tree: Tree) -> dict[str, np.ndarray]:
    return {path: np.array(leaf, copy=True) for path, leaf in flatten_dict(tree, sep="/").items()}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_steps_move_what_has_a_gradient_and_compile_once(case: Case, accumulate: int):
    state, step = start(case.method, case.variables, accumulate)
    before, frozen = flat_copy(state.params), flat_copy(state.frozen)
    trained = set(partition(state.params, case.method.stages[0].trainable)[0])
    for number in range(3):
        micro = [random_batch(case.config, case.method.inputs, PADDED, 10 * number + m) for m in range(accumulate)]
        batch = jax.tree.map(lambda *x: np.stack(x), *micro) if accumulate > 1 else micro[0]
        state, terms = step(state, batch)
        assert_finite(terms, f"step {number} ")
    assert step._cache_size() == 1, "the step was compiled again after step 1"
    assert int(state.step) == 3
    after, grads = flat_copy(state.params), flat_copy(case.padded[1])
    unread = {path for path in before if re.match(READ_BY_NOTHING.get(case.method.name, "(?!)"), path)}
    assert bool(unread) == (case.method.name in READ_BY_NOTHING), "an exception that excuses nothing"
    for path, old in before.items():
        has_moved, has_gradient = bool(np.any(old != after[path])), bool(np.any(grads[path] != 0))
        if path in unread:
            assert not has_gradient, f"'{path}' is read after all; drop the exception"
            continue
        assert has_moved or path not in trained, f"'{path}' is trained and stayed"
        assert has_gradient or path not in trained, f"'{path}' is trained and nothing reads it"
        assert not has_moved or path in trained, f"'{path}' is fixed and moved"
    for path, old in flat_copy(state.frozen).items():
        np.testing.assert_array_equal(old, frozen[path], err_msg=path)


def test_what_is_switched_off_stays_bitwise_the_same(case: Case):
    if "train_text" not in case.config.text:
        pytest.skip("this method has no such switch")
    config = case.config.copy_and_resolve_references()
    config.text.train_text = False
    method = method_of(config)
    state, step = start(method, case.variables, 1)
    before = flat_copy(state.params)
    trained, fixed = partition(state.params, method.stages[0].trainable)
    assert trained and any(path.startswith("clip/text/") for path in fixed)
    names = set(trained)
    for number in range(2):
        state, _ = step(state, random_batch(config, method.inputs, PADDED, number))
    after = flat_copy(state.params)
    assert {path for path in before if np.any(before[path] != after[path])} == names
