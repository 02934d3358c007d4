"""Named arrays from weight files: safetensors, Flax msgpack, PyTorch zip files, folders of them, the Hugging Face hub.

Nothing in a file is ever executed. Nested names of msgpack files are joined with '/'; the others keep dotted names.
"""

import json
from collections.abc import Callable
from pathlib import Path

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16, which safetensors asks for)
import numpy as np

from flipjax.core.errors import WeightError
from flipjax.weights.rules import flatten
from flipjax.weights.torch_zip import read_torch_zip

_HUB = "hf:"
_INDEX = ".index.json"
_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".pth.tar", ".ckpt")
# What a folder is searched for, in this order: a sharded file by its index, or one file of the kind.
_KINDS: tuple[tuple[str, ...], ...] = ((".safetensors",), (".msgpack",), _TORCH_SUFFIXES)
# Names that the Hugging Face hub uses for the weights of a whole model.
_HUB_PATTERNS = (
    ("model*.safetensors", "model.safetensors.index.json"),
    ("flax_model*.msgpack", "flax_model.msgpack.index.json"),
)


def read_tensors(source: str | Path) -> dict[str, np.ndarray]:
    """Returns every array of `source` by its flat name, in the type it is stored in.

    Args:
      source: a file (.safetensors, .msgpack, .pt, .pth, .bin, .pth.tar, .ckpt), the `*.index.json` of a sharded one, a
        folder that holds one of these, or `hf:owner/name[@revision]` (safetensors preferred, else Flax msgpack).

    Raises:
      WeightError: missing, unknown, ambiguous, damaged or unsafe; or a hub repository that cannot be fetched.
    """
    if str(source).startswith(_HUB):
        return _read_hub(str(source).removeprefix(_HUB))
    path = Path(source)
    if not path.exists():
        raise WeightError(f"weights '{path}' do not exist; give a file, a folder, or hf:owner/name")
    if path.is_dir():
        return _read_file(_find_in(path))
    return _read_file(path)


def _read_file(path: Path) -> dict[str, np.ndarray]:
    name = path.name.lower()
    if name.endswith(_INDEX):
        return _read_shards(path)
    readers: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
        ".safetensors": _read_safetensors,
        ".msgpack": _read_msgpack,
        **dict.fromkeys(_TORCH_SUFFIXES, read_torch_zip),
    }
    for suffix, reader in readers.items():
        if name.endswith(suffix):
            return reader(path)
    raise WeightError(f"'{path}' is no weight file by its name; expected one of {', '.join(readers)} or *{_INDEX}")


def _find_in(folder: Path) -> Path:
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    for suffixes in _KINDS:
        indexes = [name for name in names if name.endswith(tuple(suffix + _INDEX for suffix in suffixes))]
        found = indexes or [name for name in names if name.endswith(suffixes)]
        if len(found) > 1:
            raise WeightError(f"folder '{folder}' holds {', '.join(found)}; name the file that you want")
        if found:
            return folder / found[0]
    raise WeightError(f"folder '{folder}' holds no .safetensors, .msgpack or PyTorch file")


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    try:
        where = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(where.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightError(f"'{index}' is not the index of a sharded file ({error}); expected a 'weight_map'") from error
    tensors: dict[str, np.ndarray] = {}
    for shard in shards:
        path = index.parent / shard
        if Path(shard).name != shard or shard.endswith(_INDEX):
            raise WeightError(f"'{index}' names the shard '{shard}'; expected a file beside it")
        if not path.is_file():
            raise WeightError(f"shard '{path}' does not exist but '{index.name}' names it; fetch it too")
        tensors |= _read_file(path)
    missing = sorted(set(where) - set(tensors))
    if missing:
        raise WeightError(f"'{index}': {len(missing)} arrays such as '{missing[0]}' are in none of its shards")
    return tensors


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, TypeError) as error:
        raise WeightError(f"'{path}' is not a readable safetensors file ({error}); fetch it again") from error


def _read_msgpack(path: Path) -> dict[str, np.ndarray]:
    from flax import serialization
    from msgpack.exceptions import UnpackException

    try:
        tree = serialization.msgpack_restore(path.read_bytes())
        return {name: np.asarray(value) for name, value in flatten(tree).items()}
    except (UnpackException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightError(f"'{path}' is not a readable Flax msgpack file ({error}); fetch it again") from error


def _read_hub(name: str) -> dict[str, np.ndarray]:
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    failure: Exception | None = None
    for patterns in _HUB_PATTERNS:
        try:
            folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(patterns)))
        except (OSError, ValueError) as error:
            failure = error
            continue
        if any(file for pattern in patterns for file in folder.glob(pattern)):
            return _read_file(_find_in(folder))
    if failure is None:
        raise WeightError(f"'{_HUB}{name}' offers no model.safetensors and no flax_model.msgpack; give a file instead")
    raise WeightError(
        f"weights '{_HUB}{name}' cannot be fetched and are not in the local cache ({type(failure).__name__}); "
        f"check the name and the connection, or give a file or folder"
    ) from failure
