"""The job a worker runs, as the function that runs it sees it: what it is, and how to report while it runs.

Reports leave at once and wait for no answer. When the job's server is lost, the function is not told, since nothing it
could do would be better than going on: a resumable job is resumed at another server, and any other is run by another
worker soon, its reports dropped. One that was resumable and is lost for good (`is_lost`) should be ended. Reports after
the end, from a thread the function left behind, are dropped. What the result's bytes mean is the function's affair.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from gearjobs.errors import UsageError
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.wire_text import to_text
from gearjobs.worker.ending.interruption import Interruption
from gearjobs.worker.grab_loop import Assignment

#: A fraction of a fractional total is told in thousandths, at least: WORK_STATUS carries whole numbers only.
FRACTION_STEPS = 1000
#: Least seconds from one report of a resumable job's progress to the next. Its record changes once a second, so that
#: this is often enough; telling each of a million steps would keep the job and its server busy with nothing else.
PROGRESS_EVERY_S = 0.1
#: Seconds to wait for a report that is being written, before a last word is given up.
LAST_WORD_PATIENCE_S = 0.5

#: Asked when the job is ended by force, with the reason as an exception: returns the seconds after which it is to run
#: again, None for never. Called in another thread than the function's.
OnForcedEnd = Callable[[BaseException], float | None]


class RunningJob:
    """One run of a job.

    Args:
        assignment: what the server said of it.
        send: hands bytes to the job's server; must not raise.
        has_extensions: whether that server takes a message with the progress.
        server: the address of that server.
        send_last: hands the last bytes to the job's server, and waits a moment until it surely has them.
    """

    #: True once the job is somebody else's: it may be running elsewhere, and its outcome is not wanted any more.
    is_lost: bool = False
    #: Unix seconds at which it is ended by force; 0 for never.
    ends_at: float = 0.0
    #: True once the job was cancelled: its function is to stop.
    is_cancel_asked: bool = False
    #: True once SoftTimeout was raised in the function.
    is_warned: bool = False
    #: True once the worker ended the run without its function: what that one still brings is not wanted.
    is_ended_by_force: bool = False
    #: Set by the function before it raises: seconds after which the same job is to run again; None for never.
    retry_in_s: float | None = None
    #: Set by the function before it raises, where it logged the failure.
    is_failure_logged: bool = False
    #: Set by the function before it raises, where a stock server is not to be told why: gearmand makes of the reason a
    #: WORK_FAIL with a wrong handle, at which clients hang that did not ask for exceptions.
    fails_plainly: bool = False
    #: Set by the function where it wants to be asked.
    on_forced_end: OnForcedEnd | None = None
    _is_over: bool = False
    # Progress that came too soon, and when the next may leave.
    _late_progress: bytes = b""
    _progress_due_at: float = 0.0

    def __init__(
        self,
        assignment: Assignment,
        send: Callable[[bytes], object],
        *,
        has_extensions: bool,
        server: str = "",
        send_last: Callable[[bytes], object] | None = None,
    ) -> None:
        attributes = assignment.attributes
        self.handle = to_text(assignment.handle)
        self.function = assignment.function
        self.unique = assignment.unique
        self.payload = assignment.payload
        #: 1 for the first run; always 1 from a stock server, which does not tell.
        self.attempt = attributes.attempt
        #: -100 to 100, higher first.
        self.priority = attributes.priority
        #: Unix seconds before which it was not to start; 0 for at once.
        self.run_at = attributes.run_at
        #: Unix seconds; 0 from a stock server.
        self.accepted_at = attributes.accepted_at
        #: Client id of the worker of every attempt so far, this one last; empty from a stock server.
        self.worker_ids = attributes.worker_ids
        #: Whether the run may outlive its server: the worker asks for it again, wherever the job is then.
        self.is_resumable = attributes.resume_s > 0
        #: `host:port` of the job server that handed it over.
        self.server = server
        #: How many of the attempts before this one ended because their worker was lost or gave the job back.
        self.lost = attributes.lost
        #: Longest run in seconds, after which it is ended by force; 0 for any time.
        self.timeout_s = attributes.timeout_s
        #: Seconds after which an exception is raised in it; 0 for never.
        self.soft_timeout_s = attributes.soft_timeout_s
        #: The way to raise an exception in the function, as far as it lets itself be interrupted.
        self.interruption = Interruption()
        #: Whether the server understands more than Gearman's own words.
        self.has_extensions = has_extensions
        self._handle = assignment.handle
        self._send = send
        self._send_last = send_last or send
        self._lock = threading.Lock()

    def send_progress(self, numerator: float, denominator: float, message: str = "") -> None:
        """Report how far the job is; of a resumable job ten times a second at most, and what was told last always.

        Args:
            numerator: what is done, in any unit.
            denominator: what there is to do, in the same unit; 0 while that is not known.
            message: a sentence for people; a stock server has no place for it.

        Raises:
            UsageError: a number is negative or not finite.
        """
        done, total = wire_fraction(numerator, denominator)
        if self.has_extensions:
            text = message.encode("utf-8", "backslashreplace")
            packet = encode_request(PacketType.WORK_STATUS_EXT, self._handle, done, total, text)
        else:
            packet = encode_request(PacketType.WORK_STATUS, self._handle, done, total)
        now = time.monotonic()
        if self.is_resumable and now < self._progress_due_at:
            # Whoever looks after the run sends it, with the next report or soon.
            self._late_progress = packet
            return
        self._progress_due_at = now + PROGRESS_EVERY_S
        self._late_progress = b""
        self._report(packet)

    def send_late_progress(self) -> None:
        """Send the progress that was held back, if its time has come; in any thread, without waiting for others."""
        if (
            not self._late_progress
            or time.monotonic() < self._progress_due_at
            or not self._lock.acquire(blocking=False)
        ):
            return
        try:
            self._send_held_back()
        finally:
            self._lock.release()

    def send_data(self, body: bytes) -> None:
        """Send a part of the result early, to the clients that wait and into the job's record."""
        self._report(encode_request(PacketType.WORK_DATA, self._handle, body))

    def send_warning(self, body: bytes) -> None:
        """Send a warning, to the clients that wait and into the job's record; the job goes on."""
        self._report(encode_request(PacketType.WORK_WARNING, self._handle, body))

    def end(self) -> None:
        """Drop every report from now on: the outcome is about to be written by another thread than a straggler's."""
        with self._lock:
            self._send_held_back()
            self._is_over = True

    def send_last(self, packet: bytes) -> bool:
        """Report the outcome in the function's place, as the process is about to end; return whether it was sent."""
        if not self._lock.acquire(timeout=LAST_WORD_PATIENCE_S):
            return False
        try:
            if self._is_over:
                return False
            self._is_over = True
            self._send_last(packet)
            return True
        finally:
            self._lock.release()

    def _report(self, packet: bytes) -> None:
        # A report that an exception cut short would leave half a packet on the wire.
        is_held = self.interruption.hold()
        try:
            # Threads of the function may report at the same time; two packets must not be mixed.
            with self._lock:
                self._send_held_back()
                if not self._is_over:
                    self._send(packet)
        finally:
            if is_held:
                self.interruption.let_go()

    def _send_held_back(self) -> None:
        packet, self._late_progress = self._late_progress, b""
        if packet and not self._is_over:
            self._progress_due_at = time.monotonic() + PROGRESS_EVERY_S
            self._send(packet)


def wire_fraction(numerator: float, denominator: float) -> tuple[bytes, bytes]:
    """Return the two as decimal whole numbers: as they are where they are whole, scaled up together where not.

    Raises:
        UsageError: a number is negative or not finite.
    """
    if not (math.isfinite(numerator) and math.isfinite(denominator) and numerator >= 0 and denominator >= 0):
        raise UsageError(f"progress must be two finite numbers from 0 upwards, got {numerator!r} of {denominator!r}")
    done, total = round(numerator), round(denominator)
    # Fractions of large totals are below what anybody looks at, and scaling them would leave the wire's 32 bits.
    if (done == numerator and total == denominator) or denominator >= FRACTION_STEPS:
        return b"%d" % done, b"%d" % total
    return b"%d" % round(numerator * FRACTION_STEPS), b"%d" % round(denominator * FRACTION_STEPS)
