"""A module that is imported when one of its attributes is first read, where a plain import would come too early.

Whoever uses it writes the plain import under TYPE_CHECKING, for import checkers and mypy, and says why it is too early.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LateModule:
    """Stands for the module.

    Args:
        path: as it is imported.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._path), name)
