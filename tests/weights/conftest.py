"""Shapes of our trees, built by hand so that the tables are tested without the models."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest


def _shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, np.float32)


def _linear(inputs: int, outputs: int) -> dict[str, Any]:
    return {"kernel": _shape(inputs, outputs), "bias": _shape(outputs)}


def _norm(width: int) -> dict[str, Any]:
    return {"scale": _shape(width), "bias": _shape(width)}


def _blocks(width: int, layers: int) -> dict[str, Any]:
    block = {
        "ln_1": _norm(width),
        "attn": {name: _linear(width, width) for name in ("query", "key", "value", "out")},
        "ln_2": _norm(width),
        "mlp": {"fc1": _linear(width, 4 * width), "fc2": _linear(4 * width, width)},
    }
    return {f"blocks_{i}": block for i in range(layers)}


def _image(width: int, layers: int, patch: int, positions: int, embed: int) -> dict[str, Any]:
    return {
        "patch_embed": {"kernel": _shape(patch, patch, 3, width)},
        "class_embedding": _shape(width),
        "position_embedding": _shape(positions, width),
        "ln_pre": _norm(width),
        **_blocks(width, layers),
        "ln_post": _norm(width),
        **({"proj": _shape(width, embed)} if embed else {}),
    }


def _text(width: int, layers: int, vocab: int, embed: int, context: int) -> dict[str, Any]:
    return {
        "token_embedding": _shape(vocab, width),
        "position_embedding": _shape(context, width),
        **_blocks(width, layers),
        "ln_final": _norm(width),
        "proj": _shape(width, embed),
    }


class TreeShapes:
    """Builders of target trees; sizes are arguments, layouts are those of flipjax/models."""

    linear = staticmethod(_linear)
    norm = staticmethod(_norm)
    image = staticmethod(_image)
    shape = staticmethod(_shape)

    @staticmethod
    def clip(
        *, width=16, layers=2, patch=4, positions=5, embed=6, text_width=8, text_layers=1, vocab=11, context=7
    ) -> dict[str, Any]:
        return {
            "image": _image(width, layers, patch, positions, embed),
            "text": _text(text_width, text_layers, vocab, embed, context),
            "logit_scale": _shape(),
        }

    @staticmethod
    def batch_norm_state(width: int) -> dict[str, Any]:
        return {"mean": _shape(width), "var": _shape(width)}


@pytest.fixture
def shapes() -> type[TreeShapes]:
    return TreeShapes


def _openai_blocks(draw: Callable[..., np.ndarray], prefix: str, width: int, layers: int) -> dict[str, np.ndarray]:
    tensors = {}
    for i in range(layers):
        block = f"{prefix}transformer.resblocks.{i}."
        for norm in ("ln_1", "ln_2"):
            tensors |= {f"{block}{norm}.weight": draw(width), f"{block}{norm}.bias": draw(width)}
        tensors |= {
            f"{block}attn.in_proj_weight": draw(3 * width, width),
            f"{block}attn.in_proj_bias": draw(3 * width),
            f"{block}attn.out_proj.weight": draw(width, width),
            f"{block}attn.out_proj.bias": draw(width),
            f"{block}mlp.c_fc.weight": draw(4 * width, width),
            f"{block}mlp.c_fc.bias": draw(4 * width),
            f"{block}mlp.c_proj.weight": draw(width, 4 * width),
            f"{block}mlp.c_proj.bias": draw(width),
        }
    return tensors


@pytest.fixture
def openai_tensors() -> dict[str, np.ndarray]:
    """A tiny CLIP in OpenAI's names, half precision as released; sizes are the defaults of TreeShapes.clip."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float16)

    tensors = {
        "visual.conv1.weight": draw(16, 3, 4, 4),
        "visual.class_embedding": draw(16),
        "visual.positional_embedding": draw(5, 16),
        "visual.proj": draw(16, 6),
        "token_embedding.weight": draw(11, 8),
        "positional_embedding": draw(7, 8),
        "text_projection": draw(8, 6),
        "logit_scale": np.array(4.6, np.float32),
        "input_resolution": np.array(8),
        "context_length": np.array(7),
        "vocab_size": np.array(11),
    }
    for norm, width in (("visual.ln_pre", 16), ("visual.ln_post", 16), ("ln_final", 8)):
        tensors |= {f"{norm}.weight": draw(width), f"{norm}.bias": draw(width)}
    return tensors | _openai_blocks(draw, "visual.", 16, 2) | _openai_blocks(draw, "", 8, 1)
