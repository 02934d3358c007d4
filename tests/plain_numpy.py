"""Plain float64 NumPy statements of the networks and losses, written from the papers' formulas and independent of flipjax.

Parameters are the nested dicts of flipjax/models; loops where a loop says it best.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Tree = Any


def double(tree: Tree) -> Tree:
    """Returns nested dicts with float64 NumPy leaves."""
    if isinstance(tree, dict):
        return {name: double(value) for name, value in tree.items()}
    return np.asarray(tree, np.float64)


def scrambled(shapes: Tree, seed: int = 0, std: float = 0.3) -> Tree:
    """Returns normal noise in the shapes of `shapes`, around 1 for `scale` leaves and 0 for all others."""
    rng = np.random.default_rng(seed)

    def walk(node: Tree, name: str = "") -> Tree:
        if isinstance(node, dict):
            return {name: walk(node[name], name) for name in sorted(node)}
        return rng.normal(float(name == "scale"), std, node.shape).astype(np.float32)

    return walk(shapes)


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def dense(params: Tree, x: np.ndarray) -> np.ndarray:
    return x @ params["kernel"] + params["bias"]


def layer_norm(params: Tree, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * params["scale"] + params["bias"]


def quick_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-1.702 * x))


def attention(params: Tree, x: np.ndarray, heads: int, causal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Returns output [b n d] and weights [b h n n], one sample and head at a time."""
    b, n, d = x.shape
    k = d // heads
    query, key, value = (dense(params[name], x) for name in ("query", "key", "value"))
    mixed, weights = np.zeros_like(x), np.zeros((b, heads, n, n))
    for i in range(b):
        for h in range(heads):
            own = slice(h * k, (h + 1) * k)
            logits = query[i, :, own] @ key[i, :, own].T / np.sqrt(k)
            if causal:
                logits[np.triu_indices(n, 1)] = -np.inf
            weights[i, h] = softmax(logits)
            mixed[i, :, own] = weights[i, h] @ value[i, :, own]
    return dense(params["out"], mixed), weights


def block(params: Tree, x: np.ndarray, heads: int, causal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    mixed, weights = attention(params["attn"], layer_norm(params["ln_1"], x), heads, causal)
    x = x + mixed
    hidden = quick_gelu(dense(params["mlp"]["fc1"], layer_norm(params["ln_2"], x)))
    return x + dense(params["mlp"]["fc2"], hidden), weights


def stack(params: Tree, x: np.ndarray, heads: int, causal: bool = False) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the tokens after every block and every block's attention weights."""
    blocks, weights = [], []
    for i in range(sum(name.startswith("blocks_") for name in params)):
        x, attended = block(params[f"blocks_{i}"], x, heads, causal)
        blocks.append(x)
        weights.append(attended)
    return blocks, weights


def patches(kernel: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Convolution with stride = kernel size, row-major: [b h w 3] -> [b gh*gw d]."""
    p = kernel.shape[0]
    b, height, width, _ = images.shape
    rows = [
        np.einsum("bijc,ijcd->bd", images[:, y : y + p, x : x + p], kernel)
        for y in range(0, height, p)
        for x in range(0, width, p)
    ]
    return np.stack(rows, axis=1).reshape(b, len(rows), -1)


def image_tower(params: Tree, images: np.ndarray, heads: int) -> dict[str, Any]:
    """Returns blocks, attention, content, class_token and embed of CLIP's image tower."""
    x = patches(params["patch_embed"]["kernel"], images)
    first = np.broadcast_to(params["class_embedding"], (len(images), 1, x.shape[-1]))
    x = np.concatenate([first, x], axis=1) + params["position_embedding"]
    blocks, weights = stack(params, layer_norm(params["ln_pre"], x), heads)
    content = layer_norm(params["ln_post"], blocks[-1])
    return {
        "blocks": blocks,
        "attention": weights,
        "tokens": blocks[-1],
        "content": content,
        "class_token": content[:, 0],
        "embed": content[:, 0] @ params["proj"],
    }


def text_tower(params: Tree, ids: np.ndarray, heads: int) -> np.ndarray:
    """Returns the projected feature at the largest id of each row."""
    x = params["token_embedding"][ids] + params["position_embedding"][: ids.shape[1]]
    blocks, _ = stack(params, x, heads, causal=True)
    ends = blocks[-1][np.arange(len(ids)), ids.argmax(axis=1)]
    return layer_norm(params["ln_final"], ends) @ params["proj"]


def batch_norm(params: Tree, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """Normalises [b d] by its own biased variance."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) * params["scale"] + params["bias"]


def projector(params: Tree, views: np.ndarray) -> np.ndarray:
    """FLIP-MCL's projector, one call per view of [b v d]."""
    outputs = []
    for view in range(views.shape[1]):
        x = views[:, view]
        for i in (1, 2):
            x = np.maximum(batch_norm(params[f"bn{i}"], dense(params[f"fc{i}"], x)), 0)
        outputs.append(dense(params["fc3"], x))
    return np.stack(outputs, axis=1)


def unit_column_head(params: Tree, x: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    """FLIP-V's head; `keep` is the dropout mask."""
    f = np.maximum(dense(params["fc"], x), 0)
    if keep is not None:
        f = f * keep * 2
    g = f / (np.sqrt(np.linalg.norm(f, axis=-1, keepdims=True)) * np.sqrt(2))
    return dense(params["classifier"], g)


def cross_entropy(logits: np.ndarray, is_bona_fide: np.ndarray) -> float:
    rows = [-np.log(softmax(row)[int(label)]) for row, label in zip(logits, is_bona_fide, strict=True)]
    return float(np.mean(rows))


def nt_xent(h1: np.ndarray, h2: np.ndarray, temperature: float = 0.1) -> float:
    z, b = unit(np.concatenate([h1, h2])), len(h1)
    losses = []
    for i in range(2 * b):
        similarity = z @ z[i] / temperature
        others = np.delete(similarity, i)
        partner = (i + b) % (2 * b)
        losses.append(np.log(np.sum(np.exp(others - others.max()))) + others.max() - similarity[partner])
    return float(np.mean(losses))


def view_consistency(images: np.ndarray, texts: np.ndarray) -> float:
    cosine = np.sum(unit(images) * unit(texts), axis=-1)
    return float(np.mean((cosine[:, 0] - cosine[:, 1]) ** 2))


def numerical_gradient(function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Returns central differences of a float64 scalar function."""
    gradient = np.zeros_like(x, dtype=np.float64)
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(gradient)
        moved[index] = step
        gradient[index] = (function(x + moved) - function(x - moved)) / (2 * step)
    return gradient
