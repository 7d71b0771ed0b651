"""A client of job servers without servers: it keeps what it was asked for, and can play a server that is down.

It has the methods of `gearjobs.client.client.Client` that the Django side calls. `do` runs the job at once through
`gearjobs.tasks.execution`, as a worker would, so that a foreground call is whole without a wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gearjobs.client.balance import Balance
from gearjobs.client.requests import JobRequest
from gearjobs.core.submission import CancelVerdict, ChangeVerdict
from gearjobs.errors import JobFailed, ServerError, ServerUnavailable
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.tasks import job_client
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.function_names import function_table
from gearjobs.tasks.registry import registered_tasks
from gearjobs.worker.ending.interruption import Interruption


@dataclass
class FakeRunningJob:
    """A job as a worker has it, which keeps what is reported of it."""

    payload: bytes = b""
    handle: str = "H:fake:00000000000001"
    attempt: int = 1
    priority: int = 0
    run_at: float = 0.0
    accepted_at: float = 1_800_000_000.0
    worker_ids: list[str] = field(default_factory=lambda: ["worker-1"])
    reports: list[tuple[object, ...]] = field(default_factory=list)
    function: bytes = b"f"
    unique: bytes = b""
    server: str = "127.0.0.1:4730"
    lost: int = 0
    ends_at: float = 0.0
    has_extensions: bool = True
    is_resumable: bool = True
    is_cancel_asked: bool = False
    is_warned: bool = False
    retry_in_s: float | None = None
    is_failure_logged: bool = False
    on_forced_end: Callable[[BaseException], float | None] | None = None
    interruption: Interruption = field(default_factory=Interruption)

    def send_progress(self, numerator: float, denominator: float, message: str = "") -> None:
        self.reports.append(("progress", numerator, denominator, message))

    def send_data(self, body: bytes) -> None:
        self.reports.append(("data", body))

    def send_warning(self, body: bytes) -> None:
        self.reports.append(("warning", body))


@dataclass(frozen=True)
class Submitted:
    """One background job as the client was given it."""

    function: str
    payload: bytes
    priority: int
    run_at: float
    handle: str
    attributes: SubmitAttributes
    unique: str = ""


@dataclass(eq=False)
class FakeClient:
    """Stands in for a Client."""

    #: False plays a stock gearmand, which names jobs itself.
    has_extensions: bool = True
    is_down: bool = False
    refusal: ServerError | None = None
    #: Jobs that are taken before the refusal.
    takes: int = 0
    submitted: list[Submitted] = field(default_factory=list)
    #: Submissions as they came, of refused jobs too.
    requests: list[JobRequest] = field(default_factory=list)
    #: The live job that every submission joins.
    joins: str = ""
    nudges: int = 0
    #: Jobs that were to be cancelled, and whether by force.
    cancelled: list[tuple[str, bool]] = field(default_factory=list)
    #: Why.
    reasons: list[str] = field(default_factory=list)
    #: How often it was told that queues changed.
    queue_nudges: int = 0
    #: What is answered of them; the others are unknown.
    verdicts: dict[str, CancelVerdict] = field(default_factory=dict)
    #: Jobs that were to wait otherwise, and how; what is answered of them, the others are unknown.
    changed: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    change_verdicts: dict[str, ChangeVerdict] = field(default_factory=dict)
    #: Uniques of `do`.
    foreground_uniques: list[str] = field(default_factory=list)
    #: What workers were told, by name and verb, and how many there are of each name.
    told_workers: list[tuple[str, str]] = field(default_factory=list)
    workers_told: int = 1
    is_closed: bool = False

    def submit_all(self, requests: Sequence[JobRequest]) -> list[str | ServerError]:
        if self.is_down:
            raise ServerUnavailable("no job server could be reached: 127.0.0.1:4730: refused")
        self.requests += requests
        return [self._submit(request) for request in requests]

    def do(self, function: str, payload: bytes, *, unique: str = "", priority: int = 0) -> bytes:
        self._raise_if_told()
        self.foreground_uniques.append(unique)
        queue = function.partition("@")[2]
        homes = {task.queue_name for task in registered_tasks()}
        table = function_table(registered_tasks(), queues={queue} if queue else homes)
        job = FakeRunningJob(payload, priority=priority)
        try:
            return run_job(job, task=table[function], worker_id="worker-1")
        except Exception as error:
            kind = type(error)
            raise JobFailed(str(error), class_path=f"{kind.__module__}.{kind.__qualname__}") from error

    def cancel(self, handle: str, *, force: bool = False, reason: str = "") -> CancelVerdict:
        self._raise_if_told()
        self.cancelled.append((handle, force))
        self.reasons.append(reason)
        return self.verdicts.get(handle, CancelVerdict.UNKNOWN)

    def change_job(
        self, handle: str, *, priority: int | None, run_at: float | None, function: str, queue: str
    ) -> ChangeVerdict:
        self._raise_if_told()
        said = {"priority": priority, "run_at": run_at, "function": function, "queue": queue}
        self.changed.append((handle, {name: value for name, value in said.items() if value not in {None, ""}}))
        return self.change_verdicts.get(handle, ChangeVerdict.UNKNOWN)

    def control_workers(self, worker_id: str, verb: str) -> int:
        self._raise_if_told()
        self.told_workers.append((worker_id, verb))
        return self.workers_told

    def queues_changed(self) -> None:
        self.queue_nudges += 1

    def adopt_jobs(self) -> bool:
        self.nudges += 1
        return not self.is_down

    def close(self) -> None:
        self.is_closed = True

    def _submit(self, request: JobRequest) -> str | ServerError:
        if self.refusal is not None and len(self.submitted) >= self.takes:
            return self.refusal
        handle = request.handle.decode()
        attributes = request.attributes or SubmitAttributes()
        submitted = Submitted(
            request.function.decode(errors="backslashreplace"),
            request.payload,
            request.priority,
            request.run_at,
            handle,
            attributes,
            request.unique.decode(),
        )
        self.submitted.append(submitted)
        if self.joins:
            return self.joins
        return handle if self.has_extensions else f"H:stock:{len(self.submitted)}"

    def _raise_if_told(self) -> None:
        if self.is_down:
            raise ServerUnavailable("no job server could be reached: 127.0.0.1:4730: refused")
        if self.refusal is not None:
            raise self.refusal


@contextmanager
def client_in_place(
    client: FakeClient, *, servers: tuple[str, ...] = ("127.0.0.1:4730",), balance: Balance = "order"
) -> Iterator[FakeClient]:
    """Let everything in this process that would use these servers use the fake."""
    known = dict(job_client.clients)
    job_client.clients[servers, balance] = client  # type: ignore[assignment]  # stands in for it
    try:
        yield client
    finally:
        job_client.clients.clear()
        job_client.clients.update(known)
