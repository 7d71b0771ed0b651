"""Asks one library for jobs that do nothing: `python -m bench.noop.drive MODULE COMMAND COUNT SECONDS`.

It runs in the library's own virtual environment, so it imports that library's module beside it and nothing else. A
module has `enqueue(number)`, which makes a job whose result is its number; `wait(job, timeout_s)`, which returns that
result as the library has it done; and `ended()`, how many jobs have a recorded result. It may have
`enqueue_many(numbers)`, where the library enqueues many jobs by one call.

The program says "ready" when everything is imported, begins at the first line of its input, stops at COUNT jobs or
after SECONDS, whatever comes first, and prints what it found as one object of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from typing import Final, Protocol, cast

import django

#: Seconds between two looks at how many have ended, and how many times as long as a look the rest after it is: a look
#: is a count in the library's store, which must not become what is measured.
LOOK_S: Final = 0.05
REST_AFTER_LOOK: Final = 20
#: Seconds that a round trip may take.
TRIP_TIMEOUT_S: Final = 30.0
#: Jobs that are enqueued by one call.
MANY: Final = 100
#: Seconds of rest between two round trips, so that each finds workers that are idle.
REST_S: Final = 0.02


class Library(Protocol):
    """What a library's module has."""

    def enqueue(self, number: int) -> object: ...

    def enqueue_many(self, numbers: Iterable[int]) -> None: ...

    def wait(self, job: object, timeout_s: float) -> object: ...

    def ended(self) -> int: ...


def enqueue(library: Library, count: int, most_s: float) -> dict[str, object]:
    """Enqueue one job after the other, as a web request would."""
    began_at, cpu_s, jobs = time.monotonic(), time.process_time(), 0
    while jobs < count and time.monotonic() - began_at < most_s:
        library.enqueue(jobs)
        jobs += 1
    return {"jobs": jobs, "elapsed_s": time.monotonic() - began_at, "cpu_s": time.process_time() - cpu_s}


def enqueue_many(library: Library, count: int, most_s: float) -> dict[str, object]:
    """Enqueue many jobs by each call."""
    began_at, cpu_s, jobs = time.monotonic(), time.process_time(), 0
    while jobs < count and time.monotonic() - began_at < most_s:
        library.enqueue_many(range(jobs, jobs + MANY))
        jobs += MANY
    return {"jobs": jobs, "elapsed_s": time.monotonic() - began_at, "cpu_s": time.process_time() - cpu_s}


def trips(library: Library, count: int, most_s: float) -> dict[str, object]:
    """Enqueue a job and wait for its result, again and again."""
    began_at, taken_us = time.monotonic(), list[float]()
    while len(taken_us) < count and time.monotonic() - began_at < most_s:
        left_at = time.perf_counter()
        result = library.wait(library.enqueue(len(taken_us)), TRIP_TIMEOUT_S)
        if result != len(taken_us):
            sys.exit(f"the result of job {len(taken_us)} is {result!r}")
        taken_us.append((time.perf_counter() - left_at) * 1e6)
        time.sleep(REST_S)
    return {"taken_us": sorted(taken_us)}


def watch(library: Library, count: int, most_s: float) -> dict[str, object]:
    """Look until so many more jobs have ended."""
    before, began_at = library.ended(), time.monotonic()
    while True:
        asked_at = time.monotonic()
        ended, looked_at = library.ended() - before, time.monotonic()
        if ended >= count or looked_at - began_at >= most_s:
            return {"jobs": ended, "elapsed_s": looked_at - began_at}
        time.sleep(max(LOOK_S, REST_AFTER_LOOK * (looked_at - asked_at)))


_COMMANDS: Final = {"enqueue": enqueue, "enqueue_many": enqueue_many, "trips": trips, "watch": watch}


def main(words: list[str]) -> None:
    """Carry out one command."""
    module, command, count, most_s = words
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        django.setup()
    library = cast("Library", import_module(f"bench.noop.{module}"))
    # The first question opens connections; they are not what is measured.
    library.ended()
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(_COMMANDS[command](library, int(count), float(most_s))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
