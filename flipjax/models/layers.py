"""Blocks shared by every network: dense layers, norms, attention, MLP, the pre-norm transformer block, masked batch norm.

Matrix products run on 2-D operands with a float32 result whatever the compute type; norms and softmax are float32.
Dimension letters: b batch, n tokens, d width, h heads, k head width.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, UInt8, UInt32

from flipjax.core.method import Tree
from flipjax.core.rng import stream

Initializer = Callable[..., jax.Array]
Keys = UInt32[Array, "b 2"] | None
Nudge = Float[Array, "b heads n n"] | None
Nudges = Sequence[Float[Array, "b heads n n"]] | None

IMAGENET_MEAN_STD = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP_MEAN_STD = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
NORMALIZATIONS = {"imagenet": IMAGENET_MEAN_STD, "clip": CLIP_MEAN_STD}


def network_input(
    images: Float[Array, "*b h w 3"] | UInt8[Array, "*b h w 3"], normalization: str
) -> Float[Array, "*b h w 3"]:
    """Returns normalised float32 images; uint8 pixels are scaled and centred, float images count as normalised already."""
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    mean, std = (jnp.asarray(values, jnp.float32) for values in NORMALIZATIONS[normalization])
    return (images.astype(jnp.float32) / 255.0 - mean) / std


def quick_gelu(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Returns x * sigmoid(1.702 x), the GELU form of OpenAI CLIP."""
    return x * jax.nn.sigmoid(1.702 * x)


def run(module: nn.Module, params: Tree, *inputs: Any, method: str | None = None) -> Any:
    """Returns module(*inputs), or its `method`, with the given parameters; outputs keep the module's own types."""
    return module.apply({"params": params}, *inputs, method=method)


def torch_uniform(fan_in: int) -> Initializer:
    """Returns PyTorch's default initialiser of linear weights and biases, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    bound = fan_in**-0.5
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


class Dense(nn.Module):
    """y = x W + b with W [in, out]; leading axes are flattened so that XLA sees one 2-D product."""

    features: int
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "*s d"]) -> Float[Array, "*s o"]:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        rows = x.reshape(-1, x.shape[-1]).astype(self.dtype)
        y = jax.lax.dot(rows, kernel.astype(self.dtype), preferred_element_type=jnp.float32)
        if self.use_bias:
            y = y + self.param("bias", self.bias_init, (self.features,), jnp.float32)
        return y.astype(self.dtype).reshape(*x.shape[:-1], self.features)


def torch_dense(
    features: int, fan_in: int, name: str, dtype: DTypeLike = jnp.float32, *, use_bias: bool = True
) -> Dense:
    """Returns a dense layer with PyTorch's default initialiser."""
    init = torch_uniform(fan_in)
    return Dense(features, use_bias, dtype, kernel_init=init, bias_init=init, name=name)


class LayerNorm(nn.Module):
    """Layer norm over the last axis in float32."""

    eps: float = 1e-5  # OpenAI CLIP; Flax's own default is 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, "*s d"]) -> Float[Array, "*s d"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        x = x.astype(jnp.float32)
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + self.eps) * scale + bias


