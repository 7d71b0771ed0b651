"""Imports point down the floors, and none hides inside a function but in the three places that may.

The floors themselves are contracts of import-linter in pyproject.toml; the test runs it as `make check` does, so that
they also hold where only the tests run.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.architecture.source_tree import ROOT, functions_of, python_files

#: File -> the function that may import, or None for any function of the file.
MAY_IMPORT_INSIDE = {
    Path("gearjobs/__init__.py"): "__getattr__",
    Path("gearjobs/apps.py"): "ready",
    Path("gearjobs/tasks/django_tasks.py"): None,
}


def test_floors_are_kept():
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_no_import_inside_a_function():
    hidden = [
        f"{path}:{node.lineno} in {function.name}"
        for path in python_files("gearjobs", "demo_site", "tests")
        for function in functions_of(path)
        if not (path in MAY_IMPORT_INSIDE and MAY_IMPORT_INSIDE[path] in {None, function.name})
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert not hidden


def test_every_folder_of_the_package_is_a_package():
    folders = {path.parent for path in python_files("gearjobs")}

    assert not [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
