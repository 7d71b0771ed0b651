"""The job a worker runs, as the function that runs it sees it: what it is, and how to report while it runs.

Reports leave at once and wait for no answer. When the job's server is lost, the function is not told, since nothing it
could do would be better than going on: a resumable job is resumed at another server, and any other is run by another
worker soon, its reports dropped. One that was resumable and is lost for good (`is_lost`) should be ended. Reports after
the end, from a thread the function left behind, are dropped. What the result's bytes mean is the function's affair.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from gearjobs.errors import UsageError
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.wire_text import to_text
from gearjobs.worker.grab_loop import Assignment

#: A fraction of a fractional total is told in thousandths, at least: WORK_STATUS carries whole numbers only.
FRACTION_STEPS = 1000


class RunningJob:
    """One run of a job.

    Args:
        assignment: what the server said of it.
        send: hands bytes to the job's server; must not raise.
        has_extensions: whether that server takes a message with the progress.
        server: the address of that server.
    """

    def __init__(
        self, assignment: Assignment, send: Callable[[bytes], object], *, has_extensions: bool, server: str = ""
    ) -> None:
        self.handle = to_text(assignment.handle)
        self.function = assignment.function
        self.unique = assignment.unique
        self.payload = assignment.payload
        #: 1 for the first run; always 1 from a stock server, which does not tell.
        self.attempt = assignment.attributes.attempt
        #: -100 to 100, higher first.
        self.priority = assignment.attributes.priority
        #: Unix seconds before which it was not to start; 0 for at once.
        self.run_at = assignment.attributes.run_at
        #: Unix seconds; 0 from a stock server.
        self.accepted_at = assignment.attributes.accepted_at
        #: Client id of the worker of every attempt so far, this one last; empty from a stock server.
        self.worker_ids = assignment.attributes.worker_ids
        #: Whether the run may outlive its server: the worker asks for it again, wherever the job is then.
        self.is_resumable = assignment.attributes.resume_s > 0
        #: `host:port` of the job server that handed it over.
        self.server = server
        #: True once the job is somebody else's: it may be running elsewhere, and its outcome is not wanted any more.
        self.is_lost = False
        self._handle = assignment.handle
        self._send = send
        self._has_extensions = has_extensions
        self._lock = threading.Lock()
        self._is_over = False

    def send_progress(self, numerator: float, denominator: float, message: str = "") -> None:
        """Report how far the job is.

        Args:
            numerator: what is done, in any unit.
            denominator: what there is to do, in the same unit; 0 while that is not known.
            message: a sentence for people; a stock server has no place for it.

        Raises:
            UsageError: a number is negative or not finite.
        """
        done, total = wire_fraction(numerator, denominator)
        if self._has_extensions:
            text = message.encode("utf-8", "backslashreplace")
            self._report(encode_request(PacketType.WORK_STATUS_EXT, self._handle, done, total, text))
        else:
            self._report(encode_request(PacketType.WORK_STATUS, self._handle, done, total))

    def send_data(self, body: bytes) -> None:
        """Send a part of the result early, to the clients that wait and into the job's record."""
        self._report(encode_request(PacketType.WORK_DATA, self._handle, body))

    def send_warning(self, body: bytes) -> None:
        """Send a warning, to the clients that wait and into the job's record; the job goes on."""
        self._report(encode_request(PacketType.WORK_WARNING, self._handle, body))

    def end(self) -> None:
        """Drop every report from now on: the outcome is about to be written by another thread than a straggler's."""
        with self._lock:
            self._is_over = True

    def _report(self, packet: bytes) -> None:
        # Threads of the function may report at the same time; two packets must not be mixed.
        with self._lock:
            if not self._is_over:
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
