"""InstructFLIP's cue generator: patch tokens -> a small map that is white (1) where there is an attack.

Source: InstructFLIP section 3.4; two 3 x 3 convolutions with a ReLU between and nothing at the end.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from flipjax.models.layers import torch_uniform

HIDDEN, CHANNELS = 32, 3


class CueGenerator(nn.Module):
    """Patch tokens of a g x g grid, row by row, to a map [b g g 3]; unbounded, trained towards 1 for attacks, else 0."""

    grid: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, patches: Float[Array, "b p d"]) -> Float[Array, "b g g c"]:
        x = rearrange(patches, "b (gh gw) d -> b gh gw d", gh=self.grid)
        for name, features in (("conv1", HIDDEN), ("conv2", CHANNELS)):
            init = torch_uniform(9 * x.shape[-1])
            conv = nn.Conv(features, (3, 3), padding=1, dtype=self.dtype, kernel_init=init, bias_init=init, name=name)
            x = conv(x) if name == "conv2" else jax.nn.relu(conv(x))
        return x.astype(jnp.float32)


def add_cue_noise(
    patches: Float[Array, "b p d"], noise: Float[Array, "b p d"], is_attack: Bool[Array, "b"], weight: float
) -> Float[Array, "b p d"]:
    """Returns patch tokens with weight * noise added to those of attacks.

    Training only. The paper speaks of a convolution with normalised noise; the code adds standard normal draws.
    """
    return patches + jnp.where(is_attack[:, None, None], weight * noise, 0.0)
