"""Group commit: which changes go to the writer together, and when a reply that promises one may leave.

While the writer commits a batch the loop gathers the next, so a batch is as large as the load makes it and a lone
submit waits for nothing. A reply that promises a change is held until that change is committed, and behind it every
later reply of its connection, whose order clients rely on. Of what cannot be committed, an acceptance is refused to
its submitter; every other change is kept and tried again, for the work it tells of is done. The thread itself is
`writer`'s; how often progress is written is `progress_throttle`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from gearjobs.core.changes import Accepted, Change, Finished, Forgotten, Progressed, Requeued, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.server.connection import Connection, HeldReply
from gearjobs.server.progress_throttle import ProgressThrottle
from gearjobs.server.writer import Verdict, Writer
from gearjobs.stores.base import JobStore

logger = logging.getLogger("gearjobs.server")

#: Rows adopted in one go: many enough to be cheap, few enough not to hold up a commit for more than some 10 ms.
ADOPT_LIMIT: Final = 500
#: Seconds between two tries of a store that is down: first, and at most. A submitter is to be answered within 2 s.
_RETRY_FIRST_S: Final = 0.1
_RETRY_LAST_S: Final = 1.0


class Durability:
    """The loop's side of the store.

    Args:
        store: where background jobs live; opened, used and closed in the writer thread only.
        on_verdict: called in the loop with what became of a batch, once its replies may leave.
        on_adopted: called in the loop with jobs that clients inserted themselves and this server now owns.
        on_released: called in the loop when replies were let go, to write them.
        progress_interval_s: least seconds between two records of a job's progress.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        on_verdict: Callable[[Verdict], None],
        on_adopted: Callable[[list[StoredJob]], None],
        on_released: Callable[[], None],
        progress_interval_s: float,
    ) -> None:
        self._store = store
        self._writer = Writer(store)
        self._on_verdict = on_verdict
        self._on_adopted = on_adopted
        self._on_released = on_released
        self._throttle = ProgressThrottle(progress_interval_s)
        self._pending: list[Change] = []
        self._created: dict[JobHandle, list[HeldReply]] = {}
        self._ended: dict[JobHandle, list[HeldReply]] = {}
        self._has_changes = asyncio.Event()
        self._retry_s = 0.0
        #: The loop's time at which the present commit began, 0 while there is none; and that of the last refusal.
        self._commit_began_at = 0.0
        self._refused_at = 0.0
        self._is_closing = False
        self._wants_adoption = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> list[StoredJob]:
        """Start the writer and return the store's unfinished jobs.

        Raises:
            StoreError: the store cannot be opened, or another server owns it.
        """
        self._writer.start()
        stored = await self._writer.call(self._store.load)
        self._tasks = [asyncio.create_task(self._keep_committing()), asyncio.create_task(self._keep_adopting())]
        return stored

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Commit and adopt until the event is set.

        Raises:
            Exception: a bug ended one of the two; a server that cannot commit must end, not answer nobody.
        """
        stopped = asyncio.create_task(stopping.wait())
        try:
            done, _ = await asyncio.wait({stopped, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        for task in done & set(self._tasks):
            task.result()

    async def close(self) -> None:
        """Commit what is pending (a store that is down gets one more try), close the store, end the writer."""
        self._is_closing = True
        self._pending += self._throttle.take_all()
        self._has_changes.set()
        self._wants_adoption.set()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            if self._pending:
                logger.error("lose changes=%d: they were not committed when the server ended", len(self._pending))
            await self._writer.call(self._store.close)
            self._writer.stop()

    @property
    def is_store_down(self) -> bool:
        """Whether the store refused the last commit as a whole."""
        return self._retry_s > 0

    def outage_age_s(self, now: float) -> float | None:
        """Return how long ago the store refused the last commit as a whole, or None where it did not.

        Args:
            now: the loop's time.
        """
        return now - self._refused_at if self.is_store_down else None

    @property
    def pending_changes(self) -> int:
        """How many changes wait for their commit."""
        return len(self._pending)

    def commit_age_s(self, now: float) -> float:
        """Return for how long the present commit is under way; `now` is the loop's time. 0 while there is none."""
        return now - self._commit_began_at if self._commit_began_at else 0.0

    def record(self, change: Change, *, now: float) -> None:
        """Let the change be committed with the next batch; progress may be held back for a later one."""
        if isinstance(change, Progressed):
            if not self._throttle.admit(change, now=now):
                return
        elif isinstance(change, Finished | Requeued):
            last = self._throttle.end(change.handle)
            if last is not None and isinstance(change, Finished):
                self._pending.append(last)
        self._pending.append(change)
        self._has_changes.set()

    def record_due_progress(self, now: float) -> None:
        """Let progress be committed that was held back and is due."""
        due = self._throttle.take_due(now)
        if due:
            self._pending += due
            self._has_changes.set()

    def next_due(self) -> float | None:
        """Return the unix seconds at which `record_due_progress` has something to do, or None."""
        return self._throttle.next_due()

    def adopt(self) -> None:
        """Look for jobs that clients inserted themselves."""
        self._wants_adoption.set()

    def hold_created(self, connection: Connection, handle: JobHandle, reply: bytes, *, refusal: bytes) -> None:
        """Send the reply when the job's acceptance is committed, or the refusal when it is not."""
        self._created.setdefault(handle, []).append(connection.hold(reply, refusal=refusal))

    def hold_ended(self, connection: Connection, handle: JobHandle, reply: bytes) -> None:
        """Send the reply when the job's outcome is committed."""
        self._ended.setdefault(handle, []).append(connection.hold(reply, refusal=reply))

    async def _keep_committing(self) -> None:
        while True:
            await self._has_changes.wait()
            self._has_changes.clear()
            batch, self._pending = self._pending, []
            if batch:
                self._commit_began_at = asyncio.get_running_loop().time()
                verdict = await self._writer.call(partial(self._writer.commit, batch))
                self._commit_began_at = 0.0
                self._settle(verdict)
            if self._is_closing and (not self._pending or self._retry_s):
                return
            if self._retry_s:
                await asyncio.sleep(self._retry_s)

    def _settle(self, verdict: Verdict) -> None:
        self._note_outage(verdict)
        if verdict.refused:
            # What was recorded meanwhile of a job that never was is void with it.
            void = {refused.handle for refused in verdict.refused}
            self._pending = [change for change in self._pending if change.handle not in void]
        self._pending = verdict.postponed + self._pending
        if self._pending:
            self._has_changes.set()
        for change in verdict.committed:
            if isinstance(change, Accepted):
                self._release(self._created, change.handle, is_kept=True)
            elif isinstance(change, Finished | Forgotten):
                self._release(self._ended, change.handle, is_kept=True)
        for refused in verdict.refused:
            self._throttle.end(refused.handle)
            self._release(self._created, refused.handle, is_kept=False)
            self._release(self._ended, refused.handle, is_kept=False)
        # After the replies: a client hears of its job before a worker can have done it.
        self._on_verdict(verdict)
        self._on_released()

    def _note_outage(self, verdict: Verdict) -> None:
        if verdict.error is None or not verdict.error.is_outage:
            if self._retry_s:
                logger.info("resume commits: the store answers again")
            self._retry_s = 0.0
            return
        if not self._retry_s:
            logger.error(
                "refuse submits=%d, keep changes=%d: %s", len(verdict.refused), len(verdict.postponed), verdict.error
            )
        self._retry_s = min(_RETRY_LAST_S, self._retry_s * 2 or _RETRY_FIRST_S)
        self._refused_at = asyncio.get_running_loop().time()

    @staticmethod
    def _release(waiting: dict[JobHandle, list[HeldReply]], handle: JobHandle, *, is_kept: bool) -> None:
        for reply in waiting.pop(handle, ()):
            reply.connection.release(reply, is_kept=is_kept)

    async def _keep_adopting(self) -> None:
        while True:
            await self._wants_adoption.wait()
            self._wants_adoption.clear()
            if self._is_closing:
                return
            try:
                adopted = await self._writer.call(partial(self._store.adopt, ADOPT_LIMIT))
            except StoreError as error:
                logger.debug("adopt nothing: %s", error)
                continue
            if len(adopted) == ADOPT_LIMIT:
                self._wants_adoption.set()
            if adopted:
                self._on_adopted(adopted)
