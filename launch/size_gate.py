"""Fails where a Python file is longer than 400 lines or a function longer than 60."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES = 400, 60
FOLDERS = ("flipjax", "configs", "data_prep", "launch", "tests")


def problems(path: Path) -> Iterator[str]:
    """Yields one line per file or function that is too long."""
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines, at most {FILE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"


def main() -> int:
    """Checks every file of the repository."""
    root = Path(__file__).resolve().parents[1]
    found = [line for folder in FOLDERS for path in sorted((root / folder).rglob("*.py")) for line in problems(path)]
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