def split_heads(x: Float[Array, "b n d"], heads: int) -> Float[Array, "b h n k"]:
    """Returns `heads` equal parts of the last axis as an axis of their own."""
    b, n, d = x.shape
    return x.reshape(b, n, heads, d // heads).transpose(0, 2, 1, 3)


def attend(
    query: Float[Array, "b h q k"],
    key: Float[Array, "b h m k"],
    value: Float[Array, "b h m k"],
    *,
    mask: Bool[Array, "*#s"] | None = None,
    dtype: DTypeLike = jnp.float32,
    drop: Callable[[jax.Array], jax.Array] | None = None,
) -> tuple[Float[Array, "b q d"], Float[Array, "b h q m"]]:
    """Returns softmax(query key^T) value with heads joined again, and the weights before `drop`; scaling is the caller's.

    `mask` broadcasts against the weights, False = not attended; `drop` is applied to the weights (dropout, a nudge).
    """
    logits = jnp.einsum("bhqk,bhmk->bhqm", query, key, preferred_element_type=jnp.float32)
    if mask is not None:
        logits = jnp.where(mask, logits, -jnp.inf)
    weights = jax.nn.softmax(logits, axis=-1)
    used = weights if drop is None else drop(weights)
    mixed = jnp.einsum("bhqm,bhmk->bhqk", used.astype(dtype), value, preferred_element_type=jnp.float32)
    b, h, q, k = mixed.shape
    return mixed.transpose(0, 2, 1, 3).reshape(b, q, h * k), weights


class Dropout(nn.Module):
    """Inverted dropout with one key per batch row; each module draws from its own stream, named by its path.

    `keys` [b 2] is raw key data (`jax.random.key_data`); None switches dropout off. The mask of a row depends on its
    key and the path alone, whatever the padding and the mesh.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "b *s"], keys: Keys) -> Float[Array, "b *s"]:
        if keys is None or self.rate == 0:
            return x
        name = "/".join(self.path)

        def keep(key: jax.Array) -> jax.Array:
            own = stream(jax.random.wrap_key_data(key), name)
            return jax.random.bernoulli(own, 1 - self.rate, x.shape[1:])

        return jnp.where(jax.vmap(keep)(keys), x / (1 - self.rate), 0.0)


class Attention(nn.Module):
    """Multi-head self-attention; returns the output and the attention weights [b h n n].

    `nudge` is added to the weights that mix the values: the gradient with respect to it is that of the weights.
    """

    heads: int
    init_std: float
    out_std: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], mask: Bool[Array, "n n"] | None = None, nudge: Nudge = None
    ) -> tuple[Float[Array, "b n d"], Float[Array, "b h n n"]]:
        d = x.shape[-1]

        def heads_first(name: str) -> Float[Array, "b h n k"]:
            y = Dense(d, dtype=self.dtype, kernel_init=nn.initializers.normal(self.init_std), name=name)(x)
            return split_heads(y, self.heads)

        query, key, value = heads_first("query"), heads_first("key"), heads_first("value")
        scale = (d // self.heads) ** -0.5
        nudged = None if nudge is None else partial(jnp.add, nudge)
        mixed, weights = attend(query * scale, key, value, mask=mask, dtype=self.dtype, drop=nudged)
        out = Dense(d, dtype=self.dtype, kernel_init=nn.initializers.normal(self.out_std), name="out")(mixed)
        return out, weights


class Mlp(nn.Module):
    """Two dense layers with QuickGELU between, hidden width `ratio` times the input's."""

    init_std: float
    out_std: float
    ratio: int = 4
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        d = x.shape[-1]
        fc1 = Dense(d * self.ratio, dtype=self.dtype, kernel_init=nn.initializers.normal(self.init_std), name="fc1")
        fc2 = Dense(d, dtype=self.dtype, kernel_init=nn.initializers.normal(self.out_std), name="fc2")
        return fc2(quick_gelu(fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block of CLIP: x += attention(ln_1 x); x += mlp(ln_2 x). The residual stream is float32.

    `layers` is the depth of the stack, which sets the initial scale of the output projections (OpenAI CLIP).
    """

    heads: int
    layers: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], mask: Bool[Array, "n n"] | None = None, nudge: Nudge = None
    ) -> tuple[Float[Array, "b n d"], Float[Array, "b h n n"]]:
        d = x.shape[-1]
        out_std = d**-0.5 * (2 * self.layers) ** -0.5
        attention = Attention(self.heads, init_std=d**-0.5, out_std=out_std, dtype=self.dtype, name="attn")
        mixed, weights = attention(LayerNorm(name="ln_1")(x), mask, nudge)
        x = x + mixed
        mlp = Mlp(init_std=(2 * d) ** -0.5, out_std=out_std, dtype=self.dtype, name="mlp")
        return x + mlp(LayerNorm(name="ln_2")(x)), weights


@flax.struct.dataclass
class StackOutput:
    """Tokens after the last block, and after every block, with every block's attention weights."""

    tokens: Float[Array, "b n d"]
    blocks: tuple[Float[Array, "b n d"], ...]
    attention: tuple[Float[Array, "b h n n"], ...]


def run_blocks(
    x: Float[Array, "b n d"],
    *,
    layers: int,
    heads: int,
    mask: Bool[Array, "n n"] | None = None,
    dtype: DTypeLike = jnp.float32,
    remat: bool = False,
    nudges: Nudges = None,
) -> StackOutput:
    """Applies `layers` blocks named blocks_0 ...; call it inside a compact module. `remat` recomputes blocks backwards.

    `nudges`, one per block, are added to the attention weights, see `Attention`.
    """
    block_type = nn.remat(Block) if remat else Block
    blocks, attention = [], []
    for i in range(layers):
        nudge = None if nudges is None else nudges[i]
        x, weights = block_type(heads=heads, layers=layers, dtype=dtype, name=f"blocks_{i}")(x, mask, nudge)
        blocks.append(x)
        attention.append(weights)
    return StackOutput(tokens=x, blocks=tuple(blocks), attention=tuple(attention))


class ViewBatchNorm(nn.Module):
    """Batch norm with statistics per view over the real rows of the whole batch, as PyTorch computes them.

    Input [b v d] counts as v successive calls: each view is normalised by its own biased variance, and the running
    statistics (collection `batch_stats`) are updated view after view with the unbiased one.
    """

    eps: float = 1e-5
    momentum: float = 0.1

    @nn.compact
    def __call__(self, x: Float[Array, "b v d"], mask: Bool[Array, "b"]) -> Float[Array, "b v d"]:
        d = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (d,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (d,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (d,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (d,), jnp.float32)
        x = x.astype(jnp.float32)
        weight = mask.astype(jnp.float32)[:, None, None]
        count = jnp.maximum(jnp.sum(weight), 1)
        momentum = self.momentum * jnp.any(mask)  # a batch of padding alone leaves the running statistics as they are
        mean = jnp.sum(x * weight, axis=0) / count
        variance = jnp.sum(jnp.square(x - mean) * weight, axis=0) / count
        if not self.is_initializing():
            for view in range(x.shape[1]):
                unbiased = variance[view] * count / jnp.maximum(count - 1, 1)
                running_mean.value += momentum * (mean[view] - running_mean.value)
                running_var.value += momentum * (unbiased - running_var.value)
        return (x - mean) * jax.lax.rsqrt(variance + self.eps) * scale + bias
