"""OpenAI and Hugging Face CLIP checkpoints fill the same tree with the same numbers."""

import re
from typing import Any

import jax
import numpy as np
import pytest
from flax import serialization
from safetensors.numpy import save_file

from flipjax.core.errors import WeightError
from flipjax.weights import hf_clip, openai_clip
from flipjax.weights.load import load
from flipjax.weights.rules import apply

OPENAI = openai_clip.TABLES[0]


def without(tree: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if name not in names}


def huggingface(tensors: dict[str, np.ndarray], *, flax: bool) -> dict[str, np.ndarray]:
    """Renames OpenAI tensors independently of the tables: the inverse of what a converter of the hub does."""
    renamed: dict[str, np.ndarray] = {}
    for key, x in tensors.items():
        tower = "vision_model" if key.startswith("visual.") else "text_model"
        key = key.removeprefix("visual.")
        if key in ("input_resolution", "context_length", "vocab_size"):
            continue
        if "in_proj" in key:
            for letter, part in zip("qkv", np.split(x, 3), strict=True):
                name = key.replace("attn.in_proj_", f"attn.{letter}_proj.")
                renamed[f"{tower}.{name}"] = part
        elif key in ("proj", "text_projection"):
            renamed["visual_projection.weight" if key == "proj" else "text_projection.weight"] = x.T
        else:
            renamed["logit_scale" if key == "logit_scale" else f"{tower}.{key}"] = x
    words = (
        ("transformer.resblocks", "encoder.layers"),
        (".attn.", ".self_attn."),
        ("ln_1", "layer_norm1"),
        ("ln_2", "layer_norm2"),
        ("ln_pre", "pre_layrnorm"),
        ("ln_post", "post_layernorm"),
        ("ln_final", "final_layer_norm"),
        ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"),
        ("conv1", "embeddings.patch_embedding"),
        ("class_embedding", "embeddings.class_embedding"),
        ("positional_embedding", "embeddings.position_embedding.weight"),
        ("token_embedding", "embeddings.token_embedding"),
    )
    result: dict[str, np.ndarray] = {}
    for key, x in renamed.items():
        for old, new in words:
            key = key.replace(old, new)
        result[key] = x
    return _flax(result) if flax else result | {"text_model.embeddings.position_ids": np.arange(7)[None]}


