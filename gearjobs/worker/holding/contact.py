"""Keeps a worker in contact with its job servers while its own thread runs a resumable job: the contact thread.

It drives the connections of `server_rota` as the worker's thread does between jobs, but grabs nothing: it lets
`held_work` renew the lease, notices a broken connection, connects again and has the run resumed there. Short jobs cost
it nothing: the thread looks about once a second whether a job has been running for a while, and rests when none comes.
One lock says who has the connections: the worker's thread holds it but for the time between `begin` and `finish`.
Nothing is waited for under it but a server's readiness to read. A thread that got no time (C code that holds the
interpreter) finds in the kernel's books that the connection is alive all the same. A run whose time is over or that a
server refused is told to `on_lost`, once; what can be done about it differs between a library and a worker process.
"""

from __future__ import annotations

import math
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from gearjobs.servers import ServerAddress
from gearjobs.worker.holding.held_work import HeldRun, HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.holding.report_route import ReportRoute
from gearjobs.worker.holding.run_lease import RunVerdict
from gearjobs.worker.holding.server_notices import CancelAsked
from gearjobs.worker.server_rota import ServerRota
from gearjobs.worker.worker_connection import ServerLost, WorkerConnection

#: The share of the time from one renewal to the next that a job runs before the contact thread takes the connections.
ENGAGE_SHARE = 0.6
#: Seconds from one look to the next while there is nothing to do, at most.
LOOK_EVERY_S = 0.9


