"""Proofs that a process has ended, against real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from gearjobs.stores import process_identity
from gearjobs.stores.process_identity import ProcessIdentity, this_process
from tests.support.eventually import eventually

IDENTITY = "from gearjobs.stores.process_identity import this_process as t; i = t(); print(i.pid, i.process_start)"


@pytest.fixture
def child():
    """A process that has told its identity and waits for its input to end."""
    program = f"{IDENTITY}\nimport sys; sys.stdout.flush(); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        if process.poll() is None:
            process.kill()


def identity_of(child) -> ProcessIdentity:
    pid, start = map(int, child.stdout.readline().split())
    return replace(this_process(), pid=pid, process_start=start)


def test_running_process_is_not_dead(child):
    assert not identity_of(child).is_surely_dead()
    assert not this_process().is_surely_dead()


def test_process_that_has_ended_is_dead(child):
    identity = identity_of(child)

    child.kill()
    # First it is a zombie, which this process has not waited for.
    eventually(identity.is_surely_dead, 10, "the kernel to end the process")
    child.wait()

    assert identity.is_surely_dead()


def test_process_id_that_is_used_again_proves_the_first_user_dead(child):
    identity = identity_of(child)

    assert replace(identity, process_start=identity.process_start - 1).is_surely_dead()


@pytest.mark.parametrize("elsewhere", [{"boot_id": "another boot"}, {"boot_id": ""}, {"process_start": 0}])
def test_nothing_is_proved_of_another_boot_or_of_what_is_not_told(elsewhere):
    gone = replace(this_process(), pid=2**22 + 1)

    assert gone.is_surely_dead()
    assert not replace(gone, **elsewhere).is_surely_dead()


def test_process_of_another_user_that_is_hidden_is_not_dead(monkeypatch):
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)

    assert not replace(this_process(), pid=2**22 + 1).is_surely_dead()


def test_system_that_tells_nothing_proves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(process_identity, "_PROC", tmp_path)

    assert (this_process().boot_id, this_process().process_start) == ("", 0)
    assert not this_process().is_surely_dead()
