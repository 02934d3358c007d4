"""One update: its randomness, accumulation, fixed and frozen leaves, projection, donation, one trace."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_method as toy
from flipjax.core.errors import ConfigError
from flipjax.core.method import Method
from flipjax.training import optim
from flipjax.training.sharding import make_mesh, put_batch, tree_shardings
from flipjax.training.state import TrainState, init_state
from flipjax.training.step import compile_step, train_step
from golden_cases import assert_within

DESCENT = optax.sgd(1.0)  # after - before = -gradient


def start(method: Method, tx: Any = DESCENT, step: int = 0) -> TrainState:
    return init_state(method, jax.random.key(0), tx).replace(step=jnp.asarray(step, jnp.int32))


def updated(method: Method, state: TrainState, batch: Any, *, rules=toy.EVERYTHING, tx=DESCENT, seed=0, accumulate=1):
    update = partial(train_step, method=method, rules=rules, tx=tx, seed=seed, accumulate=accumulate)
    return jax.jit(update)(state, batch)


def noise(step: int, seed: int = 0, **changes: Any) -> float:
    method = toy.make()
    state = start(method, step=step).replace(**changes)
    return float(updated(method, state, toy.batch_at(step), seed=seed)[1]["noise"])


def stacked(*batches: Any) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)


def test_randomness_depends_on_seed_and_step_alone() -> None:
    other = {"a": {"w": jnp.ones(toy.WIDTH)}, "b": {"w": jnp.ones(toy.WIDTH)}}
    assert noise(3) == noise(3, params=other, model_state={"updates": jnp.int32(9)})
    assert len({noise(3), noise(4), noise(3, seed=1)}) == 3


def test_one_update_by_hand() -> None:
    method, batch = toy.make(), toy.batch_at(0)
    state = start(method)
    after, terms = updated(method, state, batch)
    a, b = (np.asarray(state.params[name]["w"], np.float64) for name in "ab")
    error = batch["x"] @ a + 2 * batch["x"] @ b + float(terms["noise"]) - batch["y"]
    gradient = 2 * batch["x"].T @ error / toy.ROWS
    assert_within(after.params["a"]["w"], a - gradient, 1e-5)
    assert_within(after.params["b"]["w"], b - 2 * gradient, 1e-5)
    assert_within(terms["loss"], np.mean(error**2), 1e-5, "the loss of the old parameters")
    assert_within(terms["grad_norm"], np.sqrt(5) * np.linalg.norm(gradient), 1e-5)
    assert set(terms) == {"loss", "grad_norm", "square", "noise"}
    assert int(after.step) == 1 and int(after.model_state["updates"]) == 1 and float(after.frozen["scale"]) == 2.0


def test_accumulation_averages_the_gradients_of_its_micro_batches() -> None:
    quiet = dataclasses.replace(toy.make(), draws=lambda rng, batch: {"noise": jnp.float32(0)})
    state, batches = start(quiet), [toy.batch_at(0), toy.batch_at(1)]
    after, terms = updated(quiet, state, stacked(*batches), accumulate=2)
    single = [updated(quiet, state, batch) for batch in batches]
    for name in "ab":
        mean = np.mean([one.params[name]["w"] for one, _ in single], axis=0)
        assert_within(after.params[name]["w"], mean, 1e-5, name)
    assert_within(terms["loss"], np.mean([one["loss"] for _, one in single]), 1e-6)
    assert int(after.model_state["updates"]) == 2 and int(after.step) == 1


def test_micro_batches_draw_differently() -> None:
    method = toy.make()
    same = toy.batch_at(0)
    mean = float(updated(method, start(method), stacked(same, same), accumulate=2)[1]["noise"])
    assert mean != pytest.approx(noise(0), abs=1e-4)


def test_fixed_leaves_keep_every_bit_and_are_not_decayed() -> None:
    method = toy.make()
    tx = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(1.0))
    before = start(method)
    tx_state = before.replace(opt_state=tx.init({"a/w": before.params["a"]["w"]}))
    after, terms = updated(method, tx_state, toy.batch_at(0), rules=toy.ONLY_A, tx=tx)
    np.testing.assert_array_equal(after.params["b"]["w"], before.params["b"]["w"])
    assert np.any(after.params["a"]["w"] != before.params["a"]["w"])
    batch = toy.batch_at(0)
    error = (
        batch["x"] @ before.params["a"]["w"] + 2 * batch["x"] @ before.params["b"]["w"] + terms["noise"] - batch["y"]
    )
    own = np.linalg.norm(2 * batch["x"].T @ error / toy.ROWS)
    assert_within(terms["grad_norm"], own, 1e-5, "fixed leaves have no part in the gradient norm")


def test_projection_follows_the_update_with_the_new_step() -> None:
    def project(params, step):
        return {**params, "a": {"w": jnp.full(toy.WIDTH, step, jnp.float32)}}

    method = toy.make(project=project)
    state = start(method, step=4)
    assert not np.asarray(init_state(method, jax.random.key(0), DESCENT).params["a"]["w"]).any()
    np.testing.assert_array_equal(updated(method, state, toy.batch_at(0))[0].params["a"]["w"], np.full(toy.WIDTH, 5))


def test_uncovered_parameter_stops_the_step() -> None:
    method = toy.make()
    with pytest.raises(ConfigError, match="'b/w' is covered by no trainable rule"):
        updated(method, start(method), toy.batch_at(0), rules=((toy.A, True),))


def test_compiled_step_donates_its_state_traces_once_and_agrees_with_any_mesh() -> None:
    traces = []

    def counted(*inputs: Any) -> Any:
        traces.append(1)
        return toy.loss(*inputs)

    results = {}
    for devices in (1, 8):
        method = dataclasses.replace(toy.make(), loss=counted)
        mesh = make_mesh(-1, 1, jax.devices()[:devices])
        tx = optim.build(method.stages[0])
        state = init_state(method, jax.random.key(0), tx)
        shardings = tree_shardings(state, mesh)
        state = jax.device_put(state, shardings)
        step = compile_step(method, rules=toy.EVERYTHING, tx=tx, seed=0, accumulate=1, shardings=shardings, mesh=mesh)
        traces.clear()
        for index in range(3):
            old = state
            state, terms = step(state, put_batch(toy.batch_at(index), mesh))
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves((old.params, old.opt_state)))
        assert len(traces) == 1
        assert terms["loss"].sharding.is_fully_replicated
        assert (
            jax.tree.leaves(jax.tree.map(lambda leaf, place: leaf.sharding == place, state, shardings)).count(False)
            == 0
        )
        results[devices] = jax.device_get(state.params)
    jax.tree.map(partial(assert_within, tolerance=1e-5), results[1], results[8])
