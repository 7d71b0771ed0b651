"""One round of running caught jobs: those chosen that are due, most urgent first, each in this process.

A round has a server and a worker of its own for each store, so that nothing is left of it but what stands in the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gearjobs.settings import gearjobs_settings
from gearjobs.stores.base import JobStore
from gearjobs.stores.memory import MemoryStore
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.result import GearResult
from gearjobs.testing.captured_rows import CapturedRows
from gearjobs.testing.capturing_client import may_use_database
from gearjobs.testing.in_process_server import InProcessServer
from gearjobs.testing.in_process_worker import InProcessWorker


@dataclass(slots=True)
class JobRound:
    """What a round did."""

    #: Runs, those that are to be tried again included.
    runs: int = 0
    #: What a job's last run raised, by handle.
    errors: dict[str, BaseException] = field(default_factory=dict)
    #: When the next of the jobs is due, unix seconds; None where none is.
    next_due_at: float | None = None


def run_round(chosen: Sequence[GearResult[Any]], *, now: float, memory: MemoryStore, most: int = 1_000_000) -> JobRound:
    """Run jobs that are due.

    Args:
        chosen: the jobs.
        now: the job server's time, unix seconds.
        memory: where those are that have no row.
        most: runs after which the round ends.
    """
    done = JobRound()
    alias = gearjobs_settings().database
    stores: list[JobStore] = [CapturedRows(alias)] if may_use_database(alias) else []
    for store in (*stores, memory):
        try:
            _run_in(store, chosen, done, now=now, most=most)
        finally:
            store.close()
    return done


def _run_in(store: JobStore, chosen: Sequence[GearResult[Any]], done: JobRound, *, now: float, most: int) -> None:
    handles = {result.id.encode() for result in chosen}
    jobs = [job for job in (*store.load(), *store.adopt(len(handles))) if job.handle in handles]
    if not jobs:
        return
    server = InProcessServer(store, now=now)
    server.take_in(jobs)
    worker = InProcessWorker(server, {function_of(result.task): result.task for result in chosen})
    while done.runs < most and (run := worker.run_next()) is not None:
        done.runs += 1
        if run.error is None:
            done.errors.pop(run.handle, None)
        else:
            done.errors[run.handle] = run.error
    due_at = server.next_due()
    if due_at is not None:
        done.next_due_at = due_at if done.next_due_at is None else min(due_at, done.next_due_at)
