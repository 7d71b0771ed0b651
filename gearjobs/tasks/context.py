"""What a task that takes a context is handed first: its result so far, and how to tell the server how far it is.

A worker gives it a reporter that writes to the job's connection. Without one (Immediate backend, a direct call, a
test) the reports only change the result in memory, so that a task runs anywhere unchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import GenericContext, normalize_json
from gearjobs.tasks.payload import encode_value
from gearjobs.tasks.result import GearResult, Progress


class Reporter(Protocol):
    """Where a running job's reports go; `gearjobs.worker.running_job.RunningJob` is one."""

    def send_progress(self, numerator: float, denominator: float, message: str = "") -> None:
        """Tell how far the job is."""

    def send_data(self, body: bytes) -> None:
        """Send a piece of the result before its end."""

    def send_warning(self, body: bytes) -> None:
        """Send a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GearContext(GenericContext[..., object]):  # type: ignore[misc]  # frozen, which the stubs leave out
    """The first argument of a task that was declared with `takes_context=True`."""

    #: None when nobody listens.
    reporter: Reporter | None = None

    def progress(self, current: float, total: float | None = None, message: str = "") -> None:
        """Tell whoever watches the job how far it is.

        Args:
            current: how much is done.
            total: how much there is; None when that is not known.
            message: one line for people, such as the name of the file in hand.

        Raises:
            UsageError: a number is negative or not finite; nothing was sent.
        """
        denominator = 0 if total is None else total
        for number in (current, denominator):
            if not (math.isfinite(number) and number >= 0):
                raise UsageError(f"progress must be told in finite numbers from 0 up, got {current!r} of {total!r}")
        if isinstance(self.task_result, GearResult):
            self.task_result.change(progress=Progress(current, denominator, message))
        if self.reporter is not None:
            self.reporter.send_progress(current, denominator, message)

    def data(self, value: object) -> None:
        """Send a piece of the result while the job goes on: bytes and text as they are, anything else as JSON."""
        if self.reporter is not None:
            self.reporter.send_data(_as_bytes(value))

    def warn(self, value: object) -> None:
        """Send a warning while the job goes on: bytes and text as they are, anything else as JSON."""
        if self.reporter is not None:
            self.reporter.send_warning(_as_bytes(value))


def _as_bytes(value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return value.encode(errors="backslashreplace")
    return encode_value(normalize_json(value), what="what a job reports")
