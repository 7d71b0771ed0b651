"""Models by way of a late import: tasks are decorated before `django.setup()`, and models cannot be imported before it.

`job_queries` may be imported from here at any time: the real module is imported when one of its attributes is first
read. Import checkers and mypy see a plain import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["job_queries"]

if TYPE_CHECKING:
    from gearjobs.records import job_queries
else:

    class _LateModule:
        def __init__(self, path):
            self._path = path

        def __getattr__(self, name):
            return getattr(import_module(self._path), name)

    job_queries = _LateModule("gearjobs.records.job_queries")
