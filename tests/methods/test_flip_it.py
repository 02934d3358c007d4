"""FLIP-IT: cosine to averaged prompts, and the switches of its text side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import plain_numpy as plain
import tiny_methods as tiny
from flipjax.core.errors import ConfigError
from flipjax.models.layers import CLIP_MEAN_STD, IMAGENET_MEAN_STD
from golden_cases import assert_within

ROWS = 5
BATCH = {name: value for name, value in tiny.batch_of(ROWS).items() if name != "ssl_views"}


@pytest.fixture(scope="module")
def case():
    """Method, noisy variables, and loss with gradients on BATCH."""
    method = tiny.make("flip_it")
    variables = tiny.variables_of(method)
    return method, variables, tiny.loss_and_gradients(method, variables, BATCH, {})


def reference_logits(params, ids: np.ndarray, constants=IMAGENET_MEAN_STD) -> np.ndarray:
    """Average the raw prompt features first, then normalise (the CLIP recipe has it the other way round)."""
    params = plain.double(params)["clip"]
    mean, std = np.array(constants)
    images = (np.asarray(BATCH["image"]) / 255.0 - mean) / std
    embed = plain.unit(plain.image_tower(params["image"], images, heads=2)["embed"])
    classes = plain.unit(np.stack([plain.text_tower(params["text"], texts, heads=2).mean(axis=0) for texts in ids]))
    return np.exp(params["logit_scale"]) * embed @ classes.T


def ids_of(method) -> np.ndarray:
    return method.loss.args[0].ids


def test_loss_and_score_against_numpy(case) -> None:
    method, variables, ((loss, aux), gradients) = case
    logits = reference_logits(variables["params"], ids_of(method))
    assert_within(loss, plain.cross_entropy(logits, np.asarray(BATCH["is_bona_fide"])), 1e-5)
    assert set(aux.terms) == {"ce"}
    prepared = jax.jit(method.prepare)(variables["params"], {}, {})
    assert_within(jax.jit(method.score)(prepared, BATCH), plain.softmax(logits)[:, 1], 1e-5)
    without = [path for path, leaf in flatten_dict(gradients, sep="/").items() if not np.any(leaf)]
    assert without == [], "every parameter trains, text tower and logit scale included"


def test_scoring_reads_no_text(case) -> None:
    method, variables, _ = case
    prepared = jax.eval_shape(method.prepare, variables["params"], {}, {})
    assert set(prepared) == {"clip", "class_vectors"} and set(prepared["clip"]) == {"image", "logit_scale"}
    assert prepared["class_vectors"].shape == (2, 16)


def test_subset_of_prompts() -> None:
    single = tiny.make("flip_it", text__prompts=(6,))
    assert ids_of(single).shape == (2, 1, 12) and single.pretrained == ()
    pair = tiny.make("flip_it", text__prompts=(3, 1), text__used_rows_only=False)
    full = tiny.make("flip_it", text__used_rows_only=False)
    np.testing.assert_array_equal(ids_of(pair), ids_of(full)[:, [2, 0], : ids_of(pair).shape[-1]])
    with pytest.raises(ConfigError, match=r"prompt numbers \(7,\)"):
        tiny.make("flip_it", text__prompts=(7,))


def test_spelling_changes_prompt_two_of_bona_fide_alone() -> None:
    code, paper = (
        ids_of(tiny.make("flip_it", text__spelling=spelling, text__used_rows_only=False))
        for spelling in ("bonafide", "bona fide")
    )
    different = np.any(code != paper, axis=-1)
    assert different[1, 1] and different.sum() == 1
    assert list(paper[1, 1][:8]) == [49406, 589, 533, 320, 33342, 45375, 1710, 49407]


def test_used_rows_only_gives_the_same_loss_and_gradients_as_the_full_table(case) -> None:
    full = tiny.make("flip_it", text__used_rows_only=False)
    _, small_variables, ((loss, _), gradients) = case
    rows = np.unique(ids_of(full))
    params = small_variables["params"]
    text = params["clip"]["text"]
    assert text["token_embedding"].shape[0] == len(rows)
    table = np.random.default_rng(0).normal(size=(49408, 16)).astype(np.float32)
    table[rows] = text["token_embedding"]
    full_text = {**text, "token_embedding": jnp.asarray(table)}
    full_variables = {**small_variables, "params": {"clip": {**params["clip"], "text": full_text}}}
    (full_loss, _), full_gradients = tiny.loss_and_gradients(full, full_variables, BATCH, {})
    assert_within(loss, full_loss, 1e-6)
    full_table = np.asarray(full_gradients["clip"]["text"]["token_embedding"])
    assert_within(gradients["clip"]["text"]["token_embedding"], full_table[rows], 1e-5, "rows in use")
    assert not np.delete(full_table, rows, axis=0).any()
    full_gradients["clip"]["text"]["token_embedding"] = gradients["clip"]["text"]["token_embedding"]
    others, full_others = (flatten_dict(tree, sep="/") for tree in (gradients, full_gradients))
    for path in others:
        assert_within(others[path], full_others[path], 1e-5, path)


def test_text_can_stay_fixed(case) -> None:
    fixed = tiny.make("flip_it", text__train_text=False)
    before, after = tiny.after_steps(fixed, BATCH, 2, case[1]["params"])
    start, end = (flatten_dict(state.params["clip"], sep="/") for state in (before, after))
    for path in start:
        is_fixed = path.startswith("text/") or path == "logit_scale"
        assert np.array_equal(start[path], end[path]) == is_fixed, path
    held = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(after.opt_state)]
    assert any("image" in path for path in held)
    assert not any("text" in path or "logit_scale" in path for path in held), "optimizer state of fixed parameters"


def test_normalization_switch(case) -> None:
    clip = tiny.make("flip_it", data__normalization="clip")
    loss, _ = jax.jit(clip.loss)(case[1]["params"], {}, {}, BATCH, {})
    logits = reference_logits(case[1]["params"], ids_of(clip), CLIP_MEAN_STD)
    assert_within(loss, plain.cross_entropy(logits, np.asarray(BATCH["is_bona_fide"])), 1e-5)
    assert np.abs(logits - reference_logits(case[1]["params"], ids_of(clip))).max() > 1e-4


def test_weights_named_by_the_config_bring_the_rows_in_use() -> None:
    part = tiny.make("flip_it", weights__clip="file.safetensors").pretrained[0]
    assert (part.subtree, part.source, part.tables) == ("clip", "file.safetensors", ("openai_clip", "hf_clip"))
    assert part.token_rows is not None and part.token_rows[-1] == 49407
    assert tiny.make("flip_it", weights__clip="x", text__used_rows_only=False).pretrained[0].token_rows is None
