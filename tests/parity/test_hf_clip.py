"""CLIP layer by layer against Hugging Face's PyTorch CLIPModel at random weights, through a safetensors file and our table."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.core.numeric import unit
from flipjax.models.clip import Clip, ClipSize, ImageTower, TextTower
from flipjax.weights.load import load
from golden_cases import assert_within

LAYER, TOWER = 1e-5, 1e-4
VOCAB, END = 40, 39
SIZE = ClipSize(
    image_size=24,
    patch=8,
    width=48,
    layers=2,
    heads=3,
    embed=20,
    text_width=32,
    text_layers=2,
    text_heads=2,
    context=16,
    vocab=VOCAB,
)
IDS = np.array([[38, 5, 9, 1, END, 0, 0, 0], [38, 7, 7, 2, 3, 4, 11, END], [38, END, 0, 0, 0, 0, 0, 0]], np.int32)
IMAGES = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def libraries() -> SimpleNamespace:
    """torch and transformers, or a skip that says what is missing."""
    torch = pytest.importorskip(
        "torch", reason="layer parity with Hugging Face CLIP needs torch (pip install '.[parity]')"
    )
    transformers = pytest.importorskip("transformers", reason="layer parity needs transformers with CLIPModel")
    if not hasattr(transformers, "CLIPModel"):
        pytest.skip("this transformers has no CLIPModel")
    return SimpleNamespace(torch=torch, transformers=transformers)


def reference_model(libraries: SimpleNamespace) -> Any:
    """A CLIPModel whose every weight is noise: no bias is 0, no norm is the identity."""
    config = libraries.transformers.CLIPConfig(
        vision_config={
            "image_size": SIZE.image_size,
            "patch_size": SIZE.patch,
            "hidden_size": SIZE.width,
            "intermediate_size": 4 * SIZE.width,
            "num_hidden_layers": SIZE.layers,
            "num_attention_heads": SIZE.heads,
            "hidden_act": "quick_gelu",
        },
        text_config={
            "vocab_size": VOCAB,
            "hidden_size": SIZE.text_width,
            "intermediate_size": 4 * SIZE.text_width,
            "num_hidden_layers": SIZE.text_layers,
            "num_attention_heads": SIZE.text_heads,
            "max_position_embeddings": SIZE.context,
            "hidden_act": "quick_gelu",
            "bos_token_id": END - 1,
            "eos_token_id": END,
            "pad_token_id": 0,
        },
        projection_dim=SIZE.embed,
        attn_implementation="eager",
    )
    libraries.torch.manual_seed(0)
    model = libraries.transformers.CLIPModel(config).eval()
    with libraries.torch.no_grad():
        for name, weight in model.named_parameters():
            is_norm = "norm" in name and name.endswith("weight")
            if name != "logit_scale":
                weight.copy_(float(is_norm) + 0.2 * libraries.torch.randn_like(weight))
    return model


@pytest.fixture(scope="module")
def case(libraries, tmp_path_factory) -> SimpleNamespace:
    """The reference model and its outputs with gradients, and our parameters read from the file that it saves."""
    torch, model = libraries.torch, reference_model(libraries)
    folder: Path = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    pixels = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy()).requires_grad_()
    out = model(
        input_ids=torch.from_numpy(IDS).long(), pixel_values=pixels, output_hidden_states=True, output_attentions=True
    )
    torch.sin(out.logits_per_image).sum().backward()
    shapes = jax.eval_shape(Clip(SIZE).init, jax.random.key(0), jnp.asarray(IMAGES), jnp.asarray(IDS))["params"]
    params = jax.tree.map(jnp.asarray, load(folder, shapes, ("openai_clip", "hf_clip")))
    return SimpleNamespace(model=model, out=out, pixels=pixels, params=params, folder=folder)


def array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


def test_weights_travel_as_safetensors_with_every_value(case) -> None:
    assert (case.folder / "model.safetensors").is_file()
    total = sum(weight.numel() for weight in case.model.parameters())
    assert sum(leaf.size for leaf in jax.tree.leaves(case.params)) == total


def test_image_tower_layer_by_layer(case) -> None:
    tower = ImageTower(SIZE)
    ours = jax.jit(lambda params, images: tower.apply({"params": params}, images))(case.params["image"], IMAGES)
    theirs = case.out.vision_model_output
    for i in range(SIZE.layers):
        assert_within(ours.blocks[i], array(theirs.hidden_states[i + 1]), LAYER, f"block {i}")
        assert_within(ours.attention[i], array(theirs.attentions[i]), LAYER, f"attention {i}")
    assert len(theirs.hidden_states) == SIZE.layers + 1
    class_token = case.model.vision_model.post_layernorm(theirs.hidden_states[-1][:, 0])
    assert_within(ours.class_token, array(class_token), TOWER, "class token")
    assert_within(ours.embed, array(case.model.visual_projection(class_token)), TOWER, "projected")
    assert_within(unit(ours.embed), array(case.out.image_embeds), TOWER, "embedding")


def test_text_tower_layer_by_layer(case) -> None:
    tower = TextTower(SIZE)
    embeds, stack = jax.jit(lambda params, ids: tower.apply({"params": params}, ids))(case.params["text"], IDS)
    theirs = case.out.text_model_output
    for i in range(SIZE.text_layers):
        assert_within(stack.blocks[i], array(theirs.hidden_states[i + 1]), LAYER, f"block {i}")
        assert_within(stack.attention[i], array(theirs.attentions[i]), LAYER, f"attention {i}")
    assert_within(unit(embeds), array(case.out.text_embeds), TOWER, "embedding")


def our_logits(params: Any, images: Any) -> Any:
    output, texts = Clip(SIZE).apply({"params": params}, images, jnp.asarray(IDS))
    return jnp.exp(params["logit_scale"]) * unit(output.embed) @ unit(texts).T


def test_logits_and_gradients(case) -> None:
    def scalar(params: Any, images: Any) -> Any:
        logits = our_logits(params, images)
        return jnp.sum(jnp.sin(logits)), logits

    compute = jax.jit(jax.grad(scalar, argnums=(0, 1), has_aux=True))
    (grads, image_grad), logits = compute(case.params, jnp.asarray(IMAGES))
    assert_within(logits, array(case.out.logits_per_image), TOWER, "logits")
    assert_within(image_grad, array(case.pixels.grad).transpose(0, 2, 3, 1), TOWER, "image")
    theirs = {name: array(weight.grad) for name, weight in case.model.named_parameters()}
    vision, text = "vision_model.encoder.layers", "text_model.encoder.layers"
    image_blocks, text_blocks = (
        [grads[tower][f"blocks_{i}"] for i in range(SIZE.layers)] for tower in ("image", "text")
    )
    pairs = {
        f"{vision}.0.self_attn.q_proj.weight": image_blocks[0]["attn"]["query"]["kernel"].T,
        f"{vision}.1.self_attn.v_proj.bias": image_blocks[1]["attn"]["value"]["bias"],
        f"{vision}.1.self_attn.out_proj.weight": image_blocks[1]["attn"]["out"]["kernel"].T,
        f"{vision}.1.mlp.fc1.weight": image_blocks[1]["mlp"]["fc1"]["kernel"].T,
        f"{vision}.0.layer_norm1.weight": image_blocks[0]["ln_1"]["scale"],
        "vision_model.pre_layrnorm.bias": grads["image"]["ln_pre"]["bias"],
        "vision_model.embeddings.class_embedding": grads["image"]["class_embedding"],
        "vision_model.embeddings.position_embedding.weight": grads["image"]["position_embedding"],
        "vision_model.embeddings.patch_embedding.weight": grads["image"]["patch_embed"]["kernel"].transpose(3, 2, 0, 1),
        "visual_projection.weight": grads["image"]["proj"].T,
        f"{text}.0.self_attn.k_proj.weight": text_blocks[0]["attn"]["key"]["kernel"].T,
        f"{text}.1.mlp.fc2.bias": text_blocks[1]["mlp"]["fc2"]["bias"],
        "text_model.embeddings.token_embedding.weight": grads["text"]["token_embedding"],
        "text_model.embeddings.position_embedding.weight": grads["text"]["position_embedding"],
        "text_projection.weight": grads["text"]["proj"].T,
        "logit_scale": grads["logit_scale"],
    }
    for name, ours in pairs.items():
        assert np.any(theirs[name]), name
        assert_within(ours, theirs[name], TOWER, name)


@pytest.mark.parametrize("side", [40, 16])
def test_another_image_size_with_interpolated_positions(case, libraries, side) -> None:
    images = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype(np.float32)
    with libraries.torch.no_grad():
        pixels = libraries.torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        theirs = case.model.vision_model(pixel_values=pixels, interpolate_pos_encoding=True, output_hidden_states=True)
    size = ClipSize(**{**vars(SIZE), "image_size": side})
    module = ImageTower(size, project=False)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(images))["params"]
    target = {"image": shapes}
    params = load(case.folder, target, ("hf_clip",))["image"]
    assert params["position_embedding"].shape == (1 + (side // SIZE.patch) ** 2, SIZE.width)
    ours = jax.jit(module.apply)({"params": params}, jnp.asarray(images))
    for i in range(SIZE.layers):
        assert_within(ours.blocks[i], array(theirs.hidden_states[i + 1]), LAYER, f"block {i}")
    assert_within(ours.class_token, array(theirs.pooler_output), TOWER, "class token")


def test_kept_token_rows_give_the_same_text_features(case) -> None:
    rows = tuple(int(row) for row in np.unique(IDS))
    small = ClipSize(**{**vars(SIZE), "vocab": len(rows)})
    shapes = jax.eval_shape(Clip(small).init, jax.random.key(0), jnp.asarray(IMAGES), jnp.asarray(IDS))["params"]
    params = load(case.folder, shapes, ("hf_clip",), token_rows=rows)["text"]
    ids = np.searchsorted(rows, IDS).astype(np.int32)
    embeds, _ = jax.jit(lambda params, ids: TextTower(small).apply({"params": params}, ids))(params, ids)
    assert_within(unit(embeds), array(case.out.text_embeds), TOWER, "embedding")
