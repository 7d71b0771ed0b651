"""A program around ProcessPool for its tests: `python -m tests.support.pool_program ROLE COUNT TIMEOUT_S [ARGUMENT]`.

What happens in the pool and in its children is printed a line each. A role is what each child does; ARGUMENT is a file
a job waits for, or the address of a job server.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.child_slot import PoolGroup
from gearjobs.worker.pool.pool_events import PoolEvent
from gearjobs.worker.pool.pool_services import PoolServices
from gearjobs.worker.pool.process_pool import ChildPlace, ProcessPool
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually

#: Seconds a job of these tests may take.
PATIENCE_S = 20.0


def say(*words: object) -> None:
    """Print a line in one write, so that processes do not mix theirs."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def finish_job(place: ChildPlace) -> None:
    """Work until the file is there, then end if SIGTERM has come, as a worker does."""
    is_stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_stopping.set())
    say("working", place.index, os.getpid())
    eventually(Path(sys.argv[4]).exists, PATIENCE_S, "the job to be finished")
    say("finished", place.index)
    eventually(is_stopping.is_set, PATIENCE_S, "SIGTERM")


def stay(place: ChildPlace) -> None:
    """Pay no attention to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("working", place.index, os.getpid())
    signal.pause()


def wait_for_sigterm(place: ChildPlace) -> None:
    """Leave SIGTERM what it is: the end."""
    say("working", place.index, os.getpid())
    signal.pause()


def raise_error(place: ChildPlace) -> None:
    """Fail."""
    raise ValueError(f"child {place.index} fails")


def exit_with_number(_place: ChildPlace) -> None:
    """End as `sys.exit(7)` does."""
    raise SystemExit(7)


def exit_with_text(_place: ChildPlace) -> None:
    """End as `sys.exit("text")` does."""
    raise SystemExit("the reason")


def exit_plainly(_place: ChildPlace) -> None:
    """End as `sys.exit()` does."""
    raise SystemExit


def serve(place: ChildPlace) -> None:
    """Be a real worker; its job waits for the file its payload names."""

    def run(job: RunningJob) -> bytes:
        say("running", place.index)
        eventually(Path(job.payload.decode()).exists, PATIENCE_S, "the job to be finished")
        return b"done"

    worker = Worker([sys.argv[4]], client_id=f"pool-{place.index}")
    worker.register("wait", run)
    worker.stop_on_signals()
    worker.work()


def stop_past_deadline(place: ChildPlace) -> None:
    """Begin something that must end soon, and be stopped in the middle of it, all but the last child."""
    say("working", place.index, os.getpid())
    if place.index == int(sys.argv[2]) - 1:
        signal.pause()
    place.cell.lanes[0].deadline = lease_now() + 0.1
    os.kill(os.getpid(), signal.SIGSTOP)


ROLES: dict[str, Callable[[ChildPlace], None]] = {
    role.__name__: role
    for role in (
        finish_job,
        stay,
        wait_for_sigterm,
        raise_error,
        exit_with_number,
        exit_with_text,
        exit_plainly,
        serve,
        stop_past_deadline,
    )
}


def tell(event: PoolEvent) -> None:
    """Print what happens in the pool."""
    say("pool", event.kind.value, event.index, event.pid, event.exit_code)


if __name__ == "__main__":
    count = int(sys.argv[2])
    pool = ProcessPool(
        [PoolGroup("test", ScaleRules(count, count))],
        ROLES[sys.argv[1]],
        shutdown_timeout_s=float(sys.argv[3]),
        services=PoolServices(on_event=tell),
    )
    sys.exit(pool.run())