def _flax(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    result = {}
    for key, x in tensors.items():
        norm, table = re.search(r"norm\d?\.weight$", key), re.search(r"(position|token)_embedding\.weight$", key)
        name = re.sub(r"weight$", "scale" if norm else "embedding" if table else "kernel", key)
        if name.endswith("kernel"):
            x = x.transpose(2, 3, 1, 0) if x.ndim == 4 else x.T
        result[name.replace(".", "/")] = x
    return result


def nest(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = np.array(value, order="C")
    return tree


def test_openai_names_fill_the_whole_tree(openai_tensors, shapes) -> None:
    tree = apply(OPENAI, openai_tensors, shapes.clip())
    block = "visual.transformer.resblocks.1."
    query, key, value = np.split(openai_tensors[block + "attn.in_proj_weight"], 3)
    np.testing.assert_array_equal(tree["image"]["blocks_1"]["attn"]["query"]["kernel"], query.T)
    np.testing.assert_array_equal(tree["image"]["blocks_1"]["attn"]["key"]["kernel"], key.T)
    np.testing.assert_array_equal(tree["image"]["blocks_1"]["attn"]["value"]["kernel"], value.T)
    np.testing.assert_array_equal(
        tree["image"]["blocks_1"]["attn"]["value"]["bias"], openai_tensors[block + "attn.in_proj_bias"][32:]
    )
    np.testing.assert_array_equal(
        tree["image"]["blocks_1"]["mlp"]["fc2"]["kernel"], openai_tensors[block + "mlp.c_proj.weight"].T
    )
    conv = openai_tensors["visual.conv1.weight"]
    np.testing.assert_array_equal(tree["image"]["patch_embed"]["kernel"][1, 2, 0], conv[:, 0, 1, 2])
    np.testing.assert_array_equal(tree["image"]["proj"], openai_tensors["visual.proj"])
    np.testing.assert_array_equal(tree["text"]["proj"], openai_tensors["text_projection"])
    np.testing.assert_array_equal(tree["text"]["position_embedding"], openai_tensors["positional_embedding"])
    np.testing.assert_array_equal(tree["text"]["ln_final"]["scale"], openai_tensors["ln_final.weight"])
    assert tree["logit_scale"].shape == () and tree["logit_scale"] == np.float32(4.6)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(tree))


def test_parts_that_a_method_lacks_are_left_out(openai_tensors, shapes) -> None:
    clip = shapes.clip()
    image_alone = {"image": without(clip["image"], "proj")}
    tree = apply(OPENAI, openai_tensors, image_alone)
    assert set(tree) == {"image"} and "proj" not in tree["image"]
    assert set(apply(OPENAI, openai_tensors, without(clip, "text", "logit_scale"))) == {"image"}


def test_masks_and_a_missing_text_tower(openai_tensors, shapes) -> None:
    extra = {"transformer.resblocks.0.attn_mask": np.full((7, 7), -np.inf, np.float32)}
    apply(OPENAI, openai_tensors | extra, shapes.clip())
    images = {key: x for key, x in openai_tensors.items() if key.startswith("visual.")}
    with pytest.raises(WeightError, match=r"\(22 problems\): 'text/token_embedding' of the model is not in the file"):
        apply(OPENAI, images, shapes.clip())


def test_another_size_is_refused(openai_tensors, shapes) -> None:
    with pytest.raises(WeightError, match=r"'visual.transformer.resblocks.1.ln_1.weight' has no place"):
        apply(OPENAI, openai_tensors, shapes.clip(layers=1))
    with pytest.raises(WeightError, match=r"'image/blocks_2/ln_1/scale' of the model is not in the file"):
        apply(OPENAI, openai_tensors, shapes.clip(layers=3))
    with pytest.raises(WeightError, match=r"gives shape \(4, 4, 3, 16\) for 'image/patch_embed/kernel'"):
        apply(OPENAI, openai_tensors, shapes.clip(patch=8))


def test_image_positions_are_resized_and_text_positions_are_not(openai_tensors, shapes) -> None:
    tree = apply(OPENAI, openai_tensors, shapes.clip(positions=10))
    table = openai_tensors["visual.positional_embedding"].astype(np.float32)
    np.testing.assert_array_equal(tree["image"]["position_embedding"][0], table[0])
    np.testing.assert_allclose(tree["image"]["position_embedding"][5], table[1:].mean(0), atol=1e-6)
    with pytest.raises(WeightError, match="'text/position_embedding' of shape"):
        apply(OPENAI, openai_tensors, shapes.clip(context=10))


@pytest.mark.parametrize("flax", [False, True])
def test_huggingface_names_give_the_same_tree(openai_tensors, shapes, flax) -> None:
    expected = apply(OPENAI, openai_tensors, shapes.clip())
    tree = apply(hf_clip.TABLES[flax], huggingface(openai_tensors, flax=flax), shapes.clip())
    jax.tree.map(np.testing.assert_array_equal, tree, expected)
    image_alone = {"image": without(shapes.clip()["image"], "proj")}
    assert set(apply(hf_clip.TABLES[flax], huggingface(openai_tensors, flax=flax), image_alone)) == {"image"}


def test_load_finds_the_format_by_its_names(openai_tensors, shapes, tmp_path) -> None:
    formats = ("openai_clip", "hf_clip")
    floats = {key: x for key, x in openai_tensors.items() if x.dtype.kind == "f"}
    save_file({k: np.array(x, order="C") for k, x in floats.items()}, tmp_path / "openai.safetensors")
    flat = {k: np.array(x, order="C") for k, x in huggingface(openai_tensors, flax=False).items()}
    save_file(flat, tmp_path / "hf.safetensors")
    (tmp_path / "flax_model.msgpack").write_bytes(
        serialization.msgpack_serialize(nest(huggingface(openai_tensors, flax=True)))
    )
    rows = (0, 3, 10)
    trees = [
        load(tmp_path / name, shapes.clip(vocab=3), formats, token_rows=rows)
        for name in ("openai.safetensors", "hf.safetensors")
    ]
    full = load(tmp_path / "flax_model.msgpack", shapes.clip(), formats)
    np.testing.assert_array_equal(trees[0]["text"]["token_embedding"], full["text"]["token_embedding"][list(rows)])
    jax.tree.map(np.testing.assert_array_equal, *trees)
    jax.tree.map(np.testing.assert_array_equal, trees[0]["image"], full["image"])


def test_load_says_what_it_found_instead(shapes, tmp_path) -> None:
    save_file({"layer4.weight": np.zeros(1, np.float32)}, tmp_path / "resnet.safetensors")
    message = r"resnet\.safetensors is none of the expected formats \(OpenAI CLIP\): it holds 1 arrays such as 'layer4"
    with pytest.raises(WeightError, match=message):
        load(tmp_path / "resnet.safetensors", shapes.clip(), ("openai_clip",))
    with pytest.raises(WeightError, match=r"weight table 'openai' unknown.*did you mean 'openai_clip'"):
        load(tmp_path / "resnet.safetensors", shapes.clip(), ("openai",))


@pytest.mark.slow
def test_checkpoint_written_by_transformers(shapes, tmp_path) -> None:
    try:
        import torch
    except ImportError:
        pytest.skip("torch is not installed, so no real checkpoint can be written")
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    text = {"vocab_size": 11, "max_position_embeddings": 7, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {"image_size": 8, "patch_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=text | {"hidden_size": 8, "intermediate_size": 32},
        vision_config=vision | {"hidden_size": 16, "intermediate_size": 64},
        projection_dim=6,
    )
    model = CLIPModel(config)
    model.save_pretrained(tmp_path)
    tree = load(tmp_path, shapes.clip(), ("openai_clip", "hf_clip"))
    state = {name: x.numpy() for name, x in model.state_dict().items()}
    np.testing.assert_array_equal(tree["image"]["proj"], state["visual_projection.weight"].T)
    np.testing.assert_array_equal(
        tree["text"]["blocks_0"]["attn"]["key"]["kernel"],
        state["text_model.encoder.layers.0.self_attn.k_proj.weight"].T,
    )


@pytest.mark.slow
def test_torchscript_archive_with_openai_names(openai_tensors, shapes, tmp_path) -> None:
    """A module tree with OpenAI's parameter names, saved by TorchScript, as ViT-B-16.pt is."""
    try:
        import torch
    except ImportError:
        pytest.skip("torch is not installed, so no real archive can be written")

    root = torch.nn.Module()
    for name, x in openai_tensors.items():
        *folders, last = name.split(".")
        node = root
        for folder in folders:
            if not hasattr(node, folder):
                node.add_module(folder, torch.nn.Module())
            node = getattr(node, folder)
        value = torch.from_numpy(np.array(x))
        if value.is_floating_point():
            node.register_parameter(last, torch.nn.Parameter(value))
        else:
            node.register_buffer(last, value)
    torch.jit.save(torch.jit.script(root), str(tmp_path / "ViT-B-16.pt"))
    tree = load(tmp_path / "ViT-B-16.pt", shapes.clip(), ("openai_clip",))
    jax.tree.map(np.testing.assert_array_equal, tree, apply(OPENAI, openai_tensors, shapes.clip()))
