"""Where arrays live: the (data, model) mesh, parameter rules, batches onto the mesh, and starting several processes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from flipjax.core.errors import ConfigError
from flipjax.core.method import Tree

# Path pattern -> mesh axes of the array's dimensions, first match wins, replicated otherwise. Heads and hidden units are
# split over `model`, so attention and MLP need one sum each. Optimizer moments match through the same paths.
AxisRules = tuple[tuple[str, tuple[str | None, ...]], ...]
PARAMETER_RULES: AxisRules = (
    (r"/(query|key|value|fc1|gate)/kernel$", (None, "model")),
    (r"/(query|key|value|fc1)/bias$", ("model",)),
    (r"/((attn|cross)/out|(mlp|query_mlp|text_mlp)/fc2)/kernel$", ("model", None)),
)
# T5's head and token table, by vocabulary rows. One cut down to the words in use has any number of rows: it is replicated
# where the axis does not divide it.
VOCABULARY_RULES: AxisRules = (
    (r"(^|/)lm_head/kernel$", (None, "model")),
    (r"(^|/)shared$", ("model", None)),
)


def make_mesh(data: int, model: int, devices: Sequence[Any] | None = None) -> Mesh:
    """Returns a mesh over `devices` (default: all of all processes); -1 for `data` takes what `model` leaves.

    Raises:
      ConfigError: the product of the axes is not the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    data = count // max(model, 1) if data == -1 else data
    if model < 1 or data * model != count:
        raise ConfigError(f"mesh.data={data} x mesh.model={model} does not fill {count} devices; use mesh.data=-1")
    axis_types = (AxisType.Auto, AxisType.Auto)  # Linen's layers assume it; JAX's own default is explicit axes
    return jax.make_mesh((data, model), ("data", "model"), axis_types=axis_types, devices=devices)


def tree_shardings(tree: Tree, mesh: Mesh) -> Tree:
    """Returns a sharding for every leaf by PARAMETER_RULES and VOCABULARY_RULES.

    Raises:
      ConfigError: a dimension of PARAMETER_RULES that the mesh axis does not divide.
    """

    def indivisible(leaf: Any, axes: tuple[str | None, ...]) -> list[tuple[int, str]]:
        pairs = zip(leaf.shape, axes, strict=False)
        return [(size, axis) for size, axis in pairs if axis and size % mesh.shape[axis]]

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name = "/".join(_key_name(key) for key in path)
        axes = _axes(PARAMETER_RULES, name)
        for size, axis in indivisible(leaf, axes):
            raise ConfigError(f"'{name}' has {size} entries, which mesh.{axis}={mesh.shape[axis]} does not divide")
        rows = _axes(VOCABULARY_RULES, name)
        if rows and not indivisible(leaf, rows):
            axes = rows
        return NamedSharding(mesh, PartitionSpec(*axes))

    return jax.tree_util.tree_map_with_path(place, tree)


def _axes(rules: AxisRules, name: str) -> tuple[str | None, ...]:
    return next((axes for pattern, axes in rules if re.search(pattern, name)), ())


def _key_name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh, *, micro: bool = False) -> dict[str, jax.Array]:
    """Makes global arrays of this process's rows, split over `data`; with `micro` axis 0 counts micro-batches."""
    sharding = NamedSharding(mesh, PartitionSpec(None, "data") if micro else PartitionSpec("data"))
    return {name: jax.make_array_from_process_local_data(sharding, value) for name, value in batch.items()}


def start_processes(coordinator: str, count: int, index: int) -> None:
    """Joins the other processes of the run; call it before anything touches a device.

    A lost peer ends the run in seconds, not minutes.

    Raises:
      ConfigError: an index outside 0 .. count - 1.
    """
    if not 0 <= index < count:
        raise ConfigError(f"--process_id={index} is outside 0..{count - 1} (--num_processes={count})")
    jax.distributed.initialize(coordinator, count, index, heartbeat_timeout_seconds=10, shutdown_timeout_seconds=5)
