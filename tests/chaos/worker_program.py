"""A worker process of the chaos: runs jobs of `chaos` and writes into a file that is only appended to what it does.

Usage: python -m tests.chaos.worker_program NAME JOURNAL KIND SERVER..., where KIND is `ours` (a gearjobs worker) or
`stock` (a peer that knows Gearman's own packets only). A line a step: `S time run handle attempt server resumable
payload` before a run and `E time run how` after it; a run whose second line is missing was ended by a signal.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from itertools import count
from typing import Final

from gearjobs.errors import UsageError
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import parse_server
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.wire_peer import WirePeer

#: The jobs' function.
FUNCTION: Final = b"chaos"
#: Most runs are short; some last long enough to see a server die and another one take over.
_SHORT_S: Final = 0.03
_LONG_S: Final = 4.0
_LONG_SHARE: Final = 0.004


class Diary:
    """The lines of one worker; each is written at once and whole."""

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._numbers = count(1)

    def run(self, handle: str, *, attempt: int, server: str, is_resumable: bool, payload: bytes) -> bytes:
        """Write that a run begins, do it, write that it ended, and return its name."""
        run = f"{self._name}-{os.getpid()}-{next(self._numbers)}"
        began = f"{handle} {attempt} {server} {int(is_resumable)} {payload.decode()}"
        self._write(f"S {time.monotonic():.6f} {run} {began}")
        time.sleep(_LONG_S * random.random() if random.random() < _LONG_SHARE else _SHORT_S * random.random())
        self._write(f"E {time.monotonic():.6f} {run} completed")
        return run.encode()

    def _write(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


def work_with_extensions(diary: Diary, name: str, servers: list[str]) -> None:
    """Run jobs as a gearjobs worker."""

    def run(job: RunningJob) -> bytes:
        return diary.run(
            job.handle, attempt=job.attempt, server=job.server, is_resumable=job.is_resumable, payload=job.payload
        )

    def end_myself(_job: RunningJob) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    worker = Worker(servers, client_id=name)
    worker.watch_runs(on_lost=end_myself)
    worker.register(FUNCTION, run)
    worker.stop_on_signals()
    worker.work()


def work_as_stock_peer(diary: Diary, name: str, servers: list[str]) -> None:
    """Run jobs of one server after the other as any Gearman library does, until a signal ends it."""
    for number in count():
        server = servers[number % len(servers)]
        # A server that is down, hangs or breaks off.
        with suppress(OSError, AssertionError), WirePeer(parse_server(server)) as peer:
            peer.say(PacketType.SET_CLIENT_ID, name.encode())
            peer.can_do(FUNCTION)
            while (job := peer.grab_or_none()) is not None:
                handle, payload = job
                result = diary.run(handle.decode(), attempt=0, server=server, is_resumable=False, payload=payload)
                peer.say(PacketType.WORK_COMPLETE, handle, result)
        time.sleep(0.05)


def main() -> None:
    """Work until a signal."""
    name, path, kind, *servers = sys.argv[1:]
    kinds = {"ours": work_with_extensions, "stock": work_as_stock_peer}
    if kind not in kinds:
        raise UsageError(f"KIND must be one of {', '.join(kinds)}, got {kind!r}")
    kinds[kind](Diary(name, path), name, servers)


if __name__ == "__main__":
    main()
