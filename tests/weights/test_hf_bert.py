"""BERT files in both Hugging Face flavours start a Q-Former: what is taken, what stays fresh, and a whole initial state."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization
from safetensors.numpy import load_file, save_file

from flipjax.core.errors import WeightError
from flipjax.core.rng import stream
from flipjax.experiment import assemble
from flipjax.methods import instruct_flip
from flipjax.models.qformer import QFormer, QFormerSize
from flipjax.training.sharding import make_mesh
from flipjax.weights.load import load
from flipjax.weights.rules import flatten
from tiny_methods import config_of

WIDTH, HIDDEN, HEADS, LAYERS, CONTEXT, WORDS = 12, 20, 4, 3, 14, 40
OURS = {
    "attn/query": "attention.self.query",
    "attn/key": "attention.self.key",
    "attn/value": "attention.self.value",
    "attn/out": "attention.output.dense",
    "attn/ln": "attention.output.LayerNorm",
    "text_mlp/fc1": "intermediate.dense",
    "text_mlp/fc2": "output.dense",
    "text_mlp/ln": "output.LayerNorm",
}


def saved_bert(folder: Path, *, bare: bool = False, **sizes: int) -> Path:
    """A random BERT as `save_pretrained` writes it: with a prefix and heads, or bare with a pooler."""
    torch = pytest.importorskip("torch", reason="writing a BERT needs torch (pip install '.[parity]')")
    transformers = pytest.importorskip("transformers", reason="writing a BERT needs transformers")
    defaults = {
        "vocab_size": WORDS,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": HIDDEN,
        "max_position_embeddings": CONTEXT,
    }
    torch.manual_seed(0)
    config = transformers.BertConfig(**{**defaults, **sizes})
    model = transformers.BertModel(config) if bare else transformers.BertForPreTraining(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape))
    model.save_pretrained(folder)
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def tensors(torch_file: Path) -> dict[str, np.ndarray]:
    return load_file(torch_file)


def target(*, layers: int = 2, vocab: int = WORDS + 1) -> Any:
    size = QFormerSize(WIDTH, layers, HEADS, HIDDEN, queries=3, context=CONTEXT, vocab=vocab)
    inputs = jnp.zeros((1, 1), int), jnp.ones((1, 1), bool), jnp.zeros((1, 2, 7))
    return jax.eval_shape(QFormer(size).init, jax.random.key(0), *inputs)["params"]


def expected(tensors: dict[str, np.ndarray], *, layers: int = 2, prefix: str = "bert.") -> dict[str, np.ndarray]:
    """The arrays that a Q-Former takes, by our paths, from torch names; linear weights are turned."""
    found = {
        "embed/position_embedding": tensors[f"{prefix}embeddings.position_embeddings.weight"],
        "embed/ln/scale": tensors[f"{prefix}embeddings.LayerNorm.weight"],
        "embed/ln/bias": tensors[f"{prefix}embeddings.LayerNorm.bias"],
    }
    for i in range(layers):
        for ours, theirs in OURS.items():
            weight, bias = (tensors[f"{prefix}encoder.layer.{i}.{theirs}.{last}"] for last in ("weight", "bias"))
            is_norm = ours.endswith("ln")
            found[f"layers_{i}/{ours}/{'scale' if is_norm else 'kernel'}"] = weight if is_norm else weight.T
            found[f"layers_{i}/{ours}/bias"] = bias
    return found


def assert_taken(tree: Any, tensors: dict[str, np.ndarray], *, layers: int = 2, prefix: str = "bert.") -> None:
    """Exactly the arrays of BERT, word table included, and none of those that are new in a Q-Former."""
    leaves = flatten(tree)
    table = leaves.pop("embed/word_embedding")
    words = tensors[f"{prefix}embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(table[:WORDS], words)
    np.testing.assert_allclose(table[WORDS:], words.mean(axis=0, keepdims=True), rtol=1e-5, atol=1e-6)
    own = expected(tensors, layers=layers, prefix=prefix)
    assert set(leaves) == set(own)
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(leaf, own[path], path)


def test_the_layers_in_use_are_taken_and_the_rest_stays_fresh(torch_file: Path, tensors: dict[str, np.ndarray]) -> None:
    assert any(name.startswith("cls.") for name in tensors) and any("pooler" in name for name in tensors)
    for layers in (1, 2, 3):
        assert_taken(load(torch_file, target(layers=layers), ("hf_bert",)), tensors, layers=layers)
    fresh = set(flatten(target())) - set(flatten(load(torch_file, target(), ("hf_bert",))))
    assert {path.rpartition("/")[0] for path in fresh} == {
        "embed",
        *(f"layers_0/cross/{name}" for name in ("query", "key", "value", "out", "ln")),
        *(f"layers_{i}/query_mlp/{name}" for i in (0, 1) for name in ("fc1", "fc2", "ln")),
    }


def test_bare_names(tmp_path: Path) -> None:
    file = saved_bert(tmp_path, bare=True)
    written = load_file(file)
    assert not any(name.startswith("bert.") for name in written)
    assert_taken(load(tmp_path, target(), ("openai_clip", "hf_bert")), written, prefix="")


def test_old_names_of_norms_and_running_indices(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    old = {"bert.embeddings.position_ids": np.arange(CONTEXT)[None]}
    for name, array in tensors.items():
        if "LayerNorm" in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        old[name] = array
    assert any(name.endswith("LayerNorm.gamma") for name in old)
    save_file(old, tmp_path / "model.safetensors")
    assert_taken(load(tmp_path, target(), ("hf_bert",)), tensors)


def flax_names(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """The nested dict of a Flax checkpoint: kernels [in, out], norms with scale, tables called embedding."""
    nested: dict[str, Any] = {}
    for name, array in tensors.items():
        *parents, last = (prefix + name.removeprefix("bert.")).split(".")
        if last == "weight" and "LayerNorm" in name:
            last = "scale"
        elif last == "weight":
            last, array = ("embedding", array) if "_embeddings" in name else ("kernel", array.T)
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = np.ascontiguousarray(array)
    return nested


@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_flax_names(tmp_path: Path, tensors: dict[str, np.ndarray], prefix: str) -> None:
    body = {name: array for name, array in tensors.items() if name.startswith("bert.")}
    nested = flax_names(body, prefix)
    file = tmp_path / "flax_model.msgpack"
    file.write_bytes(serialization.msgpack_serialize(nested))
    assert_taken(load(file, target(), ("hf_bert",)), tensors)


def test_only_the_wanted_word_rows(torch_file: Path, tensors: dict[str, np.ndarray]) -> None:
    rows = (0, 7, 39)
    tree = load(torch_file, target(vocab=3), ("hf_bert",), token_rows=rows)
    words = tensors["bert.embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(tree["embed"]["word_embedding"], words[list(rows)])
    with pytest.raises(WeightError, match="row 40 is wanted but the table has 40 rows"):
        load(torch_file, target(vocab=1), ("hf_bert",), token_rows=(40,))


def test_a_table_of_the_same_size_is_taken_as_it_is(torch_file: Path, tensors: dict[str, np.ndarray]) -> None:
    tree = load(torch_file, target(vocab=WORDS), ("hf_bert",))
    np.testing.assert_array_equal(tree["embed"]["word_embedding"], tensors["bert.embeddings.word_embeddings.weight"])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"layers": 4}, r"16 problems\): 'layers_3/attn/\w+/\w+' of the model is not in the file"),
        ({"vocab": WORDS + 2}, r"gives shape \(40, 12\) for 'embed/word_embedding' of shape \(42, 12\)"),
    ],
)
def test_files_that_do_not_fit(torch_file: Path, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(WeightError, match=message) as caught:
        load(torch_file, target(**sizes), ("hf_bert",))
    assert "\n" not in str(caught.value)


def test_a_key_of_another_kind_is_named(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(
        {**tensors, "bert.encoder.layer.0.adapter.weight": np.ones(1, np.float32)}, tmp_path / "model.safetensors"
    )
    with pytest.raises(WeightError, match=r"'bert\.encoder\.layer\.0\.adapter\.weight' is not part of the format"):
        load(tmp_path, target(), ("hf_bert",))


# A whole initial state


def saved_t5(folder: Path, width: int = 16) -> Path:
    """A random T5 with the real vocabulary in released names, in the sizes of tiny_runs."""
    transformers = pytest.importorskip("transformers", reason="writing a T5 needs transformers")
    torch = pytest.importorskip("torch", reason="writing a T5 needs torch")
    torch.manual_seed(1)
    config = transformers.T5Config(
        vocab_size=32128,
        d_model=width,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    model = transformers.T5ForConditionalGeneration(config)
    written = {name: array.numpy().copy() for name, array in model.state_dict().items()}
    written["lm_head.weight"] = written["lm_head.weight"] + 1.0  # FLAN-T5 has a head of its own
    folder.mkdir()
    save_file(written, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "max_position_embeddings": 512}
    saved_bert(root / "bert", vocab_size=30522, **sizes)
    return {"bert": root / "bert", "t5": saved_t5(root / "t5"), "wide": saved_t5(root / "wide", width=24)}


def config_with(sources: dict[str, Path], **changes: Any) -> Any:
    changes = {
        "weights__bert": str(sources["bert"]),
        "weights__t5": str(sources["t5"]),
        "text__used_words_only": False,
        "method__cue": False,
        "method__qformer__layers": 1,
        "method__t5_quant": "fp4_sim",
        "train__frozen_dtype": "bfloat16",
        **changes,
    }
    return config_of("instruct_flip", **changes)


def initial_state(config: Any) -> Any:
    return assemble.initial_state(config, assemble.method_of(config), make_mesh(1, 1, jax.devices()[:1]))


def test_initial_state_takes_bert_twice_and_a_finished_t5(sources: dict[str, Path]) -> None:
    config = config_with(sources)
    flip, state = instruct_flip.settings(config), initial_state(config)
    words = load_file(sources["bert"] / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    for branch in flip.branches:
        own, shape = flatten(state.params[branch.name]), state.params[branch.name]
        taken = flatten(load(sources["bert"], shape, ("hf_bert",), token_rows=branch.rows))
        assert len(taken) == 4 + 16 and branch.rows is not None
        for path, leaf in taken.items():
            np.testing.assert_array_equal(own[path], leaf, path)
        np.testing.assert_array_equal(own["embed/word_embedding"], words[list(branch.rows)])
    frozen, loaded = flatten(state.frozen["t5"]), load(sources["t5"], state.frozen["t5"], ("hf_t5",))
    expected = flatten(instruct_flip.finish_t5(flip, loaded))
    assert frozen.keys() == expected.keys()
    for path, leaf in frozen.items():
        assert leaf.dtype == jnp.bfloat16
        np.testing.assert_array_equal(leaf, expected[path], path)
    kernel = "encoder/blocks_0/attn/query/kernel"
    exact = flatten(loaded)[kernel].astype(jnp.bfloat16)
    assert (np.asarray(frozen[kernel]) != exact).mean() > 0.5, "four bits differ from sixteen"
    assert_fresh(flip, state.params)


def assert_fresh(flip: instruct_flip.InstructFlip, params: Any) -> None:
    """What is new in a Q-Former has the values of its own initialiser, whatever file fills the rest."""
    module, key = flip.net.qformers["content"], stream(jax.random.key(0), "content")
    inputs = jnp.zeros((1, 1), int), jnp.ones((1, 1), bool), jnp.zeros((1, 2, module.size.width))
    fresh, own = flatten(jax.jit(module.init)(key, *inputs)["params"]), flatten(params["content"])
    new = [path for path in fresh if "queries" in path or "cross" in path or "query_mlp" in path]
    assert len(new) == 1 + 10 + 6
    for path in new:
        np.testing.assert_allclose(own[path], fresh[path], rtol=1e-5, atol=1e-7, err_msg=path)
    assert float(jnp.std(own["layers_0/cross/query/kernel"])) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights__t5": "wide"},
            r"wide, read as Hugging Face T5.*\(27 problems\).*gives shape \(24, 16\) for '.*' of shape \(16, 16\)",
        ),
        ({"weights__bert": "t5"}, r"is none of the expected formats \(Hugging Face BERT"),
        ({"method__qformer__layers": 4}, r"'layers_3/.*' of the model is not in the file"),
    ],
)
def test_wrong_files_are_one_line(sources: dict[str, Path], changes: dict[str, Any], message: str) -> None:
    named = {key: str(sources[value]) if value in sources else value for key, value in changes.items()}
    config = config_with(sources, **named)
    with pytest.raises(WeightError, match=message) as caught:
        initial_state(config)
    assert "\n" not in str(caught.value)
