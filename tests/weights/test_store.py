"""Every container that weights come in gives the same arrays back, and a clear word where it cannot."""

import json
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from flax import serialization
from safetensors.numpy import save_file

from flipjax.core.errors import WeightError
from flipjax.weights.store import read_tensors

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array(4.6, np.float32),
    "c": np.ones((2, 2), np.float16),
}
NESTED = {"text": {"0": {"kernel": ARRAYS["a.weight"]}}, "scale": ARRAYS["b"], "h": ARRAYS["c"]}
FLAT = {"text/0/kernel": ARRAYS["a.weight"], "scale": ARRAYS["b"], "h": ARRAYS["c"]}


def assert_same(read: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(read) == set(expected)
    for name, array in expected.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def write_index(path: Path, names: dict[str, str]) -> Path:
    path.write_text(json.dumps({"metadata": {}, "weight_map": names}), encoding="utf-8")
    return path


def test_safetensors_file_and_folder(tmp_path) -> None:
    save_file(ARRAYS, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert_same(read_tensors(tmp_path / "model.safetensors"), ARRAYS)
    assert_same(read_tensors(str(tmp_path)), ARRAYS)


def test_safetensors_bfloat16(tmp_path) -> None:
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    values = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())
    assert_same(read_tensors(tmp_path / "x.safetensors"), {"x": values})


def test_sharded_safetensors_through_index_or_folder(tmp_path) -> None:
    shards = {"a.weight": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"}
    for shard in set(shards.values()):
        save_file({name: ARRAYS[name] for name in ARRAYS if shards[name] == shard}, tmp_path / shard)
    index = write_index(tmp_path / "model.safetensors.index.json", shards)
    assert_same(read_tensors(index), ARRAYS)
    assert_same(read_tensors(tmp_path), ARRAYS)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(WeightError, match=r"shard '.*model-2\.safetensors' does not exist"):
        read_tensors(index)


def test_msgpack_file_and_folder(tmp_path) -> None:
    (tmp_path / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(NESTED))
    assert_same(read_tensors(tmp_path / "flax_model.msgpack"), FLAT)
    assert_same(read_tensors(tmp_path), FLAT)


def test_sharded_msgpack_merges_nested_subsets(tmp_path) -> None:
    parts = {
        "one.msgpack": {"text": {"0": {"kernel": ARRAYS["a.weight"]}}},
        "two.msgpack": {"text": {"1": ARRAYS["c"]}},
    }
    for name, part in parts.items():
        (tmp_path / name).write_bytes(serialization.msgpack_serialize(part))
    names = {"text/0/kernel": "one.msgpack", "text/1": "two.msgpack"}
    write_index(tmp_path / "flax_model.msgpack.index.json", names)
    assert_same(read_tensors(tmp_path), {"text/0/kernel": ARRAYS["a.weight"], "text/1": ARRAYS["c"]})


def test_safetensors_are_preferred_and_two_of_a_kind_are_ambiguous(tmp_path) -> None:
    (tmp_path / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(NESTED))
    save_file(ARRAYS, tmp_path / "model.safetensors")
    assert_same(read_tensors(tmp_path), ARRAYS)
    save_file(ARRAYS, tmp_path / "other.safetensors")
    with pytest.raises(WeightError, match=r"holds model\.safetensors, other\.safetensors; name the file"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "pytorch_model.bin", "best.pth.tar", "w.ckpt"])
def test_torch_files_by_any_of_their_names(tmp_path, name) -> None:
    try:
        import torch
    except ImportError:
        pytest.skip("torch is not installed, so no real files can be written")
    torch.save({key: torch.from_numpy(array) for key, array in ARRAYS.items()}, tmp_path / name)
    assert_same(read_tensors(tmp_path / name), ARRAYS)
    assert_same(read_tensors(tmp_path), ARRAYS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.safetensors", b"<html>sorry</html>", "not a readable safetensors file"),
        ("w.safetensors", b"", "not a readable safetensors file"),
        ("w.msgpack", b"<html>sorry</html>", "not a readable Flax msgpack file"),
        ("w.msgpack", b"\x81\xa1a", "not a readable Flax msgpack file"),
        ("w.pt", b"PK", "not a PyTorch file"),
        ("w.index.json", b"{}", "not the index of a sharded file"),
        ("w.index.json", b"[", "not the index of a sharded file"),
        ("w.index.json", b'{"weight_map": {"a": "../w.pt"}}', "expected a file beside it"),
        ("w.index.json", b'{"weight_map": {"a": "w.index.json"}}', "expected a file beside it"),
        ("w.npz", b"", "is no weight file by its name"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightError, match=message) as caught:
        read_tensors(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_array_named_by_the_index_but_in_no_shard(tmp_path) -> None:
    save_file({"b": ARRAYS["b"]}, tmp_path / "one.safetensors")
    index = write_index(tmp_path / "w.index.json", {"b": "one.safetensors", "gone": "one.safetensors"})
    with pytest.raises(WeightError, match="1 arrays such as 'gone' are in none"):
        read_tensors(index)


def test_missing_file_and_empty_folder(tmp_path) -> None:
    with pytest.raises(WeightError, match=r"weights '.*nowhere\.pt' do not exist"):
        read_tensors(tmp_path / "nowhere.pt")
    with pytest.raises(WeightError, match=r"holds no \.safetensors"):
        read_tensors(tmp_path)


def hub_repository(cache: Path, name: str) -> Path:
    """The folder of a repository in a hub cache, as a download leaves it."""
    folder = cache / f"models--{name.replace('/', '--')}"
    revision = "0123456789abcdef0123456789abcdef01234567"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(revision, encoding="utf-8")
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    return snapshot


@pytest.fixture
def hub_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_hub_repository_in_the_cache_is_read_offline(hub_cache) -> None:
    (hub_repository(hub_cache, "owner/flax") / "flax_model.msgpack").write_bytes(
        serialization.msgpack_serialize(NESTED)
    )
    assert_same(read_tensors("hf:owner/flax"), FLAT)
    snapshot = hub_repository(hub_cache, "owner/both")
    (snapshot / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(NESTED))
    save_file(ARRAYS, snapshot / "model.safetensors")
    assert_same(read_tensors("hf:owner/both@main"), ARRAYS)


def test_hub_failures_name_the_repository(hub_cache) -> None:
    hub_repository(hub_cache, "owner/empty")
    for name, message in (
        ("owner/name", "cannot be fetched and are not in the local cache"),
        ("owner/empty@v9", "cannot be fetched"),
        ("not a name//", "cannot be fetched"),
        ("owner/empty", "offers no model.safetensors and no flax_model.msgpack"),
    ):
        with pytest.raises(WeightError, match=message) as caught:
            read_tensors(f"hf:{name}")
        assert f"hf:{name}" in str(caught.value) and "\n" not in str(caught.value)


def test_reading_needs_neither_torch_nor_a_hub_client() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import flipjax.weights.load, flipjax.weights.flip_official, flipjax.weights.hf_clip, flipjax.prompts.flip\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'tokenizers', 'cv2', 'tensorflow'} & set(sys.modules)\n"
        "assert heavy == {'torch'}, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
