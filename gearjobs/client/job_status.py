"""What GET_STATUS and GET_STATUS_UNIQUE are answered with.

A job server knows a job from its acceptance to its end and forgets it then, so an unknown job may have ended, may never
have been, or may be another server's. The record of a background job, which stays, is the Django side's affair.
"""

from __future__ import annotations

from dataclasses import dataclass

from gearjobs.client.in_flight import wire_number


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What the job server says of a job."""

    #: Whether the server knows the job: it waits or runs.
    known: bool
    #: Whether a worker runs it.
    running: bool
    #: What is done, in the worker's own unit; 0 until it told.
    numerator: float
    #: What there is to do, in the same unit; 0 until it told.
    denominator: float
    #: Foreground clients that wait for it; only GET_STATUS_UNIQUE learns this.
    waiting_clients: int = 0


def read_status(answer: tuple[bytes, ...]) -> JobStatus:
    """Read the arguments of STATUS_RES or STATUS_RES_UNIQUE."""
    _, known, running, numerator, denominator, *waiting = answer
    return JobStatus(
        known=known == b"1",
        running=running == b"1",
        numerator=wire_number(numerator),
        denominator=wire_number(denominator),
        waiting_clients=int(wire_number(waiting[0])) if waiting else 0,
    )
