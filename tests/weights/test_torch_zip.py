"""PyTorch files read without PyTorch: equal bit for bit, and inert in the face of hostile files."""

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipjax.core.errors import WeightError
from flipjax.weights import torch_pickle
from flipjax.weights.torch_zip import read_torch_zip


@pytest.fixture
def torch() -> Any:
    try:
        import torch
    except ImportError:
        pytest.skip("torch is not installed, so no real files can be written")
    return torch


def module(torch) -> Any:
    """A little of everything that CLIP's modules hold."""

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = torch.nn.LayerNorm(4)
            self.attn = torch.nn.MultiheadAttention(4, 2)
            self.mlp = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))

        def forward(self, x):
            y = self.ln_1(x)
            return x + self.mlp(self.attn(y, y, y)[0])

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = torch.nn.Conv2d(3, 4, 2, 2, bias=False)
            self.class_embedding = torch.nn.Parameter(torch.randn(4))
            self.transformer = torch.nn.Sequential(Block(), Block())
            self.bn = torch.nn.BatchNorm1d(4)
            self.logit_scale = torch.nn.Parameter(torch.tensor(4.6))
            self.register_buffer("input_resolution", torch.tensor(224))

        def forward(self, x):
            tokens = self.conv1(x).flatten(2).transpose(1, 2) + self.class_embedding
            return self.bn(self.transformer(tokens).mean(1)) * self.logit_scale.exp()

    torch.manual_seed(0)
    return Tower().eval()


def assert_same(arrays: dict[str, np.ndarray], state: Any) -> None:
    assert set(arrays) == set(state)
    for name, tensor in state.items():
        expected = tensor.detach().numpy()
        assert arrays[name].dtype == expected.dtype and arrays[name].shape == expected.shape, name
        assert arrays[name].tobytes() == np.ascontiguousarray(expected).tobytes(), name


@pytest.mark.parametrize("half", [False, True])
def test_state_dict(torch, tmp_path, half) -> None:
    tower = module(torch)
    state = (tower.half() if half else tower).state_dict()
    torch.save(state, tmp_path / "w.pt")
    assert_same(read_torch_zip(tmp_path / "w.pt"), state)


def test_every_storage_type(torch, tmp_path) -> None:
    names = ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
    state = {name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in names}
    state["empty"] = torch.zeros(0, 3)
    torch.save(state, tmp_path / "w.pt")
    assert_same(read_torch_zip(tmp_path / "w.pt"), state)


def test_bfloat16(torch, tmp_path) -> None:
    x = torch.randn(3, 4).bfloat16()
    torch.save({"x": x}, tmp_path / "w.pt")
    read = read_torch_zip(tmp_path / "w.pt")["x"]
    assert read.dtype.name == "bfloat16"
    np.testing.assert_array_equal(read.astype(np.float32), x.float().numpy())


