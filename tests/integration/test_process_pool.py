"""The supervisor with real children: they are replaced, stopped with their jobs done, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from gearjobs.client.client import Client
from gearjobs.errors import UsageError
from gearjobs.worker.pool.process_pool import ProcessPool
from tests.support.eventually import eventually

#: Seconds anything here may take.
SOON_S = 15.0


def collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line)  # noqa: PERF402 - each line at once: the test is waiting for it


class Program:
    """The pool program at work, with every line it and its children printed."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.pool_program", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, to be signalled as a terminal would.
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=collect, args=(self.process.stdout, self.lines)),
            threading.Thread(target=collect, args=(self.process.stderr, self.errors)),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, start: str, *, count: int = 1) -> list[list[str]]:
        """Return the words behind `start` of the lines that begin so, once there are so many."""

        def found() -> list[list[str]]:
            lines = [line.removeprefix(start).split() for line in self.lines if line.startswith(start)]
            return lines if len(lines) >= count else []

        try:
            return eventually(found, SOON_S, f"{count} lines {start!r}")
        except AssertionError as failure:
            raise AssertionError(f"{failure} among {self.lines}, errors {self.errors}") from failure

    def exit_code(self) -> int:
        """Wait for the end."""
        return self.process.wait(SOON_S)

    def close(self) -> None:
        """End it with all its children, whatever they do."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(SOON_S)
        for reader in self._readers:
            reader.join(SOON_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start_one(*arguments: object) -> Program:
        programs.append(Program(*map(str, arguments)))
        return programs[-1]

    yield start_one
    for program in programs:
        program.close()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_children_are_started_each_with_its_index(start):
    program = start("wait_for_sigterm", 3, 10)

    started = program.wait_for("working ", count=3)

    assert sorted(index for index, _ in started) == ["0", "1", "2"]
    assert len({pid for _, pid in started}) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_the_running_jobs_finish(start, tmp_path, number):
    program = start("finish_job", 2, SOON_S, tmp_path / "finish")
    program.wait_for("working ", count=2)

    program.process.send_signal(number)
    program.wait_for("pool stopping")
    (tmp_path / "finish").touch()

    assert program.exit_code() == 0
    assert sorted(program.wait_for("finished ", count=2)) == [["0"], ["1"]]


def test_ctrl_c_in_the_terminal_lets_the_running_jobs_finish(start, tmp_path):
    program = start("finish_job", 2, SOON_S, tmp_path / "finish")
    program.wait_for("working ", count=2)

    os.killpg(program.process.pid, signal.SIGINT)
    program.wait_for("pool stopping")
    (tmp_path / "finish").touch()

    assert program.exit_code() == 0
    assert len(program.wait_for("finished ", count=2)) == 2


def test_child_without_a_handler_of_its_own_ends_by_sigterm(start):
    program = start("wait_for_sigterm", 1, SOON_S)
    [[_, pid]] = program.wait_for("working ")

    program.process.send_signal(signal.SIGTERM)

    assert program.exit_code() == 0
    assert program.wait_for("pool ended") == [["0", pid, str(-signal.SIGTERM)]]


def test_child_that_does_not_stop_in_time_is_killed(start):
    program = start("stay", 2, 0.2)
    program.wait_for("working ", count=2)

    program.process.send_signal(signal.SIGTERM)

    assert program.exit_code() == 1
    assert len(program.wait_for("pool killed", count=2)) == 2
    assert {ending[2] for ending in program.wait_for("pool ended", count=2)} == {str(-signal.SIGKILL)}


def test_killed_supervisor_takes_its_children_along(start):
    program = start("stay", 2, SOON_S)
    pids = [int(pid) for _, pid in program.wait_for("working ", count=2)]

    program.process.kill()

    eventually(lambda: not any(map(is_alive, pids)), SOON_S, f"the children {pids} to end")


@pytest.mark.slow
def test_child_stopped_past_its_deadline_is_killed_and_replaced(start):
    program = start("stop_past_deadline", 2, SOON_S)
    pids = dict(program.wait_for("working ", count=2))

    killed = program.wait_for("pool killed")
    ended = program.wait_for("pool ended")
    program.wait_for("working ", count=3)

    assert killed == [["0", pids["0"], "0"]]
    assert ended == [["0", pids["0"], str(-signal.SIGKILL)]]
    assert is_alive(int(pids["1"]))


@pytest.mark.slow
def test_child_stopped_past_its_deadline_is_killed_while_the_pool_stops(start):
    program = start("stop_past_deadline", 2, SOON_S)
    program.wait_for("working ", count=2)

    program.process.send_signal(signal.SIGTERM)

    assert program.exit_code() == 0
    assert [kill[0] for kill in program.wait_for("pool killed")] == ["0"]


@pytest.mark.slow
def test_child_that_crashed_is_replaced_by_another_of_its_index(start):
    program = start("wait_for_sigterm", 2, SOON_S)
    pids = dict(program.wait_for("working ", count=2))

    os.kill(int(pids["1"]), signal.SIGSEGV)

    index, pid = program.wait_for("working ", count=3)[2]
    assert program.wait_for("pool ended") == [["1", pids["1"], str(-signal.SIGSEGV)]]
    assert index == "1"
    assert pid not in pids.values()
    assert is_alive(int(pids["0"]))


@pytest.mark.parametrize(
    ("role", "exit_code", "last_words"),
    [
        ("raise_error", "1", "ValueError: child 0 fails"),
        ("exit_with_number", "7", ""),
        ("exit_with_text", "1", "the reason"),
        ("exit_plainly", "0", ""),
    ],
)
def test_child_ends_as_a_program_of_its_own_would(start, role, exit_code, last_words):
    program = start(role, 1, SOON_S)

    [_, _, code] = program.wait_for("pool ended")[0]

    assert code == exit_code
    eventually(lambda: last_words in "".join(program.errors), SOON_S, f"the last words {last_words!r}")


def test_worker_of_a_pool_finishes_its_job_before_it_stops(start, any_server, tmp_path):
    program = start("serve", 1, SOON_S, any_server)
    results: list[bytes] = []

    def ask() -> None:
        with Client([any_server]) as client:
            results.append(client.do("wait", str(tmp_path / "finish").encode(), timeout_s=SOON_S))

    asking = threading.Thread(target=ask)
    asking.start()
    program.wait_for("running ")
    program.process.send_signal(signal.SIGTERM)
    program.wait_for("pool stopping")
    (tmp_path / "finish").touch()
    asking.join(SOON_S)

    assert results == [b"done"]
    assert program.exit_code() == 0


def test_second_ctrl_c_makes_a_worker_give_its_job_back_at_once(start, any_server):
    program = start("serve", 1, SOON_S, any_server)
    with Client([any_server]) as client:
        handle = client.submit_background("wait", b"/nonexistent")
        program.wait_for("running ")

        def has_ended_by_ctrl_c() -> bool:
            # Two that come at once are one to a process: pressed again and again.
            os.killpg(program.process.pid, signal.SIGINT)
            return any(line.startswith("pool ended") for line in program.lines)

        eventually(has_ended_by_ctrl_c, SOON_S, "the worker to end")
        assert client.get_status(handle).known
        assert not client.get_status(handle).running


def test_pool_without_a_process_is_refused():
    with pytest.raises(UsageError, match="at least one process, got 0"):
        ProcessPool([], lambda _place: None)
