"""Which job servers were asked whether a run goes on with them, and whom to ask next.

Pure; `now` is seconds of the worker's lease clock, a connection is whatever the caller tells connections apart by. One
server is asked at a time, for two of the addresses may be the same server, and the run is where it was asked last; one
that stays silent holds the others up for a moment only. Whoever does not know the job is asked again, because a server
may take it over at any time: after the first pause, then after twice that, up to the longest.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

#: Seconds from one question about a run to the next: the run has half a minute, and a server that just took it over or
#: was just restarted is to be found within a fraction of that.
RUN_PAUSES_S = (0.5, 0.5)
#: The same for outcomes: nothing runs meanwhile, and there may be thousands of them.
OUTCOME_PAUSES_S = (0.5, 5.0)


@dataclass(slots=True)
class _Question:
    asked_at: float
    pause_s: float
    is_open: bool = True


class ResumeQuestions:
    """The questions about one run.

    Args:
        pauses_s: first and longest seconds from one question to the next on a connection; the first is also how long
            an answer holds up the question to another server.
    """

    __slots__ = ("_first_s", "_last_asked", "_longest_s", "_questions")

    def __init__(self, pauses_s: tuple[float, float]) -> None:
        self._first_s, self._longest_s = pauses_s
        self._questions: dict[Hashable, _Question] = {}
        # The connection whose answer is awaited before another one is asked.
        self._last_asked: Hashable | None = None

    def due_at(self, connection: Hashable) -> float:
        """When the connection is to be asked: at once if it never was, never while its answer is awaited."""
        return max(self._own_due_at(connection), self._free_at())

    def ask(self, connection: Hashable, now: float) -> bool:
        """Return whether to ask the connection now; when so, the question counts as asked."""
        if self.due_at(connection) > now:
            return False
        previous = self._questions.get(connection)
        pause_s = self._first_s if previous is None else min(2 * previous.pause_s, self._longest_s)
        self._questions[connection] = _Question(now, pause_s)
        self._last_asked = connection
        return True

    def answered(self, connection: Hashable) -> float | None:
        """Close the question; return when it was asked, None when none is open there: the answer is to nothing."""
        question = self._questions.get(connection)
        if question is None or not question.is_open:
            return None
        question.is_open = False
        return question.asked_at

    def broke(self, connection: Hashable) -> None:
        """The connection is gone, and its answer with it."""
        self._questions.pop(connection, None)

    def _own_due_at(self, connection: Hashable) -> float:
        question = self._questions.get(connection)
        if question is None:
            return -math.inf
        return math.inf if question.is_open else question.asked_at + question.pause_s

    def _free_at(self) -> float:
        last = self._questions.get(self._last_asked)
        return last.asked_at + self._first_s if last is not None and last.is_open else -math.inf
