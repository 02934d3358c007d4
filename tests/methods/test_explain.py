"""Heat maps of every method against the gradient of its own score; what nobody asks for is not computed.

The reference knows nothing of nudges: it takes the log-odds of `score` with an attention that adds to its weights.
"""

from collections.abc import Callable, Iterator
from typing import Any

import instruct_flip_cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tiny_methods as tiny
from flipjax.core.method import Method
from flipjax.models import layers
from golden_cases import assert_within

ROWS, LAYERS, HEADS, N = 3, 2, 2, 5
SHAPE = (ROWS, HEADS, N, N)
MAPS = ["attack_relevance", "bona_fide_relevance", "rollout", "attention"]
CASES = {
    "flip_v": {},
    "flip_v projected": {"method__feature": "projected"},
    "flip_it": {},
    "flip_mcl": {},
    "instruct_flip": {},
    "instruct_flip without cue": {"method__cue": False, "method__attention": "learned"},
}


class Case:
    """A method of two blocks with what it needs to score and to explain."""

    def __init__(self, name: str):
        self.name, _, _ = name.partition(" ")
        self.method: Method = tiny.make(self.name, method__clip__layers=LAYERS, **CASES[name])
        self.variables = tiny.variables_of(self.method)
        parts = (self.variables[key] for key in ("params", "frozen", "model_state"))
        self.prepared = jax.jit(self.method.prepare)(*parts)
        made = instruct_flip_cases.batch if self.name == "instruct_flip" else tiny.batch_of
        self.batch = {key: value for key, value in made(ROWS).items() if key in ("mask", "is_bona_fide", *self.inputs)}
        assert self.method.explain is not None
        self.explain = jax.jit(self.method.explain)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.method.inputs

    def shown(self, image: Any) -> dict[str, np.ndarray]:
        return {name: np.asarray(values) for name, values in self.explain(self.prepared, {"image": image}).items()}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def watched(attend: Callable[..., Any], nudges: Any, seen: list[Any]) -> Callable[..., Any]:
    """`attend` that adds nudges[l] to the l-th block's weights and keeps them; only the image tower has N tokens."""

    def nudged(query: Any, key: Any, value: Any, *, mask: Any = None, **rest: Any) -> Any:
        if mask is not None or query.shape != key.shape or query.shape[2] != N:
            return attend(query, key, value, mask=mask, **rest)
        mixed, weights = attend(query, key, value, **{**rest, "drop": lambda w: w + nudges[len(seen)]})
        seen.append(weights)
        return mixed, weights

    return nudged


def attention_and_gradients(case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Every block's attention, and the gradient of the log-odds of an attack with respect to it."""
    plain = layers.attend

    def log_odds(nudges: Any) -> Any:
        seen: list[Any] = []
        with monkeypatch.context() as patch:
            patch.setattr(layers, "attend", watched(plain, nudges, seen))
            score = case.method.score(case.prepared, {"image": case.batch["image"]})
        assert len(seen) == LAYERS, "the tower's attention was not found"
        return jnp.sum(jnp.log1p(-score) - jnp.log(score)), seen

    gradients, seen = jax.jit(jax.grad(log_odds, has_aux=True))([jnp.zeros(SHAPE)] * LAYERS)
    return [np.asarray(w, np.float64) for w in seen], [np.asarray(g, np.float64) for g in gradients]


def class_rows(steps: Iterator[np.ndarray]) -> np.ndarray:
    """The class token's row of steps multiplied block after block, without itself [b p]."""
    total = np.eye(N)
    for step in steps:
        total = step @ total
    return total[:, 0, 1:]


def test_maps_follow_the_gradient_of_the_log_odds(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = case.shown(case.batch["image"])
    attention, gradients = attention_and_gradients(case, monkeypatch)
    signs = {"attack_relevance": 1, "bona_fide_relevance": -1}
    raw = {
        name: class_rows(
            np.maximum(sign * g * w, 0).mean(axis=1) + np.eye(N) for w, g in zip(attention, gradients, strict=True)
        )
        for name, sign in signs.items()
    }
    raw["rollout"] = class_rows((w.mean(axis=1) + np.eye(N)) / 2 for w in attention)
    raw["attention"] = attention[-1][:, :, 0, 1:].mean(axis=1)
    for name, values in raw.items():
        assert values.max(axis=1).min() > 0, name
        expected = (values / values.max(axis=1, keepdims=True)).reshape(ROWS, 2, 2)
        assert_within(shown[name], expected, 1e-4 if "relevance" in name else 1e-5, name)


def test_cue_map_comes_first_where_there_is_one_then_relevance(case: Case) -> None:
    names: list[str] = []

    def explain(prepared: Any, batch: Any) -> Any:
        found = case.method.explain(prepared, batch)
        names.extend(found)
        return found

    jax.eval_shape(explain, case.prepared, {"image": case.batch["image"]})
    has_cue = "cue" in case.variables["params"]
    assert names == (["cue_map"] if has_cue else []) + MAPS


def test_other_rows_change_nothing(case: Case) -> None:
    image = np.array(case.batch["image"])
    before = case.shown(image)
    image[1:] = 255 - image[1:]
    for name, values in case.shown(image).items():
        assert_within(values[0], before[name][0], 1e-4, name)


def equations(jaxpr: Any) -> Iterator[Any]:
    """Every equation of a jaxpr, those of inner ones too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, (list, tuple)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


def additions(function: Callable[..., Any], *inputs: Any) -> int:
    """How often something is added to the attention weights of the image tower, whatever the number of views."""
    found = equations(jax.make_jaxpr(function)(*inputs).jaxpr)
    shapes = (e.outvars[0].aval.shape for e in found if e.primitive.name == "add")
    return sum(shape[1:] == SHAPE[1:] for shape in shapes)


def test_loss_and_score_are_not_nudged(case: Case) -> None:
    parts = tuple(case.variables[key] for key in ("params", "frozen", "model_state"))
    draws = jax.eval_shape(case.method.draws, jax.random.key(0), case.batch)
    image = {"image": case.batch["image"]}
    assert additions(case.method.loss, *parts, case.batch, draws) == 0
    assert additions(case.method.score, case.prepared, image) == 0
    assert additions(case.method.explain, case.prepared, image) == LAYERS


def test_rematerialised_blocks_give_the_same_maps() -> None:
    given = {"image": tiny.batch_of(ROWS)["image"]}
    methods = [tiny.make("flip_v", method__clip__layers=LAYERS, train__remat=remat) for remat in (False, True)]
    params = tiny.variables_of(methods[0])["params"]
    plain, again = (jax.jit(method.explain)(params, given) for method in methods if method.explain)
    assert additions(methods[1].explain, params, given) > LAYERS, "nothing was computed again"
    for name, values in plain.items():
        assert_within(again[name], values, 1e-5, name)
