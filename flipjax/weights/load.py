"""From a checkpoint of another project to a tree of ours, in one call.

Tables live one format family per module of this package, each with a tuple `TABLES`; they are named by module.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import logging

from flipjax.core.errors import WeightError, suggest
from flipjax.weights import rules, store

Tree = Any
FORMATS = ("openai_clip", "hf_clip", "hf_bert", "hf_t5", "flip_official", "instruct_flip_official")


def load(source: str | Path, target: Tree, tables: Sequence[str], *, token_rows: tuple[int, ...] | None = None) -> Tree:
    """Returns a tree like `target` with the weights of `source`, float32 NumPy arrays.

    Args:
      source: a file, a folder, or `hf:owner/name` (see store.read_tensors).
      target: nested dicts whose leaves have a shape (arrays or jax.ShapeDtypeStruct), as flipjax/models lays them out.
      tables: formats to try in order, such as ("openai_clip", "hf_clip"); the first whose signature fits is used.
      token_rows: vocabulary rows that the token table keeps (None: all).

    Raises:
      WeightError: source missing, unsafe, of no such format, or not an exact fit for `target`.
    """
    known = [table for name in tables for table in _tables(name)]
    tensors = store.read_tensors(source)
    table = rules.choose(known, tensors, source=str(source))
    logging.info("%s: %d arrays, read as %s", source, len(tensors), table.name)
    return rules.apply(table, tensors, target, source=str(source), token_rows=token_rows)


def _tables(name: str) -> tuple[rules.Table, ...]:
    if name not in FORMATS:
        raise WeightError(
            f"weight table '{name}' unknown; expected some of {', '.join(FORMATS)}{suggest(name, FORMATS)}"
        )
    return importlib.import_module(f"flipjax.weights.{name}").TABLES
