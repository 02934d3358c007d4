"""Golden cases of the authors' networks: finding the files, comparing arrays, mapping upstream names to our paths.

A file belongs to the longest case name that its stem starts with. Besides tests/golden, a folder named by the environment
variable FLIPJAX_GOLDEN is searched; sizes come from the file alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flipjax.weights import rules
from flipjax.weights.transforms import Slot

CASES = (
    "flip_v",
    "flip_mcl",
    "vitaf",
    "ssdg",
    "safas",
    "cfpl",
    "instruct_flip",
    "instruct_flip_no_llm",
    "instruct_flip_ve",
    "instruct_flip_ve_cb",
    "instruct_flip_ve_cb_sb",
)


def case_of(stem: str) -> str | None:
    """Returns the longest case name that `stem` starts with."""
    return max((case for case in CASES if stem.startswith(case)), key=len, default=None)


def files_of(case: str) -> list[pytest.param]:
    """Returns one pytest parameter per golden file of `case`, its stem as test id."""
    folders = [Path(__file__).parent / "golden"]
    if os.environ.get("FLIPJAX_GOLDEN"):
        folders.append(Path(os.environ["FLIPJAX_GOLDEN"]))
    files = [file for folder in folders for file in sorted(folder.glob("*.npz"))]
    return [pytest.param(file, id=file.stem) for file in files if case_of(file.stem) == case]


def section(golden: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Returns the arrays below `name/`, without the prefix."""
    return {key[len(name) + 1 :]: value for key, value in golden.items() if key.startswith(f"{name}/")}


def dims(golden: dict[str, np.ndarray]) -> dict[str, int]:
    """Returns the sizes of the case."""
    return {key: int(value) for key, value in section(golden, "dims").items()}


def assert_within(actual: object, expected: object, tolerance: float, name: str = "") -> None:
    """Asserts max |a - b| <= tolerance * max |b|, the project's meaning of "within"."""
    a, b = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape, f"{name}: shape {a.shape}, expected {b.shape}"
    error, limit = np.abs(a - b).max(initial=0.0), tolerance * np.abs(b).max(initial=0.0)
    assert error <= limit, f"{name}: differs by {error:.3g}, allowed {limit:.3g}"


def placed(table: rules.Table, key: str, array: np.ndarray, leaves: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (path of ours, value in our layout) for one upstream array, as the weight table would place it."""
    places = rules._destinations(table, key)
    parts = [array] if len(places) == 1 else np.split(array, len(places))
    for (path, transform), part in zip(places, parts, strict=True):
        yield path, transform(part, Slot(path=path, shape=tuple(leaves[path].shape), token_rows=None))


def assert_gradients(golden: dict, table: rules.Table, ours: dict[str, np.ndarray], tolerance: float = 1e-4) -> None:
    """Compares whole gradients (`grads/`) and norms (`grad_norm/`); `ours` maps our paths to gradients.

    A gradient whose norm is below 1e-4 of the largest is mostly rounding (a bias before batch norm has none) and is
    compared absolutely, within 1e-5 of that largest norm.
    """
    norms = {key: float(value) for key, value in section(golden, "grad_norm").items()}
    wholes = {key: value for key, value in section(golden, "grads").items() if not key.startswith("inputs")}
    norms |= {key: float(np.linalg.norm(value)) for key, value in wholes.items()}
    largest = max(norms.values())
    compared = 0
    for key, norm in norms.items():
        paths = [path for path, _ in rules._destinations(table, key)]
        assert paths, f"no rule for {key}"
        mine = np.sqrt(sum(np.sum(np.square(ours[path], dtype=np.float64)) for path in paths))
        limit = tolerance * norm if norm >= 1e-4 * largest else 1e-5 * largest
        assert abs(mine - norm) <= limit, f"norm of {key}: {mine} against {norm}"
        compared += 1
    for key, whole in wholes.items():
        if norms[key] < 1e-4 * largest:
            continue
        for path, value in placed(table, key, whole, ours):
            error = np.abs(np.asarray(ours[path]) - value).max()
            assert error <= tolerance * np.abs(whole).max(), f"gradient {key}: differs by {error:.3g} at {path}"
    assert compared == len(norms) > 0
