"""What programs can name in a library with python-gearman's interface: modules, classes, arguments, constants.

A name counts for the module whose source binds it; what is only imported there does not, but in the package itself.
Names that begin with one underscore are the library's own business.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

from tests.compat.library_stage import describe

_CONTAINERS = (set, frozenset, dict, list, tuple)


def modules_of(library: Any) -> list[str]:
    """Return the names of the package's modules; the package itself is the empty one."""
    return ["", *sorted(path.stem for path in Path(library.__file__).parent.glob("[a-z]*.py"))]


def surface_of(library: Any, module_name: str) -> dict[str, Any]:
    """Return each name of a module with what a program can see of it."""
    module = importlib.import_module(f"{library.__name__}.{module_name}") if module_name else library
    names = _bound_names(Path(str(module.__file__)).read_text(), imports_count=not module_name)
    return {name: _seen(getattr(module, name)) for name in sorted(names)}


def instances_of(library: Any) -> dict[str, dict[str, Any]]:
    """Return the attributes of new objects of each class that programs make, or are given."""
    job = library.job.GearmanJob(None, "H:a:1", "task", "unique", "data")
    made = {
        "client": library.GearmanClient(["a:1"]),
        "worker": library.GearmanWorker(["a:1"]),
        "admin client": library.GearmanAdminClient(["a:1"]),
        "job": job,
        "request": library.job.GearmanJobRequest(job, "LOW", True, 3),
        "connection": library.connection.GearmanConnection("a", 1),
        "client's handler": library.GearmanClient.command_handler_class(),
        "worker's handler": library.GearmanWorker.command_handler_class(),
        "admin client's handler": library.GearmanAdminClient.command_handler_class(),
    }
    return {
        name: {attribute: describe(value) for attribute, value in vars(each).items() if not attribute.startswith("_")}
        for name, each in made.items()
    }


def _bound_names(source: str, *, imports_count: bool) -> set[str]:
    names: set[str] = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.add(statement.target.id)
        elif isinstance(statement, ast.ImportFrom) and imports_count:
            names.update(alias.asname or alias.name for alias in statement.names)
    # Loggers are told by their own test; __all__ is what the rest says.
    return {name for name in names if not name.startswith("_") or name == "__version__"} - {"gearman_logger"}


def _seen(value: Any) -> Any:
    if inspect.isclass(value):
        return {"class": _class(value)}
    if inspect.isroutine(value):
        return {"arguments": _arguments(value)}
    if inspect.ismodule(value):
        return {"module": value.__name__.rpartition(".")[2]}
    if isinstance(value, _CONTAINERS):
        return {type(value).__name__: _sorted(value)}
    return {"value": describe(value)} if isinstance(value, str | bytes | int | float | None) else type(value).__name__


def _class(value: type) -> dict[str, Any]:
    inherited = [base.__name__ for base in value.__mro__[1:] if base is not object]
    own = {
        name: _attribute(inspect.getattr_static(value, name))
        for owner in value.__mro__
        if "gearman" in owner.__module__
        for name in vars(owner)
        if not name.startswith("_") or name == "__init__"
    }
    return {"bases": [base for base in inherited if base != "GearjobsError"], "has": own}


def _attribute(value: Any) -> Any:
    if isinstance(value, classmethod | staticmethod):
        return {type(value).__name__: _arguments(value.__func__)}
    if isinstance(value, property):
        return "property"
    if inspect.isclass(value):
        return {"names": value.__name__}
    return {"arguments": _arguments(value)} if inspect.isroutine(value) else {"value": describe(value)}


def _arguments(function: Any) -> list[str]:
    return [
        f"{parameter.name}={describe(parameter.default)!r}"
        if parameter.default is not parameter.empty
        else f"{'*' * (parameter.kind - 1) if parameter.kind in {2, 4} else ''}{parameter.name}"
        for parameter in inspect.signature(function).parameters.values()
    ]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): describe(element) for key, element in sorted(value.items())}
    return [describe(element) for element in (sorted(value) if isinstance(value, set | frozenset) else value)]
