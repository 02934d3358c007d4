"""Where parameters, moments and batches live on a mesh."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import tiny_methods as tiny
from flipjax.core.errors import ConfigError
from flipjax.models.t5 import T5
from flipjax.models.t5_layers import T5Size
from flipjax.training import optim, sharding
from flipjax.training.sharding import make_mesh, put_batch, tree_shardings
from flipjax.training.state import init_state

EIGHT = 8


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


@pytest.mark.parametrize("data,model,expected", [(-1, 1, (8, 1)), (-1, 4, (2, 4)), (8, 1, (8, 1)), (1, 8, (1, 8))])
def test_mesh_axes_fill_the_devices(data, model, expected) -> None:
    mesh = make_mesh(data, model)
    assert dict(mesh.shape) == {"data": expected[0], "model": expected[1]} and mesh.devices.size == EIGHT
    assert set(mesh.axis_types) == {AxisType.Auto}


def test_mesh_over_some_devices() -> None:
    mesh = make_mesh(-1, 1, jax.devices()[2:5])
    assert mesh.shape["data"] == 3 and set(mesh.devices.flat) == set(jax.devices()[2:5])


@pytest.mark.parametrize("data,model", [(3, 1), (4, 4), (-1, 3), (0, 8), (-1, 0), (-2, -4)])
def test_mesh_that_does_not_fill_the_devices(data, model) -> None:
    with pytest.raises(ConfigError, match=r"mesh\.data=.* x mesh\.model=.* does not fill 8 devices; use mesh\.data=-1"):
        make_mesh(data, model)


def test_hidden_units_are_split_and_the_rest_is_on_every_device() -> None:
    block = {
        "attn": {name: {"kernel": shape(16, 16), "bias": shape(16)} for name in ("query", "key", "value", "out")},
        "mlp": {
            "fc1": {"kernel": shape(16, 64), "bias": shape(64)},
            "fc2": {"kernel": shape(64, 16), "bias": shape(16)},
        },
        "ln_1": {"scale": shape(16)},
    }
    placed = jax.tree.map(lambda place: place.spec, tree_shardings({"blocks_0": block}, make_mesh(2, 4)))["blocks_0"]
    columns, units, rows, everywhere = (
        PartitionSpec(None, "model"),
        PartitionSpec("model"),
        PartitionSpec("model", None),
        PartitionSpec(),
    )
    for name in ("query", "key", "value"):
        assert placed["attn"][name] == {"kernel": columns, "bias": units}
    assert placed["attn"]["out"] == {"kernel": rows, "bias": everywhere}
    assert placed["mlp"]["fc1"] == {"kernel": columns, "bias": units}
    assert placed["mlp"]["fc2"] == {"kernel": rows, "bias": everywhere}
    assert placed["ln_1"]["scale"] == everywhere


def test_t5_is_split_over_heads_hidden_units_and_vocabulary() -> None:
    size = T5Size(width=16, heads=4, head_width=4, hidden=24, layers=1, vocab=32)
    ids, mask = jnp.ones((1, 2), int), jnp.ones((1, 2), bool)
    params = jax.eval_shape(T5(size).init, jax.random.key(0), ids, mask, ids, mask)["params"]
    mesh = make_mesh(2, 4)
    for wrapped in (params, {"frozen": {"t5": params}}):
        placed = jax.tree.map(lambda place: place.spec, tree_shardings(wrapped, mesh))
        placed = placed["frozen"]["t5"] if "frozen" in placed else placed
        columns, rows = PartitionSpec(None, "model"), PartitionSpec("model", None)
        block = placed["decoder"]["blocks_0"]
        for part in ("attn", "cross"):
            assert [block[part][name]["kernel"] for name in ("query", "key", "value", "out")] == [columns] * 3 + [rows]
        assert [block["mlp"][name]["kernel"] for name in ("gate", "fc1", "fc2")] == [columns] * 2 + [rows]
        assert placed["lm_head"]["kernel"] == columns and placed["shared"] == rows
        assert placed["decoder"]["relative_bias"] == block["ln_cross"]["scale"] == PartitionSpec()


def test_a_vocabulary_of_any_number_of_words_is_replicated_where_it_does_not_divide() -> None:
    tree = {"t5": {"shared": shape(69, 16), "lm_head": {"kernel": shape(16, 69)}}}
    placed = tree_shardings(tree, make_mesh(2, 4))["t5"]
    assert placed["shared"].spec == placed["lm_head"]["kernel"].spec == PartitionSpec()


def test_moments_lie_where_their_parameters_lie() -> None:
    method = tiny.make("flip_mcl")
    tx = optim.build(method.stages[0])
    mesh = make_mesh(4, 2)
    state = jax.eval_shape(lambda: init_state(method, jax.random.key(0), tx))
    placed = tree_shardings(state, mesh)
    paths = {}
    for path, place in jax.tree_util.tree_leaves_with_path(placed):
        paths["/".join(sharding._key_name(key) for key in path)] = place.spec
    params = {name.removeprefix("params/"): spec for name, spec in paths.items() if name.startswith("params/")}
    split = {name for name, spec in params.items() if "model" in spec}
    assert {"clip/image/blocks_0/attn/query/kernel", "clip/text/blocks_0/mlp/fc2/kernel"} <= split
    for name, spec in params.items():
        moments = [
            other for path, other in paths.items() if path.startswith("opt_state/") and path.endswith(f"/{name}")
        ]
        assert moments == [spec, spec], name


def test_dimension_that_the_axis_does_not_divide() -> None:
    tree = {"blocks_0": {"attn": {"query": {"kernel": shape(6, 6)}}}}
    with pytest.raises(ConfigError, match=r"'blocks_0/attn/query/kernel' has 6 entries, which mesh\.model=4"):
        tree_shardings(tree, make_mesh(2, 4))


def test_batches_are_split_over_data_in_order() -> None:
    mesh = make_mesh(4, 2)
    rows = np.arange(24).reshape(8, 3)
    placed = put_batch({"x": rows, "mask": np.ones(8, bool)}, mesh)
    assert placed["x"].sharding.spec == PartitionSpec("data") and placed["mask"].dtype == bool
    np.testing.assert_array_equal(placed["x"], rows)
    for shard in placed["x"].addressable_shards:
        assert shard.data.shape == (2, 3)
        np.testing.assert_array_equal(shard.data, rows[shard.index])


def test_micro_batches_are_split_over_data_on_their_second_axis() -> None:
    stacked = np.arange(48).reshape(2, 8, 3)
    placed = put_batch({"x": stacked}, make_mesh(8, 1), micro=True)["x"]
    assert {shard.data.shape for shard in placed.addressable_shards} == {(2, 1, 3)}
    np.testing.assert_array_equal(placed, stacked)


@pytest.mark.parametrize("index", [-1, 2])
def test_process_index_outside_the_run(index) -> None:
    with pytest.raises(ConfigError, match=rf"--process_id={index} is outside 0\.\.1"):
        sharding.start_processes("localhost:1", 2, index)
