"""What a task that takes a context is handed first: its result so far, how to tell how far it is, whether to stop.

A worker gives it the run, whose reports go to the job's connection. Without one (Immediate backend, a direct call, a
test) the reports only change the result in memory, and nobody cancels, so that a task runs anywhere unchanged. What is
done to a task that does not look whether it is cancelled is the worker's affair (`worker/ending`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from gearjobs.errors import JobCancelled, UsageError
from gearjobs.tasks.django_tasks import GenericContext, normalize_json
from gearjobs.tasks.payload import encode_value
from gearjobs.tasks.result import GearResult, Progress
from gearjobs.tasks.task_options import NO_OPTIONS, TaskOptions


class Reporter(Protocol):
    """Where a running job's reports go; `gearjobs.worker.running_job.RunningJob` is one."""

    def send_progress(self, numerator: float, denominator: float, message: str = "") -> None:
        """Tell how far the job is."""

    def send_data(self, body: bytes) -> None:
        """Send a piece of the result before its end."""

    def send_warning(self, body: bytes) -> None:
        """Send a warning."""


class WatchedRun(Protocol):
    """The run, as the worker that may end it sees it; `gearjobs.worker.running_job.RunningJob` is one."""

    #: True once the job was cancelled.
    is_cancel_asked: bool
    #: Unix seconds at which it is ended by force; 0 for never.
    ends_at: float
    #: Attempts before this one that do not count, for their worker was lost.
    lost: int


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry `job_id`, `task` and `attempt`, beside what a call adds."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the job's values to the record's."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


@dataclass(frozen=True, slots=True, kw_only=True)
class GearContext(GenericContext[..., object]):  # type: ignore[misc]  # frozen, which the stubs leave out
    """The first argument of a task that was declared with `takes_context=True`."""

    #: None when nobody listens.
    reporter: Reporter | None = None
    #: None when nobody may end it.
    run: WatchedRun | None = None

    @property
    def max_attempts(self) -> int:
        """Runs after which a failure of the job is final."""
        return self._options.max_attempts

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure of this run is final; runs that were lost with their worker do not count."""
        lost = 0 if self.run is None else self.run.lost
        return self.attempt - lost >= self.max_attempts

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled, so that the task is to stop."""
        return self.run is not None and self.run.is_cancel_asked

    @property
    def deadline(self) -> datetime | None:
        """When the run is ended by force (the task's `timeout`), aware; None for never."""
        if self.run is None or not self.run.ends_at:
            return None
        return datetime.fromtimestamp(self.run.ends_at, tz=UTC)

    @property
    def logger(self) -> JobLogger:
        """The logger of the task's module; its records say which job they are of."""
        result = self.task_result
        extra = {"job_id": result.id, "task": result.task.module_path, "attempt": self.attempt}
        return JobLogger(logging.getLogger(result.task.func.__module__), extra)

    @property
    def _options(self) -> TaskOptions:
        options = getattr(self.task_result.task, "options", NO_OPTIONS)
        return options if isinstance(options, TaskOptions) else NO_OPTIONS

    def check_cancelled(self) -> None:
        """Return when the task is to go on.

        Raises:
            JobCancelled: the job was cancelled; let it out of the task, and the job ends as cancelled.
        """
        if self.is_cancelled:
            raise JobCancelled("the job was cancelled while it ran")

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
