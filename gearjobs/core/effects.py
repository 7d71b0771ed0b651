"""What the queue wants done to the world, in order.

The direct answer to a verb is the verb's return value (or its QueueRefusal); an effect is everything else: rows to
write, news for other connections. The order is a promise: the Record of an outcome stands before the News of it, and
News that `awaits_store` may leave only when everything recorded before it is committed. The server's `deliver` turns
effects into packets; the simulator and the tests read the same list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gearjobs.core.changes import Change
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle


class NewsKind(StrEnum):
    """What a waiting client is told of its job: the WORK_* packets that are passed on."""

    STATUS = "status"
    DATA = "data"
    WARNING = "warning"
    COMPLETE = "complete"
    FAIL = "fail"
    EXCEPTION = "exception"


@dataclass(slots=True, init=False)
class Record:
    """Commit this change."""

    change: Change

    def __init__(self, change: Change) -> None:
        self.change = change


@dataclass(slots=True, init=False)
class Wake:
    """Tell a sleeping worker that there is work (NOOP)."""

    connection: ConnectionId

    def __init__(self, connection: ConnectionId) -> None:
        self.connection = connection


@dataclass(slots=True, init=False)
class News:
    """Pass on what a worker said of a job to a client that waits for it."""

    connection: ConnectionId
    kind: NewsKind
    handle: JobHandle
    #: The packet's arguments after the handle, verbatim.
    arguments: tuple[bytes, ...]
    #: True when the outcome's commit must come first.
    awaits_store: bool
    #: True for a client that has not been told JOB_CREATED yet: should the store refuse the job, ERROR is all it hears.
    awaits_created: bool
    #: True where the job goes on without the client: it must not wait for the client to read.
    outlives_client: bool

    def __init__(  # noqa: PLR0913, PLR0917 - one that `dataclass` writes is not compiled, see `jobs`
        self,
        connection: ConnectionId,
        kind: NewsKind,
        handle: JobHandle,
        arguments: tuple[bytes, ...] = (),
        awaits_store: bool = False,  # noqa: FBT001, FBT002 - by position, as it is made for every end
        awaits_created: bool = False,  # noqa: FBT001, FBT002 - likewise
        outlives_client: bool = False,  # noqa: FBT001, FBT002 - likewise
    ) -> None:
        self.connection = connection
        self.kind = kind
        self.handle = handle
        self.arguments = arguments
        self.awaits_store = awaits_store
        self.awaits_created = awaits_created
        self.outlives_client = outlives_client


@dataclass(slots=True)
class Benched:
    """Let the operator know that a worker fails fast at a function and gets only a job of it now and then."""

    connection: ConnectionId
    function: FunctionName


@dataclass(slots=True)
class OutcomeSettled:
    """Tell a worker that it need not keep a resumable job's outcome any longer: it is committed, or nobody wants it."""

    connection: ConnectionId
    handle: JobHandle


@dataclass(slots=True)
class CancelNotice:
    """Tell a worker that the job it runs is to stop."""

    connection: ConnectionId
    handle: JobHandle
    #: True where the job has ended already, so that nobody wants anything more of the run.
    is_forced: bool


Effect = Record | Wake | News | Benched | OutcomeSettled | CancelNotice
