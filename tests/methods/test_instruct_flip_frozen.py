"""What a frozen language model costs a training step: its bytes once, no gradient, no optimizer state."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from instruct_flip_cases import batch, make, variables_of

from flipjax.core.method import Method
from flipjax.training import optim
from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import TrainState, init_state, partition
from flipjax.training.step import compile_step


class Compiled(NamedTuple):
    """A step, what it updates, and the shapes of its state."""

    method: Method
    tx: optax.GradientTransformation
    shapes: TrainState
    step: Any


@cache
def compiled_step(hidden: int) -> Compiled:
    """Returns the step of a method whose T5 of `hidden` units outweighs its activations."""
    method = make(
        method__branches=("style",),
        method__cue=False,
        method__qformer__layers=1,
        method__t5__width=256,
        method__t5__hidden=hidden,
        text__style_questions=("environment",),
        text__eval_style="environment",
    )
    mesh = make_mesh(1, 1, jax.devices()[:1])
    stage = method.stages[0]
    tx = optim.build(stage)
    state = jax.eval_shape(lambda key: init_state(method, key, tx), jax.random.key(0))
    shardings = tree_shardings(state, mesh)
    step = compile_step(method, rules=stage.trainable, tx=tx, seed=0, accumulate=1, shardings=shardings, mesh=mesh)
    return Compiled(method, tx, state, step.lower(state, step_batch(0)).compile())


def step_batch(seed: int) -> dict[str, Any]:
    return {
        name: value
        for name, value in batch(2, seed).items()
        if name in ("image", "mask", "is_bona_fide", "environment")
    }


def bytes_of(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def test_frozen_weights_stay_and_cost_no_gradient_or_optimizer_memory() -> None:
    method, tx, shapes, step = compiled_step(256)
    trained = bytes_of(shapes.params)
    assert 2 * trained <= bytes_of(shapes.opt_state) < 2 * trained + 1000, (
        "two moments per trained number, a few scalars"
    )
    variables = variables_of(method)
    leaves, _ = partition(variables["params"], method.stages[0].trainable)
    state = TrainState(jnp.zeros((), jnp.int32), variables["params"], variables["frozen"], {}, tx.init(dict(leaves)))
    frozen, t5_proj = jax.tree.map(np.array, (state.frozen, state.params["t5_proj"]))
    for seed in range(2):
        state, terms = step(state, step_batch(seed))
    assert np.isfinite(float(terms["loss"])) and int(state.step) == 2
    jax.tree.map(np.testing.assert_array_equal, state.frozen, frozen)
    assert np.any(np.asarray(state.params["t5_proj"]["kernel"]) != t5_proj["kernel"]), "what feeds it learns through it"


def test_compiled_step_holds_the_frozen_weights_once() -> None:
    """A T5 of eight times the hidden units adds its bytes to the arguments and, in place, to the results, and no gradient."""
    small, large = compiled_step(256), compiled_step(2048)
    before, after = small.step.memory_analysis(), large.step.memory_analysis()
    grown = bytes_of(large.shapes.frozen) - bytes_of(small.shapes.frozen)
    assert grown == 2 * 3 * 256 * (2048 - 256) * 4, "three kernels in each of two blocks"
    assert after.argument_size_in_bytes - before.argument_size_in_bytes == grown, "no optimizer state"
    assert after.alias_size_in_bytes - before.alias_size_in_bytes == grown, "handed on in place"
    assert after.temp_size_in_bytes - before.temp_size_in_bytes < grown / 3, (
        "activations (measured: 0.23; with a gradient 0.54)"
    )
