"""The repository's files as the architecture tests read them: what git tracks or would track, parsed once.

The rules themselves are in the tests beside this file.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def kept_files() -> tuple[Path, ...]:
    """Return the files that are in the repository or would be after `git add .`, relative to ROOT."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    names = (Path(name) for name in listing.stdout.split("\0") if name)
    return tuple(sorted({name for name in names if (ROOT / name).is_file()}))


def python_files(*tops: str) -> tuple[Path, ...]:
    """Return the Python files under the top-level folders named, generated migrations left out."""
    return tuple(
        path
        for path in kept_files()
        if path.suffix == ".py" and path.parts[0] in tops and "migrations" not in path.parts
    )


@cache
def source_of(path: Path) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file of the repository."""
    return ast.parse(source_of(path), filename=str(path))


def functions_of(path: Path) -> Iterator[Function]:
    """Yield every function and method of a file, nested ones too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
