"""Checkpoints in the names of the released FLIP code, from the golden cases, fill the trees of the three methods."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from flipjax.core.errors import WeightError
from flipjax.weights.flip_official import TABLES
from flipjax.weights.load import load
from flipjax.weights.rules import apply, choose

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The released code's state dict and the sizes of a golden case."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        tensors = {key.removeprefix("params/"): file[key] for key in file.files if key.startswith("params/")}
        dims = {key.removeprefix("dims/"): int(file[key]) for key in file.files if key.startswith("dims/")}
    return tensors, dims


def flip_v_target(shapes: Any, tensors: dict[str, np.ndarray], dims: dict[str, int]) -> dict[str, Any]:
    width, patch = dims["vision_width"], dims["vision_patch_size"]
    positions = 1 + (dims["image_resolution"] // patch) ** 2
    image = shapes.image(width, dims["vision_layers"], patch, positions, 0)
    head = {"fc": shapes.linear(width, dims["embedder_dim"]), "classifier": shapes.linear(dims["embedder_dim"], 2)}
    return {"params": {"clip": {"image": image}, "head": head}, "model_state": {}}


def flip_mcl_target(shapes: Any, tensors: dict[str, np.ndarray], dims: dict[str, int]) -> dict[str, Any]:
    patch = dims["vision_patch_size"]
    clip = shapes.clip(
        width=dims["vision_width"],
        layers=dims["vision_layers"],
        patch=patch,
        positions=1 + (dims["image_resolution"] // patch) ** 2,
        embed=dims["embed_dim"],
        text_width=dims["transformer_width"],
        text_layers=dims["transformer_layers"],
        vocab=dims["vocab_size"],
        context=dims["context_length"],
    )
    hidden, out = len(tensors["image_mlp.layer1.bias"]), len(tensors["image_mlp.layer3.bias"])
    projector = {
        "fc1": shapes.linear(dims["embed_dim"], hidden),
        "bn1": shapes.norm(hidden),
        "fc2": shapes.linear(hidden, hidden),
        "bn2": shapes.norm(hidden),
        "fc3": shapes.linear(hidden, out),
    }
    statistics = {"bn1": shapes.batch_norm_state(hidden), "bn2": shapes.batch_norm_state(hidden)}
    return {"params": {"clip": clip, "projector": projector}, "model_state": {"projector": statistics}}


def test_flip_v(shapes) -> None:
    tensors, dims = golden("flip_v")
    target = flip_v_target(shapes, tensors, dims)
    tree = apply(choose(TABLES, tensors), tensors, target)
    assert jax.tree.structure(tree) == jax.tree.structure(target)
    head = tree["params"]["head"]
    np.testing.assert_array_equal(head["fc"]["kernel"], tensors["embedder.bottleneck_layer_fc.weight"].T)
    np.testing.assert_array_equal(head["classifier"]["kernel"], tensors["classifier.classifier_layer.weight"].T)
    np.testing.assert_array_equal(head["classifier"]["bias"], tensors["classifier.classifier_layer.bias"])
    image = tree["params"]["clip"]["image"]
    np.testing.assert_array_equal(image["class_embedding"], tensors["backbone.vit.class_embedding"])
    np.testing.assert_array_equal(image["ln_post"]["bias"], tensors["backbone.vit.ln_post.bias"])


def test_flip_v_as_released_has_an_unused_projection_and_a_layer_twice(shapes) -> None:
    tensors, dims = golden("flip_v")
    more = {
        "backbone.vit.proj": np.zeros((dims["vision_width"], 512), np.float32),
        "embedder.bottleneck_layer.0.weight": tensors["embedder.bottleneck_layer_fc.weight"],
        "embedder.bottleneck_layer.0.bias": tensors["embedder.bottleneck_layer_fc.bias"],
    }
    target = flip_v_target(shapes, tensors, dims)
    jax.tree.map(
        np.testing.assert_array_equal,
        apply(TABLES[0], tensors | more, target),
        apply(TABLES[0], tensors, {"params": target["params"], "model_state": {}}),
    )


def test_flip_mcl_with_running_statistics(shapes) -> None:
    tensors, dims = golden("flip_mcl")
    tensors = tensors | {"image_mlp.bn2.running_var": tensors["image_mlp.bn2.running_var"] + 2}
    target = flip_mcl_target(shapes, tensors, dims)
    tree = apply(choose(TABLES, tensors), tensors, target)
    assert jax.tree.structure(tree) == jax.tree.structure(target)
    params, state = tree["params"], tree["model_state"]["projector"]
    np.testing.assert_array_equal(state["bn1"]["mean"], tensors["image_mlp.bn1.running_mean"])
    np.testing.assert_array_equal(state["bn2"]["var"], tensors["image_mlp.bn2.running_var"])
    np.testing.assert_array_equal(params["projector"]["bn2"]["scale"], tensors["image_mlp.bn2.weight"])
    np.testing.assert_array_equal(params["projector"]["fc3"]["kernel"], tensors["image_mlp.layer3.weight"].T)
    np.testing.assert_array_equal(params["clip"]["image"]["proj"], tensors["model.visual.proj"])
    np.testing.assert_array_equal(params["clip"]["text"]["position_embedding"], tensors["model.positional_embedding"])
    assert params["clip"]["logit_scale"] == tensors["model.logit_scale"]


def test_flip_mcl_keeps_only_the_rows_that_the_prompts_read(shapes) -> None:
    tensors, dims = golden("flip_mcl")
    rows = (0, 320, 49406, 49407)
    target = flip_mcl_target(shapes, tensors, dims | {"vocab_size": len(rows)})
    table = apply(TABLES[1], tensors, target, token_rows=rows)["params"]["clip"]["text"]["token_embedding"]
    np.testing.assert_array_equal(table, tensors["model.token_embedding.weight"][list(rows)])


def test_flip_it_takes_an_mcl_checkpoint_without_its_projector(shapes) -> None:
    tensors, dims = golden("flip_mcl")
    target = flip_mcl_target(shapes, tensors, dims)
    flip_it = {"params": {"clip": target["params"]["clip"]}}
    tree = apply(TABLES[1], tensors, flip_it)
    assert jax.tree.structure(tree) == jax.tree.structure(flip_it)


def test_formats_are_not_confused(shapes) -> None:
    v, mcl = golden("flip_v")[0], golden("flip_mcl")[0]
    assert choose(TABLES, v).name == "official FLIP-V"
    assert choose(TABLES, mcl).name == "official FLIP-IT or FLIP-MCL"
    with pytest.raises(WeightError, match="read as official FLIP-IT or FLIP-MCL, does not fit the model"):
        apply(TABLES[1], mcl, flip_v_target(shapes, *golden("flip_v")))


@pytest.mark.slow
def test_checkpoint_as_the_released_code_writes_it(shapes, tmp_path) -> None:
    try:
        import torch
    except ImportError:
        pytest.skip("torch is not installed, so no real checkpoint can be written")
    tensors, dims = golden("flip_v")
    checkpoint = {
        "epoch": 1,
        "state_dict": {key: torch.from_numpy(x) for key, x in tensors.items()},
        "valid_arg": [np.float64(0.1), np.float32(0.2), 97.0, 0.5],
        "best_model_EER": 0.1,
        "best_model_ACER": 1.0,
        "best_model_ACC": np.float64(97.0),
        "threshold": np.float64(0.37),
    }
    torch.save(checkpoint, tmp_path / "flip_checkpoint_best.pth.tar")
    target = flip_v_target(shapes, tensors, dims)
    tree = load(tmp_path / "flip_checkpoint_best.pth.tar", target, ("flip_official",))
    jax.tree.map(np.testing.assert_array_equal, tree, apply(TABLES[0], tensors, target))
