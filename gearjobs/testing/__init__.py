"""For the tests of projects that use gearjobs: catch jobs, run them, or have a real job server for a test.

The public names, imported when first used: pytest imports this package in every project of an environment that has
gearjobs installed, also in those that use neither it nor Django. How to use them: docs/testing.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearjobs.testing.case_mixin import GearjobsTestMixin
    from gearjobs.testing.conformance.backend_conformance import BackendConformance
    from gearjobs.testing.job_capture import JobCapture
    from gearjobs.testing.server_thread import JobServerThread
    from gearjobs.testing.worker_thread import WorkerThread

_HOMES = {
    "BackendConformance": "gearjobs.testing.conformance.backend_conformance",
    "GearjobsTestMixin": "gearjobs.testing.case_mixin",
    "JobCapture": "gearjobs.testing.job_capture",
    "JobServerThread": "gearjobs.testing.server_thread",
    "WorkerThread": "gearjobs.testing.worker_thread",
}

__all__ = ["BackendConformance", "GearjobsTestMixin", "JobCapture", "JobServerThread", "WorkerThread"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gearjobs.testing' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
