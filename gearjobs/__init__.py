"""Gearman for Django: a job server, worker processes, and `@gear_task`.

The public names, imported when first used: `import gearjobs` alone costs nothing, and works before `django.setup()` as
Django needs it to. Each name's home says what it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearjobs.errors import (
        DeadlineExceeded,
        GearjobsError,
        JobCancelled,
        JobError,
        JobFailed,
        JobLost,
        PartlyRefused,
        ServerError,
        ServerUnavailable,
        SettingsError,
        UsageError,
    )
    from gearjobs.tasks.backend import GearmanBackend
    from gearjobs.tasks.context import GearContext
    from gearjobs.tasks.decorator import gear_task
    from gearjobs.tasks.result import GearResult, Progress
    from gearjobs.tasks.submitter import submitted_by
    from gearjobs.tasks.task import GearTask
    from gearjobs.version import __version__

_HOMES = {
    "DeadlineExceeded": "gearjobs.errors",
    "GearContext": "gearjobs.tasks.context",
    "GearResult": "gearjobs.tasks.result",
    "GearTask": "gearjobs.tasks.task",
    "GearjobsError": "gearjobs.errors",
    "GearmanBackend": "gearjobs.tasks.backend",
    "JobCancelled": "gearjobs.errors",
    "JobError": "gearjobs.errors",
    "JobFailed": "gearjobs.errors",
    "JobLost": "gearjobs.errors",
    "PartlyRefused": "gearjobs.errors",
    "Progress": "gearjobs.tasks.result",
    "ServerError": "gearjobs.errors",
    "ServerUnavailable": "gearjobs.errors",
    "SettingsError": "gearjobs.errors",
    "UsageError": "gearjobs.errors",
    "__version__": "gearjobs.version",
    "gear_task": "gearjobs.tasks.decorator",
    "submitted_by": "gearjobs.tasks.submitter",
}

__all__ = [
    "DeadlineExceeded",
    "GearContext",
    "GearResult",
    "GearTask",
    "GearjobsError",
    "GearmanBackend",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobLost",
    "PartlyRefused",
    "Progress",
    "ServerError",
    "ServerUnavailable",
    "SettingsError",
    "UsageError",
    "__version__",
    "gear_task",
    "submitted_by",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gearjobs' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
