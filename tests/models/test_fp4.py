"""Simulated 4-bit storage: a block worked by hand, what is touched, and agreement with bitsandbytes where it is installed."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from flipjax.models.fp4 import LEVELS, PIVOTS, dynamic_codes, fp4_round_trip, fp4_sim
from flipjax.models.t5 import T5
from flipjax.models.t5_layers import T5Size


def bfloat16(x: np.ndarray) -> np.ndarray:
    return x.astype(ml_dtypes.bfloat16).astype(np.float32)


def test_one_block_by_hand() -> None:
    # One block, so its scale is the mean of all scales and survives its own storage exactly.
    values = [2.0, -2.0, 1.3, 1.1, -0.9, 0.6, 0.5, 0.3, 0.1, 0.004, -0.2, 1.7]
    nearest = np.array([1, -1, 2 / 3, 1 / 2, -1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 192, 0, -1 / 6, 1]) * 2
    row = np.zeros(64, np.float32)
    row[: len(values)] = values
    expected = np.zeros(64, np.float32)
    expected[: len(values)] = nearest
    np.testing.assert_array_equal(fp4_round_trip(jnp.asarray(row)[:, None])[:, 0], bfloat16(expected))


def test_blocks_run_along_the_rows_of_the_torch_weight() -> None:
    # Kernel [in = 64, out = 2]: each output unit is a block. Their scales 1 and 8 lie 3.5 on either side of the mean; the
    # code ends at 1 but begins at -(1 - 0.9 / 128), so the smaller one comes back as 4.5 - 3.5 * 0.99296875.
    kernel = np.stack([np.full(64, 0.5), np.full(64, 4.0)], axis=1).astype(np.float32)
    kernel[0] = [1.0, 8.0]
    expected = bfloat16(kernel * np.array([4.5 - 3.5 * 0.99296875, 1.0], np.float32))
    np.testing.assert_array_equal(fp4_round_trip(jnp.asarray(kernel)), expected)


def test_pivots_are_the_midpoints_of_the_levels() -> None:
    np.testing.assert_allclose(PIVOTS, (LEVELS[1:] + LEVELS[:-1]) / 2, rtol=1e-5)


def test_codes_of_the_scales() -> None:
    codes = dynamic_codes()
    assert codes.shape == (256,) and (np.diff(codes) > 0).all() and codes[-1] == 1 and codes[127] == 0
    np.testing.assert_allclose(codes[:127], -codes[254:127:-1])
    np.testing.assert_allclose(codes[128], 0.55e-6, rtol=1e-6)  # the middle of [0.1, 1], at the smallest exponent
    np.testing.assert_allclose(codes[254], 1 - 0.9 / 128, rtol=1e-6)


def test_scales_are_stored_in_eight_bits() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(64, 300)).astype(np.float32)
    stored = np.asarray(fp4_round_trip(jnp.asarray(kernel)))
    scales = np.abs(stored).max(axis=0)
    exact = np.abs(bfloat16(kernel)).max(axis=0)
    assert (scales != exact).mean() > 0.1
    assert np.abs(scales - exact).max() < 0.01 * np.abs(exact - exact.mean()).max() + 2**-8 * exact.max()


def test_zeros_stay() -> None:
    assert not np.asarray(fp4_round_trip(jnp.zeros((64, 3)))).any()
    some = jnp.zeros((64, 3)).at[:, 1].set(jnp.linspace(-1, 1, 64))
    assert not np.asarray(fp4_round_trip(some))[:, [0, 2]].any()


@pytest.fixture(scope="module")
def tree() -> dict:
    size = T5Size(width=24, heads=3, head_width=8, hidden=40, layers=1, vocab=30)
    ids, mask = jnp.ones((1, 2), int), jnp.ones((1, 2), bool)
    shapes = jax.eval_shape(T5(size).init, jax.random.key(0), ids, mask, ids, mask)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def test_attention_and_mlp_kernels_alone_are_quantised(tree) -> None:
    stored = fp4_sim(tree)
    changed = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for (path, before), after in zip(
            jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(stored), strict=True
        )
        if not np.array_equal(after, bfloat16(before))
    }
    attention = {"query", "key", "value", "out"}
    parts = {f"attn/{name}" for name in attention} | {f"mlp/{name}" for name in ("gate", "fc1", "fc2")}
    expected = {f"encoder/blocks_0/{part}/kernel" for part in parts}
    expected |= {f"decoder/blocks_0/{part}/kernel" for part in parts | {f"cross/{name}" for name in attention}}
    assert changed == expected


def test_result_is_made_of_bfloat16_numbers_in_float32(tree) -> None:
    for leaf in jax.tree.leaves(fp4_sim(tree)):
        assert isinstance(leaf, np.ndarray) and leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, bfloat16(leaf))


def test_arrays_of_jax_and_numpy_give_the_same_values(tree) -> None:
    on_device = fp4_sim(jax.tree.map(jnp.asarray, tree))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(on_device))
    jax.tree.map(np.testing.assert_array_equal, on_device, fp4_sim(tree))


def test_against_bitsandbytes() -> None:
    torch = pytest.importorskip("torch", reason="comparison with bitsandbytes needs torch")
    functional = pytest.importorskip("bitsandbytes.functional", reason="bitsandbytes is not installed")
    np.testing.assert_array_equal(dynamic_codes(), functional.create_dynamic_map().numpy())
    generator = torch.Generator().manual_seed(0)
    weight = (torch.randn(384, 512, generator=generator) * 0.05).to(torch.bfloat16)
    packed, state = functional.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="fp4")
    expected = functional.dequantize_4bit(packed, state).float().numpy()
    ours = np.asarray(fp4_round_trip(jnp.asarray(weight.float().numpy().T))).T
    # What differs lies halfway between two levels (its CPU code rounds those the other way) or between two scale codes.
    assert (ours != expected).mean() < 0.003
