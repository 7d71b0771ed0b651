"""What a job tells while it runs, as a stream: its progress, its data and its warnings, in the order they are kept.

Read from the rows, so that anybody may follow any job at any time, from the beginning or from where they left off. The
stream ends with the job. Progress is a state rather than a history: what was overtaken before a look at it is not told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from asgiref.sync import sync_to_async

from gearjobs.tasks.job_backend import job_backend_of
from gearjobs.tasks.payload import Json, read_result
from gearjobs.tasks.waiting import pauses

if TYPE_CHECKING:
    from gearjobs.tasks.result import GearResult, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing a job told."""

    kind: Literal["progress", "data", "warning"]
    #: Number of the last data or warning up to here: where to go on from.
    sequence: int
    #: What was sent; empty for progress.
    body: bytes = b""
    #: None but for progress.
    progress: Progress | None = None
    #: None for progress.
    sent_at: datetime | None = None

    @property
    def value(self) -> Json | bytes:
        """The body as the value of its JSON, else as text, else as it is."""
        return read_result(self.body)


def follow(result: GearResult[Any], since: int) -> Iterator[Event]:
    """Yield what the job tells until it has ended; see `GearResult.events`."""
    follower = _Follower(result, since)
    waits = pauses(None)
    while True:
        news = follower.look()
        yield from news
        if follower.is_over:
            return
        waits = pauses(None) if news else waits
        time.sleep(next(waits))


async def afollow(result: GearResult[Any], since: int) -> AsyncIterator[Event]:
    """See `follow`; other coroutines go on meanwhile."""
    follower = _Follower(result, since)
    look = sync_to_async(follower.look, thread_sensitive=True)
    waits = pauses(None)
    while True:
        news = await look()
        for event in news:
            yield event
        if follower.is_over:
            return
        waits = pauses(None) if news else waits
        await asyncio.sleep(next(waits))


class _Follower:
    """Where somebody is in a job's stream."""

    def __init__(self, result: GearResult[Any], since: int) -> None:
        self._result = result
        self._backend = job_backend_of(result.task, "follow")
        self._since = since
        self._progress: Progress | None = None
        self.is_over = False

    def look(self) -> list[Event]:
        """Return what is new."""
        # First the row: what a job told was kept before its end.
        self._result.refresh()
        events = self._backend.outputs_after(self._result.id, self._since)
        if events:
            self._since = events[-1].sequence
        else:
            self.is_over = self._result.is_finished
        if self._result.progress not in (None, self._progress):
            self._progress = self._result.progress
            events.append(Event(kind="progress", sequence=self._since, progress=self._progress))
        return events
