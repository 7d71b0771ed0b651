"""A Durability with a store in trouble behind it and peers in front of it.

What the tests of `server/durability` share: `open_desk` gives a Desk that is open, and closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gearjobs.core.changes import Finished, Outcome, Progressed, Started, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.server.connection import Connection
from gearjobs.server.durability import Durability
from gearjobs.server.writer import Verdict
from tests.support.fake_transport import FakeTransport, QuietHandler, make_connection
from tests.support.time_travel import advance, aeventually
from tests.support.troubled_store import TroubledStore, accepted

#: Unix seconds at which everything happens.
NOW: Final = 1_000.0
JOB: Final = JobHandle(b"H:1")


class Desk:
    """A Durability with a troubled store, and peers that submit to it."""

    def __init__(self, *, progress_interval_s: float = 1.0) -> None:
        self.store = TroubledStore()
        self.verdicts: list[Verdict] = []
        self.adopted: list[list[StoredJob]] = []
        self.handler = QuietHandler()
        self.durability = Durability(
            self.store,
            on_verdict=self.verdicts.append,
            on_adopted=self.adopted.append,
            on_released=self.handler.flush,
            progress_interval_s=progress_interval_s,
        )

    def peer(self) -> tuple[Connection, FakeTransport]:
        return make_connection(self.handler)

    def submit(self, connection: Connection, handle: JobHandle = JOB) -> None:
        """Do what the server does with a background submit."""
        self.durability.record(accepted(handle), now=NOW)
        self.durability.hold_created(connection, handle, b"created " + handle, refusal=b"error")

    def end(self, connection: Connection, handle: JobHandle = JOB) -> None:
        """Do what the server does when a job ends for which somebody waits."""
        self.durability.record(finished(handle), now=NOW)
        self.durability.hold_ended(connection, handle, b"complete " + handle)

    async def settled(self, count: int = 1) -> Verdict:
        """Return the nth verdict, once it came."""
        await aeventually(lambda: len(self.verdicts) >= count, f"verdict {count}")
        return self.verdicts[count - 1]


@asynccontextmanager
async def open_desk(**options: float) -> AsyncIterator[Desk]:
    """Open a desk, and close it at the end of the block."""
    desk = Desk(**options)
    await desk.durability.open()
    try:
        yield desk
    finally:
        desk.store.gate.set()
        closing = asyncio.ensure_future(desk.durability.close())
        # What it waits for during an outage.
        await advance(1)
        await closing


def started(handle: JobHandle = JOB) -> Started:
    """Return the first start of the job."""
    return Started(handle, 1, ["press"], NOW)


def progressed(numerator: float, handle: JobHandle = JOB) -> Progressed:
    """Return how far the job is, of ten."""
    return Progressed(handle, numerator, 10.0, "", NOW)


def finished(handle: JobHandle = JOB) -> Finished:
    """Return the success of the job."""
    return Finished(handle, Outcome.SUCCEEDED, b"done", NOW)
