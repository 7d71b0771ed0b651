"""New code is noticed by the files it is in."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib import import_module

import pytest

from gearjobs.management.code_watch import LOOK_EVERY_S, CodeWatch
from gearjobs.worker.pool.pool_services import PoolState, PoolView
from gearjobs.worker.pool.signal_pipe import SignalPipe

VIEW = PoolView(PoolState.RUNNING, wanted=1, running=1, serving=1, busy_lanes=0, lanes=1, jobs_done=0, jobs_failed=0)


@pytest.fixture
def signals() -> Iterator[SignalPipe]:
    with SignalPipe() as signals:
        yield signals


def test_changed_file_asks_for_a_reload_once(signals, tmp_path, monkeypatch):
    file = tmp_path / "watched_code.py"
    file.write_text("VERSION = 1\n", encoding="ascii")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("watched_code")
    watch = CodeWatch()
    watch.open(signals)

    watch.turn(VIEW, 0.0)
    assert not signals.take(signal.SIGHUP)
    os.utime(file, (1, 1))
    watch.turn(VIEW, LOOK_EVERY_S / 2)
    assert not signals.take(signal.SIGHUP)
    watch.turn(VIEW, LOOK_EVERY_S)

    assert signals.take(signal.SIGHUP) == signal.SIGHUP
    watch.turn(VIEW, 2 * LOOK_EVERY_S)
    assert not signals.take(signal.SIGHUP)
    watch.close()
