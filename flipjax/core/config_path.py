"""Finds config files: in the current folder first, then in the repository that flipjax is installed from."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def resolve(argv: list[str]) -> list[str]:
    """Returns `argv` with the file of --config=FILE[:arg] made absolute where only the repository has it.

    The folder above a `configs` package joins the import path, so that config files find configs/common.py.

    Example:
      >>> resolve(["main", "--workdir=x"])
      ['main', '--workdir=x']
    """
    resolved = []
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name in ("--config", "-config") and equals:
            word = f"--config={resolve_file(value)}"
        elif index and argv[index - 1] in ("--config", "-config"):
            word = resolve_file(word)
        resolved.append(word)
    return resolved


def resolve_file(text: str) -> str:
    """Returns `path[:arg]` with the path that exists: as given, else below the repository, else unchanged."""
    path, colon, arg = text.partition(":")
    found = next((file for file in (Path(path), REPOSITORY / path) if file.is_file()), Path(path))
    root = next((folder for folder in found.resolve().parents if (folder / "configs" / "common.py").is_file()), None)
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return f"{found}{colon}{arg}"
