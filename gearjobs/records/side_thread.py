"""A thread beside a job server: what the server's process also does to the job table, each in a thread of its own.

Such a thread has a database session of its own and shares nothing with the server's loop, so that neither waits for the
other. It exists only where jobs are rows (`keeps_rows`), and the process does not wait long for it at its end: a
transaction that hangs in the database is left to its own end.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Final

#: Seconds the end of the process waits for what has begun.
STOP_S: Final = 3.0
#: `--queue-type` of a server whose jobs are in the job table.
_JOB_TABLE: Final = "database"


def keeps_rows(queue_type: str) -> bool:
    """Tell whether the jobs of a server are in the job table.

    Args:
        queue_type: the value of `--queue-type`.
    """
    return queue_type.lower() == _JOB_TABLE


class SideThread(ABC):
    """Works from `start` to `stop`.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait a little for what has begun; also where it was never started."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def _wake(self) -> None:  # noqa: B027 - most wait for the event alone
        """Have a thread look up that waits for something else than the end."""

    @abstractmethod
    def _run(self) -> None:
        """Work until `_stopping` is set."""
