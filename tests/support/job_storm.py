"""Many background jobs at once: submitted from several connections, done by a worker in a row.

The jobs are of the function `resize`; what is counted is what the server acknowledged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gearjobs.protocol.packets import PacketType
from tests.support.job_server import JobServerProcess

T = PacketType

#: Seconds a storm may last: hundreds of commits on a slow disk.
STORM_TIMEOUT_S: Final = 30.0


def storm(
    server: JobServerProcess,
    *,
    connections: int,
    count: int,
    on_count: tuple[int, Callable[[], None]] = (0, lambda: None),
) -> set[bytes]:
    """Submit `count` background jobs over several connections at once; return the handles that were acknowledged.

    When the first number of `on_count` is reached, its action is done, once.
    """
    acknowledged: set[bytes] = set()
    lock = threading.Lock()
    trigger, action = on_count

    def submit(share: int) -> None:
        with suppress(OSError), server.peer() as peer:
            for _ in range(share):
                handle = peer.submit_background(b"resize")
                with lock:
                    acknowledged.add(handle)
                    is_the_one = len(acknowledged) == trigger
                if is_the_one:
                    action()

    shares = [count // connections + (number < count % connections) for number in range(connections)]
    submitters = [threading.Thread(target=submit, args=(share,)) for share in shares]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(STORM_TIMEOUT_S)
    return acknowledged


def drain(server: JobServerProcess) -> list[bytes]:
    """Do every job of `resize` that waits; return their handles."""
    done: list[bytes] = []
    with server.peer() as worker:
        worker.can_do(b"resize")
        while True:
            worker.say(T.GRAB_JOB)
            came, body = worker.next_body()
            if came == T.NO_JOB:
                return done
            handle = body.split(b"\0")[0]
            worker.say(T.WORK_COMPLETE, handle, b"done")
            done.append(handle)