class Contact:
    """The contact thread of one worker; it is started by the first job that needs it.

    Args:
        rota: the worker's connections.
        held: what the worker holds.
        connect_timeout_s: how long to wait for a connection.
        on_lost: called when the run at hand is lost, in whichever thread found it.
        on_deadline: called with each new deadline of the run at hand, infinity when it has ended.
        on_cancel: called when the job at hand was cancelled.
    """

    def __init__(
        self,
        rota: ServerRota,
        held: HeldWork,
        *,
        connect_timeout_s: float,
        on_lost: Callable[[RunVerdict], None],
        on_deadline: Callable[[float], None],
        on_cancel: Callable[[CancelAsked], None],
    ) -> None:
        self._rota = rota
        self._held = held
        self._connect_timeout_s = connect_timeout_s
        self._on_lost = on_lost
        self._on_deadline = on_deadline
        self._on_cancel = on_cancel
        self._lock = threading.Lock()
        self._lock.acquire()
        self._is_lent = False
        self._thread: threading.Thread | None = None
        self._run: HeldRun | None = None
        self._route: ReportRoute | None = None
        self._send_late: Callable[[], None] | None = None
        self._begun = 0
        self._engage_at = 0.0
        self._look_every_s = LOOK_EVERY_S
        self._is_resting = False
        self._call = threading.Event()
        self._is_closed = False
        self._wake_reader, self._wake_writer = socket.socketpair()

    def begin(self, run: HeldRun, route: ReportRoute, *, send_late: Callable[[], None]) -> None:
        """Lend the connections to the contact thread: the worker's own is about to run the job.

        Args:
            run: the run at hand.
            route: of its reports.
            send_late: sends what reports were held back; called now and then where the connection takes them at once.
        """
        self._on_deadline(run.lease.final_deadline)
        connection = self._rota.connection_of(run.grab_loop)
        if connection is not None:
            # Now: the job may keep this process from doing anything else from its first moment on.
            connection.probe_often()
        # A cancel is to be heard within a second, too.
        self._look_every_s = min(LOOK_EVERY_S, ENGAGE_SHARE * run.lease.renew_every_s)
        self._engage_at = lease_now() + self._look_every_s
        self._route = route
        self._send_late = send_late
        self._begun += 1
        self._run = run
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._keep, name="gearjobs-contact", daemon=True)
            self._thread.start()
        if self._is_resting:
            self._call.set()
        self._is_lent = True
        self._lock.release()

    def finish(self) -> bool:
        """Take the connections back; return whether the run is still this worker's."""
        self._lock.acquire()
        self._is_lent = False
        run, self._run = self._run, None
        # What the kernel knows can only lengthen a lease, and is not asked where that lasts anyway.
        is_held = run is not None and (self._surely_holds(run) or self._still_holds(run))
        self._on_deadline(math.inf)
        return is_held

    def close(self) -> None:
        """End the thread; the connections are the caller's from now on."""
        self._is_closed = True
        self._run = None
        if not self._is_lent:
            # The thread may be waiting for it, only to see that there is nothing more to do.
            self._lock.release()
        self._call.set()
        with suppress(OSError):
            self._wake_writer.send(b"\0")
        if self._thread is not None:
            # It may be opening a connection.
            self._thread.join(self._connect_timeout_s + 1.0)
        self._wake_reader.close()
        self._wake_writer.close()

    def _keep(self) -> None:
        # Jobs begun before the last look.
        seen = 0
        while not self._is_closed:
            run = self._run
            if run is None:
                begun = self._begun
                self._rest(is_quiet=seen == begun)
                seen = begun
            elif (wait_s := self._engage_at - lease_now()) > 0:
                self._call.wait(wait_s)
                self._call.clear()
            else:
                self._turn(run)

    def _rest(self, *, is_quiet: bool) -> None:
        """Look again soon; when there was no job since the last look, only when called."""
        self._is_resting = is_quiet
        # Asked after the note: a job that began before it was seen would call nobody.
        if self._run is None or not is_quiet:
            self._call.wait(None if is_quiet else self._look_every_s)
        self._is_resting = False
        self._call.clear()

    def _turn(self, run: HeldRun) -> None:
        """Do what is due, then wait a while for what comes; the connections may be taken back between the two."""
        with self._lock:
            if self._run is not run or not self._still_holds(run):
                return
            self._rota.flush(timeout_s=max(0.1, self._held.deadline - lease_now()))
            self._follow(run)
            addresses = self._rota.addresses_to_try()
            connections = self._rota.connections
            wait_s = min(self._rota.due_at, lease_now() + LOOK_EVERY_S) - lease_now()
        if addresses:
            self._connect(run, addresses[0])
            wait_s = 0.0
        ready = self._wait(connections, wait_s)
        with self._lock:
            if self._run is run:
                for connection in ready:
                    if self._rota.connection_of(connection.grab_loop) is connection:
                        self._rota.receive(connection)
                self._rota.act_on_time()
                self._follow(run)
                self._tell_cancels(run)

    def _tell_cancels(self, run: HeldRun) -> None:
        if self._held.cancels:
            for asked in self._held.take_cancels(run.assignment.handle):
                self._on_cancel(asked)

    def _surely_holds(self, run: HeldRun) -> bool:
        return self._held.run is run and run.lease.verdict(lease_now()) is RunVerdict.GOES_ON

    def _still_holds(self, run: HeldRun) -> bool:
        """Whether the run goes on; tell once when it does not."""
        self._note_signs(run)
        verdict = self._held.verdict(lease_now())
        if self._held.run is not run:
            return False
        if verdict is RunVerdict.GOES_ON:
            return True
        self._run = None
        self._on_lost(verdict)
        connection = self._rota.connection_of(self._held.lose_run())
        if connection is not None:
            self._rota.leave_one(connection, f"a run is over: {verdict.value}")
        return False

    def _note_signs(self, run: HeldRun) -> None:
        """Let the run's lease know when the server's host last acknowledged anything."""
        connection = self._rota.connection_of(run.grab_loop)
        if connection is not None:
            run.lease.heard(lease_now() - connection.silence_s())

    def _follow(self, run: HeldRun) -> None:
        """Lead the reports to where the run is now, and let the kernel ask for signs of life there."""
        connection = self._rota.connection_of(run.grab_loop)
        if connection is not None:
            connection.probe_often()
        if self._route is not None:
            self._route.lead_to(connection)
        if self._send_late is not None and connection is not None and connection.may_send():
            self._send_late()
        self._on_deadline(self._held.final_deadline)

    def _connect(self, run: HeldRun, address: ServerAddress) -> None:
        timeout_s = max(0.1, min(self._connect_timeout_s, run.lease.deadline - lease_now()))
        try:
            connection = self._rota.connect(address, timeout_s=timeout_s)
        except ServerLost as failure:
            with self._lock:
                if self._run is run:
                    self._rota.not_connected(address, failure)
            return
        with self._lock:
            if self._run is run:
                self._rota.connected(connection)
                return
        # The job has ended meanwhile, and its thread may have connected itself.
        connection.close()

    def _wait(self, connections: list[WorkerConnection], wait_s: float) -> list[WorkerConnection]:
        """Return the connections on which something came, or none after that time."""
        poll = select.poll()
        by_descriptor = {connection.fileno(): connection for connection in connections}
        for descriptor in (*by_descriptor, self._wake_reader.fileno()):
            poll.register(descriptor, select.POLLIN)
        found = poll.poll(max(0, round(wait_s * 1000 + 0.5)))
        return [by_descriptor[descriptor] for descriptor, _ in found if descriptor in by_descriptor]
