"""Weight tables as data: ordered rules from another project's names to ours, applied strictly in both directions.

Every key of the source is used or dropped for a stated reason, every leaf of the target is filled exactly once, every
shape fits, every value is finite. All problems are collected into one error.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from absl import logging

from flipjax.core.errors import WeightError
from flipjax.weights.transforms import Slot, Transform, same

Tree = Any


@dataclass(frozen=True)
class Rule:
    """Sends each source key that `source` matches in full to `targets`, paths in which \\1 stands for a group.

    Several targets share a fused array: it is cut along axis 0 into that many equal parts first, in their order.
    """

    source: str
    targets: tuple[str, ...]
    transform: Transform = same


@dataclass(frozen=True)
class Reason:
    """Keys or paths that `pattern` matches in full, and why they are left out."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class Table:
    """One checkpoint format: how to recognise it, where its keys go, and what is left out.

    signature: keys that a file of this format has.
    dropped: source keys that are never read.
    optional: target paths that a method may lack; the keys that would fill them are then dropped for that reason,
      provided that the target has no leaf that the pattern matches.
    spare: target paths that a method may lack one by one, such as layers beyond its depth.
    fresh: target paths that no file of this format has; they are left out of the result.
    """

    name: str
    signature: tuple[str, ...]
    rules: tuple[Rule, ...]
    dropped: tuple[Reason, ...] = ()
    optional: tuple[Reason, ...] = ()
    spare: tuple[Reason, ...] = ()
    fresh: tuple[Reason, ...] = ()


def apply(
    table: Table,
    tensors: Mapping[str, np.ndarray],
    target: Tree,
    *,
    source: str = "weights",
    token_rows: tuple[int, ...] | None = None,
) -> Tree:
    """Returns a tree like `target` (nested dicts of anything with a shape) filled from `tensors` through `table`.

    Leaves are float32; those that the table calls fresh are absent. `source` names the file in messages; `token_rows` are
    the vocabulary rows to keep.

    Raises:
      WeightError: one line with the first problems and their number.
    """
    leaves = flatten(target)
    filled: dict[str, np.ndarray] = {}
    problems: list[str] = []
    left_out: Counter[str] = Counter()
    for key, array in tensors.items():
        reason = _first_reason(table.dropped, key)
        if reason:
            left_out[reason] += 1
            continue
        places = _destinations(table, key)
        if not places:
            problems.append(f"'{key}' is not part of the format")
            continue
        absent = [place for place, _ in places if place not in leaves]
        reason = _absence(table, absent, leaves)
        if reason:
            left_out[reason] += 1
        elif absent:
            problems.append(f"'{key}' has no place in the model ('{absent[0]}' is not a parameter)")
        else:
            problems += _fill(filled, key, array, places, leaves, token_rows)
    wanted = [path for path in leaves if not _first_reason(table.fresh, path)]
    problems += [f"'{path}' of the model is not in the file" for path in wanted if path not in filled]
    if problems:
        raise WeightError(_summary(f"{source}, read as {table.name}, does not fit the model", problems))
    for reason, count in left_out.items():
        logging.info("%s: %d arrays left out: %s", source, count, reason)
    return _unflatten_like(target, filled)


