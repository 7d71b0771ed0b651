"""What an operator should look at: found in the tables, and in what the job servers say of the present moment.

Each finder looks at one thing, at a cost that does not grow with the job table, and says what is wrong in a sentence.
What servers say comes in as arguments: records ask nobody. The worst come first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Final

from django.db import connections
from django.utils import timezone

from gearjobs.models import BulkOperation, BulkState, JobServer, QueueControl, Schedule
from gearjobs.protocol.server_snapshot import FunctionFigures, ServerSnapshot
from gearjobs.records.job_queries import all_jobs, in_index_order
from gearjobs.records.ownership.store_clock import US_PER_S, read_clock_us
from gearjobs.records.statistics.series import totals
from gearjobs.settings import gearjobs_settings

#: Seconds that jobs may wait for a server to take them over, schedules for their run, and operations to begin.
UNOWNED_S: Final = 15.0
LATE_S: Final = 60.0
#: Seconds that this machine's clock and the database's may differ.
SKEW_S: Final = 2.0
#: Seconds without a sign of life after which a server's lease is old.
STALE_S: Final = 30.0
#: Ends within a quarter of an hour from which on a share of failures says something, and that share.
_LEAST_ENDS: Final = 10
_FAILING_SHARE: Final = 0.5
_FAILING_SPAN_S: Final = 900
#: Seconds a server's store may be busy with one thing, and changes that may wait for it.
_STORE_BUSY_S: Final = 2.0
_PENDING_CHANGES: Final = 10_000
#: Things of one kind that are named.
_NAMED: Final = 20


class Severity(IntEnum):
    """How bad it is; the order is that of the list."""

    ERROR = 0
    WARNING = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not as it should be."""

    #: What kind: `no_server`, `no_worker`, `failing` ...
    kind: str
    severity: Severity
    text: str
    #: What it is about: `server`, `queue`, `schedule`, `operation`; empty for the whole.
    target_kind: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What came of asking one job server."""

    address: str
    #: Why it said nothing; empty where it did.
    problem: str = ""
    snapshot: ServerSnapshot | None = None


@dataclass(frozen=True, slots=True)
class _View:
    alias: str
    servers: Sequence[ServerAnswer]
    now_s: float


def find_problems(servers: Sequence[ServerAnswer] = (), *, using: str | None = None) -> list[Problem]:
    """Return what is wrong, the worst first.

    Args:
        servers: what job servers say; none where nobody was asked.
        using: alias of the database, where it is not that of the settings.
    """
    view = _View(using or gearjobs_settings().database, servers, time.time())
    found = [problem for finder in _FINDERS for problem in finder(view)]
    return sorted(found, key=lambda problem: (problem.severity, problem.kind, problem.target))


def _silent_servers(view: _View) -> Iterator[Problem]:
    for server in view.servers:
        if server.problem:
            yield _problem("server_down", f"the job server {server.address} does not answer: {server.problem}", server)


def _troubled_servers(view: _View) -> Iterator[Problem]:
    for server in view.servers:
        said = server.snapshot
        if said is None:
            continue
        if said.is_store_down:
            yield _problem("store_down", f"the job server {server.address} cannot write to its store", server)
        elif said.store_busy_s > _STORE_BUSY_S or said.pending_changes > _PENDING_CHANGES:
            behind = f"{said.pending_changes:,} changes wait, the store is busy for {said.store_busy_s:.0f} s"
            yield _problem("store_lag", f"the store of {server.address} is behind: {behind}", server, is_error=False)
        if not said.is_lease_held:
            yield _problem("lease_lost", f"the job server {server.address} does not surely own its jobs", server)


def _idle_functions(view: _View) -> Iterator[Problem]:
    """Functions with jobs that nobody can do."""
    waiting: dict[str, list[FunctionFigures]] = {}
    for server in view.servers:
        for figures in server.snapshot.functions if server.snapshot else ():
            waiting.setdefault(figures.name, []).append(figures)
    for name, everywhere in waiting.items():
        jobs = sum(figures.waiting for figures in everywhere)
        if not jobs or any(figures.is_paused for figures in everywhere):
            continue
        able = sum(figures.workers for figures in everywhere)
        if not able:
            text = f"{jobs:,} jobs wait for {name}, and no worker can do it"
            yield Problem(kind="no_worker", severity=Severity.ERROR, text=text, target_kind="queue", target=name)
        elif able <= sum(figures.benched for figures in everywhere):
            text = f"every worker of {name} is benched, for it failed too fast; {jobs:,} jobs wait"
            yield Problem(kind="benched", severity=Severity.ERROR, text=text, target_kind="queue", target=name)


def _unowned_jobs(view: _View) -> Iterator[Problem]:
    """Jobs that clients inserted and no server takes."""
    late = timezone.now() - timedelta(seconds=UNOWNED_S)
    unowned = all_jobs(using=view.alias).filter(finished_at=None, owner="")
    oldest = in_index_order(unowned, "enqueued_at").values_list("enqueued_at", flat=True).first()
    if oldest is not None and oldest < late:
        text = "jobs wait in the table that no job server has taken over; is one running on this database?"
        yield Problem(kind="no_server", severity=Severity.ERROR, text=text)


def _stale_leases(view: _View) -> Iterator[Problem]:
    connection = connections[view.alias]
    now_us = read_clock_us(connection)
    rows = JobServer.objects.using(view.alias).filter(fenced_at_us=None, lease_until_us__isnull=False)
    for server in rows.filter(renewed_at_us__lt=now_us - STALE_S * US_PER_S).order_by("pk")[:_NAMED]:
        silent_s = (now_us - server.renewed_at_us) / US_PER_S
        text = f"the job server {server.pk} gave no sign of life for {silent_s:,.0f} s, and nobody took its jobs over"
        yield Problem(kind="stale_server", severity=Severity.ERROR, text=text, target_kind="server", target=server.pk)


def _clock_skew(view: _View) -> Iterator[Problem]:
    clocks = [("the database", read_clock_us(connections[view.alias]) / US_PER_S)]
    clocks += [(server.address, server.snapshot.at) for server in view.servers if server.snapshot is not None]
    for whose, says_s in clocks:
        # Asking took time, too.
        skew_s = says_s - time.time()
        if abs(skew_s) > SKEW_S + (time.time() - view.now_s):
            text = (
                f"the clock of {whose} is {abs(skew_s):.1f} s {'ahead' if skew_s > 0 else 'behind'} of this machine's"
            )
            yield Problem(kind="clock_skew", severity=Severity.WARNING, text=text, target_kind="server", target=whose)


def _late_schedules(view: _View) -> Iterator[Problem]:
    late = timezone.now() - timedelta(seconds=LATE_S)
    schedules = Schedule.objects.using(view.alias).filter(is_enabled=True, withdrawn_at=None, next_fire_at__lt=late)
    for schedule in schedules.order_by("next_fire_at")[:_NAMED]:
        text = f"the schedule {schedule.key} was due at {schedule.next_fire_at:%Y-%m-%d %H:%M:%S %Z} and did not run"
        yield Problem(
            kind="late_schedule", severity=Severity.ERROR, text=text, target_kind="schedule", target=schedule.key
        )


def _paused_backlogs(view: _View) -> Iterator[Problem]:
    paused = set(QueueControl.objects.using(view.alias).filter(is_paused=True).values_list("function", flat=True))
    if not paused:
        return
    for total in totals(using=view.alias):
        if total.function in paused and total.enqueued:
            text = f"{total.function} is paused, and got {total.enqueued:,} jobs in the last hour"
            yield Problem(
                kind="paused_backlog",
                severity=Severity.WARNING,
                text=text,
                target_kind="queue",
                target=total.function,
            )


def _failing_functions(view: _View) -> Iterator[Problem]:
    for total in totals(span_s=_FAILING_SPAN_S, using=view.alias):
        ended = total.succeeded + total.failed
        if ended >= _LEAST_ENDS and total.failed >= _FAILING_SHARE * ended:
            text = f"{total.function}: {total.failed:,} of {ended:,} jobs failed in the last 15 minutes"
            yield Problem(
                kind="failing", severity=Severity.ERROR, text=text, target_kind="queue", target=total.function
            )


def _waiting_operations(view: _View) -> Iterator[Problem]:
    late = timezone.now() - timedelta(seconds=LATE_S)
    operations = BulkOperation.objects.using(view.alias).filter(state=BulkState.WAITING, asked_at__lt=late)
    for operation in operations.order_by("asked_at")[:_NAMED]:
        text = f"to {operation.verb} jobs was asked for at {operation.asked_at:%H:%M:%S}, and no job server began"
        yield Problem(
            kind="waiting_operation",
            severity=Severity.WARNING,
            text=text,
            target_kind="operation",
            target=operation.pk,
        )


def _problem(kind: str, text: str, server: ServerAnswer, *, is_error: bool = True) -> Problem:
    severity = Severity.ERROR if is_error else Severity.WARNING
    return Problem(kind=kind, severity=severity, text=text, target_kind="server", target=server.address)


_FINDERS: Final[tuple[Callable[[_View], Iterator[Problem]], ...]] = (
    _silent_servers,
    _troubled_servers,
    _idle_functions,
    _unowned_jobs,
    _stale_leases,
    _clock_skew,
    _late_schedules,
    _paused_backlogs,
    _failing_functions,
    _waiting_operations,
)
