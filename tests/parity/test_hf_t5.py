"""T5 block by block against Hugging Face's PyTorch T5 at random weights, through a safetensors file and our table."""

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from flipjax.models.layers import run
from flipjax.models.t5 import END, T5
from flipjax.models.t5_decode import greedy, option_scores
from flipjax.models.t5_layers import T5Block, T5Size, position_buckets
from flipjax.weights.load import load
from golden_cases import assert_within

LAYER, TOWER = 1e-5, 1e-4
B, N, T, MAX_LENGTH = 4, 21, 6, 16
FORMS = {"exact": "gelu", "tanh": "gelu_new"}
RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.normal(size=(B, N, 24)).astype(np.float32)
MASK = np.arange(N) < np.array([[21], [13], [20], [1]])
ANSWERS = RNG.integers(2, 40, size=(B, T)).astype(np.int32)
ANSWER_MASK = np.arange(T) < np.array([[6], [2], [1], [4]])


def size_of(gelu: str) -> T5Size:
    return T5Size(
        width=24, heads=3, head_width=10, hidden=40, layers=2, vocab=40, max_distance=20, buckets=16, gelu=gelu
    )


@pytest.fixture(scope="module")
def libraries() -> SimpleNamespace:
    """torch and transformers, or a skip that says what is missing."""
    torch = pytest.importorskip("torch", reason="parity with Hugging Face T5 needs torch (pip install '.[parity]')")
    transformers = pytest.importorskip("transformers", reason="parity needs transformers with T5")
    if not hasattr(transformers, "T5ForConditionalGeneration"):
        pytest.skip("this transformers has no T5ForConditionalGeneration")
    return SimpleNamespace(torch=torch, transformers=transformers)


def reference_model(libraries: SimpleNamespace, size: T5Size, seed: int = 0) -> Any:
    """A T5 v1.1 whose every weight is noise; the head is its own, as in released checkpoints."""
    torch = libraries.torch
    config = libraries.transformers.T5Config(
        vocab_size=size.vocab,
        d_model=size.width,
        d_kv=size.head_width,
        d_ff=size.hidden,
        num_layers=size.layers,
        num_heads=size.heads,
        relative_attention_num_buckets=size.buckets,
        relative_attention_max_distance=size.max_distance,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        attn_implementation="eager",
    )
    config.dense_act_fn = FORMS[size.gelu]
    model = libraries.transformers.T5ForConditionalGeneration(config).eval()
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            std = 1.0 if "shared" in name or "relative" in name else size.width**-0.5
            weight.copy_(1 + 0.2 * noise if "norm" in name else std * noise)
    return model


