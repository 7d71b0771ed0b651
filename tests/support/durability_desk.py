"""A Durability with a store in trouble behind it and peers in front of it.

What the tests of `server/commit/durability` share: `open_desk` gives a Desk that is open, and closes it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from gearjobs.core.changes import Accepted, Finished, Outcome, Progressed, Started, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.commit_steps import CommitRules, Ruling
from gearjobs.server.commit.durability import Durability
from gearjobs.server.connection import Connection, HeldReply
from tests.support.fake_transport import FakeTransport, QuietHandler, make_connection
from tests.support.time_travel import TravelLoop, advance, aeventually
from tests.support.troubled_store import TroubledStore, accepted

#: Unix seconds at which everything happens.
NOW: Final = 1_000.0
JOB: Final = JobHandle(b"H:1")


class Desk:
    """A Durability with a troubled store, and peers that submit to it."""

    def __init__(self, rules: CommitRules | None = None) -> None:
        self.store = TroubledStore()
        self.rulings: list[Ruling[HeldReply]] = []
        #: Whether stored jobs may be handed out; each time it changed.
        self.hand_outs: list[bool] = []
        self.adopted: list[list[StoredJob]] = []
        self.handler = QuietHandler()
        self.durability = Durability(
            self.store,
            rules or CommitRules(),
            on_ruling=self.rulings.append,
            on_adopted=self.adopted.append,
            on_hand_out=self.hand_outs.append,
            on_released=self.handler.flush,
        )

    def peer(self) -> tuple[Connection, FakeTransport]:
        return make_connection(self.handler)

    @staticmethod
    def loop() -> TravelLoop:
        """Return the loop, whose clock may be put forward without its turning."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TravelLoop)
        return loop

    @staticmethod
    def stored(change: Accepted, *, unique: bytes) -> StoredJob:
        """Return the job as the store gives it back."""
        return StoredJob(change.handle, change.function, unique, change.payload, 0, 0.0, NOW)

    def submit(
        self, connection: Connection, handle: JobHandle = JOB, *, unique: bytes = b"", may_join: bool = True
    ) -> None:
        """Do what the server does with a background submit."""
        self.durability.record(replace(accepted(handle), unique=unique))
        created = b"created " + handle
        self.durability.hold_created(connection, handle, created, refusal=b"error", may_join=may_join)

    def end(self, connection: Connection, handle: JobHandle = JOB) -> None:
        """Do what the server does when a job ends for which somebody waits."""
        self.durability.record(finished(handle))
        self.durability.hold_ended(connection, handle, b"complete " + handle)

    async def settled(self, count: int = 1) -> Ruling[HeldReply]:
        """Return the nth ruling that the queue was told of, once it came."""
        await aeventually(lambda: len(self.rulings) >= count, f"ruling {count}")
        return self.rulings[count - 1]

    async def tried(self, count: int) -> None:
        """Wait until the store was asked to commit so often, and has answered."""
        await aeventually(lambda: len(self.store.batches) >= count, f"commit {count}")
        await aeventually(lambda: self.durability.step_age_s(math.inf) == 0, "the store's answer")


@asynccontextmanager
async def open_desk(rules: CommitRules | None = None, *, lease_s: float = math.inf) -> AsyncIterator[Desk]:
    """Open a desk, and close it at the end of the block."""
    desk = Desk(rules)
    desk.store.lease_s = lease_s
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
