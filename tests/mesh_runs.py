"""Five updates of a tiny method on any mesh: what tests/meshes compares.

Also a program, one process of a run of several:

    python tests/mesh_runs.py DATA OUT ADDRESS COUNT INDEX MODEL_AXIS BATCH_SIZE [BATCH_SIZE ...]

which runs FLIP-MCL.
"""

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax.traverse_util import flatten_dict
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from tiny_runs import shrink

from configs.common import adam_l2
from flipjax.experiment import assemble
from flipjax.training.loop import Schedule, enter_stage
from flipjax.training.sharding import make_mesh, put_batch, start_processes
from flipjax.training.state import TrainState
from golden_cases import assert_within

STEPS = 5
LR = 1e-3
LEAST_SHARE = 1e-3  # of an array's largest gradient: entries below it in any step are not compared
METHOD = "flip_mcl"
Found = dict[str, np.ndarray]


def config_for(data: Path, batch_size: int, method: str = METHOD) -> Any:
    """Returns a method as published but small, with FLIP's optimizer at a rate that moves float32 parameters visibly."""
    config = shrink(importlib.import_module(f"configs.{method}").get_config("syn_bcd_to_a"))
    config.weights.clip = ""
    config.text.used_rows_only = True
    config.method.clip.heads = config.method.clip.text_heads = 4
    config.data.dir = str(data)
    config.train.update(steps=STEPS, batch_size=batch_size, accumulate=1)
    config.optim = adam_l2()
    config.optim.lr = LR
    return config


def first_state(data: Path, mesh: Mesh, method: str = METHOD) -> TrainState:
    """Returns the state that every run starts from; it does not depend on the batch size."""
    config = config_for(data, 1, method)
    return assemble.initial_state(config, assemble.method_of(config), mesh)


def five_steps(data: Path, batch_size: int, mesh: Mesh, start: TrainState, method_name: str = METHOD) -> Found:
    """Returns `terms/<name>` [5], `moved/<path>` = (after - before) / lr, `gradient/<path>` = running size of the gradient,
    `least/<path>` = its size in the step where it was smallest, and `statistics/<path>` of the batch norms.

    Every process makes its own slice of the batches through the pipeline; the results are whole on each.
    """
    config = config_for(data, batch_size, method_name)
    method = assemble.method_of(config)
    stream = assemble.train_data(config, assemble.select(config).train, method, mesh)
    before = gathered(start.params)
    state = jax.tree.map(jnp.copy, start)  # the step donates it
    schedule = Schedule(seed=0, accumulate=1, checkpoint_every=STEPS, log_every=1, evaluate_every=0, total=STEPS)
    state, step = enter_stage(method, state, 0, restart=False, mesh=mesh, schedule=schedule)
    terms: list[dict[str, float]] = []
    squares = {path: np.zeros_like(leaf) for path, leaf in before.items()}
    least = {path: np.full_like(leaf, np.inf) for path, leaf in before.items()}
    for batch in stream.batches(0):
        state, values = step(state, put_batch(batch, mesh))
        terms.append({name: float(value) for name, value in values.items()})
        last, squares = squares, gathered(state.opt_state[1].nu)
        least = {path: np.minimum(least[path], squares[path] - config.optim.b2 * last[path]) for path in before}
    after = gathered(state.params)
    return {
        **{f"terms/{name}": np.array([row[name] for row in terms]) for name in terms[0]},
        **{f"moved/{path}": (after[path] - before[path]) / LR for path in before},
        **{f"gradient/{path}": np.sqrt(squares[path]) for path in before},
        **{f"least/{path}": np.sqrt(np.clip(least[path], 0, None)) for path in before},
        **{f"statistics/{path}": leaf for path, leaf in gathered(state.model_state).items()},
    }


def part(found: Found, name: str) -> Found:
    """Returns what lies below `name`, by the rest of its path."""
    return {key.partition("/")[2]: value for key, value in found.items() if key.startswith(f"{name}/")}


def assert_same(found: Found, expected: Found, *, without_gradient: re.Pattern[str], moves: float) -> None:
    """Compares two results of `five_steps` within the tolerances of tests/meshes/test_meshes.py.

    Arrays whose path `without_gradient` matches must stay within five steps; some entry of each other one moves by more
    than `moves` steps.
    """
    for name, values in part(expected, "terms").items():
        assert values.shape == (STEPS,)
        assert_within(found[f"terms/{name}"], values, 1e-5, name)
    for path, moved in part(expected, "moved").items():
        gradient, other = expected[f"gradient/{path}"], found[f"moved/{path}"]
        if without_gradient.search(path):
            assert max(np.abs(moved).max(), np.abs(other).max()) <= STEPS + 0.1, path
            continue
        assert np.abs(moved).max() > moves, f"'{path}' hardly moved, so that equal proves nothing"
        has_gradient = expected[f"least/{path}"] > LEAST_SHARE * gradient.max()
        assert_within(np.where(has_gradient, other, 0), np.where(has_gradient, moved, 0), 1e-3, path)
    for path, statistic in part(expected, "statistics").items():
        if path.endswith("/mean"):
            assert np.abs(found[f"statistics/{path}"] - statistic).max() <= 2 * STEPS * LR, path
        else:
            assert_within(found[f"statistics/{path}"], statistic, 1e-4, path)


def gathered(tree: Any) -> dict[str, np.ndarray]:
    """Returns path -> whole array, from wherever its parts lie."""
    whole = multihost_utils.process_allgather(tree, tiled=True) if jax.process_count() > 1 else tree
    return {path: np.asarray(leaf, np.float64) for path, leaf in flatten_dict(whole, sep="/").items()}


def main(words: Sequence[str]) -> None:
    """Joins the other processes, runs every batch size, and writes OUT/<batch size>.npz from process 0."""
    data, out, address = Path(words[0]), Path(words[1]), words[2]
    count, index, model, *sizes = (int(word) for word in words[3:])
    flags.FLAGS.mark_as_parsed()
    jax.config.update("jax_default_matmul_precision", "highest")
    start_processes(address, count, index)
    mesh = make_mesh(-1, model)
    start = first_state(data, mesh)
    for size in sizes:
        found = five_steps(data, size, mesh, start)
        if index == 0:
            np.savez(out / f"{size}.npz", **found)


if __name__ == "__main__":
    main(sys.argv[1:])
