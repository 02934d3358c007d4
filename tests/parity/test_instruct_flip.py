"""InstructFLIP against the authors' network at random weights: features, queries, losses, gradients, every variant."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import instruct_flip as config_file
from flipjax.methods import instruct_flip
from flipjax.models import instructed_clip as network
from flipjax.models.layers import run
from flipjax.prompts.branches import Branch
from flipjax.prompts.instruct import QuestionTokens
from flipjax.weights import instruct_flip_official, rules
from golden_cases import assert_gradients, assert_within, dims, files_of, section

TABLE = instruct_flip_official.TABLES[0]
VARIANTS: dict[str, dict[str, Any]] = {
    "instruct_flip": {},
    "instruct_flip_no_llm": {"answers": "queries"},
    "instruct_flip_ve": {"branches": (), "cue": False},
    "instruct_flip_ve_cb": {"branches": ("content",), "cue": False},
    "instruct_flip_ve_cb_sb": {"cue": False},
}
WEIGHTS = {
    "instruct_flip": ("content", "style", "cls", "cue"),
    "instruct_flip_no_llm": ("cls", "cue", "ssl", "content", "style"),
    "instruct_flip_ve": ("cls",),
    "instruct_flip_ve_cb": ("cls", "content"),
    "instruct_flip_ve_cb_sb": ("cls", "content", "style"),
}


def config_of(golden: dict, case: str) -> Any:
    """Returns a config with the sizes of the golden file."""
    size = dims(golden)
    config = config_file.get_config()
    config.train.compute_dtype = config.train.frozen_dtype = "float32"
    config.weights.update(clip="", bert="", t5="")
    config.method.update(VARIANTS[case])
    config.method.clip.update(
        image_size=size["res"], patch=size["patch"], width=size["W"], layers=size["vl"], heads=size["W"] // 64
    )
    if "qh" in size:
        config.method.qformer.update(
            layers=size["ql"], heads=size["qh"], hidden=2 * size["W"], queries=size["nq"], context=context_of(golden)
        )
        config.method.fusion.update(heads=size["fh"], hidden=96)
    if "t5d" in size:
        config.method.llm = "custom"
        config.method.t5 = {
            "width": size["t5d"],
            "heads": size["t5h"],
            "head_width": size["t5kv"],
            "hidden": size["t5ff"],
            "layers": size["t5l"],
        }
    names, weights = WEIGHTS[case], golden.get("inputs/loss_weights")
    published = (0.4, 0.4, 0.15, 0.05) if case == "instruct_flip" else (1.0,)
    config.method.weights.update(dict(zip(names, map(float, published if weights is None else weights), strict=True)))
    return config


def context_of(golden: dict) -> int:
    return next(
        len(value) for key, value in golden.items() if "position_embeddings" in key and key.startswith("params")
    )


def golden_branch(golden: dict, branch: Branch) -> Branch:
    """Returns the branch with one question per sample, so that every sample keeps its own text and answer."""
    inputs, name = section(golden, "inputs"), branch.name
    count = len(inputs["image_nchw"])

    def ids_and_mask(kind: str, answer: str = "") -> tuple[np.ndarray, np.ndarray]:
        ids, mask = (inputs.get(f"{kind}_{name}{answer}_{part}", np.zeros((count, 1))) for part in ("ids", "mask"))
        return ids.astype(np.int32), mask == 1

    answer_ids, answer_mask = ids_and_mask("t5", "_answer")
    tokens = QuestionTokens(*ids_and_mask("qformer"), *ids_and_mask("t5"), answer_ids[:, None], answer_mask[:, None])
    right = inputs.get(f"{name}_label_11", np.zeros(count))
    # The last column only says how many classes there are.
    class_of = np.stack([np.full(count, -1), right, np.full(count, 10)], axis=1).astype(np.int32)
    question = dataclasses.replace(branch.questions[0], field="golden", options=("only",))
    vocab = len(golden[f"params/{name}_Qformer.bert.embeddings.word_embeddings.weight"])
    return dataclasses.replace(
        branch, questions=(question,) * count, tokens=tokens, class_of=class_of, vocab=vocab, drawn=count, live=-1
    )


class Case:
    """One golden file with our network, its parameters and batch."""

    def __init__(self, path: Path, case: str):
        self.golden = golden = dict(np.load(path))
        flip = instruct_flip.settings(config_of(golden, case))
        branches = tuple(golden_branch(golden, branch) for branch in flip.branches)
        net, llm = flip.net, flip.llm
        qformers = {
            name: dataclasses.replace(qformer, size=dataclasses.replace(qformer.size, vocab=branch.vocab))
            for (name, qformer), branch in zip(net.qformers.items(), branches, strict=True)
        }
        if llm is not None:
            vocab = len(golden["params/t5_model.shared.weight"])
            llm = dataclasses.replace(llm, size=dataclasses.replace(llm.size, vocab=vocab))
        net = dataclasses.replace(net, qformers=qformers)
        noise = float(golden.get("inputs/cue_noise_weight", 0.5))
        self.flip = dataclasses.replace(flip, net=net, branches=branches, llm=llm, cue_noise=noise)
        shapes = jax.eval_shape(partial(instruct_flip.init, self.flip), jax.random.key(0))
        loaded = rules.apply(TABLE, section(golden, "params"), {"params": shapes["params"], "frozen": shapes["frozen"]})
        self.params = instruct_flip.project(jax.tree.map(jnp.asarray, loaded["params"]), jnp.int32(0))
        self.frozen = jax.tree.map(jnp.asarray, loaded.get("frozen", {}))
        is_bona_fide = golden["inputs/label_spoof_is_1"] == 0
        count = len(is_bona_fide)
        self.batch = {
            "image": jnp.asarray(golden["inputs/image_nchw"]).transpose(0, 2, 3, 1),
            "is_bona_fide": jnp.asarray(is_bona_fide),
            "mask": jnp.ones(count, bool),
            "golden": jnp.zeros(count, jnp.int32),
        }
        each = jnp.arange(count)
        self.draws = {"content_question": each, "style_question": each}
        if "inputs/cue_noise_normal" in golden:
            self.draws["cue_noise"] = jnp.asarray(golden["inputs/cue_noise_normal"])[:, 1:]

    def expect(self, name: str, actual: Any, tolerance: float = 1e-5) -> None:
        if f"outputs/{name}" in self.golden:
            assert_within(actual, self.golden[f"outputs/{name}"], tolerance, name)


CASES = [pytest.param((file.values[0], case), id=file.id) for case in VARIANTS for file in files_of(case)]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


def everything(case: Case, params: Any, batch: Any) -> dict[str, Any]:
    """Returns every output of the network without noise, by the golden names; cached as scoring caches."""
    flip, net = case.flip, case.flip.net
    each = jnp.arange(len(batch["mask"]))
    visual = network.look(net, params, batch["image"])
    prepared = instruct_flip.prepare(flip, params, {}, {})
    queries = {name: network.finish(net, prepared, name, visual, each) for name in net.qformers}
    plain = network.ask(net, params, visual, {b.name: b.instructions(each) for b in flip.branches}, None)
    first = network.fuse(net, params, visual, queries, first_only=True)
    fused = network.fuse(net, params, visual, plain)
    probabilities = [jax.nn.softmax(network.classify(net, params, tokens))[:, 0] for tokens in (first, fused)]
    found = {
        "content_tokens_f_c": visual.content,
        "style_tokens_f_s": visual.style,
        "spoof_score": probabilities[0],
        "spoof_score_plain": probabilities[1],
        **{f"{name}_queries": value for name, value in queries.items()},
        **{f"{name}_plain_queries": value for name, value in plain.items()},
    }
    if net.cue is not None:
        cue_map = run(net.cue, params["cue"], network.cue_patches(net, visual, fused))
        found["cue_map_nchw"] = cue_map.transpose(0, 3, 1, 2)
    for name in net.head_classes:
        found[f"{name}_class_logits"] = network.head_logits(net, params, name, visual, queries)
    if flip.llm is not None:
        content = flip.branches[0].tokens
        length = int(content.answer_mask[0].sum())
        answers = (
            jnp.asarray(x[:1, 0, :length]).repeat(len(each), 0) for x in (content.answer_ids, content.answer_mask)
        )
        text = jnp.asarray(content.t5_ids), jnp.asarray(content.t5_mask)
        encoded, mask = network.encode_question(net, flip.llm, params, case.frozen["t5"], plain["content"], *text)
        found["t5_logits_content_ans0"] = run(flip.llm, case.frozen["t5"], encoded, mask, *answers, method="decode")
    return found


def test_outputs(case: Case) -> None:
    found = jax.jit(partial(everything, case))(case.params, case.batch)
    expected = {name for name in section(case.golden, "outputs") if "loss" not in name and "weight" not in name}
    assert expected <= found.keys()
    for name, value in found.items():
        case.expect(name.replace("_plain", ""), value)


def test_classifiers_are_projected(case: Case) -> None:
    for name, array in section(case.golden, "outputs").items():
        if name.endswith("weight_after_forward"):
            ours = name.removesuffix("_weight_after_forward").replace("cls_layer", "classifier")
            kernel = case.params[ours]["kernel"].T
            assert_within(kernel[::-1] if ours == "classifier" else kernel, array, 1e-6, name)


def test_losses_and_gradients(case: Case) -> None:
    golden = case.golden
    compute = jax.jit(jax.value_and_grad(partial(instruct_flip.loss, case.flip), has_aux=True))
    (loss, aux), grads = compute(case.params, case.frozen, {}, case.batch, case.draws)
    for name, term in (
        ("content", "content_lm_loss"),
        ("style", "style_lm_loss"),
        ("cls", "cls_loss"),
        ("cue", "cue_loss"),
    ):
        if name in aux.terms:
            assert_within(aux.terms[name], golden[f"outputs/{term}"], 1e-5, name)
    assert_within(loss, golden["outputs/loss"], 1e-5, "loss")
    ours = {f"params/{path}": np.asarray(leaf) for path, leaf in rules.flatten(grads).items()}
    assert_gradients(golden, TABLE, ours)


def test_padding_changes_nothing(case: Case) -> None:
    padded = {name: jnp.concatenate([value, value[:2]]) for name, value in case.batch.items()}
    padded["mask"] = padded["mask"].at[-2:].set(False)
    draws = {name: jnp.concatenate([value, value[:2]]) for name, value in case.draws.items()}
    compute = jax.jit(partial(instruct_flip.loss, case.flip))
    loss = compute(case.params, case.frozen, {}, case.batch, case.draws)[0]
    assert_within(compute(case.params, case.frozen, {}, padded, draws)[0], loss, 1e-6, "padded loss")
