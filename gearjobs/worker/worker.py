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
from gearjobs.protocol.wire_text import to_bytes, to_text
from gearjobs.protocol.worker_report import WorkerState
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.ending.end_deadline import EndDeadline
from gearjobs.worker.ending.run_limits import CANCEL_GRACE_S
from gearjobs.worker.failure_report import run_report
from gearjobs.worker.function_runner import AfterJob, BeforeJob, FunctionRunner, OnOverrun, Run
from gearjobs.worker.grab_loop import REGRAB_S, GrabLoop
from gearjobs.worker.holding.contact import Contact
from gearjobs.worker.holding.held_work import HeldRun, HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.holding.outcome_packets import failure_packet, success_packet
from gearjobs.worker.holding.report_route import ReportRoute
from gearjobs.worker.holding.run_lease import RunVerdict
from gearjobs.worker.holding.server_notices import CancelAsked
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.server_rota import ServerRota
from gearjobs.worker.worker_connection import WorkerConnection
from gearjobs.worker.worker_signs import OnControl, ReportSource, WorkerSigns

logger = logging.getLogger("gearjobs.worker")

#: Seconds to wait for a connection; the other servers wait meanwhile.
CONNECT_TIMEOUT_S = 2.0
#: Seconds a worker that stops waits for servers to settle its outcomes: a store's time-out and a restart, briefly.
SETTLE_TIMEOUT_S = 5.0
#: Seconds a worker that stops waits for the answer to its last question for a job: a server's is a millisecond away.
LAST_ANSWER_TIMEOUT_S = 1.0