def test_views_share_a_storage_with_offsets_and_strides(torch, tmp_path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {"base": base, "t": base.T, "part": base[1:3, 2:5], "steps": base[::2, 1], "one": base[3, 5]}
    torch.save(state, tmp_path / "w.pt")
    assert_same(read_torch_zip(tmp_path / "w.pt"), state)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_training_checkpoint_gives_the_nested_weights_alone(torch, tmp_path, key) -> None:
    tower = torch.nn.DataParallel(module(torch))
    optimizer = torch.optim.Adam(tower.parameters())
    tower(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        key: tower.state_dict(),
        "optimizer": optimizer.state_dict(),
        "valid_arg": [np.float64(0.25), np.array([1.0, 2.0]), {"lr": 1e-6}],
        "threshold": np.float32(0.5),
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
    }
    torch.save(checkpoint, tmp_path / "best.pth.tar")
    assert_same(read_torch_zip(tmp_path / "best.pth.tar"), tower.module.state_dict())


@pytest.mark.parametrize("how", ["trace", "script"])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_torchscript_archive(torch, tmp_path, how, half) -> None:
    tower = module(torch)
    scripted = torch.jit.script(tower) if how == "script" else torch.jit.trace(tower, torch.randn(2, 3, 4, 4))
    scripted = scripted.half() if half else scripted
    torch.jit.save(scripted, str(tmp_path / "w.pt"))
    assert_same(read_torch_zip(tmp_path / "w.pt"), scripted.state_dict())


def test_format_before_1_6_says_how_to_re_save(torch, tmp_path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(WeightError, match=r"before PyTorch 1\.6.*torch\.save\(torch\.load"):
        read_torch_zip(tmp_path / "old.pth")


def test_whole_pickled_modules_are_refused_by_name(torch, tmp_path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(WeightError, match=r"'torch\.nn\.modules\.linear\.Linear', which is not data"):
        read_torch_zip(tmp_path / "w.pt")


class _Global:
    """Pickles as the bare name of something, without importing it."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Pickler(pickle._Pickler):
    """Writes names and storages as PyTorch does, from a description."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, _Global):
            module_name, _, name = obj.name.rpartition(".")
            self.write(f"c{module_name}\n{name}\n".encode())
        elif isinstance(obj, _Changed):
            self.save(obj.target)
            self.save(obj.state)
            self.write(b"b")
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(b"R")
            for state in obj.states:
                self.save(state)
                self.write(b"b")
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, _Storage) else None


class _Changed:
    """A name whose attributes the pickle overwrites before use."""

    def __init__(self, name: str, state: Any) -> None:
        self.target, self.state = _Global(name), state


class _Storage:
    def __init__(self, numel: Any, kind: Any = None) -> None:
        self.pid = ("storage", kind or _Global("torch.FloatStorage"), "0", "cpu", numel)


class _Call:
    def __init__(self, name: str, *arguments: Any, states: tuple = ()) -> None:
        self.function, self.arguments, self.states = _Global(name), arguments, states


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, **more: Any) -> _Call:
    no_hooks = _Call("collections.OrderedDict")
    return _Call("torch._utils._rebuild_tensor_v2", storage, offset, shape, strides, False, no_hooks, **more)


def write(path: Path, content: Any, *, numbers: bytes = bytes(24), compression: int = zipfile.ZIP_STORED) -> Path:
    """A file such as torch.save writes, with `content` as its pickle and one storage."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/data/0", numbers)
        archive.writestr("archive/version", "3\n")
    return path


def test_hand_written_file_is_read(tmp_path) -> None:
    numbers = np.arange(6, dtype=np.float32).tobytes()
    path = write(tmp_path / "w.pt", {"x": tensor(_Storage(6), 1, (2, 2), (3, 1))}, numbers=numbers)
    np.testing.assert_array_equal(read_torch_zip(path)["x"], [[1, 2], [4, 5]])


class _Exploit:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.system, (f"echo ran > {self.file}",)


def test_hostile_pickle_is_named_and_nothing_runs(tmp_path) -> None:
    canary = tmp_path / "canary"
    for content in (_Exploit(canary), {"state_dict": {"a": _Exploit(canary)}}, [_Exploit(canary)]):
        data = pickle.dumps(content, protocol=2)
        with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
            archive.writestr("archive/data.pkl", data)
        with pytest.raises(WeightError, match=r"'posix\.system', which is not data and was not run"):
            read_torch_zip(tmp_path / "w.pt")
        assert not canary.exists()
    pickle.loads(data)
    assert canary.exists(), "the exploit itself must work, or the test proves nothing"


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "builtins.getattr",
        "__builtin__.exec",
        "collections.OrderedDict.fromkeys",
        "collections.namedtuple",
        "torch._utils._rebuild_qtensor",
        "torch.load",
        "torch.nn.Linear",
        "torch.FloatStorage.from_file",
        "numpy.load",
        "numpy.core.multiarray.fromfile",
        "flipjax.weights.torch_pickle.Record",
        "__torch__evil.x",
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_any_other_name_is_refused_even_unused(tmp_path, name, protocol) -> None:
    module_name, _, attribute = name.rpartition(".")
    if protocol == 2:
        data = b"\x80\x02c" + f"{module_name}\n{attribute}\n".encode() + b"."
    else:
        parts = [part.encode() for part in (module_name, attribute)]
        data = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(part)]) + part for part in parts) + b"\x93."
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("archive/data.pkl", data)
    with pytest.raises(WeightError, match=f"'{name}', which is not data"):
        read_torch_zip(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (tensor(_Storage(6), 0, (7,), (1,)), "reaches beyond its 6 values"),
        (tensor(_Storage(6), 5, (2,), (1,)), "reaches beyond"),
        (tensor(_Storage(6), 0, (2,), (6,)), "reaches beyond"),
        (tensor(_Storage(6), 0, (1 << 40, 1 << 40), (0, 0)), "reaches beyond"),
        (tensor(_Storage(6), -1, (2,), (1,)), "whole numbers"),
        (tensor(_Storage(6), 4, (2,), (-1,)), "whole numbers"),
        (tensor(_Storage(6), 0, (2.0,), (1,)), "whole numbers"),
        (tensor(_Storage(6), 0, (2, 3), (1,)), "strides"),
        (tensor(_Storage(1 << 40), 0, (2,), (1,)), "has 24 bytes, 4398046511104 are declared"),
        (tensor(_Storage(2), 0, (2,), (1,)), "has 24 bytes, 8 are declared"),
        (tensor(_Storage("6"), 0, (2,), (1,)), "not a tensor storage"),
        (tensor(_Storage(6, kind="torch.ObjectStorage"), 0, (2,), (1,)), "cannot be read"),
        (tensor("storage", 0, (2,), (1,)), "whole numbers"),
        (tensor(_Storage(6), 4, (2,), (1,), states=({"strides": (-4,)},)), "changed after it was described"),
        (tensor(_Storage(6), 4, (2,), (1,), states=((None, {"strides": (-4,)}),)), "changed after"),
    ],
)
def test_tensors_that_lie_about_their_storage(tmp_path, described, message) -> None:
    path = write(tmp_path / "w.pt", {"x": described})
    with pytest.raises(WeightError, match=message) as caught:
        read_torch_zip(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_pickle_cannot_change_what_reads_the_next_one(tmp_path) -> None:
    tampered = _Changed("torch._utils._rebuild_tensor_v2", {"polluted": 1})
    path = write(tmp_path / "w.pt", {"a": tampered, "x": tensor(_Storage(6), 0, (1,), (1,))})
    assert list(read_torch_zip(path)) == ["x"]
    assert "polluted" not in vars(torch_pickle._describe)
    for name in ("collections.OrderedDict", "__torch__.Module", "torch.FloatStorage"):
        write(path, {"a": _Changed(name, {"polluted": 1})})
        with pytest.raises(WeightError, match="cannot be read"):
            read_torch_zip(path)


def test_damaged_and_foreign_files(tmp_path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightError, match="not a PyTorch file"):
        read_torch_zip(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightError, match="not one that PyTorch wrote"):
        read_torch_zip(path)
    write(path, {"x": tensor(_Storage(6), 0, (6,), (1,))}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightError, match="is compressed"):
        read_torch_zip(path)
    for content, message in (({"epoch": 1}, "holds no tensors"), ([1, 2], "holds a list"), (3, "holds a int")):
        with pytest.raises(WeightError, match=message):
            read_torch_zip(write(path, content))
    write(path, {"x": tensor(_Storage(6), 0, (6,), (1,))}, numbers=bytes(range(24)))
    damaged = path.read_bytes().replace(bytes(range(24)), bytes(24))
    path.write_bytes(damaged)
    with pytest.raises(WeightError, match="damaged PyTorch file"):
        read_torch_zip(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q")
    with pytest.raises(WeightError, match="cannot be read"):
        read_torch_zip(path)


def test_plain_ordered_dict_of_arrays_is_not_mistaken(tmp_path) -> None:
    path = write(tmp_path / "w.pt", {"a": collections.OrderedDict(b=tensor(_Storage(6), 0, (6,), (1,)))})
    assert list(read_torch_zip(path)) == ["a.b"]
