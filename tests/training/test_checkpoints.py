"""Which checkpoints stay, how they are named, and one-line errors for damaged ones and full disks."""

import errno
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from flipjax.core.errors import CheckpointError
from flipjax.training.checkpoints import UNREAD, Checkpoints, abstract_like, open_checkpoints
from flipjax.training.sharding import make_mesh, tree_shardings

CONFIG = {"seed": 0, "optim": {"lr": 1e-6}}


def tree(step: int) -> dict[str, Any]:
    return {"step": jnp.int32(step), "params": {"fc1": {"kernel": jnp.full((8, 4), step, jnp.float32)}}}


def like(step: int = 0, devices: int = 1, model: int = 1) -> Any:
    mesh = make_mesh(-1, model, jax.devices()[:devices])
    return abstract_like(tree(step), tree_shardings(tree(step), mesh))


@contextmanager
def opened(folder: Path) -> Iterator[Checkpoints]:
    checkpoints = open_checkpoints(folder)
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def saved(folder: Path, selections: dict[int, float | None]) -> None:
    with opened(folder) as checkpoints:
        for step, selection in selections.items():
            checkpoints.save(step, tree(step), CONFIG, selection)
        checkpoints.wait()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Steps 1..4 with their best at 2; treat it as read-only."""
    folder = tmp_path_factory.mktemp("finished")
    saved(folder, {1: 30.0, 2: 10.0, 3: None, 4: 20.0})
    return folder


def assert_one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    "selections,kept,best",
    [
        ({1: 30.0, 2: 10.0, 3: 50.0, 4: 60.0}, [2, 4], 2),
        ({1: 10.0, 2: 10.0, 3: 50.0}, [2, 3], 2),
        ({1: 10.0, 2: None, 3: None}, [1, 3], 1),
        ({1: 30.0, 2: 10.0}, [2], 2),
        ({1: None, 2: None}, [2], None),
        ({9: 10.0, 10: 10.0, 11: None}, [10, 11], 10),
    ],
    ids=["best and newest", "the later of equals", "evaluated once", "best is newest", "never evaluated", "10 after 9"],
)
def test_best_and_newest_stay(tmp_path, selections, kept, best) -> None:
    saved(tmp_path, selections)
    with opened(tmp_path) as checkpoints:
        assert sorted(checkpoints.manager.all_steps()) == kept
        assert (checkpoints.latest(), checkpoints.best()) == (kept[-1], best)
        if best is not None:
            assert checkpoints.selection(best) == selections[best]


def test_names_resolve_to_steps(finished) -> None:
    with opened(finished) as checkpoints:
        assert [checkpoints.resolve(name) for name in ("best", "last", "2", "4")] == [2, 4, 2, 4]
        for name in ("3", "newest", "-1", "", "²"):
            with pytest.raises(CheckpointError, match=r"is not in .* \(steps there: 2, 4\)"):
                checkpoints.resolve(name)


def test_best_without_an_evaluation_is_the_last(tmp_path) -> None:
    saved(tmp_path, {5: None})
    with opened(tmp_path) as checkpoints:
        assert checkpoints.resolve("best") == 5


def test_nothing_saved_yet(tmp_path) -> None:
    with opened(tmp_path / "new" / "folder") as checkpoints:
        assert checkpoints.latest() is None and checkpoints.best() is None
        for name in ("best", "last", "3"):
            with pytest.raises(CheckpointError, match="none; train first"):
                checkpoints.resolve(name)


@pytest.mark.parametrize("devices,model", [(1, 1), (8, 2)])
def test_restored_state_has_the_saved_values_and_the_asked_placement(finished, devices, model) -> None:
    with opened(finished) as checkpoints:
        restored = checkpoints.restore(2, like(devices=devices, model=model))
    jax.tree.map(np.testing.assert_array_equal, restored, tree(2))
    for leaf, wanted in zip(
        jax.tree.leaves(restored), jax.tree.leaves(like(devices=devices, model=model)), strict=True
    ):
        assert leaf.sharding == wanted.sharding and leaf.dtype == wanted.dtype


def test_config_is_saved_beside_the_state(finished) -> None:
    with opened(finished) as checkpoints:
        found = checkpoints.manager.restore(4, args=ocp.args.Composite(config=ocp.args.JsonRestore()))
    assert found["config"] == CONFIG


def test_donated_buffers_do_not_reach_into_a_running_save(tmp_path) -> None:
    advance = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1, state), donate_argnums=0)
    with opened(tmp_path) as checkpoints:
        state = tree(7)
        checkpoints.save(7, state, CONFIG, None)
        for _ in range(20):
            state = advance(state)
        checkpoints.wait()
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(7, like()), tree(7))


def test_damaged_checkpoint_is_one_line(finished, tmp_path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    for file in (folder / "4" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"\x00" * 8)
    with opened(folder) as checkpoints:
        with pytest.raises(CheckpointError) as error:
            checkpoints.restore(4, like())
        assert_one_line(error, f"checkpoint in '{folder}'", "step 4 cannot be read")
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(2, like()), tree(2))


@pytest.mark.parametrize(
    "other",
    [
        {"step": jnp.int32(0), "params": {"fc1": {"kernel": jnp.zeros((8, 5))}}},
        {"step": jnp.int32(0), "params": {"fc1": {"kernel": jnp.zeros((8, 4)), "bias": jnp.zeros(4)}}},
        {"step": jnp.int32(0), "params": {"fc2": {"kernel": jnp.zeros((8, 4))}}},
    ],
    ids=["shape", "more parameters", "other names"],
)
def test_checkpoint_of_another_model_is_one_line(finished, other) -> None:
    wanted = abstract_like(other, tree_shardings(other, make_mesh(1, 1, jax.devices()[:1])))
    with opened(finished) as checkpoints:
        with pytest.raises(CheckpointError) as error:
            checkpoints.restore(4, wanted)
        assert_one_line(error, "step 4 cannot be read")


def test_full_disk_at_the_start_of_a_save(tmp_path, monkeypatch) -> None:
    saved(tmp_path, {3: 1.0})
    with opened(tmp_path) as checkpoints:

        def full(*args: Any, **kwargs: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(checkpoints.manager, "save", full)
        with pytest.raises(CheckpointError) as error:
            checkpoints.save(4, tree(4), CONFIG, None)
        assert_one_line(error, "step 4 could not be saved", "No space left on device", "goes on from step 3")


@contextmanager
def no_room_for_files() -> Iterator[None]:
    """Lets no file of this process grow: what a full disk does, through the real writers (the error is EFBIG)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("selection", [None, 1.0])
