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
        Discard,
        GearjobsError,
        JobCancelled,
        JobCoalesced,
        JobDead,
        JobError,
        JobExpired,
        JobFailed,
        JobLost,
        JobTimedOut,
        PartlyRefused,
        Retry,
        ServerError,
        ServerUnavailable,
        SettingsError,
        SoftTimeout,
        UniqueConflict,
        UsageError,
    )
    from gearjobs.tasks.backend import GearmanBackend
    from gearjobs.tasks.context import GearContext
    from gearjobs.tasks.decorator import gear_task
    from gearjobs.tasks.flow_limits import Limit, Rate
    from gearjobs.tasks.groups.group_result import GroupResult
    from gearjobs.tasks.groups.signature import Signature, chain, chord, group, map_reduce
    from gearjobs.tasks.job_events import Event
    from gearjobs.tasks.result import Attempt, GearResult, Progress
    from gearjobs.tasks.retry_policy import exponential, linear
    from gearjobs.tasks.schedules.declarations import periodic
    from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
    from gearjobs.tasks.submitter import submitted_by
    from gearjobs.tasks.task import GearTask
    from gearjobs.version import __version__

_HOMES = {
    "Attempt": "gearjobs.tasks.result",
    "DeadlineExceeded": "gearjobs.errors",
    "Discard": "gearjobs.errors",
    "Event": "gearjobs.tasks.job_events",
    "GearContext": "gearjobs.tasks.context",
    "GearResult": "gearjobs.tasks.result",
    "GearTask": "gearjobs.tasks.task",
    "GearjobsError": "gearjobs.errors",
    "GearmanBackend": "gearjobs.tasks.backend",
    "GroupResult": "gearjobs.tasks.groups.group_result",
    "JobCancelled": "gearjobs.errors",
    "JobCoalesced": "gearjobs.errors",
    "JobDead": "gearjobs.errors",
    "JobError": "gearjobs.errors",
    "JobExpired": "gearjobs.errors",
    "JobFailed": "gearjobs.errors",
    "JobLost": "gearjobs.errors",
    "JobTimedOut": "gearjobs.errors",
    "Limit": "gearjobs.tasks.flow_limits",
    "PartlyRefused": "gearjobs.errors",
    "Progress": "gearjobs.tasks.result",
    "Rate": "gearjobs.tasks.flow_limits",
    "Retry": "gearjobs.errors",
    "ScheduleSpec": "gearjobs.tasks.schedules.schedule_spec",
    "ServerError": "gearjobs.errors",
    "ServerUnavailable": "gearjobs.errors",
    "SettingsError": "gearjobs.errors",
    "Signature": "gearjobs.tasks.groups.signature",
    "SoftTimeout": "gearjobs.errors",
    "UniqueConflict": "gearjobs.errors",
    "UsageError": "gearjobs.errors",
    "__version__": "gearjobs.version",
    "chain": "gearjobs.tasks.groups.signature",
    "chord": "gearjobs.tasks.groups.signature",
    "exponential": "gearjobs.tasks.retry_policy",
    "gear_task": "gearjobs.tasks.decorator",
    "group": "gearjobs.tasks.groups.signature",
    "linear": "gearjobs.tasks.retry_policy",
    "map_reduce": "gearjobs.tasks.groups.signature",
    "periodic": "gearjobs.tasks.schedules.declarations",
    "submitted_by": "gearjobs.tasks.submitter",
}

__all__ = [
    "Attempt",
    "DeadlineExceeded",
    "Discard",
    "Event",
    "GearContext",
    "GearResult",
    "GearTask",
    "GearjobsError",
    "GearmanBackend",
    "GroupResult",
    "JobCancelled",
    "JobCoalesced",
    "JobDead",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobLost",
    "JobTimedOut",
    "Limit",
    "PartlyRefused",
    "Progress",
    "Rate",
    "Retry",
    "ScheduleSpec",
    "ServerError",
    "ServerUnavailable",
    "SettingsError",
    "Signature",
    "SoftTimeout",
    "UniqueConflict",
    "UsageError",
    "__version__",
    "chain",
    "chord",
    "exponential",
    "gear_task",
    "group",
    "linear",
    "map_reduce",
    "periodic",
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
