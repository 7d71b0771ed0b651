"""A part of the demo as a process: what is said when it does not start, dies, or will not stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo_site.rundemo import part as part_module
from demo_site.rundemo.part import Part, PartError
from demo_site.rundemo.ports import HOST, is_free, listen

StartPart = Callable[[str], Part]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartPart]:
    parts: list[Part] = []

    def start_part(source: str) -> Part:
        command = [sys.executable, "-u", "-c", source]
        parts.append(Part("clock", command, log=tmp_path / "log" / "clock.log", env=os.environ))
        return parts[-1]

    yield start_part
    for part in parts:
        part.stop()


def test_part_that_dies_is_named_with_the_end_of_its_log(start: StartPart):
    part = start("print('no spring'); raise SystemExit(3)")

    with pytest.raises(PartError, match=r"(?s)The clock ended with exit code 3\..*clock\.log.*no spring"):
        part.wait_until("tick", lambda: None, timeout_s=10)


def test_part_that_says_nothing_in_time_is_named_with_what_was_waited_for(start: StartPart):
    part = start("import time; time.sleep(60)")

    with pytest.raises(PartError, match=r"The clock did not tick within 0 s\."):
        part.wait_until("tick", lambda: None, timeout_s=0.2)


def test_wait_gives_what_was_seen(start: StartPart):
    part = start("print('tick'); import time; time.sleep(60)")

    assert part.wait_until("tick", lambda: part.log.read_text() or None, timeout_s=10) == "tick\n"


def test_part_is_stopped_by_sigterm(start: StartPart):
    part = start("import time; print('tick'); time.sleep(60)")
    part.wait_until("tick", lambda: part.log.read_text() or None, timeout_s=10)

    assert part.stop() == "stopped"


def test_part_that_will_not_stop_is_killed_with_its_children(start: StartPart, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(part_module, "STOP_TIMEOUT_S", 0.3)
    part = start(
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.fork(), flush=True); time.sleep(60)"
    )
    lines = part.wait_until("fork", lambda: _two_lines(part.log), timeout_s=10)

    words = part.stop()

    assert words.startswith("Killed")
    child = max(int(line) for line in lines)
    assert _ends(child)


def test_failed_command_is_an_error(start: StartPart):
    with pytest.raises(PartError, match="exit code 2"):
        start("raise SystemExit(2)").finish(timeout_s=10)


def test_command_without_end_is_an_error(start: StartPart):
    with pytest.raises(PartError, match="did not end within"):
        start("import time; time.sleep(60)").finish(timeout_s=0.2)


def test_taken_port_is_replaced_by_a_free_one():
    with listen(0) as first:
        taken = first.getsockname()[1]
        with listen(taken) as second:
            assert not is_free(taken)
            assert second.getsockname()[1] != taken


def test_free_port_is_taken_as_asked():
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]

    with listen(port) as listener:
        assert listener.getsockname()[1] == port


def _two_lines(log: Path) -> list[str] | None:
    lines = log.read_text().split()
    return lines if len(lines) == 2 else None


def _ends(pid: int) -> bool:
    """Wait until there is no process `pid`, or only its remains; the test's time limit is pytest's."""
    for _ in range(1000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        signal.sigtimedwait([signal.SIGCHLD], 0.01)
    return False
