"""Who is enqueuing: the value that ends in a job's `enqueued_by`.

A context variable, so that it follows a request through `sync_to_async` and never leaks into another one.
`gearjobs.middleware.SubmitterMiddleware` sets it to the request's user; anything else may set it by `submitted_by`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

#: A Django user's primary key as text, or empty; or a function that looks it up when a job is enqueued, so that
#: requests that enqueue nothing need not know their user.
current_submitter: Final[ContextVar[str | Callable[[], str]]] = ContextVar("gearjobs_submitter", default="")


def submitter() -> str:
    """Return who is enqueuing; may query the database."""
    found = current_submitter.get()
    return found if isinstance(found, str) else found()


@contextmanager
def submitted_by(submitter: str) -> Iterator[None]:
    """Let jobs enqueued within the block carry `submitter` as `enqueued_by`."""
    token = current_submitter.set(submitter)
    try:
        yield
    finally:
        current_submitter.reset(token)
