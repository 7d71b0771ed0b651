"""What systemd hears."""

from __future__ import annotations

import math
import os
import socket

import pytest

from gearjobs.systemd_notify import SystemdNotify


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def heard(listener: socket.socket) -> list[str]:
    words = []
    while True:
        try:
            words.append(listener.recv(4096).decode())
        except BlockingIOError:
            return words


def test_words_are_systemd_s(listener):
    notify = SystemdNotify(listener.getsockname())

    notify.ready()
    notify.status("all is well")
    notify.status("all is well")
    notify.reloading()
    notify.stopping()

    ready, status, reloading, stopping = heard(listener)
    assert (ready, status, stopping) == ("READY=1", "STATUS=all is well", "STOPPING=1")
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_watchdog_hears_twice_as_often_as_it_must(listener):
    notify = SystemdNotify.of_environment({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "10000000"})

    for now in (0.0, 4.9, 5.0, 5.1):
        notify.beat(now)

    assert notify.beat_every_s == 5.0
    assert heard(listener) == ["WATCHDOG=1", "WATCHDOG=1"]


def test_address_without_a_file_is_known_by_its_at_sign():
    name = f"gearjobs-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        SystemdNotify("@" + name).ready()

        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "10000000"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"},
    ],
)
def test_nobody_watches(environment):
    assert SystemdNotify.of_environment(environment).beat_every_s == math.inf


def test_systemd_that_does_not_listen_harms_nobody(tmp_path):
    notify = SystemdNotify(str(tmp_path / "gone"))

    notify.ready()

    assert notify.is_on
    assert not SystemdNotify().is_on
