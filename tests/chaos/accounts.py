"""What came of it: the journal made whole from the workers' diaries and the table, and the figures of one run.

Rows are seen at the end only, so the checks that need to see them change say nothing here; the simulation has those.
A hand-out whose commit the server's death may have prevented cannot be seen from outside: a run that began within
`UNCOMMITTED_S` before its server was lost is allowed to overlap with the next one, and is counted.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gearjobs.models import Job
from tests.chaos.house import House
from tests.support.invariants import breaches_of
from tests.support.journal import (
    KILLED,
    Breach,
    Event,
    JournalView,
    Promised,
    Promises,
    RowAppeared,
    RowEnded,
    RunEnded,
    RunStarted,
    ServerBegan,
    ServerLost,
    WorkerDied,
)

#: Seconds before a server's loss from which on a hand-out may not have been committed: some batches of a busy machine.
UNCOMMITTED_S: Final = 0.5
#: Seconds from when a server listens to when that is noted; less than a restart takes.
_NOTED_LATE_S: Final = 0.2
#: Seconds a process may still write after it was sent SIGKILL, on a busy machine.
_DYING_S: Final = 0.05

_BEGAN: Final = re.compile(
    r"S (?P<at>\S+) (?P<run>\S+) (?P<handle>\S+) (?P<attempt>\d+) (?P<server>\S+) (?P<resumable>\d) (?P<payload>\S*)"
)
_ENDED: Final = re.compile(r"E (?P<at>\S+) (?P<run>\S+) (?P<how>\S+)")


@dataclass
class Account:
    """The figures of one run, and what was wrong with it."""

    #: Jobs that were promised: acknowledged by a server, or committed with their transaction.
    promised: int = 0
    executed: int = 0
    #: Promised jobs whose end is in the table.
    recorded: int = 0
    #: Promised jobs that are nowhere, or never ran.
    lost: int = 0
    #: Runs beyond the first of each job.
    repeated: int = 0
    #: Of the repeated ones, those that may have overlapped for want of a committed hand-out.
    excused: int = 0
    #: Seconds from the promise to the start of the job that waited longest.
    slowest_start_s: float = 0.0
    breaches: list[Breach] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.lost and not self.breaches


def settle(house: House, *, promises: Promises) -> Account:
    """Return the account of a house that has come to rest."""
    events = sorted([*house.journal.events, *_diaries(house), *_rows(house)], key=lambda event: event.at)
    view = JournalView(events, promises)
    runs = view.all(RunStarted)
    promised = {event.handle: event.at for event in view.all(Promised)}
    ended = {event.handle for event in view.all(RowEnded)}
    started: dict[bytes, float] = {}
    for run in runs:
        started.setdefault(run.handle, run.at)
    uncertain = _uncertain(view)
    breaches = breaches_of(view)
    return Account(
        promised=len(promised),
        executed=len(started),
        recorded=len(promised.keys() & ended),
        lost=len(promised.keys() - (ended & started.keys())),
        repeated=len(runs) - len(started),
        excused=len({breach.handle for breach in breaches if _is_excused(breach, uncertain)}),
        slowest_start_s=max(
            (started[handle] - at for handle, at in promised.items() if handle in started), default=0.0
        ),
        breaches=[breach for breach in breaches if not _is_excused(breach, uncertain)],
    )


def _is_excused(breach: Breach, uncertain: set[bytes]) -> bool:
    return breach.invariant in {"I5", "I6"} and breach.handle in uncertain


def _uncertain(view: JournalView) -> set[bytes]:
    """Return the handles of runs that began just before their server was lost."""
    losses = {loss.server: loss.at for loss in view.all(ServerLost)}
    return {
        run.handle for run in view.all(RunStarted) if -_DYING_S <= losses.get(run.server, 0.0) - run.at < UNCOMMITTED_S
    }


def _diaries(house: House) -> list[Event]:
    lives = _lives(house.journal.events)
    deaths: defaultdict[str, list[float]] = defaultdict(list)
    for event in house.journal.events:
        if isinstance(event, WorkerDied):
            deaths[event.worker].append(event.at)
    events: list[Event] = []
    for worker in house.workers:
        events += _diary(worker.diary, worker.name, lives=lives, deaths=deaths[worker.name])
    return events


def _diary(path: Path, worker: str, *, lives: dict[str, list[tuple[float, str]]], deaths: list[float]) -> list[Event]:
    events: list[Event] = []
    under_way: dict[bytes, RunStarted] = {}
    for line in path.read_text().splitlines():
        if (began := _BEGAN.fullmatch(line)) is not None:
            at, run = float(began["at"]), began["run"].encode()
            server = next(name for since, name in reversed(lives[began["server"].rpartition(":")[2]]) if since <= at)
            under_way[run] = RunStarted(
                at, run, began["handle"].encode(), int(began["attempt"]), worker, server,
                is_resumable=began["resumable"] == "1", is_background=True, payload=began["payload"].encode(),
            )  # fmt: skip
            events.append(under_way[run])
        elif (ended := _ENDED.fullmatch(line)) is not None:
            events.append(RunEnded(float(ended["at"]), ended["run"].encode(), ended["how"]))
            del under_way[ended["run"].encode()]
        else:
            raise AssertionError(f"{path} has the line {line!r}")
    for run in under_way.values():
        died_at = next((at for at in deaths if at >= run.at - _DYING_S), None)
        if died_at is not None:
            events.append(RunEnded(max(died_at, run.at), run.run, KILLED))
    return events


def _lives(events: list[Event]) -> dict[str, list[tuple[float, str]]]:
    """Return the lives of the server at each port, with their beginnings."""
    lives: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for event in events:
        if isinstance(event, ServerBegan):
            port = event.server.partition("#")[0]
            # It listens, and may hand out jobs, a moment before that is noted.
            lives[port].append((event.at - _NOTED_LATE_S, event.server))
    return lives


def _rows(house: House) -> list[Event]:
    # From the wall clock of the table to the clock of the journal.
    offset_s = time.monotonic() - time.time()
    events: list[Event] = []
    for job in Job.objects.using(house.alias).iterator():
        handle = job.handle.encode()
        events.append(RowAppeared(0.0, handle, job.function.encode(), job.unique.encode(), bytes(job.payload)))
        if job.finished_at is not None:
            at = job.finished_at.timestamp() + offset_s
            result = bytes(job.result or b"")
            events.append(RowEnded(at, handle, job.owner, job.attempt, job.status_detail, result, job.crashes))
    return events
