"""Layers and blocks against plain NumPy, in both compute types, with and without rematerialisation."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
from flipjax.models.layers import (
    CLIP_MEAN_STD,
    IMAGENET_MEAN_STD,
    Attention,
    Block,
    Dense,
    LayerNorm,
    StackOutput,
    network_input,
    quick_gelu,
    run_blocks,
    torch_uniform,
)
from golden_cases import assert_within

WIDTH, HEADS, TOKENS = 8, 2, 5
CAUSAL = np.tril(np.ones((TOKENS, TOKENS), bool))


class Stack(nn.Module):
    """A few blocks, so that `run_blocks` can be applied."""

    dtype: Any = jnp.float32
    remat: bool = False
    layers: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> StackOutput:
        return run_blocks(x, layers=self.layers, heads=HEADS, dtype=self.dtype, remat=self.remat)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def fresh(module: nn.Module, *inputs: Any) -> Any:
    return plain.scrambled(jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"])


def applied(module: nn.Module, params: Any, *inputs: Any) -> Any:
    return jax.jit(lambda params, *inputs: module.apply({"params": params}, *inputs))(params, *inputs)


def primitives(jaxpr: Any) -> list[Any]:
    """Every equation of `jaxpr` and of the jaxprs inside it."""
    found = []
    for equation in jaxpr.eqns:
        found.append(equation)
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            found += primitives(inner) if hasattr(inner, "eqns") else []
    return found


@pytest.mark.parametrize("shape", [(WIDTH,), (3, WIDTH), (2, 3, 4, WIDTH)])
def test_dense_against_numpy_with_any_leading_axes(shape) -> None:
    x, module = normal(*shape), Dense(6)
    params = fresh(module, x)
    assert_within(applied(module, params, x), plain.dense(plain.double(params), x), 1e-6)


def test_dense_without_bias_has_a_kernel_alone() -> None:
    assert set(fresh(Dense(3, use_bias=False), normal(2, WIDTH))) == {"kernel"}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_layer_norm_against_numpy(scale) -> None:
    # Inputs of size 1e-3 have a variance below eps = 1e-5, so the value of eps shows.
    x, module = normal(3, 4, WIDTH, scale=scale), LayerNorm()
    params = fresh(module, x)
    assert_within(applied(module, params, x), plain.layer_norm(plain.double(params), x.astype(np.float64)), 1e-5)


def test_layer_norm_computes_in_float32_on_a_large_offset() -> None:
    x, module = (normal(2, WIDTH) + 300).astype(jnp.bfloat16), LayerNorm()
    params = fresh(module, x)
    out = applied(module, params, x)
    assert out.dtype == jnp.float32
    assert_within(out, plain.layer_norm(plain.double(params), np.asarray(x, np.float64)), 1e-4)


def test_quick_gelu_is_the_sigmoid_form_and_finite_far_out() -> None:
    x = np.array([-1e30, -100, -1.702, -0.5, 0, 0.5, 3, 100, 1e30], np.float32)
    with np.errstate(over="ignore"):
        assert_within(jax.jit(quick_gelu)(x)[1:-1], plain.quick_gelu(x[1:-1].astype(np.float64)), 1e-6)
    assert np.isfinite(jax.jit(quick_gelu)(x)).all()
    assert not np.allclose(jax.nn.gelu(x[4:7], approximate=False), quick_gelu(jnp.asarray(x[4:7])), atol=1e-3)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_against_numpy(causal) -> None:
    x = normal(3, TOKENS, WIDTH)
    module = Attention(HEADS, init_std=0.3, out_std=0.3)
    params = fresh(module, x)
    out, weights = applied(module, params, x, jnp.asarray(CAUSAL) if causal else None)
    expected, expected_weights = plain.attention(plain.double(params), x.astype(np.float64), HEADS, causal)
    assert_within(out, expected, 1e-5, "output")
    assert_within(weights, expected_weights, 1e-5, "weights")
    assert_within(weights.sum(axis=-1), np.ones((3, HEADS, TOKENS)), 1e-6, "rows")
    if causal:
        assert not np.asarray(weights)[..., ~CAUSAL].any()


def test_blocks_against_numpy_and_their_intermediates() -> None:
    x, module = normal(2, TOKENS, WIDTH), Stack()
    params = fresh(module, x)
    out = applied(module, params, x)
    blocks, weights = plain.stack(plain.double(params), x.astype(np.float64), HEADS)
    assert len(out.blocks) == len(out.attention) == 2
    for i in range(2):
        assert_within(out.blocks[i], blocks[i], 1e-5, f"block {i}")
        assert_within(out.attention[i], weights[i], 1e-5, f"attention {i}")
    np.testing.assert_array_equal(out.tokens, out.blocks[-1])


def test_output_projections_start_smaller_in_deeper_stacks() -> None:
    # OpenAI CLIP: attn std d^-0.5, output std d^-0.5 (2 layers)^-0.5, first MLP layer (2 d)^-0.5.
    d = 32
    params = jax.jit(Block(heads=1, layers=8).init)(jax.random.key(0, impl="rbg"), jnp.zeros((1, 2, d)))["params"]
    attn, mlp = params["attn"], params["mlp"]
    for kernel, std in (
        (attn["query"], d**-0.5),
        (attn["out"], d**-0.5 / 4),
        (mlp["fc1"], (2 * d) ** -0.5),
        (mlp["fc2"], d**-0.5 / 4),
    ):
        assert float(kernel["kernel"].std()) == pytest.approx(std, rel=0.1)
        assert not kernel["bias"].any()


def test_rematerialisation_changes_no_value_and_happens() -> None:
    x, params = normal(2, TOKENS, WIDTH), fresh(Stack(layers=1), normal(2, TOKENS, WIDTH))

    def scalar(remat: bool, params: Any, x: Any) -> Any:
        return jnp.sum(jnp.sin(Stack(remat=remat, layers=1).apply({"params": params}, x).tokens))

    plain_run, remat_run = (
        jax.jit(jax.value_and_grad(partial(scalar, remat))).trace(params, x) for remat in (False, True)
    )
    names = [[item.primitive.name for item in primitives(run.jaxpr.jaxpr)] for run in (plain_run, remat_run)]
    assert [sum("remat" in name or "checkpoint" in name for name in found) for found in names] == [0, 1]
    assert names[1].count("dot_general") > names[0].count("dot_general"), "the backward pass repeats forward products"
    results = [run.lower().compile()(params, x) for run in (plain_run, remat_run)]
    jax.tree.map(partial(assert_within, tolerance=1e-6), *results)


def test_bfloat16_runs_every_product_in_bfloat16_near_float32_and_keeps_parameters() -> None:
    x, module = normal(2, TOKENS, WIDTH), Stack(dtype=jnp.bfloat16)
    params = fresh(Stack(), x)
    abstract = jax.eval_shape(module.init, jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(abstract)} == {jnp.dtype(jnp.float32)}
    jaxpr = jax.make_jaxpr(lambda params, x: module.apply({"params": params}, x))(params, x).jaxpr
    dots = [equation for equation in primitives(jaxpr) if equation.primitive.name == "dot_general"]
    assert len(dots) == 2 * 8  # four projections, two products of attention, two layers of the MLP
    for dot in dots:
        assert [variable.aval.dtype for variable in dot.invars] == [jnp.bfloat16] * 2
        assert dot.outvars[0].aval.dtype == jnp.float32
    low, high = applied(module, params, x), applied(Stack(), params, x)
    assert low.tokens.dtype == jnp.float32 and low.attention[0].dtype == jnp.float32
    assert_within(low.tokens, high.tokens, 0.03)


@pytest.mark.parametrize("name,constants", [("imagenet", IMAGENET_MEAN_STD), ("clip", CLIP_MEAN_STD)])
def test_uint8_pixels_are_normalised_and_float_images_pass(name, constants) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)
    mean, std = np.array(constants)
    assert_within(network_input(jnp.asarray(pixels), name), (pixels / 255.0 - mean) / std, 1e-6)
    floats = jnp.asarray(normal(1, 2, 2, 3))
    np.testing.assert_array_equal(network_input(floats, name), floats)


def test_torch_uniform_fills_its_interval() -> None:
    values = np.asarray(torch_uniform(16)(jax.random.key(0), (2000,)))
    assert -0.25 <= values.min() < -0.249 and 0.249 < values.max() <= 0.25
    assert abs(values.mean()) < 0.01 and values.std() == pytest.approx(0.5 / 12**0.5, rel=0.05)
