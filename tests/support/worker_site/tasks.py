"""The tasks of the project that tests run worker processes for."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import threading
import time
from importlib import import_module
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.dispatch import receiver

from gearjobs import Discard, GearContext, Retry, gear_task, linear, periodic
from gearjobs.signals import worker_started, worker_stopped

#: What `worker_started` said in this process.
_started: list[str] = []


@receiver(worker_started)
def note_start(worker_id: str, **_: object) -> None:
    _started.append(worker_id)


@receiver(worker_stopped)
def note_stop(worker_id: str, **_: object) -> None:
    Path(settings.DATABASES["default"]["NAME"]).with_name("stopped").write_text(worker_id, encoding="ascii")


@gear_task
def list_starts() -> list[str]:
    return _started


@periodic("0 0 1 1 *", key="yearly", args=[1, 2])
@gear_task
def add(a: int, b: int) -> int:
    return a + b


@gear_task
def fail(words: str) -> None:
    raise ValueError(words)


@gear_task
def count_users() -> int:
    return User.objects.count()


@gear_task(queue_name="slow", takes_context=True)
def hold(context: GearContext, directory: str) -> list[int]:
    """Write this process's id into the file `held`, and end when a file `released` is there."""
    Path(directory, "held").write_text(str(os.getpid()), encoding="ascii")
    context.progress(1, 2, "held")
    pause = threading.Event()
    while not Path(directory, "released").exists():
        pause.wait(0.01)
    return [os.getpid(), context.attempt]


@gear_task(takes_context=True)
def note_and_wait(context: GearContext, directory: str, number: int) -> list[int]:
    """Add `number attempt pid` to the file `journal`, and end when a file `released` is there."""
    with Path(directory, "journal").open("a", encoding="ascii") as journal:
        journal.write(f"{number} {context.attempt} {os.getpid()}\n")
    context.progress(1, 2, "noted")
    pause = threading.Event()
    while not Path(directory, "released").exists():
        pause.wait(0.01)
    context.progress(2, 2, "released")
    return [number, context.attempt]


#: Pauses that a test can wait for.
SOON = linear(0.05, 0.0, jitter=0.0)


def note_run(directory: str) -> int:
    """Write this process's id into the file `runs`, a line a run; return how many there are."""
    runs = Path(directory, "runs")
    with runs.open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    return len(runs.read_text(encoding="ascii").splitlines())


def wait_for_ever() -> None:
    threading.Event().wait(3600)


@gear_task(max_attempts=4, backoff=SOON, give_up_on=[KeyError], capture_logs=True, takes_context=True)
def fail_at_first(context: GearContext, directory: str, failures: int, kind: str = "") -> list[object]:
    """Fail so many times, in a way, and tell then what the context says of the attempt."""
    count = note_run(directory)
    context.logger.warning("run %d", count)
    if count <= failures:
        raise _failure(kind)
    return [context.attempt, context.max_attempts, context.is_last_attempt]


def _failure(kind: str) -> Exception:
    failures = {"": ValueError("not yet"), "given up": KeyError("never"), "discard": Discard("no use")}
    return failures.get(kind) or Retry(0.05, reason="later")


@gear_task(timeout=1.0, max_attempts=2, backoff=SOON)
def hang(directory: str) -> None:
    note_run(directory)
    wait_for_ever()


@gear_task(timeout=1.0)
def hold_the_interpreter(directory: str) -> None:
    """Let no other thread run: a call of C code that keeps the interpreter's lock."""
    note_run(directory)
    ctypes.PyDLL(None).sleep(60)


@gear_task(soft_timeout=0.5, takes_context=True)
def hang_softly(context: GearContext, directory: str) -> None:
    note_run(directory)
    try:
        wait_for_ever()
    finally:
        context.warn("cleaned up")


@gear_task(soft_timeout=0.5)
async def hang_softly_awaiting(directory: str) -> None:
    note_run(directory)
    await asyncio.sleep(3600)


@gear_task(takes_context=True)
def work_until_cancelled(context: GearContext, directory: str) -> None:
    note_run(directory)
    pause = threading.Event()
    while True:
        context.check_cancelled()
        pause.wait(0.01)


@gear_task
def ignore_cancels(directory: str) -> None:
    note_run(directory)
    while True:
        try:
            wait_for_ever()
        except Exception:
            logging.getLogger(__name__).exception("goes on all the same")


@gear_task
def leave_a_transaction_open(name: str) -> None:
    transaction.atomic().__enter__()
    User.objects.create(username=name)


def _note_span(directory: str, name: str, wait_s: float = 0.0) -> None:
    """Add `name begin end` to the file `spans`, by the clock that all processes of the machine share."""
    began_at = time.monotonic()
    threading.Event().wait(wait_s)
    with Path(directory, "spans").open("a", encoding="ascii") as spans:
        spans.write(f"{name} {began_at} {time.monotonic()}\n")


@gear_task(concurrency=2)
def paint(directory: str) -> None:
    _note_span(directory, "paint", wait_s=0.4)


@gear_task(rate="2/2s")
def knock(directory: str) -> None:
    _note_span(directory, "knock")


@gear_task
def jot(directory: str) -> None:
    _note_span(directory, "jot")


#: What a test writes as new code, where it says so.
_code = import_module(os.environ["WORKER_SITE_CODE"]) if "WORKER_SITE_CODE" in os.environ else None
_kept: list[bytearray] = []


@gear_task
def tell_code() -> int:
    """Return the version of the code that this process runs."""
    return int(getattr(_code, "VERSION", 0))


@gear_task
def tell_pid() -> int:
    return os.getpid()


@gear_task
def fill_memory(mib: int) -> int:
    """Take so much memory and keep it."""
    _kept.append(bytearray(os.urandom(1024)) * 1024 * mib)
    return os.getpid()


def _note(directory: str, *words: object) -> None:
    line = " ".join(map(str, words)) + "\n"
    journal = os.open(Path(directory, "journal"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(journal, line.encode())
    os.close(journal)


@gear_task
async def wait_in_loop(directory: str, number: int) -> int:
    """Note number, process and thread, and wait in the event loop until a file `released` is there."""
    _note(directory, number, os.getpid(), threading.get_ident())
    while not os.path.exists(f"{directory}/released"):  # noqa: ASYNC110, ASYNC240, PTH110 - another process makes the file
        await asyncio.sleep(0.01)
    return await User.objects.acount() + number


@gear_task
def wait_in_thread(directory: str, number: int) -> int:
    """Note number, process and thread, and wait until a file `released` is there."""
    _note(directory, number, os.getpid(), threading.get_ident())
    pause = threading.Event()
    while not Path(directory, "released").exists():
        pause.wait(0.01)
    return User.objects.count() + number


@receiver(worker_started)
def crash_at_start(**_: object) -> None:
    """End the process where a test wants it to fail at its start."""
    if Path(settings.DATABASES["default"]["NAME"]).with_name("crash").exists():
        os._exit(3)


@gear_task(queue_name="mail", executor="thread")
def mail_pid() -> int:
    return os.getpid()
