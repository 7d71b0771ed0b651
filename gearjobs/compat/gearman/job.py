"""A job, as a worker gets it, and a job request, as a client follows it.

Both are plain values: the client's handlers write the requests, nobody here sends anything. `status` is shaped as
python-gearman's: handle, known, running, numerator, denominator, time_received.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from gearjobs.compat.gearman.constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, JOB_UNKNOWN, PRIORITY_NONE

if TYPE_CHECKING:
    from gearjobs.compat.gearman.connection import GearmanConnection


class GearmanJob:
    """One job: what is to be done, with what, and over which connection."""

    def __init__(
        self, connection: GearmanConnection | None, handle: str | None, task: str, unique: str | None, data: Any
    ) -> None:
        self.connection = connection
        self.handle = handle
        self.task = task
        self.unique = unique
        self.data = data

    def to_dict(self) -> dict[str, Any]:
        return {"task": self.task, "job_handle": self.handle, "unique": self.unique, "data": self.data}

    def __repr__(self) -> str:
        return (
            f"<GearmanJob connection/handle=({self.connection!r}, {self.handle!r}), task={self.task}, "
            f"unique={self.unique}, data={self.data!r}>"
        )


class GearmanJobRequest:
    """What a client asked for, and what it heard of it since."""

    def __init__(
        self,
        gearman_job: GearmanJob,
        initial_priority: str | None = PRIORITY_NONE,
        background: bool = False,
        max_attempts: int = 1,
    ) -> None:
        self.gearman_job = gearman_job
        self.priority = initial_priority
        self.background = background
        self.connection_attempts = 0
        self.max_connection_attempts = max_attempts
        self.initialize_request()

    def initialize_request(self) -> None:
        """Forget what was heard."""
        #: The worker's result.
        self.result: Any = None
        #: The worker's exception, or the server's reason for refusing.
        self.exception: Any = None
        self.warning_updates: deque[Any] = deque()
        self.data_updates: deque[Any] = deque()
        #: The last that was heard of the job's progress; empty before.
        self.status: dict[str, Any] = {}
        self.state: str = JOB_UNKNOWN
        self.timed_out = False

    def reset(self) -> None:
        """Make the request as good as new, to be submitted again."""
        self.initialize_request()
        self.connection_attempts = 0
        self.gearman_job.connection = None
        self.gearman_job.handle = None

    @property
    def job(self) -> GearmanJob:
        return self.gearman_job

    @property
    def status_updates(self) -> deque[tuple[float, float]]:
        """The last progress alone; deprecated by python-gearman 2.0.1 in favour of `status`."""
        if not self.status:
            return deque()
        return deque([(self.status.get("numerator", 0.0), self.status.get("denominator", 0.0))])

    @property
    def server_status(self) -> dict[str, Any]:
        """`status`; deprecated by python-gearman 2.0.1."""
        return self.status

    @property
    def complete(self) -> bool:
        """Whether nothing more will be heard: a background job was accepted, a foreground job ended."""
        if self.background:
            return self.state == JOB_CREATED
        return self.state in {JOB_FAILED, JOB_COMPLETE}

    def __repr__(self) -> str:
        job = self.gearman_job
        return (
            f"<GearmanJobRequest task={job.task!r}, unique={job.unique!r}, priority={self.priority!r}, "
            f"background={self.background!r}, state={self.state!r}, timed_out={self.timed_out!r}>"
        )
