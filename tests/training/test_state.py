"""Which parameters a stage trains, which stage makes which update, and the state a run starts from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toy_method as toy
from flipjax.core.errors import ConfigError
from flipjax.core.method import Stage
from flipjax.training import optim
from flipjax.training.state import init_state, merge, partition, stage_at

ONE, TWO, THREE, FOUR = jnp.arange(1.0, 5.0)
PARAMS = {"clip": {"image": {"proj": ONE, "ln": {"scale": TWO}}, "logit_scale": THREE}, "head": {"fc": FOUR}}


def test_first_matching_rule_decides() -> None:
    trained, fixed = partition(PARAMS, (("^clip/image/ln/", True), ("^clip/", False), (".*", True)))
    assert trained == {"clip/image/ln/scale": TWO, "head/fc": FOUR}
    assert fixed == {"clip/image/proj": ONE, "clip/logit_scale": THREE}


@pytest.mark.parametrize("rules", [((".*", True),), ((".*", False),), (("scale", True), ("", False))])
def test_merge_undoes_partition(rules) -> None:
    assert merge(*partition(PARAMS, rules)) == PARAMS


def test_uncovered_parameter_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="'head/fc' is covered by no trainable rule"):
        partition(PARAMS, (("^clip/", True),))


def test_stage_of_every_update() -> None:
    stages = tuple(Stage(steps, toy.EVERYTHING, toy.adam()) for steps in (2, 3))
    found = [stage_at(stages, step) for step in range(7)]
    assert found == [(0, 0), (0, 0), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2)]


def test_a_method_without_stages_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least one stage"):
        stage_at((), 0)


def test_initial_state_projects_and_holds_moments_of_trained_leaves_alone() -> None:
    def project(params, step):
        assert step.dtype == jnp.int32
        return {**params, "b": {"w": params["b"]["w"] * 0 + 7}}

    method = toy.make(Stage(2, toy.ONLY_B, toy.adam()), project=project)
    tx = optim.build(method.stages[0])
    state = init_state(method, jax.random.key(0), tx)
    assert int(state.step) == 0 and float(state.frozen["scale"]) == 2.0
    np.testing.assert_array_equal(state.params["b"]["w"], np.full(toy.WIDTH, 7))
    np.testing.assert_array_equal(state.params["a"]["w"], method.init(jax.random.key(0))["params"]["a"]["w"])
    moments = [
        jax.tree_util.keystr(path) for path, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state) if leaf.ndim
    ]
    assert len(moments) == 2 and all("b/w" in name for name in moments)


def test_given_parameters_replace_fresh_ones() -> None:
    method = toy.make()
    given = {"a": {"w": jnp.ones(toy.WIDTH)}, "b": {"w": jnp.zeros(toy.WIDTH)}}
    state = init_state(method, jax.random.key(0), optim.build(method.stages[0]), {"params": given})
    jax.tree.map(np.testing.assert_array_equal, state.params, given)
    assert int(state.model_state["updates"]) == 0