#: Called when the running job is lost: from any thread, while its function runs. It should make the function end.
OnRunLost = Callable[[RunningJob], None]
#: Called with the instant (of `lease_clock`) by which the running job must have ended, infinity for none.
NoteDeadline = Callable[[float], None]
#: Called with the number of servers at hand, and whether no one of them has a job.
OnTurn = Callable[[int, bool], None]


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
        self._regrab_s = regrab_s
        self._security = security
        self._deadline = EndDeadline()
        self._runner = FunctionRunner(
            before_job=before_job, after_job=after_job, note_forced_end=self._deadline.forced_end
        )
        self._is_stopping = False
        self._is_quiet = False
        self._is_running = False
        self._on_turn: OnTurn = _note_no_turn
        self._signs = WorkerSigns()
        self._rota: ServerRota | None = None
        self._held = HeldWork()
        self._job: RunningJob | None = None
        self._on_run_lost: OnRunLost | None = None

    def watch_runs(
        self,
        *,
        on_lost: OnRunLost | None = None,
        note_deadline: NoteDeadline | None = None,
        on_overrun: OnOverrun | None = None,
        cancel_grace_s: float = CANCEL_GRACE_S,
    ) -> None:
        """Have somebody look after runs that must end; without it they go on to their end, beside another run.

        A run is lost when no job server confirmed it in time, or one refused it: another worker may have the job. One
        overruns that goes on past its job's timeout, or after its cancel; the server was told then. The outcome of
        either is dropped in any case.

        Args:
            on_lost: called when a run is lost.
            note_deadline: told of every change of the deadline, for a supervisor that ends a process that cannot.
            on_overrun: called when a run overran; without it none does.
            cancel_grace_s: seconds from the cancel of a running job to the exception in its function.
        """
        self._on_run_lost = on_lost
        self._deadline.note = note_deadline
        self._runner.on_overrun = on_overrun
        self._runner.cancel_grace_s = cancel_grace_s

    def show_state(
        self,
        *,
        report: ReportSource | None = None,
        on_control: OnControl | None = None,
        on_turn: OnTurn | None = None,
    ) -> None:
        """Have somebody look after the worker as a whole: its supervisor, and operators by way of the servers.

        Args:
            report: what the servers are told of it.
            on_control: called, in any thread, with what an operator says: `quiet`, `resume` or `stop`; by default they
                are done.
            on_turn: called in the worker's thread each time it turned to its servers and got no job, with the number of
                servers at hand, and whether all of them have none for it.
        """
        self._signs = WorkerSigns(lambda: self.state, source=report, on_control=on_control or self.control)
        self._on_turn = on_turn or _note_no_turn

    @property
    def state(self) -> WorkerState:
        """What the worker is at."""
        if self._is_stopping:
            return WorkerState.STOPPING
        if self._is_quiet:
            return WorkerState.QUIET
        return WorkerState.BUSY if self._is_running else WorkerState.IDLE

    def register(
        self,
        function: str | bytes,
        run: Run,
        *,
        timeout_s: float = 0.0,
        run_timeout_s: float = 0.0,
        soft_timeout_s: float = 0.0,
    ) -> None:
        """Offer a function to the job servers.

        Args:
            function: Gearman's function.
            run: called with each job of it.
            timeout_s: seconds after which the server takes a job back and gives it to another worker; 0 for never.
            run_timeout_s: seconds after which a run overruns, where the job itself has no timeout; 0 for never. See
                `watch_runs`.
            soft_timeout_s: seconds after which SoftTimeout is raised in it, where it lets itself be interrupted
                (`RunningJob.interruption`) and the job itself has none; 0 for never.

        Raises:
            UsageError: the name cannot be used, or is taken already.
        """
        self._runner.register(
            function, run, reclaim_s=timeout_s, timeout_s=run_timeout_s, soft_timeout_s=soft_timeout_s
        )

    def work(self) -> None:
        """Take and run jobs until `stop` is called.

        Raises:
            UsageError: no function is registered.
            KeyboardInterrupt, SystemExit: raised by the running job, which was given back to its server.
        """
        if not self._runner.reclaim_s:
            raise UsageError("the worker can do nothing yet; register a function first")
        self._rota = rota = ServerRota(
            self._servers,
            self._new_grab_loop,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            security=self._security,
            held=self._held,
            signs=self._signs,
        )
        contact = Contact(
            rota,
            self._held,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            on_lost=self._lose_run,
            on_deadline=self._deadline.lease_ends,
            on_cancel=self._cancel_run,
        )
        try:
            while not self._is_stopping:
                rota.rest_or_rise(is_quiet=self._is_quiet)
                connection = rota.next_turn(may_grab=not self._is_quiet)
                if connection is not None:
                    self._run_job(connection, rota, contact=contact)
                else:
                    self._on_turn(len(rota.connections), rota.is_idle)
            self._take_last(rota, contact)
            self._settle(rota)
        finally:
            self._rota = None
            contact.close()
            self._runner.close()
            rota.leave()

    def stop(self) -> None:
        """Have `work` return once the running job has ended; may be called in a signal handler and from any thread."""
        self._is_stopping = True
        self._wake()

    def _wake(self) -> None:
        rota = self._rota
        if rota is not None:
            rota.wake()

    def quiet(self) -> None:
        """Take no more jobs until `resume`; the running one ends. May be called as `stop` may."""
        self._is_quiet = True
        self._wake()

    def resume(self) -> None:
        """Take jobs again after `quiet`."""
        self._is_quiet = False
        self._wake()

    def control(self, verb: str) -> None:
        """Do what an operator said; a word of a later version is passed over."""
        action = {"quiet": self.quiet, "resume": self.resume, "stop": self.stop}.get(verb)
        logger.info("Told by an operator verb=%s known=%s", verb, action is not None)
        if action is not None:
            action()

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

    @property
    def _goes_on(self) -> bool:
        return not (self._is_stopping or self._is_quiet)

    def _new_grab_loop(self) -> GrabLoop:
        return GrabLoop(
            self._runner.reclaim_s, client_id=self._client_id, regrab_s=self._regrab_s, is_resting=self._is_quiet
        )

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
            send_last=connection.report_last,
        )
        self._job = job
        self._hear_cancels(job)
        started_at = lease_now()
        result, error = self._outcome(job)
        if not job.has_extensions:
            rota.restraint.note_end(job.function, is_failure=error is not None, started_at=started_at, now=lease_now())
        # From here on nothing but the outcome may be written: stragglers' reports are dropped.
        job.end()
        if job.is_ended_by_force:
            rota.leave_one(connection, "the end of a run was reported by force")
        elif error is None:
            grab_loop.work_complete(result)
        else:
            grab_loop.work_fail(run_report(job, error), tells_why=not job.fails_plainly)
        if not rota.report_end(connection, goes_on=self._goes_on) and not job.is_ended_by_force:
            logger.error("Lost the outcome with the job server; the job runs again job=%s", job.handle)
        self._runner.tell_end(job, error)

    def _run_resumable(self, run: HeldRun, connection: WorkerConnection, *, rota: ServerRota, contact: Contact) -> None:
        assignment = run.assignment
        if self._held.verdict(lease_now()) is not RunVerdict.GOES_ON:
            # It was under way for so long that its server may have given it to somebody else meanwhile.
            self._held.lose_run()
            rota.leave_one(connection, f"it assigned job {to_text(assignment.handle)} too late")
            return
        route = ReportRoute(connection)
        self._job = job = RunningJob(
            assignment,
            route.report,
            has_extensions=True,
            server=str(connection.address),
            send_last=route.report_last,
        )
        self._hear_cancels(job)
        contact.begin(run, route, send_late=job.send_late_progress)
        try:
            result, error = self._outcome(job)
            job.end()
        finally:
            is_held = contact.finish()
        if job.is_ended_by_force:
            left = rota.connection_of(self._held.lose_run()) if is_held else None
            if left is not None:
                rota.leave_one(left, "the end of a run was reported by force")
        elif is_held:
            handle = assignment.handle
            last = success_packet(handle, result) if error is None else failure_packet(handle, run_report(job, error))
            self._held.end_run(route.close() + last, lease_now())
        else:
            logger.error("Dropped the outcome of a lost run job=%s", job.handle)
        if self._runner.wants_ends:
            # Else the next turn, which comes at once, sends it with the next GRAB.
            rota.report_end(None, goes_on=self._goes_on)
            self._runner.tell_end(job, error)

    def _hear_cancels(self, job: RunningJob) -> None:
        """Note that the job was cancelled before it began."""
        if self._held.cancels:
            job.is_cancel_asked = bool(self._held.take_cancels(to_bytes(job.handle)))

    def _cancel_run(self, asked: CancelAsked) -> None:
        job = self._job
        if job is not None and to_bytes(job.handle) == asked.handle:
            logger.info("Cancelling the running job job=%s forced=%s", job.handle, asked.is_forced)
            # Noted at once: its function may be about to begin.
            job.is_cancel_asked = True
            self._runner.cancel(is_forced=asked.is_forced)

    def _lose_run(self, verdict: RunVerdict) -> None:
        job = self._job
        if job is None:
            raise RuntimeError("a run was lost that never began")
        job.is_lost = True
        logger.error("Lost the running job job=%s reason=%s", job.handle, verdict.value)
        if self._on_run_lost is not None:
            self._on_run_lost(job)

    def _take_last(self, rota: ServerRota, contact: Contact) -> None:
        """Run a job that may be on its way already: given back, it would have been an attempt for nothing."""
        until = lease_now() + LAST_ANSWER_TIMEOUT_S
        while rota.is_asking and lease_now() < until:
            connection = rota.next_turn(may_grab=False, until=until)
            if connection is not None:
                self._run_job(connection, rota, contact=contact)

    def _settle(self, rota: ServerRota) -> None:
        """Wait a while for the outcomes that no server has settled yet."""
        until = lease_now() + SETTLE_TIMEOUT_S
        while len(self._held.outcomes) and lease_now() < until:
            rota.next_turn(may_grab=False, until=until)
        if left := len(self._held.outcomes):
            logger.error("Stopped with outcomes that no job server has settled count=%d", left)

    def _outcome(self, job: RunningJob) -> tuple[bytes, BaseException | None]:
        self._is_running = True
        try:
            return self._runner.outcome(job)
        finally:
            self._is_running = False


def _note_no_turn(_servers: int, _is_idle: bool) -> None:  # noqa: FBT001 - a callback of two arguments
    pass
