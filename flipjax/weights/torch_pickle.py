"""The pickle inside PyTorch files, read as data: dicts, numbers and descriptions of tensors.

Pickled code cannot run: a name in the file becomes an inert stand-in if it is on the short lists below, else reading
stops with an error that names it. Stand-ins are made afresh for every file, so nothing a pickle does to one lasts.
"""

import io
import pickle
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from flipjax.core.errors import WeightError

_STORAGE_DTYPES: dict[str, Any] = {
    "torch.FloatStorage": np.float32,
    "torch.HalfStorage": np.float16,
    "torch.DoubleStorage": np.float64,
    "torch.BFloat16Storage": ml_dtypes.bfloat16,
    "torch.LongStorage": np.int64,
    "torch.IntStorage": np.int32,
    "torch.ShortStorage": np.int16,
    "torch.CharStorage": np.int8,
    "torch.ByteStorage": np.uint8,
    "torch.BoolStorage": np.bool_,
}
# What checkpoints carry beside tensors (NumPy numbers, sizes, devices, lists of a script): read past, never built.
_PASSED_OVER = frozenset(
    {
        "torch.Size",
        "torch.device",
        "torch.jit._pickle.restore_type_tag",
        "torch.jit._pickle.build_intlist",
        "torch.jit._pickle.build_doublelist",
        "torch.jit._pickle.build_boollist",
        "torch.jit._pickle.build_tensorlist",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "_codecs.encode",
    }
)
_SCRIPT_CLASS_PREFIX = "__torch__."


class _Sealed:
    """Refuses the pickle instruction that overwrites attributes."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a tensor is changed after it was described")


@dataclass(frozen=True)
class Storage(_Sealed):
    """A run of `numel` values in the archive member data/<key>."""

    key: str
    dtype: np.dtype
    numel: int


@dataclass(frozen=True)
class Tensor(_Sealed):
    """A tensor described but not yet read; offset and strides count elements and are not negative."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Record:
    """An object reduced to its attributes; constructor arguments are thrown away."""

    attributes: dict[Any, Any]

    def __new__(cls, *arguments: Any) -> "Record":
        record = super().__new__(cls)
        record.attributes = {}
        return record

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


class _Dict(dict):
    """An ordered dict whose own attributes (torch's `_metadata`) are thrown away."""

    def __setstate__(self, state: Any) -> None:
        pass


def unpickle(data: bytes, source: str) -> Any:
    """Returns the object in `data`: dicts, lists, numbers, text, `Tensor`s, and `Record`s for module objects.

    Raises:
      WeightError: the pickle is malformed or names anything that is not on the lists of this module.
    """
    try:
        return _DataUnpickler(data, source).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise WeightError(
            f"{source}: its list of tensors cannot be read ({error}); re-save its state_dict()"
        ) from error


class _DataUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, source: str) -> None:
        super().__init__(io.BytesIO(data))
        self._source = source

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in _STORAGE_DTYPES:
            return full
        if full in _PASSED_OVER or full.startswith(_SCRIPT_CLASS_PREFIX):
            return type("StandIn", (Record,), {})
        if full in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
            return lambda *arguments: _describe(*arguments)
        if full in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
            return lambda data, *flags: data
        if full == "collections.OrderedDict":
            return type("StandIn", (_Dict,), {})
        raise WeightError(
            f"{self._source} asks for the Python object '{full}', which is not data and was not run; "
            f"re-save only its state_dict()"
        )

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, numel = pid[:5]
        if kind != "storage" or type(numel) is not int:
            raise ValueError(f"{pid!r} is not a tensor storage")
        return Storage(key=str(key), dtype=np.dtype(_STORAGE_DTYPES[dtype]), numel=numel)


def _describe(storage: Any, offset: Any, shape: Any, strides: Any, *flags: Any) -> Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor is not described by a storage and whole numbers")
    if len(shape) != len(strides):
        raise ValueError(f"a tensor of shape {tuple(shape)} has strides {tuple(strides)}")
    return Tensor(storage=storage, offset=offset, shape=tuple(shape), strides=tuple(strides))
