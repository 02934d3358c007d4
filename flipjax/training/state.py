"""The training state, and which part of the parameters a stage trains."""

import re
from collections.abc import Mapping

import flax.struct
import jax
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from flipjax.core.errors import ConfigError
from flipjax.core.method import Method, Rules, Stage, Tree

FlatTree = Mapping[str, jax.Array]


@flax.struct.dataclass
class TrainState:
    """Everything a run needs to go on: `step` counts finished updates; `opt_state` covers the trained leaves only.

    Leaves are arrays, or shapes and placements of a state that is yet to be made.
    """

    step: Tree
    params: Tree
    frozen: Tree
    model_state: Tree
    opt_state: Tree


def partition(params: Tree, rules: Rules) -> tuple[FlatTree, FlatTree]:
    """Splits parameters into flat {path: leaf} dicts of trained and fixed leaves by the first rule that matches.

    Raises:
      ConfigError: a parameter that no rule covers.
    """
    trained, fixed = {}, {}
    for path, leaf in flatten_dict(params, sep="/").items():
        verdict = next((train for pattern, train in rules if re.search(pattern, path)), None)
        if verdict is None:
            raise ConfigError(f"parameter '{path}' is covered by no trainable rule of its stage; add one")
        (trained if verdict else fixed)[path] = leaf
    return trained, fixed


def merge(trained: FlatTree, fixed: FlatTree) -> Tree:
    """Puts the two halves of `partition` together again."""
    return unflatten_dict({**fixed, **trained}, sep="/")


def stage_at(stages: tuple[Stage, ...], step: int) -> tuple[int, int]:
    """Returns (index, first step) of the stage that makes update number `step` (from 0); the last one beyond the end."""
    first = 0
    for index, stage in enumerate(stages):
        if step < first + stage.steps or index == len(stages) - 1:
            return index, first
        first += stage.steps
    raise ConfigError("a method needs at least one stage")


def init_state(
    method: Method, rng: jax.Array, tx: optax.GradientTransformation, loaded: Tree | None = None
) -> TrainState:
    """Returns the state before the first update; `loaded` replaces fresh leaves of "params" and "frozen" by path."""
    variables = method.init(rng)
    if loaded:
        fresh = flatten_dict(variables, sep="/", keep_empty_nodes=True)
        variables = unflatten_dict({**fresh, **flatten_dict(loaded, sep="/")}, sep="/")
    params = variables["params"]
    step = jax.numpy.zeros((), jax.numpy.int32)
    if method.project is not None:
        params = method.project(params, step)
    trained, _ = partition(params, method.stages[0].trainable)
    return TrainState(step, params, variables["frozen"], variables["model_state"], tx.init(dict(trained)))
