"""FLIP-MCL against the authors' network at random weights: features, three terms, gradients, one Adam step, batch norm."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.core.method import Method, OptimizerSpec, Stage
from flipjax.methods import flip_mcl
from flipjax.models import prompted_clip
from flipjax.models.clip import Clip, ClipSize
from flipjax.models.heads import Projector
from flipjax.training import optim
from flipjax.training.state import TrainState, partition
from flipjax.training.step import train_step
from flipjax.weights import flip_official, rules
from golden_cases import assert_gradients, assert_within, dims, files_of, placed, section

TABLE = flip_official.TABLES[1]
LR, DECAY = 1e-3, 1e-2


def build(golden: dict) -> tuple[flip_mcl.FlipMcl, Method, dict]:
    size = dims(golden)
    tokens = golden["inputs/prompt_tokens_spoof_then_real"].astype(np.int32)
    longest = int(tokens.argmax(axis=1).max()) + 1
    clip = Clip(
        ClipSize(
            image_size=size["image_resolution"],
            patch=size["vision_patch_size"],
            width=size["vision_width"],
            layers=size["vision_layers"],
            heads=size["vision_width"] // 64,
            embed=size["embed_dim"],
            text_width=size["transformer_width"],
            text_layers=size["transformer_layers"],
            text_heads=size["transformer_heads"],
            context=size["context_length"],
            vocab=size["vocab_size"],
        )
    )
    hidden = golden["params/image_mlp.layer1.bias"].shape[0]
    out = golden["params/image_mlp.layer3.bias"].shape[0]
    flip = flip_mcl.FlipMcl(
        clip=clip,
        projector=Projector(hidden, out),
        ids=tokens[:, :longest].reshape(2, -1, longest),
        weights=(1.0, 1.0, 1.0),
        temperature=0.1,
        disjoint=False,
        normalization="imagenet",
    )
    spec = OptimizerSpec("adam_l2", lr=LR, weight_decay=DECAY)
    method = Method(
        name="flip_mcl",
        inputs=("image", "ssl_views"),
        init=partial(flip_mcl.init, flip),
        draws=lambda key, batch: draws_of(golden),
        loss=partial(flip_mcl.loss, flip),
        prepare=partial(prompted_clip.prepare, clip, flip.ids),
        score=partial(prompted_clip.score, clip, "imagenet"),
        stages=(Stage(1, ((".*", True),), spec),),
    )
    shapes = jax.eval_shape(method.init, jax.random.key(0))
    target = {"params": shapes["params"], "model_state": shapes["model_state"]}
    return flip, method, jax.tree.map(jnp.asarray, rules.apply(TABLE, section(golden, "params"), target))


def draws_of(golden: dict) -> dict:
    return {f"prompt_weights_{view}": jnp.asarray(golden[f"inputs/prompt_weights_view{view}"]) for view in (1, 2)}


@pytest.fixture(scope="module", params=files_of("flip_mcl"))
def case(request: pytest.FixtureRequest):
    path: Path = request.param
    golden = dict(np.load(path))
    flip, method, variables = build(golden)
    plain, view1, view2 = (
        jnp.asarray(golden[f"inputs/{name}_nchw"]).transpose(0, 2, 3, 1) for name in ("image", "view1", "view2")
    )
    label = jnp.asarray(golden["inputs/label_real_is_1"] == 1)
    batch = {
        "image": plain,
        "ssl_views": jnp.stack([view1, view2], axis=1),
        "is_bona_fide": label,
        "mask": jnp.ones(len(label), bool),
    }
    return golden, flip, method, variables, batch


def test_features(case) -> None:
    golden, flip, _, variables, batch = case
    encode = jax.jit(partial(flip.clip.apply, method="encode_image"))
    output = encode({"params": variables["params"]["clip"]}, batch["image"])
    assert_within(output.class_token, golden["outputs/image_features_768"], 1e-5, "class token")
    assert_within(output.embed, golden["outputs/image_embed_512"], 1e-5, "projected")
    prompts = prompted_clip.encode_prompts(flip.clip, variables["params"]["clip"], flip.ids)
    assert_within(prompts.reshape(-1, prompts.shape[-1]), golden["outputs/text_embed_12x512"], 1e-5, "text")


def test_prompts_at_their_own_length_equal_77(case) -> None:
    golden, flip, _, variables, _ = case
    full = golden["inputs/prompt_tokens_spoof_then_real"].astype(np.int32)
    short = prompted_clip.encode_prompts(flip.clip, variables["params"]["clip"], flip.ids)
    long = prompted_clip.encode_prompts(flip.clip, variables["params"]["clip"], full.reshape(2, -1, full.shape[1]))
    assert short.shape == long.shape and flip.ids.shape[-1] < full.shape[1]
    assert_within(short, long, 1e-6, "text length")


def test_evaluation(case) -> None:
    golden, _, method, variables, batch = case
    prepared = method.prepare(variables["params"], {}, variables["model_state"])
    assert set(prepared["clip"]) == {"image", "logit_scale"}
    logits = golden["outputs/eval_logits_spoof_real"]
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert_within(method.score(prepared, batch), expected, 1e-5, "score")


def test_losses_and_gradients(case) -> None:
    golden, _, method, variables, batch = case
    objective = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    (loss, aux), grads = objective(variables["params"], {}, variables["model_state"], batch, draws_of(golden))
    for name, term in (("ce", "loss_ce"), ("simclr", "loss_simclr"), ("mse", "loss_mse")):
        assert_within(aux.terms[name], golden[f"outputs/{term}"], 1e-5, name)
    assert_within(loss, golden["outputs/loss_total"], 1e-5, "total")
    assert_gradients(golden, TABLE, {f"params/{path}": g for path, g in rules.flatten(grads).items()})


def test_one_adam_step_and_batch_norm(case) -> None:
    golden, _, method, variables, batch = case
    tx = optim.build(method.stages[0])
    trained, _ = partition(variables["params"], method.stages[0].trainable)
    state = TrainState(jnp.zeros((), int), variables["params"], {}, variables["model_state"], tx.init(dict(trained)))
    update = partial(train_step, method=method, rules=method.stages[0].trainable, tx=tx, seed=0, accumulate=1)
    state, _ = jax.jit(update)(state, batch)
    objective = jax.jit(jax.grad(method.loss, has_aux=True))
    grads, _ = objective(variables["params"], {}, variables["model_state"], batch, draws_of(golden))
    before, after, gradient = (rules.flatten({"params": tree}) for tree in (variables["params"], state.params, grads))
    compared = 0
    for key, expected in section(golden, "after_adam_step").items():
        for path, value in placed(TABLE, key, expected, before):
            large = np.abs(gradient[path]) > 1e-6 * np.abs(gradient[path]).max()
            ours, theirs = ((np.asarray(new) - np.asarray(before[path])) / LR for new in (after[path], value))
            assert np.abs(ours - theirs)[large].max() <= 1e-3, key
            compared += int(np.sum(large))
    assert compared > 100
    leaves = rules.flatten({"model_state": state.model_state})
    for key, expected in section(golden, "batch_stats_after").items():
        for path, value in placed(TABLE, key, expected, leaves):
            assert_within(leaves[path], value, 1e-5, key)


def test_padding_changes_nothing(case) -> None:
    golden, _, method, variables, batch = case
    padded = {name: jnp.concatenate([value, value[:2]]) for name, value in batch.items()}
    padded["mask"] = padded["mask"].at[-2:].set(False)
    draws = {name: jnp.concatenate([value, value[:2]]) for name, value in draws_of(golden).items()}
    compute = jax.jit(method.loss)
    loss, aux = compute(variables["params"], {}, variables["model_state"], batch, draws_of(golden))
    loss_padded, aux_padded = compute(variables["params"], {}, variables["model_state"], padded, draws)
    assert_within(loss_padded, loss, 1e-6, "padded loss")
    jax.tree.map(partial(assert_within, tolerance=1e-6), aux_padded.model_state, aux.model_state)


def test_weights_scale_the_terms(case) -> None:
    golden, flip, _, variables, batch = case
    half = dataclasses.replace(flip, weights=(0.5, 2.0, 0.0))
    loss, aux = jax.jit(partial(flip_mcl.loss, half))(
        variables["params"], {}, variables["model_state"], batch, draws_of(golden)
    )
    assert_within(loss, 0.5 * aux.terms["ce"] + 2 * aux.terms["simclr"], 1e-6, "weighted sum")
