"""Gearman for Django: a job server, worker processes, and `@gear_task`; clients and workers for any Python program.

The public names, imported when first used: `import gearjobs` alone costs nothing, and works before `django.setup()` as
Django needs it to. Clients and workers import nothing of Django; those for asyncio are in `gearjobs.aio`. Each name's
home says what it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearjobs.client.admin_client import AdminClient
    from gearjobs.client.client import Client
    from gearjobs.client.in_flight import JobCreated, JobData, JobProgress, JobWarning
    from gearjobs.client.job_status import JobStatus
    from gearjobs.client.requests import JobRequest, background_request, job_request
    from gearjobs.client.started_jobs import StartedJob
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
    from gearjobs.guarded_socket import make_security
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
    from gearjobs.tls import TlsFiles
    from gearjobs.version import __version__
    from gearjobs.worker.running_job import RunningJob
    from gearjobs.worker.worker import Worker

_HOMES = {
    "AdminClient": "gearjobs.client.admin_client",
    "Attempt": "gearjobs.tasks.result",
    "Client": "gearjobs.client.client",
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
    "JobCreated": "gearjobs.client.in_flight",
    "JobData": "gearjobs.client.in_flight",
    "JobDead": "gearjobs.errors",
    "JobError": "gearjobs.errors",
    "JobExpired": "gearjobs.errors",
    "JobFailed": "gearjobs.errors",
    "JobLost": "gearjobs.errors",
    "JobProgress": "gearjobs.client.in_flight",
    "JobRequest": "gearjobs.client.requests",
    "JobStatus": "gearjobs.client.job_status",
    "JobTimedOut": "gearjobs.errors",
    "JobWarning": "gearjobs.client.in_flight",
    "Limit": "gearjobs.tasks.flow_limits",
    "PartlyRefused": "gearjobs.errors",
    "Progress": "gearjobs.tasks.result",
    "Rate": "gearjobs.tasks.flow_limits",
    "Retry": "gearjobs.errors",
    "RunningJob": "gearjobs.worker.running_job",
    "ScheduleSpec": "gearjobs.tasks.schedules.schedule_spec",
    "ServerError": "gearjobs.errors",
    "ServerUnavailable": "gearjobs.errors",
    "SettingsError": "gearjobs.errors",
    "Signature": "gearjobs.tasks.groups.signature",
    "SoftTimeout": "gearjobs.errors",
    "StartedJob": "gearjobs.client.started_jobs",
    "TlsFiles": "gearjobs.tls",
    "UniqueConflict": "gearjobs.errors",
    "UsageError": "gearjobs.errors",
    "Worker": "gearjobs.worker.worker",
    "__version__": "gearjobs.version",
    "background_request": "gearjobs.client.requests",
    "chain": "gearjobs.tasks.groups.signature",
    "chord": "gearjobs.tasks.groups.signature",
    "exponential": "gearjobs.tasks.retry_policy",
    "gear_task": "gearjobs.tasks.decorator",
    "group": "gearjobs.tasks.groups.signature",
    "job_request": "gearjobs.client.requests",
    "linear": "gearjobs.tasks.retry_policy",
    "make_security": "gearjobs.guarded_socket",
    "map_reduce": "gearjobs.tasks.groups.signature",
    "periodic": "gearjobs.tasks.schedules.declarations",
    "submitted_by": "gearjobs.tasks.submitter",
}

__all__ = [
    "AdminClient",
    "Attempt",
    "Client",
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
    "JobCreated",
    "JobData",
    "JobDead",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobLost",
    "JobProgress",
    "JobRequest",
    "JobStatus",
    "JobTimedOut",
    "JobWarning",
    "Limit",
    "PartlyRefused",
    "Progress",
    "Rate",
    "Retry",
    "RunningJob",
    "ScheduleSpec",
    "ServerError",
    "ServerUnavailable",
    "SettingsError",
    "Signature",
    "SoftTimeout",
    "StartedJob",
    "TlsFiles",
    "UniqueConflict",
    "UsageError",
    "Worker",
    "__version__",
    "background_request",
    "chain",
    "chord",
    "exponential",
    "gear_task",
    "group",
    "job_request",
    "linear",
    "make_security",
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
