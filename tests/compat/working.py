"""A python-gearman worker at work in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gearjobs.compat import gearman

#: Seconds a stopped worker may take to end.
STOP_TIMEOUT_S = 10.0


@contextmanager
def working(worker: gearman.GearmanWorker, *, reconnect: bool = False) -> Iterator[None]:
    """Run the worker; stop it at the end of the block, and raise what its `work` raised."""
    faults: list[BaseException] = []

    def work() -> None:
        try:
            worker.work(poll_timeout=0.5, reconnect=reconnect)
        except BaseException as fault:  # noqa: BLE001 - told to the test below, from the thread it belongs to
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        worker.shutdown()
        thread.join(STOP_TIMEOUT_S)
    assert not thread.is_alive(), f"the worker did not stop within {STOP_TIMEOUT_S} s"
    assert not faults, f"the worker ended with {faults[0]!r}"
