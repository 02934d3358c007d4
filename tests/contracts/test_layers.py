"""Imports: what they load, what they touch, and what the wheel carries. Import directions are checked by import-linter."""

import fnmatch
import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from setuptools import find_packages

import data_prep
import flipjax

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("jax", "flax", "optax", "numpy", "tensorflow", "tensorflow_datasets", "grain", "orbax", "cv2", "torch", "PIL")
IMPORT_ALL = """
import importlib, json, sys
from absl import flags
before = set(flags.FLAGS.flags_by_module_dict())
import flipjax, flipjax.core
light = sorted(name for name in sys.modules)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
import jax
from jax._src import xla_bridge
print(json.dumps({
    "light": light,
    "backends": sorted(xla_bridge._backends),
    "config": [jax.config.jax_default_matmul_precision, jax.config.jax_compilation_cache_dir],
    "flags": sorted(n for n in flags.FLAGS.flags_by_module_dict() if n.startswith(("flipjax", "data_prep", "launch"))),
    "loaded": sorted(sys.modules),
}))
"""


def modules(package: Any) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [package.__name__, *(module.name for module in found)]


@pytest.fixture(scope="module")
def imported() -> dict[str, Any]:
    """What a fresh interpreter says after importing every module but the `__main__`s."""
    names = [name for package in (flipjax, data_prep) for name in modules(package) if not name.endswith("__main__")]
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "stdout": done.stdout, "names": names}


def test_every_module_is_found_and_can_be_imported(imported: dict[str, Any]):
    assert {"flipjax.main", "flipjax.methods.flip_mcl", "data_prep.records"} <= set(imported["names"])
    assert set(imported["names"]) <= set(imported["loaded"])


def test_importing_flipjax_and_its_core_loads_nothing_heavy(imported: dict[str, Any]):
    assert [name for name in HEAVY if name in imported["light"]] == []


def test_importing_touches_no_device_no_flag_no_setting(imported: dict[str, Any]):
    assert imported["backends"] == [], "an import made JAX look for devices"
    assert imported["flags"] == [], "flags are defined by commands when they run, not when they are imported"
    assert imported["config"] == [None, None], "an import changed a setting of JAX"
    assert len(imported["stdout"].splitlines()) == 1, "an import printed something"


def test_importing_never_needs_tensorflow_or_torch(imported: dict[str, Any]):
    assert [name for name in ("tensorflow", "torch") if name in imported["loaded"]] == []


def settings() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_wheel_carries_every_package_and_no_other():
    found = set(find_packages(str(REPOSITORY), include=settings()["tool"]["setuptools"]["packages"]["find"]["include"]))
    folders = {
        ".".join(path.relative_to(REPOSITORY).parts)
        for root in ("flipjax", "data_prep")
        for path in [REPOSITORY / root, *(REPOSITORY / root).rglob("*")]
        if path.is_dir() and any(path.glob("*.py"))
    }
    assert found == folders, "a folder with modules lacks __init__.py, or a foreign package slips in"


def test_the_wheel_carries_every_data_file():
    patterns = settings()["tool"]["setuptools"]["package-data"]
    for root in ("flipjax", "data_prep"):
        files = [
            path for path in (REPOSITORY / root).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")
        ]
        left_out = [
            str(file)
            for file in (path.relative_to(REPOSITORY / root) for path in files)
            if not any(fnmatch.fnmatch(str(file), pattern) for pattern in patterns.get(root, []))
        ]
        assert not left_out, f"[tool.setuptools.package-data] of {root} lacks {left_out}"


def test_licence_files_exist():
    for name in settings()["project"]["license-files"]:
        assert (REPOSITORY / name).is_file(), name