def parameters_of(model: Any, size: T5Size, folder: Path) -> dict[str, Any]:
    """The model's weights by way of a safetensors file in released form."""
    tensors = {name: x.detach().numpy().copy() for name, x in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    ids, mask = jnp.zeros((1, 2), int), jnp.ones((1, 2), bool)
    shapes = jax.eval_shape(T5(size).init, jax.random.key(0), ids, mask, ids, mask)["params"]
    return jax.tree.map(jnp.asarray, load(folder, shapes, ("hf_t5",)))


@pytest.fixture(scope="module", params=list(FORMS))
def case(request, libraries, tmp_path_factory) -> SimpleNamespace:
    """The reference model's states after every block, logits and input gradient, and our parameters."""
    torch, size = libraries.torch, size_of(request.param)
    model = reference_model(libraries, size)
    params = parameters_of(model, size, tmp_path_factory.mktemp("t5"))
    embeddings = torch.from_numpy(EMBEDDINGS).requires_grad_()
    labels = torch.from_numpy(np.where(ANSWER_MASK, ANSWERS, -100)).long()
    out = model(
        inputs_embeds=embeddings,
        attention_mask=torch.from_numpy(MASK).long(),
        decoder_attention_mask=torch.from_numpy(ANSWER_MASK).long(),
        labels=labels,
        output_hidden_states=True,
    )
    torch.sin(out.logits)[torch.from_numpy(ANSWER_MASK)].sum().backward()
    return SimpleNamespace(model=model, size=size, params=params, out=out, gradient=array(embeddings.grad))


def array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


decoded = jax.jit(greedy, static_argnums=0, static_argnames="max_length")


def test_every_weight_has_its_place(case) -> None:
    total = sum(weight.numel() for weight in case.model.parameters())
    assert sum(leaf.size for leaf in jax.tree.leaves(case.params)) == total


@pytest.mark.parametrize("buckets,max_distance", [(32, 128), (16, 20), (8, 128)])
@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_position_buckets(libraries, is_bidirectional, buckets, max_distance) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = np.arange(-600, 601)[None]
    expected = T5Attention._relative_position_bucket(
        libraries.torch.from_numpy(distance), is_bidirectional, buckets, max_distance
    )
    ours = position_buckets(distance, is_bidirectional=is_bidirectional, buckets=buckets, max_distance=max_distance)
    np.testing.assert_array_equal(ours, expected)


def our_blocks(case, stack: str, states: Any, mask: np.ndarray, encoded: np.ndarray | None) -> list[np.ndarray]:
    """Every block of ours applied to the reference's state before it."""
    has_cross = encoded is not None
    block = T5Block(case.size, has_cross)

    @jax.jit
    def apply(own, table, x):
        positions = np.arange(x.shape[1])
        buckets = position_buckets(
            positions[None] - positions[:, None],
            is_bidirectional=not has_cross,
            buckets=case.size.buckets,
            max_distance=case.size.max_distance,
        )
        bias = table[buckets].transpose(2, 0, 1)
        cross = (
            (run(block, own, jnp.asarray(encoded), method="cross_memory"), jnp.asarray(MASK)[:, None])
            if has_cross
            else None
        )
        return run(block, own, x, jnp.asarray(mask), bias, cross)[0]

    own = case.params[stack]
    inputs = [jnp.asarray(array(x)) for x in states]
    return [np.asarray(apply(own[f"blocks_{i}"], own["relative_bias"], x)) for i, x in enumerate(inputs[:-1])]


def reference_states(stack: Any, **inputs: Any) -> list[Any]:
    """States before the first and after every block of a reference stack, before the final norm."""
    states, hooks = [], []
    for i, block in enumerate(stack.block):
        if i == 0:
            hooks.append(block.register_forward_pre_hook(lambda _, args: states.append(args[0])))
        hooks.append(block.register_forward_hook(lambda *args: states.append(args[-1][0])))
    stack(**inputs)
    for hook in hooks:
        hook.remove()
    return states


def test_encoder_block_by_block(libraries, case) -> None:
    torch = libraries.torch
    inputs = {"inputs_embeds": torch.from_numpy(EMBEDDINGS), "attention_mask": torch.from_numpy(MASK).long()}
    states = reference_states(case.model.encoder, **inputs)
    ours = our_blocks(case, "encoder", states, MASK[:, None], None)
    for i, (actual, expected) in enumerate(zip(ours, states[1:], strict=True)):
        assert_within(actual, array(expected), LAYER, f"encoder block {i}")


def test_decoder_block_by_block(libraries, case) -> None:
    torch = libraries.torch
    encoded = case.out.encoder_last_hidden_state.detach()
    inputs = torch.from_numpy(np.where(ANSWER_MASK, ANSWERS, 0)).long()
    states = reference_states(
        case.model.decoder,
        input_ids=torch.cat([torch.zeros(B, 1, dtype=torch.long), inputs[:, :-1]], dim=1),
        attention_mask=torch.from_numpy(ANSWER_MASK).long(),
        encoder_hidden_states=encoded,
        encoder_attention_mask=torch.from_numpy(MASK).long(),
        use_cache=False,
    )
    causal = np.tril(np.ones((T, T), bool)) & ANSWER_MASK[:, None]
    ours = our_blocks(case, "decoder", states, causal, encoded.numpy())
    for i, (actual, expected) in enumerate(zip(ours, states[1:], strict=True)):
        assert_within(actual, array(expected), LAYER, f"decoder block {i}")


def test_towers_and_the_gradient_of_the_input(case) -> None:
    t5 = T5(case.size)
    mask, answers, answer_mask = jnp.asarray(MASK), jnp.asarray(ANSWERS), jnp.asarray(ANSWER_MASK)

    @jax.jit
    def forward(embeddings):
        encoded = run(t5, case.params, embeddings, mask, method="encode")
        return encoded, run(t5, case.params, encoded, mask, answers, answer_mask, method="decode")

    @jax.jit
    @jax.grad
    def gradient(embeddings):
        return jnp.sum(jnp.sin(forward(embeddings)[1]), where=ANSWER_MASK[..., None])

    encoded, logits = forward(jnp.asarray(EMBEDDINGS))
    expected = array(case.out.encoder_last_hidden_state)
    assert_within(np.asarray(encoded)[MASK], expected[MASK], TOWER, "encoder")
    # Also where the answer is padding: masked ids count as padding in both.
    assert_within(logits, array(case.out.logits), TOWER, "logits")
    assert_within(gradient(jnp.asarray(EMBEDDINGS)), case.gradient, TOWER, "gradient")


@pytest.mark.parametrize("seed", range(3))
def test_greedy_decoding_token_by_token(libraries, tmp_path, seed) -> None:
    torch, size = libraries.torch, size_of("exact")
    model = reference_model(libraries, size, seed)
    with torch.no_grad():
        model.lm_head.weight.mul_(3.0)
        model.lm_head.weight[END] *= 1.5  # some answers end early
    params = parameters_of(model, size, tmp_path)
    encoded = torch.from_numpy(np.random.default_rng(seed).normal(size=(8, N, 24)).astype(np.float32))
    mask = torch.from_numpy(np.arange(N) < np.arange(N - 7, N + 1)[:, None])
    state = libraries.transformers.modeling_outputs.BaseModelOutput(last_hidden_state=encoded)
    expected = model.generate(
        encoder_outputs=state, attention_mask=mask.long(), max_length=MAX_LENGTH, do_sample=False, num_beams=1
    ).numpy()
    ids = np.asarray(decoded(T5(size), params, encoded.numpy(), mask.numpy(), max_length=MAX_LENGTH))
    padded = np.zeros_like(ids)
    padded[:, : expected.shape[1]] = expected
    np.testing.assert_array_equal(ids, padded)
    ended = (ids == END).any(axis=1)
    assert ended.any() and not ended.all() and len(np.unique(ids)) > 5


def test_options_are_scored_as_by_teacher_forcing(libraries, case) -> None:
    torch, k = libraries.torch, 5
    rng = np.random.default_rng(2)
    ids = rng.integers(2, 40, size=(k, T)).astype(np.int32)
    mask = np.arange(T) < np.array([[3], [6], [1], [5], [2]])
    encoded = case.out.encoder_last_hidden_state.detach()
    expected = np.zeros((B, k))
    for j in range(k):
        labels = torch.from_numpy(ids[j, mask[j]]).long().repeat(B, 1)
        logits = case.model(
            encoder_outputs=(encoded,), attention_mask=torch.from_numpy(MASK).long(), labels=labels
        ).logits
        expected[:, j] = array(torch.log_softmax(logits, -1).gather(-1, labels[..., None]).sum((1, 2)))
    score = jax.jit(functools.partial(option_scores, T5(case.size)))
    sums, lengths = score(case.params, encoded.numpy(), MASK, ids, mask)
    assert_within(sums, expected, LAYER, "sums")
    np.testing.assert_array_equal(lengths, [3, 6, 1, 5, 2])
