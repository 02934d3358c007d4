"""A micro-batch of padding alone, as at the end of a virtual epoch: every loss is 0 with gradients of 0, never NaN."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.core.numeric import masked_mean
from flipjax.losses.classification import cross_entropy
from flipjax.losses.consistency import view_consistency
from flipjax.losses.contrastive import nt_xent
from flipjax.models.layers import ViewBatchNorm

ROWS = 4
NONE = jnp.zeros(ROWS, bool)
LABELS = jnp.arange(ROWS) % 2 == 0
RNG = np.random.default_rng(0)
LOSSES = {
    "mean": (masked_mean, RNG.normal(size=ROWS)),
    "classification": (lambda x, mask: cross_entropy(x, LABELS, mask), RNG.normal(size=(ROWS, 2))),
    "consistency": (lambda x, mask: view_consistency(x[0], x[1], mask), RNG.normal(size=(2, ROWS, 2, 5))),
    "contrastive": (lambda x, mask: nt_xent(x[0], x[1], mask), RNG.normal(size=(2, ROWS, 5))),
}


@pytest.mark.parametrize("padding", [1.0, 0.0], ids=["noise", "zeros"])
@pytest.mark.parametrize("name", LOSSES)
def test_padding_alone_costs_nothing(name: str, padding: float) -> None:
    loss, x = LOSSES[name]
    value, gradient = jax.jit(jax.value_and_grad(loss))((padding * x).astype(np.float32), NONE)
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


def test_padding_alone_leaves_running_statistics_and_gradients_alone() -> None:
    x = jnp.asarray(RNG.normal(size=(ROWS, 2, 3)), jnp.float32)
    norm = ViewBatchNorm()
    variables: Any = norm.init(jax.random.key(0), x, ~NONE)
    _, moved = norm.apply(variables, x, ~NONE, mutable=["batch_stats"])

    def total(params: Any) -> Any:
        out, updated = norm.apply({"params": params, **moved}, x, NONE, mutable=["batch_stats"])
        return jnp.sum(jnp.where(NONE[:, None, None], out, 0.0)), updated

    (_, after), gradients = jax.value_and_grad(total, has_aux=True)(variables["params"])
    for name in ("mean", "var"):
        np.testing.assert_array_equal(after["batch_stats"][name], moved["batch_stats"][name])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
