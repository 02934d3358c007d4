"""Finds config files: in the current folder first, then in the repository that flipjax is installed from."""

import sys
from pathlib import Path

from flipjax.core.errors import ConfigError, suggest

REPOSITORY = Path(__file__).resolve().parents[2]


def resolve(argv: list[str]) -> list[str]:
    """Returns `argv` with the file of --config=FILE[:arg] made absolute where only the repository has it.

    The folder above a `configs` package joins the import path, so that config files find configs/common.py.

    Raises:
      ConfigError: the file is in neither place.

    Example:
      >>> resolve(["main", "--workdir=x"])
      ['main', '--workdir=x']
    """
    resolved = []
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name in ("--config", "-config") and equals:
            word = f"--config={_existing(value)}"
        elif index and argv[index - 1] in ("--config", "-config"):
            word = _existing(word)
        resolved.append(word)
    return resolved


def _existing(text: str) -> str:
    found = resolve_file(text)
    path = found.partition(":")[0]
    if not Path(path).is_file():
        files = sorted((REPOSITORY / "configs").glob("*.py"))
        known = [f"configs/{file.name}" for file in files if file.stem not in ("__init__", "common")]
        raise ConfigError(f"config file '{path}' does not exist; known: {', '.join(known)}{suggest(path, known)}")
    return found


def resolve_file(text: str) -> str:
    """Returns `path[:arg]` with the path that exists: as given, else below the repository, else unchanged."""
    path, colon, arg = text.partition(":")
    found = next((file for file in (Path(path), REPOSITORY / path) if file.is_file()), Path(path))
    root = next((folder for folder in found.resolve().parents if (folder / "configs" / "common.py").is_file()), None)
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return f"{found}{colon}{arg}"
