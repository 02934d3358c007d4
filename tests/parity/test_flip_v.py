"""FLIP-V against the authors' network at random weights: outputs, loss, gradients, the classifier's projection."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import flip_v as config_file
from flipjax.methods import flip_v
from flipjax.weights import flip_official, rules
from golden_cases import assert_gradients, assert_within, dims, files_of, section

TABLE = flip_official.TABLES[0]


def build(golden: dict):
    size = dims(golden)
    config = config_file.get_config()
    config.weights.clip = ""
    config.method.head_width = size["embedder_dim"]
    config.method.clip.update(
        image_size=size["image_resolution"],
        patch=size["vision_patch_size"],
        width=size["vision_width"],
        layers=size["vision_layers"],
        heads=size["vision_width"] // 64,
    )
    method = flip_v.make(config)
    target = jax.eval_shape(method.init, jax.random.key(0))
    params = rules.apply(TABLE, section(golden, "params"), {"params": target["params"]})["params"]
    return method, method.project(jax.tree.map(jnp.asarray, params), jnp.zeros((), int))


@pytest.fixture(scope="module", params=files_of("flip_v"))
def case(request: pytest.FixtureRequest):
    path: Path = request.param
    golden = dict(np.load(path))
    method, params = build(golden)
    image = jnp.asarray(golden["inputs/image_nchw"]).transpose(0, 2, 3, 1)
    label = golden["inputs/label_real_is_1"] == 1
    batch = {"image": image, "is_bona_fide": jnp.asarray(label), "mask": jnp.ones(len(label), bool)}
    return golden, method, params, batch


def test_outputs(case) -> None:
    golden, method, params, batch = case
    flip = method.loss.args[0]
    feature, _ = jax.jit(partial(flip_v.image_features, flip))(params, batch)
    logits = flip.head.apply({"params": params["head"]}, feature)
    assert_within(feature, golden["outputs/image_features_width"], 1e-5, "class token")
    assert_within(logits, golden["outputs/logits_spoof_real"], 1e-5, "logits")
    assert_within(method.score(method.prepare(params, {}, {}), batch), golden["outputs/eval_prob_real"], 1e-5, "score")


def test_classifier_is_projected(case) -> None:
    golden, method, params, _ = case
    kernel = params["head"]["classifier"]["kernel"]
    assert_within(kernel, golden["outputs/classifier_weight_after_forward"].T, 1e-6, "classifier")
    again = method.project(params, jnp.ones((), int))["head"]["classifier"]["kernel"]
    assert_within(again, kernel, 1e-6, "projection twice")


def test_loss_and_gradients(case) -> None:
    golden, method, params, batch = case
    (loss, aux), grads = jax.jit(jax.value_and_grad(method.loss, has_aux=True))(params, {}, {}, batch, {})
    assert_within(loss, golden["outputs/loss_ce"], 1e-5, "loss")
    assert_within(aux.terms["ce"], loss, 0)
    assert_gradients(golden, TABLE, {f"params/{path}": g for path, g in rules.flatten(grads).items()})


def test_padding_changes_nothing(case) -> None:
    _, method, params, batch = case
    padded = {name: jnp.concatenate([value, value[:2]]) for name, value in batch.items()}
    padded["mask"] = padded["mask"].at[-2:].set(False)
    compute = jax.jit(method.loss)
    loss = compute(params, {}, {}, batch, {})[0]
    assert_within(compute(params, {}, {}, padded, {})[0], loss, 1e-6, "padded loss")


def test_dropout_is_drawn_and_scaled(case) -> None:
    _, method, params, batch = case
    flip = method.loss.args[0]
    draws = method.draws(jax.random.key(1), batch)
    assert abs(float(draws["keep"].mean()) - 0.5) < 0.05
    head = flip.head
    x = jnp.ones((1, flip.size.width))
    dropped = head.apply({"params": params["head"]}, x, jnp.ones((1, flip.head_width), bool))
    # Every unit kept and doubled: ||g|| grows by sqrt(2), the bias stays.
    bias = params["head"]["classifier"]["bias"]
    plain = head.apply({"params": params["head"]}, x)
    assert_within(dropped - bias, (plain - bias) * 2**0.5, 1e-5, "dropout scale")
