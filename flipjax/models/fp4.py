"""The values that 4-bit storage leaves of a T5's linear weights: bitsandbytes' FP4 with double quantisation, simulated.

The InstructFLIP code loads its frozen T5 in bfloat16 with FP4 weights. A weight [out, in] is cut, row after row, into blocks
of 64; each value becomes the nearest of 15 levels times the block's largest magnitude. Those magnitudes, less their mean, are
in turn stored as 8-bit codes of a dynamic exponent format, in blocks of 256 (QLoRA, Dettmers et al.
2023, section 3). Token table, position biases, norms and the head keep 16 bits.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flipjax.core.method import Tree

BLOCK, SCALE_BLOCK = 64, 256
LEVELS = np.array([0, 1 / 192, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1], np.float32)
# A magnitude above pivot i gets level i + 1. Midpoints, to the digits of bitsandbytes' GPU code: bfloat16 weights hit them.
PIVOTS = np.array([0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333], np.float32)
_QUANTISED = re.compile(r"(encoder|decoder)/blocks_\d+/(attn|cross|mlp)/\w+/kernel")
_TINY = np.finfo(np.float32).tiny


def fp4_sim(tree: Tree) -> Tree:
    """Returns a T5's parameters with the values that the released 4-bit storage computes with, float32.

    Kernels of the encoder's and decoder's attention and MLP go through FP4; everything else is rounded to bfloat16. Every
    value that comes out is a bfloat16 number, so storing the result in bfloat16 loses nothing. NumPy arrays stay NumPy arrays.
    """

    def change(path: tuple[Any, ...], leaf: Any) -> Any:
        name = "/".join(str(key.key) for key in path)
        convert = fp4_round_trip if _QUANTISED.fullmatch(name) else _to_bfloat16_values
        changed = convert(jnp.asarray(leaf, jnp.float32))
        return np.asarray(changed) if isinstance(leaf, np.ndarray) else changed

    return jax.tree_util.tree_map_with_path(change, tree)


@jax.jit
def fp4_round_trip(kernel: Float[Array, "d o"]) -> Float[Array, "d o"]:
    """Returns a kernel after storage as FP4; blocks run along the transposed kernel, which is the torch weight."""
    weight = _to_bfloat16_values(kernel).T
    values, largest = _normalised(weight.reshape(-1), BLOCK)
    levels = jnp.asarray(LEVELS)[jnp.searchsorted(jnp.asarray(PIVOTS), jnp.abs(values), side="left")]
    stored = jnp.sign(values) * levels * _scale_round_trip(largest)[:, None]
    return _to_bfloat16_values(stored.reshape(-1)[: weight.size].reshape(weight.shape).T)


def _scale_round_trip(scales: Float[Array, "n"]) -> Float[Array, "n"]:
    """Block scales after their own 8-bit storage around their mean."""
    mean = jnp.mean(scales)
    codes = jnp.asarray(dynamic_codes())
    values, largest = _normalised(scales - mean, SCALE_BLOCK)
    nearest = codes[jnp.searchsorted((codes[:-1] + codes[1:]) / 2, values, side="left")]
    return (nearest * largest[:, None]).reshape(-1)[: scales.size] + mean


def _normalised(x: Float[Array, "n"], block: int) -> tuple[Float[Array, "m k"], Float[Array, "m"]]:
    """Blocks of `x` (the last one filled up with zeros) divided by their largest magnitudes, and those."""
    blocks = jnp.pad(x, (0, -x.size % block)).reshape(-1, block)
    largest = jnp.max(jnp.abs(blocks), axis=1)
    return jnp.clip(blocks * (1.0 / jnp.maximum(largest, _TINY))[:, None], -1, 1), largest


def _to_bfloat16_values(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    # A cast there and back would be optimised away.
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


def dynamic_codes() -> Float[np.ndarray, "256"]:
    """Returns the 256 values of the signed 8-bit dynamic exponent format, ascending.

    For i = 0 .. 6, the centres of 2^i equal parts of [0.1, 1] times 10^(i - 6), both signs, besides 0 and 1.
    """
    low = float(np.float32(0.1))
    values = [0.0, 1.0]
    for i in range(7):
        parts = 2**i
        step, k = float(np.float32((1 - low) / parts)), np.arange(parts + 1)
        edges = np.where(2 * k < parts, low + step * k, 1 - step * (parts - k)).astype(np.float32)  # as torch.linspace
        centres = np.float32(10.0 ** (i - 6)) * ((edges[:-1] + edges[1:]) / 2)
        values += [*centres, *-centres]
    return np.sort(np.array(values, np.float32))
