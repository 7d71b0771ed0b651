"""The blocking worker: takes jobs from one or more job servers, one at a time, and runs them.

Servers that are down or hang are `server_rota`'s concern and never end a worker. What a job's function raises is
reported and the worker goes on; only KeyboardInterrupt and SystemExit end it, and the job goes back to its server. A
stop lets the running job end first. A job that its server hands over as resumable outlives that server: `contact` keeps
it known while it runs, its outcome is kept until it is settled. Starting several workers and replacing crashed ones is
`process_pool`'s part; what Django needs before and after a job comes in as hooks.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from types import FrameType

from gearjobs.errors import UsageError
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.failure_report import failure_report
from gearjobs.worker.grab_loop import REGRAB_S, GrabLoop
from gearjobs.worker.holding.contact import Contact
from gearjobs.worker.holding.held_work import HeldRun, HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.holding.outcome_packets import failure_packet, success_packet
from gearjobs.worker.holding.report_route import ReportRoute
from gearjobs.worker.holding.run_lease import RunVerdict
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.server_rota import ServerRota
from gearjobs.worker.worker_connection import WorkerConnection

logger = logging.getLogger("gearjobs.worker")

#: Seconds to wait for a connection; the other servers wait meanwhile.
CONNECT_TIMEOUT_S = 2.0
#: Seconds a worker that stops waits for servers to settle its outcomes: a store's time-out and a restart, briefly.
SETTLE_TIMEOUT_S = 5.0

#: Runs a job and returns its result; what it raises is the job's failure.
Run = Callable[[RunningJob], bytes]


#: Called before a job's function; what it raises is the job's failure.
BeforeJob = Callable[[RunningJob], None]
#: Called when a job's outcome is on its way, with the exception of a failed one; what it raises ends the worker.
AfterJob = Callable[[RunningJob, BaseException | None], None]
#: Called when the running job is lost: from any thread, while its function runs. It should make the function end.
OnRunLost = Callable[[RunningJob], None]
#: Called with the instant (of `lease_clock`) by which the running job must have ended, infinity for none.
NoteDeadline = Callable[[float], None]


class Worker:
    """A worker of one or more job servers.

    Args:
        servers: `host`, `host:port` or ServerAddress; jobs are taken from all of them in turn.
        client_id: the name that servers and job records show.
        before_job: called in the worker's thread before each job.
        after_job: called in the worker's thread after each job.
        regrab_s: seconds asleep after which it asks a server by itself.
        security: TLS and the secret to prove, from `gearjobs.guarded_socket.make_security`.

    Raises:
        UsageError: the list of servers cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[str | ServerAddress],
        *,
        client_id: str,
        before_job: BeforeJob | None = None,
        after_job: AfterJob | None = None,
        regrab_s: float = REGRAB_S,
        security: Security = NO_SECURITY,
    ) -> None:
        self._servers = ServerList(servers)
        self._client_id = client_id.encode("utf-8", "backslashreplace").replace(b"\0", b"")
        self._before_job = before_job
        self._after_job = after_job
        self._regrab_s = regrab_s
        self._security = security
        self._runs: dict[bytes, Run] = {}
        self._timeouts_s: dict[bytes, float] = {}
        self._is_stopping = False
        self._rota: ServerRota | None = None
        self._held = HeldWork()
        self._job: RunningJob | None = None
        self._on_run_lost: OnRunLost | None = None
        self._note_deadline: NoteDeadline = _note_nothing

    def watch_runs(self, *, on_lost: OnRunLost | None = None, note_deadline: NoteDeadline | None = None) -> None:
        """Have somebody look after runs that are lost; without it they go on to their end, beside another run.

        A run is lost when no job server confirmed it in time, or one refused it: another worker may have the job. Its
        outcome is dropped in any case.

        Args:
            on_lost: called when it happens.
            note_deadline: told of every change of the deadline, for a supervisor that ends a process that cannot.
        """
        self._on_run_lost = on_lost
        self._note_deadline = note_deadline or _note_nothing

    def register(self, function: str | bytes, run: Run, *, timeout_s: float = 0.0) -> None:
        """Offer a function to the job servers.

        Args:
            function: Gearman's function.
            run: called with each job of it.
            timeout_s: seconds after which the server takes a job back and gives it to another worker; 0 for never.

        Raises:
            UsageError: the name cannot be used, or is taken already.
        """
        name = function.encode() if isinstance(function, str) else function
        if not name or b"\0" in name:
            raise UsageError(f"a function's name must not be empty nor hold a NUL byte, got {name!r}")
        if name in self._runs:
            raise UsageError(f"the function {to_text(name)} is registered already; a worker runs one of that name")
        self._runs[name] = run
        self._timeouts_s[name] = timeout_s

    def work(self) -> None:
        """Take and run jobs until `stop` is called.

        Raises:
            UsageError: no function is registered.
            KeyboardInterrupt, SystemExit: raised by the running job, which was given back to its server.
        """
        if not self._runs:
            raise UsageError("the worker can do nothing yet; register a function first")
        self._rota = rota = ServerRota(
            self._servers,
            self._new_grab_loop,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            security=self._security,
            held=self._held,
        )
        contact = Contact(
            rota,
            self._held,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            on_lost=self._lose_run,
            on_deadline=self._note_deadline,
        )
        try:
            while not self._is_stopping:
                connection = rota.next_turn()
                if connection is not None:
                    self._run_job(connection, rota, contact=contact)
            self._settle(rota)
        finally:
            self._rota = None
            contact.close()
            rota.leave()

    def stop(self) -> None:
        """Have `work` return once the running job has ended; may be called in a signal handler and from any thread."""
        self._is_stopping = True
        rota = self._rota
        if rota is not None:
            rota.wake()

    def stop_on_signals(self) -> None:
        """Make SIGTERM and SIGINT call `stop`; a second SIGINT (Ctrl-C) gives the running job back at once.

        May be called in the main thread only; the handlers stay.
        """
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if self._is_stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stop()

    def _new_grab_loop(self) -> GrabLoop:
        return GrabLoop(self._timeouts_s, client_id=self._client_id, regrab_s=self._regrab_s)

    def _run_job(self, connection: WorkerConnection, rota: ServerRota, *, contact: Contact) -> None:
        run = self._held.begin_run(connection.grab_loop)
        if run is not None:
            self._run_resumable(run, connection, rota=rota, contact=contact)
            return
        grab_loop = connection.grab_loop
        job = RunningJob(
            grab_loop.held(),
            connection.report,
            has_extensions=grab_loop.has_extensions,
            server=str(connection.address),
        )
        result, error = self._outcome(job)
        # From here on nothing but the outcome may be written: stragglers' reports are dropped.
        job.end()
        if error is None:
            grab_loop.work_complete(result)
        else:
            grab_loop.work_fail(failure_report(error))
        if not rota.report_end(connection, goes_on=not self._is_stopping):
            logger.error("Lost the outcome with the job server; the job runs again job=%s", job.handle)
        self._tell_end(job, error)

    def _run_resumable(self, run: HeldRun, connection: WorkerConnection, *, rota: ServerRota, contact: Contact) -> None:
        assignment = run.assignment
        if self._held.verdict(lease_now()) is not RunVerdict.GOES_ON:
            # It was under way for so long that its server may have given it to somebody else meanwhile.
            self._held.lose_run()
            rota.leave_one(connection, f"it assigned job {to_text(assignment.handle)} too late")
            return
        route = ReportRoute(connection)
        self._job = job = RunningJob(assignment, route.report, has_extensions=True, server=str(connection.address))
        contact.begin(run, route)
        try:
            result, error = self._outcome(job)
            job.end()
        finally:
            is_held = contact.finish()
        if is_held:
            handle = assignment.handle
            last = success_packet(handle, result) if error is None else failure_packet(handle, failure_report(error))
            self._held.end_run(route.close() + last, lease_now())
        else:
            logger.error("Dropped the outcome of a lost run job=%s", job.handle)
        rota.report_end(None, goes_on=not self._is_stopping)
        self._tell_end(job, error)

    def _tell_end(self, job: RunningJob, error: BaseException | None) -> None:
        if self._after_job is not None:
            self._after_job(job, error)

    def _lose_run(self, verdict: RunVerdict) -> None:
        job = self._job
        if job is None:
            raise RuntimeError("a run was lost that never began")
        job.is_lost = True
        logger.error("Lost the running job job=%s reason=%s", job.handle, verdict.value)
        if self._on_run_lost is not None:
            self._on_run_lost(job)

    def _settle(self, rota: ServerRota) -> None:
        """Wait a while for the outcomes that no server has settled yet."""
        until = lease_now() + SETTLE_TIMEOUT_S
        while len(self._held.outcomes) and lease_now() < until:
            rota.next_turn(may_grab=False, until=until)
        if left := len(self._held.outcomes):
            logger.error("Stopped with outcomes that no job server has settled count=%d", left)

    def _outcome(self, job: RunningJob) -> tuple[bytes, BaseException | None]:
        """Run the job: the wall at which what users' code raises becomes the job's failure."""
        try:
            if self._before_job is not None:
                self._before_job(job)
            return self._checked_result(job), None
        except (KeyboardInterrupt, SystemExit):
            job.end()
            raise
        except BaseException as error:
            # Not Exception: asyncio's CancelledError is none, and a failure like any other here.
            logger.warning("Job failed job=%s function=%s", job.handle, to_text(job.function), exc_info=True)
            return b"", error

    def _checked_result(self, job: RunningJob) -> bytes:
        # Nobody checks the types of users' code but this.
        result: object = self._runs[job.function](job)
        if not isinstance(result, bytes):
            name = to_text(job.function)
            raise TypeError(f"the function {name} must return bytes, got {type(result).__name__}")
        return result


def _note_nothing(_deadline: float) -> None:
    pass
