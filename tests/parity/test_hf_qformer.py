"""The Q-Former layer by layer against Hugging Face's PyTorch Q-Former of InstructBLIP at random weights, and its gradients.

That model, too, reads learned queries and text as one sequence, adds positions to the text alone, from 0 on, and knows no
token types; only names differ from the released checkpoints, so its weights come through their rules.
"""

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flipjax.models.qformer import QFormer, QFormerSize
from flipjax.weights import hf_bert, rules
from golden_cases import assert_within

B, T, M, IMAGE_WIDTH, LAYERS = 3, 7, 5, 12, 4
SIZE = QFormerSize(width=24, layers=LAYERS, heads=4, hidden=40, queries=6, context=10, vocab=30)
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, SIZE.vocab, size=(B, T)).astype(np.int32)
MASK = np.arange(T) < np.array([[7], [4], [1]])
TEXT = jnp.asarray(IDS), jnp.asarray(MASK)
IMAGE = RNG.normal(size=(B, M, IMAGE_WIDTH)).astype(np.float32)
# What the gradients are of: sum(PULL * queries).
PULL = RNG.normal(size=(B, SIZE.queries, SIZE.width)).astype(np.float32)
NAMES = (
    ("crossattention.attention", "crossattention.self"),
    (".attention.attention.", ".attention.self."),
    ("embeddings.layernorm", "embeddings.LayerNorm"),
)
TABLE = rules.Table(
    name="Q-Former",
    signature=(),
    rules=(
        *hf_bert.embedding_rules(hf_bert.TORCH),
        *hf_bert.layer_rules(
            {**hf_bert.BODY_LINEARS, **hf_bert.CROSS_LINEARS},
            {**hf_bert.BODY_NORMS, **hf_bert.CROSS_NORMS},
            hf_bert.TORCH,
        ),
    ),
)


def reference_model(torch: Any) -> Any:
    """A Q-Former of LAYERS layers whose every weight is noise, dropout off."""
    module = pytest.importorskip("transformers.models.instructblip.modeling_instructblip")
    config = pytest.importorskip("transformers").InstructBlipQFormerConfig(
        vocab_size=SIZE.vocab,
        hidden_size=SIZE.width,
        num_hidden_layers=LAYERS,
        num_attention_heads=SIZE.heads,
        intermediate_size=SIZE.hidden,
        max_position_embeddings=SIZE.context,
        layer_norm_eps=1e-7,
        cross_attention_frequency=2,
        encoder_hidden_size=IMAGE_WIDTH,
        attn_implementation="eager",
    )
    model = module.InstructBlipQFormerModel(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            is_scale = name.lower().endswith("layernorm.weight")
            std = 1.0 if "embeddings" in name else 0.3
            weight.copy_(1 + 0.2 * noise if is_scale else std * noise)
    return model


@pytest.fixture(scope="module")
def reference() -> SimpleNamespace:
    """Queries after every layer with the gradients of their pull, and the weights in released names."""
    torch = pytest.importorskip("torch", reason="parity with Hugging Face needs torch (pip install '.[parity]')")
    model = reference_model(torch)
    queries = torch.randn(1, SIZE.queries, SIZE.width, generator=torch.Generator().manual_seed(1)).requires_grad_()
    image = torch.from_numpy(IMAGE).requires_grad_()
    seen: list[Any] = []
    for layer in model.encoder.layer:
        layer.register_forward_hook(lambda _, inputs, output: seen.append(output))
    model(
        torch.from_numpy(IDS).long(),
        attention_mask=torch.from_numpy(np.concatenate([np.ones((B, SIZE.queries), bool), MASK], 1)).long(),
        query_embeds=queries.expand(B, -1, -1),
        encoder_hidden_states=image,
    )
    own = [states[:, : SIZE.queries] for states in seen]
    pulls = [torch.sum(states * torch.from_numpy(PULL)) for states in own]
    tensors = {name: weight.detach().numpy() for name, weight in model.state_dict().items()}
    for theirs, released in NAMES:
        tensors = {name.replace(theirs, released): array for name, array in tensors.items()}
    return SimpleNamespace(
        tensors=tensors,
        queries=queries.detach().numpy()[0],
        outputs=[states.detach().numpy() for states in own],
        gradients=[[g.numpy() for g in torch.autograd.grad(p, (queries, image), retain_graph=True)] for p in pulls],
    )


@pytest.fixture(scope="module")
def params(reference: SimpleNamespace) -> Any:
    """The same weights in our tree, strictly: every array finds its place."""
    shapes = jax.eval_shape(QFormer(SIZE).init, jax.random.key(0), *TEXT, jnp.asarray(IMAGE))["params"]
    embed = {name: leaf for name, leaf in shapes["embed"].items() if name != "queries"}
    made = rules.apply(TABLE, reference.tensors, {**shapes, "embed": embed})
    return {**made, "embed": {**made["embed"], "queries": reference.queries}}


def cut(params: Any, layers: int) -> tuple[QFormer, Any]:
    """Returns the first layers alone; their last computes no text."""
    size = QFormerSize(**{**vars(SIZE), "layers": layers})
    kept = {f"layers_{i}": params[f"layers_{i}"] for i in range(layers)}
    return QFormer(size), {"embed": params["embed"], **kept}


def pulled(module: QFormer, params: Any, queries: Any, image: Any) -> tuple[Any, Any]:
    embed = {**params["embed"], "queries": queries}
    found = module.apply({"params": {**params, "embed": embed}}, *TEXT, image)
    return jnp.sum(found * PULL), found


@pytest.mark.parametrize("layers", range(1, LAYERS + 1))
def test_every_layer_and_its_gradients(reference: SimpleNamespace, params: Any, layers: int) -> None:
    module, own = cut(params, layers)
    compute = jax.jit(jax.value_and_grad(partial(pulled, module), argnums=(1, 2), has_aux=True))
    (_, found), (queries_gradient, image_gradient) = compute(own, reference.queries, IMAGE)
    theirs_queries, theirs_image = reference.gradients[layers - 1]
    assert_within(found, reference.outputs[layers - 1], 1e-5, "queries")
    assert_within(queries_gradient, theirs_queries[0], 1e-4, "gradient of the query tokens")
    assert_within(image_gradient, theirs_image, 1e-4, "gradient of the image features")
