"""Sizes of files and functions, names of files, docstrings of modules.

Each test lists every offender at once. What reads as a rule but needs judgement (a file has one subject, a class one
job) is left to the reader.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.architecture.source_tree import functions_of, python_files, source_of, tree_of

FILE_LIMIT_LINES = 500
FUNCTION_LIMIT_LINES = 60
DOCSTRING_LIMITS_LINES = range(3, 16)
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "types"}
#: Modules there are called what python-gearman called them: programs import `gearman.job` and `gearman.util`, and type
#: checkers find nothing but real files under these names. Whatever else stands there has a name of its own.
FOREIGN_FOLDER = Path("gearjobs/compat/gearman")
FOREIGN_NAMES = {
    "admin_client",
    "admin_client_handler",
    "client",
    "client_handler",
    "command_handler",
    "compat",
    "connection",
    "connection_manager",
    "constants",
    "errors",
    "job",
    "protocol",
    "util",
    "worker",
    "worker_handler",
}
#: Django looks these up by name, so every app has them.
DJANGO_NAMES = {"__init__", "__main__"}

PACKAGE = python_files("gearjobs")
EVERYTHING = python_files("gearjobs", "demo_site", "tests")


def test_package_is_found():
    assert len(PACKAGE) > 30


def test_no_file_is_longer_than_500_lines():
    long = {str(path): length for path in EVERYTHING if (length := source_of(path).count("\n")) > FILE_LIMIT_LINES}

    assert not long


def test_no_function_is_longer_than_60_lines():
    long = [
        f"{path}:{function.lineno} {function.name} {length}"
        for path in EVERYTHING
        for function in functions_of(path)
        if (length := _length(function)) > FUNCTION_LIMIT_LINES
    ]

    assert not long


def test_no_file_has_a_name_that_says_nothing():
    ours = [path for path in EVERYTHING if not _is_named_by_others(path)]
    vague = [str(path) for path in ours if VAGUE_NAMES & {path.stem, *path.parent.parts}]

    assert not vague


def test_names_of_files_are_unique_in_the_package():
    ours = [path for path in PACKAGE if not _is_named_by_others(path)]
    counted = Counter(path.stem for path in ours if path.stem not in DJANGO_NAMES)

    assert not [name for name, count in counted.items() if count > 1]


def test_every_module_says_what_lives_in_it():
    silent = [str(path) for path in EVERYTHING if tree_of(path).body and not ast.get_docstring(tree_of(path))]

    assert not silent


def test_docstrings_of_the_package_have_3_to_15_lines():
    lengths = {
        str(path): docstring.count("\n") + 1
        for path in PACKAGE
        if path.name != "__init__.py" and (docstring := ast.get_docstring(tree_of(path)))
    }

    assert not {path: length for path, length in lengths.items() if length not in DOCSTRING_LIMITS_LINES}


def _is_named_by_others(path: Path) -> bool:
    return path.parent == FOREIGN_FOLDER and path.stem in FOREIGN_NAMES


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno
