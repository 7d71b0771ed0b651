"""Every exception of gearjobs, one tree.

A peer that breaks the protocol is answered with a WireError, which names the ERROR packet's code and text; a caller's
mistake is a UsageError, whose sentence names the remedy; what a job ended with is a JobError; the rest says which part
of the world did not answer. Bugs of our own are not caught: they rise.
"""

from __future__ import annotations

from collections.abc import Sequence


class GearjobsError(Exception):
    """The root: catching it catches everything gearjobs raises on purpose."""


class WireError(GearjobsError):
    """A peer sent what the protocol does not allow.

    Args:
        code: the code of the ERROR packet, libgearman's name without `GEARMAN_` (`INVALID_MAGIC`).
        text: what was expected and what came; gearmand's own words where it has words for it.
        is_fatal: True when the byte stream cannot be followed any more: the connection must be closed.
        is_silent: True when gearmand closes without an ERROR packet, and so do we.
    """

    def __init__(self, code: str, text: str, *, is_fatal: bool = False, is_silent: bool = False) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.is_fatal = is_fatal
        self.is_silent = is_silent

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class HttpRefusal(GearjobsError):
    """A peer sent an HTTP request that is not answered with success.

    Args:
        status: the status code of the answer.
        text: what was expected and what came.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


class QueueRefusal(GearjobsError):
    """The queue does not do what a peer asked, and nothing changed; the subclasses say why."""


class UniqueTooLong(QueueRefusal):
    """A unique or a reducer is longer than Gearman allows."""


class JobNotHeld(QueueRefusal):
    """A worker reported on a job that it does not hold: it ended, was taken back, or is somebody else's."""


class QueueFull(QueueRefusal):
    """The function has as many jobs as its `maxqueue` allows."""


class JobUnknown(QueueRefusal):
    """No live job has the handle."""


class UniqueTaken(QueueRefusal):
    """A live job has the function and the unique, and the submitter wants no part in it.

    Args:
        text: what was asked for.
        handle: the live job's handle.
    """

    def __init__(self, text: str, *, handle: bytes) -> None:
        super().__init__(text)
        self.handle = handle


class FunctionUnknown(QueueRefusal):
    """Nobody has mentioned the function yet."""


class FunctionInUse(QueueRefusal):
    """Workers can do the function, or run a job of it."""


class UsageError(GearjobsError):
    """The caller asked for something that cannot be; the sentence names the remedy."""


class RetriedAlready(UsageError):
    """The job's work is done again by another job already, which may be run again in its turn.

    Args:
        text: what was asked for.
        handle: the other job's handle.
    """

    def __init__(self, text: str, *, handle: str) -> None:
        super().__init__(text)
        self.handle = handle


class SettingsError(UsageError):
    """A setting or a command-line option is missing, misspelt or out of range."""


class StoreError(GearjobsError):
    """The store could not keep or give what was asked: nothing of it happened.

    Args:
        text: what the store said.
        is_outage: True when the store itself does not work, so that anything else would fail too; False when it
            refused just these values.
    """

    def __init__(self, text: str, *, is_outage: bool = True) -> None:
        super().__init__(text)
        self.is_outage = is_outage


class StoreBug(StoreError):
    """The store met a bug of ours: nobody knows whether what was asked has happened, and asking again may help.

    Args:
        text: what was raised.
        is_outage: True when it shows whatever is asked.
    """

    def __init__(self, text: str, *, is_outage: bool = False) -> None:
        super().__init__(text, is_outage=is_outage)


class StoreFenced(StoreError):
    """Another job server took this one's jobs over: it must forget what it knows of them and begin anew."""


class ServerUnavailable(GearjobsError):
    """No job server of the list could be reached, or the connection broke before the answer came."""


class ServerError(GearjobsError):
    """The job server answered with an ERROR packet.

    Args:
        code: the packet's code, such as `QUEUE_ERROR`.
        text: the packet's text.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"the job server answered {self.code}: {self.text}"


class UniqueConflict(ServerError):
    """The job server has a live job of that function and unique, and the submission was not to join it.

    Args:
        code: the packet's code, `UNIQUE_TAKEN`.
        text: the packet's text, whose last word is the live job's handle.
    """

    @property
    def handle(self) -> str:
        """The live job's handle."""
        return self.text.rpartition(" ")[2]


class PartlyRefused(ServerError):
    """The job server refused some of many jobs; the others are kept.

    Args:
        refusals: what it said of each that it refused; the first one's code and text are this error's.
        results: what the caller would have got: the result of each job in order, None for a refused one.
    """

    def __init__(self, refusals: Sequence[ServerError], results: Sequence[object]) -> None:
        super().__init__(refusals[0].code, refusals[0].text)
        self.refusals = list(refusals)
        self.results = list(results)

    def __str__(self) -> str:
        return f"{len(self.refusals)} of {len(self.results)} jobs were refused: {super().__str__()}"


class DeadlineExceeded(GearjobsError, TimeoutError):
    """What was waited for did not come within the time given."""


class JobError(GearjobsError):
    """A job ended without a result; the subclasses say how."""


class JobFailed(JobError):
    """The job's worker reported a failure.

    Args:
        class_path: dotted path of the exception's class on the worker; empty when the worker gave none.
        message: the exception's message, or the bytes of WORK_EXCEPTION as text.
    """

    def __init__(self, message: str = "", *, class_path: str = "") -> None:
        super().__init__(message)
        self.class_path = class_path
        self.message = message

    def __str__(self) -> str:
        name = self.class_path.rpartition(".")[2]
        return ": ".join(part for part in (name, self.message) if part) or "the worker reported a failure"


class JobLost(JobError):
    """The job's worker or server was lost and the job is not run again."""


class JobDead(JobLost):
    """The job's worker was lost so often that the job itself must be the reason: it is not run again."""


class JobCancelled(JobError):
    """The job was cancelled before it ended by itself.

    Raised in a running task that is to stop, by `context.check_cancelled()` first and, where that is not called, at
    whatever it does.
    """

    def __str__(self) -> str:
        return super().__str__() or "the job was cancelled"


class JobExpired(JobCancelled):
    """The job was not started before it expired."""


class JobCoalesced(JobCancelled):
    """Another job of the same function and unique does this one's work."""


class JobTimedOut(JobError, TimeoutError):
    """The job ran longer than its `timeout`, and was ended by force."""


class SoftTimeout(JobTimedOut):
    """Raised in a running task whose `soft_timeout` is over, so that it can clean up before `timeout` ends it."""

    def __str__(self) -> str:
        return super().__str__() or "the run took longer than the task's soft_timeout"


class TaskSignal(GearjobsError):
    """What a task raises to say how its run is to be counted."""


class Retry(TaskSignal):
    """Raise it in a task to have the same job run again, whatever the exception policy of the task says.

    It counts as an attempt: after `max_attempts` of them the job has failed.

    Args:
        delay_s: seconds until then; None for the task's own `backoff`.
        reason: a sentence for the record of the attempt.
    """

    def __init__(self, delay_s: float | None = None, reason: str = "") -> None:
        super().__init__(delay_s, reason)
        self.delay_s = delay_s
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or "the task asked to be run again"


class Discard(TaskSignal):
    """Raise it in a task to end its job as failed without any further attempt.

    Args:
        reason: a sentence for the record.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or "the task gave the job up"
