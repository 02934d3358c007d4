"""Tensors of PyTorch files without PyTorch and without running what is in them.

Reads the zip format of torch.save (1.6 and later) and TorchScript archives; numbers come straight from the zip members.
"""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flipjax.core.errors import WeightError
from flipjax.weights.torch_pickle import Record, Tensor, unpickle

# Names under which training scripts nest the weights, in order of preference.
_WEIGHT_KEYS = ("state_dict", "model_state_dict", "model")


def read_torch_zip(path: Path) -> dict[str, np.ndarray]:
    """Returns the named tensors of a PyTorch file; a `module.` prefix that all share is removed.

    A training checkpoint gives the weights nested under `state_dict`, `model_state_dict` or `model`; a TorchScript
    archive gives every tensor of its modules under its dotted name.

    Raises:
      WeightError: not such a file, damaged, in the format before PyTorch 1.6, or holding anything but data.
    """
    if not zipfile.is_zipfile(path):
        raise WeightError(_not_a_zip(path))
    try:
        with zipfile.ZipFile(path) as archive:
            root = _root(archive, path)
            tree = unpickle(_member(archive, f"{root}data.pkl", path), str(path))
            tensors = _flatten(_weights(tree, path))
            arrays = {name: _read(archive, root, tensor, name, path) for name, tensor in tensors.items()}
    except (zipfile.BadZipFile, RecursionError) as error:
        raise WeightError(f"{path} is a damaged PyTorch file ({error}); fetch it again") from error
    if not arrays:
        raise WeightError(f"{path} holds no tensors; expected a state dict")
    if all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays


def _not_a_zip(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(1)
    if start == b"\x80":
        return (
            f"{path} is in the pickle format before PyTorch 1.6, which is not read because it can run code; "
            f"if you trust it, re-save it with torch.save(torch.load(old), new) and give the new file"
        )
    return f"{path} is not a PyTorch file, or it is cut short; fetch it again"


def _root(archive: zipfile.ZipFile, path: Path) -> str:
    """The folder inside the archive, with its slash."""
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise WeightError(f"{path} is a zip file but not one that PyTorch wrote (no single data.pkl in it)")
    order = f"{roots[0]}byteorder"
    if order in names and _member(archive, order, path) != b"little":
        raise WeightError(f"{path} was written on a big-endian machine; re-save it on a little-endian one")
    return roots[0]


def _member(archive: zipfile.ZipFile, name: str, path: Path, *, size: int | None = None) -> bytes:
    """Content of a member; PyTorch stores them uncompressed, so none can be larger than the file itself."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise WeightError(f"{path} is damaged: it has no member '{name}'; fetch it again") from None
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise WeightError(f"{path}: member '{name}' is compressed, which PyTorch never does; re-save with torch.save")
    if size is not None and info.file_size != size:
        raise WeightError(f"{path} is damaged: member '{name}' has {info.file_size} bytes, {size} are declared")
    return archive.read(info)


def _weights(tree: Any, path: Path) -> Any:
    """The part of the unpickled tree that holds the weights."""
    if isinstance(tree, Record):
        return tree
    if not isinstance(tree, Mapping):
        raise WeightError(f"{path} holds a {type(tree).__name__}; expected a state dict or a TorchScript module")
    for key in _WEIGHT_KEYS:
        if isinstance(tree.get(key), Mapping):
            return tree[key]
    return tree


def _flatten(node: Any, prefix: str = "") -> dict[str, Tensor]:
    """Tensors below `node` by dotted name; anything else is passed over."""
    tensors: dict[str, Tensor] = {}
    for name, value in (node.attributes if isinstance(node, Record) else node).items():
        if isinstance(value, Tensor):
            tensors[f"{prefix}{name}"] = value
        elif isinstance(value, Mapping | Record):
            tensors |= _flatten(value, f"{prefix}{name}.")
    return tensors


def _read(archive: zipfile.ZipFile, root: str, tensor: Tensor, name: str, path: Path) -> np.ndarray:
    storage, item = tensor.storage, tensor.storage.dtype.itemsize
    count = math.prod(tensor.shape)
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    if count > storage.numel or (count and last >= storage.numel):
        raise WeightError(f"{path}: tensor '{name}' of shape {tensor.shape} reaches beyond its {storage.numel} values")
    raw = _member(archive, f"{root}data/{storage.key}", path, size=storage.numel * item)
    flat = np.frombuffer(raw, storage.dtype)[tensor.offset :]
    view = np.lib.stride_tricks.as_strided(flat, tensor.shape, [stride * item for stride in tensor.strides])
    return view.copy(order="C")
