"""Finding and listing the files of a raw data set."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from flipjax.core.errors import DataError

_IGNORED = ("Thumbs.db", "desktop.ini", "__MACOSX")


def find_root(raw: Path, markers: Sequence[str], dataset: str) -> Path:
    """Returns the folder that holds one of `markers`: `raw` itself, or its only subfolder that does.

    Args:
      raw: what the user gave.
      markers: names of files or folders that a root of the data set holds; any one of them is enough.
      dataset: its title, for the error.

    Raises:
      DataError: `raw` is no folder, or neither it nor exactly one of its subfolders is a root.
    """
    if not raw.is_dir():
        raise DataError(f"--raw '{raw}' is not a folder; give the folder of {dataset} that holds {_either(markers)}")
    if _is_root(raw, markers):
        return raw
    below = [folder for folder in sorted(raw.iterdir()) if folder.is_dir() and _is_root(folder, markers)]
    if len(below) == 1:
        return below[0]
    found = (
        f"several folders below it do ({', '.join(folder.name for folder in below)})" if below else "none below does"
    )
    raise DataError(f"--raw '{raw}' does not hold {_either(markers)} as {dataset} does, and {found}; give that folder")


def files_below(root: Path) -> Iterator[str]:
    """Yields every file below `root` as a relative path with forward slashes, sorted, without hidden and system files."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_ignored(name))
        here = "" if Path(folder) == root else f"{Path(folder).relative_to(root).as_posix()}/"
        for name in sorted(names):
            if not _is_ignored(name):
                yield here + name


def _is_root(folder: Path, markers: Sequence[str]) -> bool:
    return any((folder / marker).exists() for marker in markers)


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def _either(markers: Sequence[str]) -> str:
    return " or ".join(f"'{marker}'" for marker in markers)
