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


class FunctionUnknown(QueueRefusal):
    """Nobody has mentioned the function yet."""


class FunctionInUse(QueueRefusal):
    """Workers can do the function, or run a job of it."""


class UsageError(GearjobsError):
    """The caller asked for something that cannot be; the sentence names the remedy."""


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


class JobCancelled(JobError):
    """The job was cancelled before it ended by itself."""
