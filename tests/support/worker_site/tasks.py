"""The tasks of the project that tests run worker processes for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.dispatch import receiver

from gearjobs import GearContext, gear_task
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
