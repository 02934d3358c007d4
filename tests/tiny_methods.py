"""Methods at sizes that compile in a second, random batches for them, and updates of a few steps."""

import importlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tiny_runs import shrink

import plain_numpy as plain
from flipjax.core.method import Method
from flipjax.training import optim
from flipjax.training.state import TrainState, init_state
from flipjax.training.step import train_step

SIZE = 16


def config_of(name: str, **changes: Any) -> Any:
    """Returns the published config of a method at a tiny size; `changes` are dotted keys with __ for the dot."""
    config = shrink(importlib.import_module(f"configs.{name}").get_config())
    config.method.clip.image_size = SIZE
    config.weights.clip = ""
    config.optim.lr = 1e-2
    if "used_rows_only" in config.text:
        config.text.used_rows_only = True
    for key, value in changes.items():
        *path, last = key.split("__")
        section = config
        for part in path:
            section = section[part]
        section[last] = value
    return config


def make(name: str, **changes: Any) -> Method:
    """Returns the method of `config_of`."""
    return importlib.import_module(f"flipjax.methods.{name}").make(config_of(name, **changes))


def variables_of(method: Method, seed: int = 0) -> dict[str, Any]:
    """Returns noisy variables in the shapes of the method's own, without compiling its initialiser."""
    shapes = jax.eval_shape(method.init, jax.random.key(0))
    params, frozen = (plain.scrambled(shapes[part], seed, std=0.1) for part in ("params", "frozen"))
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes["model_state"])
    return {**jax.tree.map(jnp.asarray, {"params": params, "frozen": frozen}), "model_state": state}


def batch_of(rows: int, seed: int = 0, size: int = SIZE) -> dict[str, jax.Array]:
    """Returns a batch of random pixels without padding."""
    rng = np.random.default_rng(seed)
    batch = {
        "image": rng.integers(0, 256, (rows, size, size, 3), np.uint8),
        "ssl_views": rng.integers(0, 256, (rows, 2, size, size, 3), np.uint8),
        "is_bona_fide": np.arange(rows) % 3 != 0,
        "mask": np.ones(rows, bool),
    }
    return {name: jnp.asarray(value) for name, value in batch.items()}


def loss_and_gradients(method: Method, variables: dict[str, Any], batch: Any, draws: Any) -> Any:
    """Returns ((loss, aux), gradients), compiled."""
    compute = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    return compute(variables["params"], variables["frozen"], variables["model_state"], batch, draws)


def after_steps(method: Method, batch: Any, steps: int, params: Any = None) -> tuple[TrainState, TrainState]:
    """Returns the state before and after some updates on one batch."""
    stage = method.stages[0]
    tx = optim.build(stage)
    loaded = {} if params is None else {"params": params}
    before = jax.jit(lambda loaded: init_state(method, jax.random.key(0), tx, loaded))(loaded)
    update = jax.jit(partial(train_step, method=method, rules=stage.trainable, tx=tx, seed=0, accumulate=1))
    state = before
    for _ in range(steps):
        state, _ = update(state, batch)
    return before, state
