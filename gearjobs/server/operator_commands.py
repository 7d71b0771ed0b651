r"""One handler an admin line that changes something: cancel, create, drop, maxqueue, shutdown; and others' lines.

Lines that only show are `admin_commands`'s; those that pause and clear functions come from `queue_desk`. Words are read
as those are: in any case, and `\xNN` in a name stands for the byte that the lists print so, a space (`\x20`) included.
Who may send them is decided in `admin_rights`, what they do to the queue in core/. `shutdown` is gone from gearmand
since 2016, but old clients still send it. Source: gearmand 1.1.20, whose answers are `protocol/admin_text`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import FunctionInUse, FunctionUnknown, JobUnknown
from gearjobs.protocol.admin_text import (
    OK_LINE,
    OK_MAXQUEUE_LINE,
    OK_SHUTDOWN_LINE,
    AdminError,
    render_error,
    render_incomplete_command,
    render_unknown_command,
)
from gearjobs.protocol.codec import TextLine
from gearjobs.protocol.wire_text import to_text, unescape
from gearjobs.server.config import AdminPolicy
from gearjobs.server.connection import Connection
from gearjobs.server.entrance.admin_rights import reason_to_refuse
from gearjobs.server.queue_desk import LineHandler, Words
from gearjobs.server.wire_numbers import lenient_number

logger = logging.getLogger("gearjobs.server")

_FUNCTION: Final = b"function"


class OperatorCommands:
    """Lines in, answers out, and the queue is no longer the same.

    Args:
        queue: the queue.
        stop: ends the server soon.
        drain: lets the server take no new connections, and end when the last one is closed.
        policy: who may send such lines.
        further: handlers of more lines, by first word.
    """

    def __init__(
        self,
        queue: JobQueue,
        *,
        stop: Callable[[], None],
        drain: Callable[[], None],
        policy: AdminPolicy = AdminPolicy.LOCAL,
        further: Mapping[bytes, LineHandler] | None = None,
    ) -> None:
        #: Lines that were not taken since the start.
        self.refused = 0
        self._policy = policy
        self._queue = queue
        self._stop = stop
        self._drain = drain
        self._table: dict[bytes, LineHandler] = {
            b"cancel": self._cancel,
            b"create": self._create,
            b"drop": self._drop,
            b"maxqueue": self._maxqueue,
            b"shutdown": self._shutdown,
            **(further or {}),
        }

    def handle(self, connection: Connection, line: TextLine, now: float) -> bool:
        """Carry out and answer one line; return False, and do nothing, where it is none of these."""
        handler = self._table.get(line.words[0].lower())
        if handler is None:
            return False
        shown = to_text(b" ".join(line.words))
        refusal = reason_to_refuse(connection, self._policy)
        answer: bytes | None
        if refusal is None:
            answer = handler(connection, line.words, now)
            logger.info("carry out line=%r peer=%s answer=%r", shown, connection.address, answer)
        else:
            self.refused += 1
            answer = render_error(refusal)
            logger.warning("refuse line=%r peer=%s: it may not administer", shown, connection.address)
        if answer is not None:
            connection.send(answer)
        return True

    def _cancel(self, connection: Connection, words: Words, now: float) -> bytes:
        if len(words) < 3:
            return render_unknown_command(words[0])
        if len(words) > 3 or words[1].lower() != b"job":
            return render_error(AdminError.UNKNOWN_ERROR)
        try:
            self._queue.cancel_job(JobHandle(words[2]), now=now)
        except JobUnknown:
            return render_error(AdminError.UNKNOWN_JOB)
        return OK_LINE

    def _create(self, connection: Connection, words: Words, now: float) -> bytes:
        if len(words) != 3 or words[1].lower() != _FUNCTION:
            return render_incomplete_command("create")
        self._queue.create_function(_function_of(words[2]))
        return OK_LINE

    def _drop(self, connection: Connection, words: Words, now: float) -> bytes:
        if len(words) != 3 or words[1].lower() != _FUNCTION:
            return render_incomplete_command("drop")
        try:
            self._queue.drop_function(_function_of(words[2]))
        except FunctionUnknown:
            return render_error(AdminError.FUNCTION_NOT_FOUND)
        except FunctionInUse:
            return render_error(AdminError.FUNCTION_IN_USE)
        return OK_LINE

    def _maxqueue(self, connection: Connection, words: Words, now: float) -> bytes:
        if len(words) < 2:
            return render_incomplete_command("maxqueue")
        numbers = [int(lenient_number(word)) for word in words[2:]]
        # One number is for every priority; of several, those left out are for any number.
        high, normal, low, *_ = numbers * 3 if len(numbers) == 1 else [*numbers, 0, 0, 0]
        self._queue.limit_function(_function_of(words[1]), (high, normal, low))
        return OK_MAXQUEUE_LINE

    def _shutdown(self, connection: Connection, words: Words, now: float) -> bytes:
        match tuple(word.lower() for word in words[1:]):
            case ():
                self._stop()
            case (b"graceful",):
                self._drain()
            case _:
                return render_error(AdminError.UNKNOWN_SHUTDOWN_ARGUMENTS)
        return OK_SHUTDOWN_LINE


def _function_of(word: bytes) -> FunctionName:
    return FunctionName(unescape(word))
