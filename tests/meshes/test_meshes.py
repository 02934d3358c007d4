"""The same loss and the same parameters after five updates on any mesh, also where the batch does not divide by it.

Tolerances (float32; max |a - b| <= t * max |b| per array). Meshes add the same numbers in another order, which changes
sums over tens of thousands of terms by some 1e-7 of their size: losses agree to 1e-5 over five updates (measured: 1e-6).
Adam divides each gradient by its own size, so the error of an update is the error of the gradient relative to that very
entry in that very step: updates (after - before) / lr agree to 1e-3 (measured: 1e-4) where the entry's gradient is above
1e-3 of the array's largest in each of the five steps (rounding is 1e-7 of the largest). An array whose true gradient is
zero (a key bias, which softmax cancels, and a bias before batch norm) holds rounding noise alone; Adam turns that into
steps of random sign, so such arrays are left out, by name, and must stay within five steps. The running mean of a batch
norm follows the bias before it; it is compared within those five steps.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import mesh_runs
import numpy as np
import pytest
from jax.sharding import Mesh
from mesh_runs import Found, part
from tiny_runs import write_data

from flipjax.training.sharding import make_mesh, tree_shardings

SIZES = (18, 12, 30)
WITHOUT_GRADIENT = re.compile(r"(^|/)(attn/key|projector/fc1|projector/fc2)/bias$")
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run_on(data: Path) -> Callable[[int, int, int], Found]:
    """run_on(batch size, data axis, model axis) -> what five updates did; every mesh is run once per batch size."""
    single = make_mesh(1, 1, jax.devices()[:1])
    start = mesh_runs.first_state(data, single)
    done: dict[tuple[int, int, int], Found] = {}

    def run(size: int, data_axis: int, model_axis: int) -> Found:
        key = (size, data_axis, model_axis)
        if key not in done:
            mesh: Mesh = make_mesh(data_axis, model_axis, jax.devices()[: data_axis * model_axis])
            placed = jax.device_put(start, tree_shardings(start, mesh))
            done[key] = mesh_runs.five_steps(data, size, mesh, placed)
        return done[key]

    return run


def run_processes(data: Path, out: Path, sizes: tuple[int, ...], model: int) -> dict[int, Found]:
    """Runs two processes of four devices each; process 0 writes what it found."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    flags = re.sub(r"(device_count)=8", r"\1=4", os.environ["XLA_FLAGS"])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    program = [sys.executable, str(TESTS / "mesh_runs.py"), str(data), str(out), address, "2"]
    logs = [out / f"{index}.log" for index in range(2)]
    processes = []
    for index, log in enumerate(logs):
        with log.open("w") as file:
            words = [*program, str(index), str(model), *map(str, sizes)]
            processes.append(subprocess.Popen(words, env=environment, stdout=file, stderr=subprocess.STDOUT))
    try:
        codes = [process.wait(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, 0], "\n".join(log.read_text()[-2000:] for log in logs)
    return {size: dict(np.load(out / f"{size}.npz")) for size in sizes}


@pytest.fixture(scope="module")
def two_processes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Found]:
    return run_processes(data, tmp_path_factory.mktemp("processes"), SIZES, 1)


def assert_same(found: Found, expected: Found) -> None:
    mesh_runs.assert_same(found, expected, without_gradient=WITHOUT_GRADIENT, moves=1)


def test_what_is_left_out_has_no_gradient(run_on: Callable[[int, int, int], Found]):
    gradients = part(run_on(18, 1, 1), "gradient")
    largest = max(gradient.max() for gradient in gradients.values())
    noise = {path for path, gradient in gradients.items() if gradient.max() < 1e-6 * largest}
    assert noise == {path for path in gradients if WITHOUT_GRADIENT.search(path)}


@pytest.mark.parametrize("size", SIZES)
def test_eight_devices_equal_one(run_on: Callable[[int, int, int], Found], size: int):
    assert size % 8, "this is about batches that need padding"
    assert_same(run_on(size, 8, 1), run_on(size, 1, 1))


@pytest.mark.parametrize("axes", [(4, 2), (1, 8)])
def test_split_parameters_equal_one_device(run_on: Callable[[int, int, int], Found], axes: tuple[int, int]):
    assert_same(run_on(18, *axes), run_on(18, 1, 1))


@pytest.mark.parametrize("size", SIZES)
def test_two_processes_equal_one_device(
    two_processes: dict[int, Found], run_on: Callable[[int, int, int], Found], size: int
):
    assert_same(two_processes[size], run_on(size, 1, 1))


def test_parameters_are_split_over_the_model_axis(data: Path):
    mesh = make_mesh(4, 2, jax.devices())
    shapes = jax.eval_shape(lambda: mesh_runs.first_state(data, make_mesh(1, 1, jax.devices()[:1])))
    specs = {
        jax.tree_util.keystr(path): sharding.spec
        for path, sharding in jax.tree_util.tree_leaves_with_path(tree_shardings(shapes, mesh))
    }
    split = {path for path, spec in specs.items() if "model" in spec}
    assert any(path.startswith(".params") for path in split) and any(path.startswith(".opt_state") for path in split)
    assert any("'query'" in path for path in split) and any("'fc2'" in path for path in split)


@pytest.mark.slow
@pytest.mark.parametrize("axes", [(4, 2), (2, 4), (1, 8), (2, 1), (3, 1)])
@pytest.mark.parametrize("size", [7, 12, 30])
def test_more_meshes_equal_one_device(run_on: Callable[[int, int, int], Found], axes: tuple[int, int], size: int):
    assert_same(run_on(size, *axes), run_on(size, 1, 1))


@pytest.mark.slow
def test_two_processes_with_split_parameters_equal_one_device(
    data: Path, tmp_path: Path, run_on: Callable[[int, int, int], Found]
):
    for size, found in run_processes(data, tmp_path, (18, 30), 2).items():
        assert_same(found, run_on(size, 1, 1))
