"""What operators do to functions by way of this server: pause, resume and clear; and what is kept of that elsewhere.

Where the store keeps what operators say of functions (`ControlKeeper`), its word is the only one: a line that pauses a
function is written there first and answered then, and whatever changes there is obeyed here within seconds, after a
QUEUES_CHANGED at once. Elsewhere a pause lasts as long as the server. Clearing a function takes its waiting jobs some
at a time, so that a million of them hold up neither the loop nor the store; jobs that come meanwhile stay. Who may send
the lines is asked before, by `operator_commands`; what they do to the queue is core/'s.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gearjobs.core.function_brake import QueueControl
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import WireError
from gearjobs.protocol.admin_text import OK_LINE, AdminError, render_error, render_incomplete_command, render_value
from gearjobs.protocol.codec import Packet
from gearjobs.protocol.packets import PacketType, Refusal
from gearjobs.protocol.wire_text import unescape
from gearjobs.server.connection import Connection
from gearjobs.server.dispatch import Handler

Words = tuple[bytes, ...]
#: Answers a line at once, or by and by where it returns None.
LineHandler = Callable[[Connection, Words, float], bytes | None]
Controls = Mapping[FunctionName, QueueControl]

#: Jobs cleared in one turn of the loop: some milliseconds.
CLEARED_AT_ONCE: Final = 1_000
#: Changes that may wait for the store while more jobs are cleared, and seconds until that is looked at again.
_MOST_PENDING: Final = 5_000
_PAUSE_S: Final = 0.02
#: What stands in the records of jobs that were cleared.
CLEARED: Final = "cleared with its queue"


@dataclass(slots=True)
class PauseWish:
    """An admin line that wants a function paused, or to go on."""

    function: FunctionName
    is_paused: bool
    #: Called in the loop with whether it is kept.
    settle: Callable[[bool], None]


class ControlKeeper(Protocol):
    """Keeps what operators say of functions, and says it to `obey` when it changes."""

    def look_soon(self) -> None:
        """Somebody changed something: do not wait until the next look."""

    def keep(self, wish: PauseWish) -> None:
        """Keep this, say everything anew, and then whether it was kept."""


class QueueDesk:
    """The operators' side of one server's functions.

    Args:
        queue: the queue.
        keeper: where the store keeps what operators say; None where it does not.
        pending_changes: tells how many changes wait for the store.
        end_tick: carries out and writes what came of something that no packet began.
    """

    def __init__(
        self,
        queue: JobQueue,
        keeper: ControlKeeper | None,
        *,
        pending_changes: Callable[[], int],
        end_tick: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._keeper = keeper
        self._pending_changes = pending_changes
        self._end_tick = end_tick
        #: Jobs that are still to be cleared, in their order, and to look them up.
        self._to_clear: deque[JobHandle] = deque()
        self._is_to_clear: set[JobHandle] = set()
        self._next_portion: asyncio.TimerHandle | None = None
        #: By packet.
        self.handlers: dict[int, Handler] = {PacketType.QUEUES_CHANGED: self.queues_changed}
        #: By the first word of the line.
        self.lines: dict[bytes, LineHandler] = {b"pause": self._pause, b"resume": self._pause, b"clear": self._clear}

    def obey(self, controls: Controls, settled: Iterable[tuple[PauseWish, bool]] = ()) -> None:
        """Obey what the store says from now on, and answer the lines that wanted some of it kept.

        Args:
            controls: of every function of which something is said.
            settled: the wishes that were carried out, and whether they are kept.
        """
        self._queue.control_functions(controls, now=time.time())
        for wish, is_kept in settled:
            wish.settle(is_kept)
        self._end_tick()

    def stop(self) -> None:
        """Clear no more."""
        self._to_clear.clear()
        self._is_to_clear.clear()
        if self._next_portion is not None:
            self._next_portion.cancel()

    def queues_changed(self, connection: Connection, packet: Packet, _now: float) -> None:
        """Look at once at what the store says.

        Raises:
            WireError: the peer did not ask for the extensions.
        """
        if not connection.has_extensions:
            raise WireError(*Refusal.NOT_A_REQUEST.value)
        if self._keeper is not None:
            self._keeper.look_soon()

    def _pause(self, connection: Connection, words: Words, now: float) -> bytes | None:
        if len(words) != 2:
            return render_incomplete_command(words[0].lower().decode("ascii"))
        function, is_paused = FunctionName(unescape(words[1])), words[0].lower() == b"pause"
        if self._keeper is None:
            self._queue.pause_function(function, is_paused=is_paused, now=now)
            return OK_LINE
        held = connection.hold(OK_LINE, refusal=render_error(AdminError.STORE_FAILED))
        wish = PauseWish(function, is_paused, lambda is_kept: connection.release(held, is_kept=is_kept))
        self._keeper.keep(wish)
        return None

    def _clear(self, connection: Connection, words: Words, now: float) -> bytes:
        if len(words) != 2:
            return render_incomplete_command("clear")
        waiting = self._queue.waiting_jobs(FunctionName(unescape(words[1])))
        # An operator who asks again while this goes on is told of what came since.
        handles = [handle for handle in waiting if handle not in self._is_to_clear]
        self._to_clear.extend(handles)
        self._is_to_clear.update(handles)
        self._clear_some(now)
        return render_value(str(len(handles)))

    def _clear_some(self, now: float) -> None:
        """Clear a portion, and see to it that the next one follows, when the store has come so far."""
        portion: list[JobHandle] = []
        if self._pending_changes() < _MOST_PENDING:
            portion = [self._to_clear.popleft() for _ in range(min(CLEARED_AT_ONCE, len(self._to_clear)))]
            self._is_to_clear.difference_update(portion)
        self._queue.clear_jobs(portion, reason=CLEARED, now=now)
        if self._to_clear and self._next_portion is None:
            delay_s = 0.0 if portion else _PAUSE_S
            self._next_portion = asyncio.get_running_loop().call_later(delay_s, self._go_on_clearing)

    def _go_on_clearing(self) -> None:
        self._next_portion = None
        self._clear_some(time.time())
        self._end_tick()
