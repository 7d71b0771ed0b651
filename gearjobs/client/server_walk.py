"""A question's way over the job servers: who is asked next, and what the caller is told in the end.

Pure, so that the blocking and the asynchronous client keep the one rule that needs care: nothing may run twice because
of us. A question, and a request of which no byte has left, goes to the next server of the list. Once bytes of a
submission have left, the server may have acted on them: under a handle of our making it is sent once more, to the same
server only, since another one would not know the handle; without one it is the caller's to decide, who gets
ServerUnavailable. A ServerFailed says which of these holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Generic, TypeVar

from gearjobs.errors import ServerUnavailable, WireError
from gearjobs.servers import ServerAddress

Answer = TypeVar("Answer")


class Repeat(IntEnum):
    """Whom a request may be sent to again when no answer came; the lesser of two holds for both."""

    #: Nobody: the server may have acted on it, and a second copy would act again.
    NEVER = 0
    #: The same server, which recognises the copy; to another one it would be new.
    SAME_SERVER = 1
    #: Any server: it is a question, or no byte of it has left.
    ANYWHERE = 2


class ServerFailed(Exception):
    """A server could not be used; internal to the clients, whose callers get ServerUnavailable.

    Args:
        address: the server.
        cause: what the operating system or the codec said.
        repeat: whether the request it happened to may be repeated.
    """

    def __init__(self, address: ServerAddress, cause: Exception, *, repeat: Repeat) -> None:
        super().__init__(f"{address} ({_reason(cause)})")
        self.cause = cause
        self.repeat = repeat
        #: True when it did not say no, but nothing at all.
        self.is_silent = isinstance(cause, TimeoutError)


class ServerWalk(Generic[Answer]):
    """One question's way.

    Args:
        to_try: the servers worth asking, best first.
        every: all of them, for the sentence that none is left.
        is_final: whether an answer ends the walk; else the next server may know more.
    """

    def __init__(
        self, to_try: Sequence[ServerAddress], *, every: Sequence[ServerAddress], is_final: Callable[[Answer], bool]
    ) -> None:
        self._to_try = to_try
        self._every = every
        self._is_final = is_final
        self._answers: list[Answer] = []
        self._failures: list[ServerFailed] = []
        self._is_over = False

    def __iter__(self) -> Iterator[ServerAddress]:
        for address in self._to_try:
            if self._is_over:
                return
            yield address

    def answered(self, answer: Answer) -> None:
        """The server asked last has answered."""
        self._answers.append(answer)
        self._is_over = self._is_final(answer)

    def failed(self, failure: ServerFailed) -> None:
        """The server asked last could not be used."""
        self._failures.append(failure)
        self._is_over = failure.repeat is not Repeat.ANYWHERE

    def outcome(self) -> Answer:
        """Return the last answer.

        Raises:
            ServerUnavailable: no server answered, or one broke off when the request may not go to another.
        """
        if self._answers:
            return self._answers[-1]
        raise unavailable(self._every, self._failures) from (self._failures[-1] if self._failures else None)


def unavailable(every: Sequence[ServerAddress], failures: Sequence[ServerFailed]) -> ServerUnavailable:
    """Return what a caller is told whose request no server has answered."""
    if not failures:
        names = ", ".join(str(address) for address in every)
        return ServerUnavailable(f"no job server is asked just now, since none answered in time before: {names}")
    reasons = ", ".join(str(failure) for failure in failures)
    if failures[-1].repeat is Repeat.ANYWHERE:
        return ServerUnavailable(f"no job server could be reached: {reasons}")
    return ServerUnavailable(f"the job server gave no answer, so the job may or may not have been taken: {reasons}")


def _reason(cause: Exception) -> str:
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, WireError):
        return f"not the answer of a Gearman server: {cause}"
    return getattr(cause, "strerror", None) or str(cause)