def choose(tables: Sequence[Table], tensors: Mapping[str, np.ndarray], *, source: str = "weights") -> Table:
    """Returns the first table whose signature keys are all among `tensors`.

    Raises:
      WeightError: none; names the formats tried and what the file holds.
    """
    for table in tables:
        if all(key in tensors for key in table.signature):
            return table
    tried = ", ".join(table.name for table in tables)
    if not tensors:
        raise WeightError(f"{source} holds no arrays; expected one of {tried}")
    keys = sorted(tensors)
    samples = "', '".join(dict.fromkeys((keys[0], keys[len(keys) // 2], keys[-1])))
    raise WeightError(
        f"{source} is none of the expected formats ({tried}): it holds {len(keys)} arrays such as '{samples}'; "
        f"give a checkpoint in one of these formats"
    )


def under(rules: Sequence[Rule], *, source: str, target: str) -> tuple[Rule, ...]:
    """Returns `rules` for keys that carry the literal prefix `source`, filling paths below `target`.

    Example:
      >>> under([Rule(r"(\\w+)\\.weight", (r"\\1/scale",))], source="visual.", target="image/")[0].targets
      ('image/\\\\1/scale',)
    """
    return tuple(
        Rule(re.escape(source) + rule.source, tuple(target + path for path in rule.targets), rule.transform)
        for rule in rules
    )


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested dicts by their path, joined with '/'.

    Example:
      >>> flatten({"a": {"b": 1}, "c": 2})
      {'a/b': 1, 'c': 2}
    """
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        leaves |= flatten(value, f"{path}/") if isinstance(value, Mapping) else {path: value}
    return leaves


def _unflatten_like(tree: Tree, leaves: Mapping[str, np.ndarray], prefix: str = "") -> dict[str, Any]:
    """The part of `tree` that `leaves` fill; a dict that is empty in `tree` stays, one that no leaf fills goes."""
    filled: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            part = _unflatten_like(value, leaves, f"{path}/")
            if part or not value:
                filled[name] = part
        elif path in leaves:
            filled[name] = leaves[path]
    return filled


def _first_reason(reasons: tuple[Reason, ...], text: str) -> str:
    return next((item.reason for item in reasons if re.fullmatch(item.pattern, text)), "")


def _absence(table: Table, absent: list[str], leaves: Mapping[str, Any]) -> str:
    """Why the target may lack all of `absent`, or the empty string."""
    for item in table.optional:
        fits = [re.fullmatch(item.pattern, path) for path in absent]
        if absent and all(fits) and not any(re.fullmatch(item.pattern, leaf) for leaf in leaves):
            return item.reason
    for item in table.spare:
        if absent and all(re.fullmatch(item.pattern, path) for path in absent):
            return item.reason
    return ""


def _destinations(table: Table, key: str) -> list[tuple[str, Transform]]:
    for rule in table.rules:
        match = re.fullmatch(rule.source, key)
        if match:
            return [(match.expand(target), rule.transform) for target in rule.targets]
    return []


def _fill(
    filled: dict[str, np.ndarray],
    key: str,
    array: np.ndarray,
    places: list[tuple[str, Transform]],
    leaves: Mapping[str, Any],
    token_rows: tuple[int, ...] | None,
) -> list[str]:
    """Writes the parts of `array` into `filled`; returns what went wrong."""
    if len(places) > 1 and (array.ndim == 0 or len(array) % len(places)):
        return [f"'{key}' of shape {array.shape} cannot be cut into {len(places)} equal parts"]
    parts = [array] if len(places) == 1 else np.split(array, len(places))
    problems: list[str] = []
    for (path, transform), part in zip(places, parts, strict=True):
        shape = tuple(leaves[path].shape)
        try:
            value = transform(_as_float32(part), Slot(path=path, shape=shape, token_rows=token_rows))
        except WeightError as error:
            problems.append(f"'{key}': {error}")
            filled.setdefault(path, part)
            continue
        if path in filled:
            problems.append(f"'{path}' is filled twice, the second time by '{key}'")
        elif value.shape != shape:
            problems.append(f"'{key}' gives shape {value.shape} for '{path}' of shape {shape}")
        elif not np.isfinite(value).all():
            problems.append(f"'{key}' holds values that are not finite numbers")
        filled.setdefault(path, np.ascontiguousarray(value).reshape(value.shape))
    return problems


def _as_float32(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise WeightError(f"holds {x.dtype} values where floating-point weights are expected")
    return x.astype(np.float32)


def _summary(what: str, problems: list[str]) -> str:
    shown = "; ".join(problems[:3])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{what} ({count}): {shown}{more}"
