"""A worker at work in a thread of the test, stopped and waited for at its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gearjobs.worker.worker import Worker

#: Seconds a stopped worker may take to end.
STOP_TIMEOUT_S = 10.0


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """Run the worker in a thread; stop it at the end of the block.

    Raises:
        AssertionError: it did not stop, or `work` raised.
    """
    faults: list[BaseException] = []

    def work() -> None:
        try:
            worker.work()
        except BaseException as fault:  # noqa: BLE001 - told to the test below, from the thread it belongs to
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(STOP_TIMEOUT_S)
    assert not thread.is_alive(), f"the worker did not stop within {STOP_TIMEOUT_S} s"
    assert not faults, f"the worker ended with {faults[0]!r}"
