"""Small heads on top of a tower: FLIP-V's embedder and classifier, FLIP-MCL's projector."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flipjax.models.layers import Dense, ViewBatchNorm, torch_dense

DROPOUT_KEEP = 0.5  # the published dropout rate is 0.5


class UnitColumnHead(nn.Module):
    """Two-layer head of FLIP-V (also of SSDG and the ViT baseline): embedder, odd normalisation, 2-way classifier.

    f = dropout(ReLU(W1 x + b1)); g = f / (sqrt(||f||) sqrt(2)), so ||g|| = sqrt(||f|| / 2); logits = W2 g + b2.
    The classifier is used as stored: keep its columns unit with `project_unit_columns` after every update.
    `keep` is the dropout mask (True = kept, scaled by 1 / 0.5); None switches dropout off.
    """

    embed: int = 512

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], keep: Bool[Array, "b e"] | None = None) -> Float[Array, "b 2"]:
        fc = Dense(
            self.embed, kernel_init=nn.initializers.normal(0.005), bias_init=nn.initializers.constant(0.1), name="fc"
        )
        f = jax.nn.relu(fc(x))
        if keep is not None:
            f = jnp.where(keep, f / DROPOUT_KEEP, 0.0)
        square = jnp.sum(jnp.square(f), axis=-1, keepdims=True)
        # max(norm, 1e-12) before the square root, written so that a zero row has a finite gradient.
        norm = jnp.sqrt(jnp.maximum(square, 1e-24))
        g = f / (jnp.sqrt(norm) * 2.0**0.5)
        return Dense(2, kernel_init=nn.initializers.normal(0.01), name="classifier")(g)


def project_unit_columns(kernel: Float[Array, "d c"]) -> Float[Array, "d c"]:
    """Returns the classifier with every feature's class weights scaled to length 1."""
    return kernel / jnp.linalg.norm(kernel, axis=1, keepdims=True)


class Projector(nn.Module):
    """FLIP-MCL's SimCLR projector: dense, batch norm, ReLU, twice, then dense; statistics per view."""

    hidden: int = 4096
    out: int = 256

    @nn.compact
    def __call__(self, x: Float[Array, "b v d"], mask: Bool[Array, "b"]) -> Float[Array, "b v o"]:
        for i, features in enumerate((self.hidden, self.hidden), start=1):
            x = torch_dense(features, x.shape[-1], name=f"fc{i}")(x)
            x = jax.nn.relu(ViewBatchNorm(name=f"bn{i}")(x, mask))
        return torch_dense(self.out, x.shape[-1], name="fc3")(x)
