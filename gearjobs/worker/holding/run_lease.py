"""How long a worker may go on with the job it runs, as far as it can know: the lease of one resumable run.

Pure; `now` is seconds of the worker's lease clock. The server of a stored job gives two numbers with it. `resume_s`: so
long after the server surely owned the job, nobody else runs it, whatever became of that server. `lease_s`: so long a
server that hears nothing from this host still counts the worker as alive. Every time counts from the moment something
was sent, never from its answer, which may have been under way for any time. While the connection merely stays silent
both limits hold; what the server's kernel acknowledges ends the silence, for it answers in place of a server that hangs
and is answered in place of a worker whose thread gets no time. A connection that the server closed or reset ends the
second: the server is gone or let go of the worker, and the run goes on while every server is asked whether it may be
resumed there. A run whose time is over must have ended; how, others decide.
"""

from __future__ import annotations

import math
from enum import Enum

#: Of the seconds a server may stay silent, the share from one RENEW_JOBS to the next: three tries a lease.
RENEW_SHARE = 0.3125
#: The same in seconds, at most: one every 2.5 s of the eight that servers allow.
RENEW_EVERY_S = 2.5


class RunVerdict(Enum):
    """What is to become of a run."""

    #: It goes on.
    GOES_ON = "goes on"
    #: A server said that the run is not this worker's any more.
    REFUSED = "another server has it run again, or has ended it"
    #: Nobody confirmed it in time, so that it may be run again elsewhere at any moment.
    EXPIRED = "no job server confirmed it in time"


class RunLease:
    """The lease of one run of a stored job.

    Args:
        grabbed_at: when the GRAB_JOB that brought the job was sent.
        lease_s: seconds its server may stay silent.
        resume_s: seconds the run may go on after its server last said that it owns it.
    """

    def __init__(self, grabbed_at: float, *, lease_s: float, resume_s: float) -> None:
        self._lease_s = lease_s
        self._resume_s = resume_s
        #: Seconds from one RENEW_JOBS to the next.
        self.renew_every_s = min(RENEW_EVERY_S, RENEW_SHARE * lease_s)
        # Send times of the last question whose answer said that the server owns the job, of the last one that was
        # answered at all, of the last sign that the server's host hears this one, and of the last question.
        self._held_at = grabbed_at
        self._answered_at = grabbed_at
        self._heard_at = grabbed_at
        self._asked_at = grabbed_at
        self._is_refused = False
        # A connection that went silent and was given up leaves the server's silence behind.
        self._is_silent_limited = True
        #: Whether a connection leads to the run's server.
        self.is_attached = True
        #: Whether that server owns the job, by its own last word.
        self.is_held = True

    @property
    def deadline(self) -> float:
        """When the run must have ended unless something new is heard."""
        if self._is_silent_limited:
            return min(self.final_deadline, self._heard_at + self._lease_s)
        return self.final_deadline

    @property
    def final_deadline(self) -> float:
        """When it must have ended unless a server says that it owns the job, whatever else is heard."""
        return self._held_at + self._resume_s

    @property
    def renewal_due_at(self) -> float:
        """When RENEW_JOBS is to be sent to the run's server; infinity when there is none."""
        return self._asked_at + self.renew_every_s if self.is_attached else math.inf

    @property
    def seeks_server(self) -> bool:
        """Whether other servers are to be asked if they take the run: its own one is lost, or does not own it now."""
        return not (self.is_attached and self.is_held)

    def verdict(self, now: float) -> RunVerdict:
        """Say what is to become of the run."""
        if self._is_refused:
            return RunVerdict.REFUSED
        return RunVerdict.EXPIRED if now >= self.deadline else RunVerdict.GOES_ON

    def renewal_sent(self, now: float) -> None:
        """RENEW_JOBS was sent to the run's server; one that has not answered for long may have lost the job."""
        self._asked_at = now
        if now >= self._answered_at + self._lease_s:
            self.is_held = False

    def heard(self, sent_at: float) -> None:
        """The host of the run's server acknowledged what was sent at that time."""
        self._heard_at = max(self._heard_at, sent_at)

    def renewed(self, sent_at: float, *, is_held: bool) -> None:
        """The run's server answered a RENEW_JOBS."""
        self._answered_at = max(self._answered_at, sent_at)
        self.heard(sent_at)
        if is_held:
            self._held_at = max(self._held_at, sent_at)
        self.is_held = is_held

    def broke(self, *, is_silent: bool) -> None:
        """The connection to the run's server is gone.

        Args:
            is_silent: nothing came from the server, and it was given up; it may still count this worker as its own.
        """
        self.is_attached = False
        self._is_silent_limited = is_silent

    def resumed(self, asked_at: float) -> None:
        """A server took the run when it was asked at that time; what it owns is to be asked at once."""
        self._answered_at = max(self._answered_at, asked_at)
        self.heard(asked_at)
        self._asked_at = -math.inf
        self._is_silent_limited = True
        self.is_attached = True
        self.is_held = True

    def refused(self) -> None:
        """A server said that the run is not this worker's any more."""
        self._is_refused = True
