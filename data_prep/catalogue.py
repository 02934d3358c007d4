"""The data sets that can be converted: the modules of data_prep/datasets, found by listing the folder."""

import importlib
import pkgutil
from typing import Any

from data_prep import datasets
from data_prep.entries import Entry
from flipjax.core.errors import ConfigError, suggest
from flipjax.data.media import Clip, open_clip


def dataset_names() -> list[str]:
    """Returns the names of the data sets that can be converted."""
    return sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))


def load_dataset(name: str) -> Any:
    """Returns the module of data_prep/datasets called `name`, see that package for what it offers.

    Raises:
      ConfigError: no such data set.
    """
    known = dataset_names()
    if name not in known:
        raise ConfigError(f"dataset '{name}' unknown; expected one of {', '.join(known)}{suggest(name, known)}")
    return importlib.import_module(f"{datasets.__name__}.{name}")


def open_entry(module: Any, entry: Entry) -> Clip:
    """Returns the frames of an entry, by the data set's own reader where it has one.

    Raises:
      ImageError: the file cannot be read; the clip's `read` raises it for a damaged frame.
    """
    return getattr(module, "open_entry", _open_file)(entry)


def face_box(module: Any, entry: Entry) -> tuple[float, float, float, float] | None:
    """Returns the face box given with the data (x0 y0 x1 y1, shares of the picture's sides), or None.

    Raises:
      ImageError: there is a box file and it cannot be read.
    """
    return getattr(module, "face_box", lambda _: None)(entry)


def _open_file(entry: Entry) -> Clip:
    return open_clip(entry.path)
