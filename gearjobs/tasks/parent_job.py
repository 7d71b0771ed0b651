"""In whose run a job is enqueued: the value that ends in its metadata as `gearjobs.parent`.

A context variable, so that it follows a run through what it calls and awaits, and into threads that are given its
context. `execution` sets it; it is let go with the context of the run.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from gearjobs.protocol.attributes import PARENT_KEY

#: Handle of the job that runs here; empty outside of runs.
current_job: Final[ContextVar[str]] = ContextVar("gearjobs_current_job", default="")


def parent_metadata() -> dict[str, str]:
    """Return what a job that is enqueued now says of the run it comes from."""
    handle = current_job.get()
    return {PARENT_KEY: handle} if handle else {}
