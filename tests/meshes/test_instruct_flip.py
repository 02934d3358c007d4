"""InstructFLIP on any mesh: the losses and the updates of one device, with the frozen language model split over `model`.

Tolerances and what is left out as in test_meshes.py; here a bias of keys, or of the norm of keys, has no gradient.
"""

import re
from pathlib import Path
from typing import Any

import jax
import mesh_runs
import pytest
from mesh_runs import Found, part
from tiny_runs import write_data

from flipjax.training.sharding import make_mesh, tree_shardings
from flipjax.training.state import TrainState

NAME, SIZE = "instruct_flip", 12
WITHOUT_GRADIENT = re.compile(r"(blocks|layers)_\d+/(attn|cross)/key/bias$|fusion/attn/ln_key/bias$")
UNREAD = re.compile(r"/layers_1/text_mlp/")  # the text outputs of the last layer: only the decay moves them
LEFT_OUT = re.compile(f"{WITHOUT_GRADIENT.pattern}|{UNREAD.pattern}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def start(data: Path) -> TrainState:
    return mesh_runs.first_state(data, make_mesh(1, 1, jax.devices()[:1]), NAME)


def placed(start: TrainState, data_axis: int, model_axis: int) -> tuple[jax.sharding.Mesh, TrainState]:
    mesh = make_mesh(data_axis, model_axis, jax.devices()[: data_axis * model_axis])
    return mesh, jax.device_put(start, tree_shardings(start, mesh))


@pytest.fixture(scope="module")
def one_device(data: Path, start: TrainState) -> Found:
    return mesh_runs.five_steps(data, SIZE, *placed(start, 1, 1), NAME)


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def test_what_is_left_out_has_no_gradient(one_device: Found):
    gradients = part(one_device, "gradient")
    largest = max(gradient.max() for gradient in gradients.values())
    noise = {path for path, gradient in gradients.items() if gradient.max() < 1e-6 * largest}
    noise = {path for path in noise if not UNREAD.search(path)}
    assert noise == {path for path in gradients if WITHOUT_GRADIENT.search(path)}


@pytest.mark.parametrize(
    "axes", [(2, 4), pytest.param((8, 1), marks=pytest.mark.slow), pytest.param((4, 2), marks=pytest.mark.slow)]
)
def test_meshes_equal_one_device(data: Path, start: TrainState, one_device: Found, axes: tuple[int, int]):
    mesh, state = placed(start, *axes)
    split = {path for path, leaf in named_leaves(state.frozen) if leaf.sharding.shard_shape(leaf.shape) != leaf.shape}
    assert any(path.endswith("['query']['kernel']") for path in split) == (axes[1] > 1), "the frozen weights are split"
    mesh_runs.assert_same(
        mesh_runs.five_steps(data, SIZE, mesh, state, NAME), one_device, without_gradient=LEFT_OUT, moves=0.5
    )
