"""FLIP-MCL: prompt views, own-class texts, the three terms, prompt subsets."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_numpy as plain
import tiny_methods as tiny
from flipjax.core.errors import ConfigError
from flipjax.methods.flip_mcl import own_class_texts, prompt_views
from flipjax.models.layers import IMAGENET_MEAN_STD
from golden_cases import assert_within

ROWS, DRAWN = 4, 20_000
BATCH = tiny.batch_of(ROWS)


@pytest.fixture(scope="module")
def case():
    method = tiny.make("flip_mcl")
    return method, tiny.variables_of(method)


@pytest.fixture(scope="module")
def with_replacement() -> tuple[np.ndarray, np.ndarray]:
    return drawn_views(disjoint=False)


def drawn_views(disjoint: bool) -> tuple[np.ndarray, np.ndarray]:
    keys = jax.random.split(jax.random.key(0), DRAWN)
    view1, view2 = jax.jit(jax.vmap(partial(prompt_views, count=6, disjoint=disjoint)))(keys)
    return np.asarray(view1), np.asarray(view2)


def test_second_view_has_3_4_or_5_prompts_as_often_as_enumeration_says(with_replacement) -> None:
    distinct = [len(set(draw)) for draw in itertools.product(range(6), repeat=3)]
    sizes = (with_replacement[1] > 0).sum(axis=1)
    for size, printed in ((3, 0.5556), (4, 0.4167), (5, 0.0278)):
        exact = np.mean([6 - count == size for count in distinct])
        assert exact == pytest.approx(printed, abs=5e-5)
        assert np.mean(sizes == size) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / DRAWN))
    assert set(sizes) == {3, 4, 5}


def test_views_are_averages_and_the_second_takes_what_the_first_missed(with_replacement) -> None:
    view1, view2 = with_replacement
    for view in (view1, view2):
        np.testing.assert_allclose(view.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(view.mean(axis=0), 1 / 6, atol=0.01)
    np.testing.assert_array_equal(view1 > 0, view2 == 0)
    thirds = view1 * 3
    np.testing.assert_allclose(thirds, np.round(thirds), atol=1e-6)
    assert {0, 1, 2, 3} == set(np.round(thirds).astype(int).ravel()), "duplicates count twice or thrice"
    assert all(len(np.unique(row[row > 0])) == 1 for row in view2[:200]), "the second view weighs its prompts equally"


def test_disjoint_views_are_halves() -> None:
    view1, view2 = drawn_views(disjoint=True)
    np.testing.assert_array_equal((view1 > 0).sum(axis=1), 3)
    np.testing.assert_allclose(view1 + view2, 1 / 3, atol=1e-6)
    np.testing.assert_allclose(view1.mean(axis=0), 1 / 6, atol=0.01)


def test_views_switch_reaches_the_draws() -> None:
    for views, always_halves in (("with_replacement", False), ("disjoint", True)):
        draws = jax.jit(tiny.make("flip_mcl", text__views=views).draws)(jax.random.key(0), {"mask": jnp.ones(64, bool)})
        sizes = (np.asarray(draws["prompt_weights_2"]) > 0).sum(axis=1)
        assert bool(np.all(sizes == 3)) == always_halves


def test_draws_depend_on_key_and_slot_alone(case) -> None:
    draw = jax.jit(case[0].draws)
    long = draw(jax.random.key(1), {"mask": jnp.arange(64) < 40})
    short = draw(jax.random.key(1), {"mask": jnp.ones(3, bool)})
    other = draw(jax.random.key(2), {"mask": jnp.ones(64, bool)})
    for name in ("prompt_weights_1", "prompt_weights_2"):
        np.testing.assert_array_equal(long[name][:3], short[name])
        assert np.any(long[name] != other[name])
        assert len(np.unique(np.asarray(long[name]), axis=0)) > 20, "slots share their draw"


def test_own_class_texts_reads_the_samples_own_class() -> None:
    prompts = jnp.stack([jnp.arange(6.0)[:, None] * jnp.ones(3), 100 + jnp.arange(6.0)[:, None] * jnp.ones(3)])
    view1 = jnp.array([[1, 0, 0, 0, 0, 0], [0, 2 / 3, 0, 0, 0, 1 / 3]])
    view2 = jnp.array([[0, 0, 0, 0, 0.5, 0.5], [1.0, 0, 0, 0, 0, 0]])
    draws = {"prompt_weights_1": view1, "prompt_weights_2": view2}
    texts = own_class_texts(prompts, jnp.array([False, True]), draws)
    assert_within(texts[..., 0], np.array([[0.0, 4.5], [100 + 7 / 3, 100.0]]), 1e-6)


def reference_terms(params, ids: np.ndarray, batch, draws) -> dict[str, float]:
    params = plain.double(params)
    clip, (mean, std) = params["clip"], np.array(IMAGENET_MEAN_STD)

    def embed(pixels) -> np.ndarray:
        return plain.image_tower(clip["image"], (np.asarray(pixels) / 255.0 - mean) / std, heads=2)["embed"]

    is_bona_fide = np.asarray(batch["is_bona_fide"])
    prompts = np.stack([plain.text_tower(clip["text"], texts, heads=2) for texts in ids])
    logits = np.exp(clip["logit_scale"]) * plain.unit(embed(batch["image"])) @ plain.unit(prompts.mean(axis=1)).T
    views = np.stack([embed(batch["ssl_views"][:, view]) for view in (0, 1)], axis=1)
    h = plain.projector(params["projector"], views)
    weights = np.stack([draws["prompt_weights_1"], draws["prompt_weights_2"]], axis=1).astype(np.float64)
    texts = np.stack([weights[i] @ prompts[int(label)] for i, label in enumerate(is_bona_fide)])
    return {
        "ce": plain.cross_entropy(logits, is_bona_fide),
        "simclr": plain.nt_xent(h[:, 0], h[:, 1]),
        "mse": plain.view_consistency(views, texts),
    }


def test_three_terms_against_numpy_and_their_weights(case) -> None:
    method = tiny.make("flip_mcl", method__alpha=0.5, method__beta=2.0, method__gamma=3.0)
    draws = jax.jit(method.draws)(jax.random.key(3), BATCH)
    loss, aux = jax.jit(method.loss)(case[1]["params"], {}, case[1]["model_state"], BATCH, draws)
    expected = reference_terms(case[1]["params"], method.loss.args[0].ids, BATCH, draws)
    assert set(aux.terms) == set(expected)
    for name, value in expected.items():
        assert_within(aux.terms[name], value, 1e-4, name)
    assert_within(loss, 0.5 * expected["ce"] + 2 * expected["simclr"] + 3 * expected["mse"], 1e-4)


def test_one_prompt_has_no_two_views() -> None:
    with pytest.raises(ConfigError, match=r"method\.gamma"):
        tiny.make("flip_mcl", text__prompts=(6,))


def test_one_prompt_trains_without_the_third_term() -> None:
    method = tiny.make("flip_mcl", text__prompts=(6,), method__gamma=0.0)
    draws = jax.jit(method.draws)(jax.random.key(3), BATCH)
    np.testing.assert_array_equal(draws["prompt_weights_1"], np.ones((ROWS, 1)))
    (loss, aux), gradients = tiny.loss_and_gradients(method, tiny.variables_of(method), BATCH, draws)
    assert_within(loss, aux.terms["ce"] + aux.terms["simclr"], 1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((loss, aux, gradients)))


def test_two_prompts_make_two_views() -> None:
    draws = jax.jit(tiny.make("flip_mcl", text__prompts=(1, 6)).draws)(jax.random.key(3), BATCH)
    first, second = (np.asarray(draws[f"prompt_weights_{view}"]) for view in (1, 2))
    np.testing.assert_array_equal(first + second, np.ones((ROWS, 2)))


def test_fixed_text_still_trains_projector_and_image(case) -> None:
    method = tiny.make("flip_mcl", text__train_text=False)
    before, after = tiny.after_steps(method, BATCH, 2, case[1]["params"])
    for name in ("text", "logit_scale"):
        jax.tree.map(np.testing.assert_array_equal, before.params["clip"][name], after.params["clip"][name])
    moved = [before.params["projector"]["fc1"]["kernel"], after.params["projector"]["fc1"]["kernel"]]
    assert np.any(moved[0] != moved[1])
    stats = after.model_state["projector"]["bn1"]
    assert np.any(stats["mean"] != 0) and np.any(stats["var"] != 1), "running statistics move"