def test_disk_that_fills_during_a_save_keeps_the_one_before(tmp_path, selection) -> None:
    saved(tmp_path, {3: selection})
    with opened(tmp_path) as checkpoints:
        with no_room_for_files(), pytest.raises(CheckpointError) as error:
            checkpoints.save(4, tree(4), CONFIG, None)
            checkpoints.wait()
        assert_one_line(error, f"checkpoint in '{tmp_path}'", "goes on from step 3")
    with opened(tmp_path) as checkpoints:
        assert checkpoints.latest() == 3
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(3, like()), tree(3))
        checkpoints.save(4, tree(4), CONFIG, None)
        checkpoints.wait()
        assert checkpoints.latest() == 4


def test_half_a_save_is_ignored_and_replaced(tmp_path) -> None:
    saved(tmp_path, {3: 1.0})
    shutil.copytree(tmp_path / "3", tmp_path / "4.orbax-checkpoint-tmp")
    with opened(tmp_path) as checkpoints:
        assert checkpoints.latest() == 3
        checkpoints.save(4, tree(4), CONFIG, None)
        checkpoints.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]


def test_what_is_marked_unread_stays_in_the_file(finished) -> None:
    wanted = {"step": UNREAD, "params": like(devices=8, model=2)["params"]}
    with opened(finished) as checkpoints:
        restored = checkpoints.restore(2, wanted)
        assert checkpoints.best() == 2
    assert restored["step"] is UNREAD
    kernel = restored["params"]["fc1"]["kernel"]
    np.testing.assert_array_equal(kernel, tree(2)["params"]["fc1"]["kernel"])
    assert kernel.sharding == wanted["params"]["fc1"]["kernel"].sharding


@pytest.mark.parametrize("shape", [(8, 5), (8, 4, 1)])
def test_another_model_is_noticed_when_only_a_part_is_read(finished, shape) -> None:
    other = {"params": {"fc1": {"kernel": jnp.zeros(shape)}}}
    part = abstract_like(other, tree_shardings(other, make_mesh(1, 1, jax.devices()[:1])))
    with opened(finished) as checkpoints:
        with pytest.raises(CheckpointError) as error:
            checkpoints.restore(4, {"step": UNREAD, **part})
        assert_one_line(error, "step 4 cannot be read")
