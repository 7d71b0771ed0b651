"""Lines of the log: their forms, and that those of several processes stay whole."""

from __future__ import annotations

import json
import logging
import os
import select
import signal

import pytest

from gearjobs.log_lines import JsonFormatter, SharedTarget, make_formatter

#: Processes, lines of each, and characters of a line: four times what a pipe takes in one piece.
WRITERS, LINES, LENGTH = 6, 40, 4 * select.PIPE_BUF


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "gearjobs.tasks", "levelno": logging.INFO, "levelname": "INFO", "msg": message, "args": args, **more}
    )


def test_json_line_has_the_facts_of_the_message():
    line = JsonFormatter().format(record("ran job=%s duration_s=%.3f cause=%r", "H:a:1", 0.25, "exit code 3"))

    document = json.loads(line)
    assert "\n" not in line
    assert (document["level"], document["logger"], document["pid"]) == ("INFO", "gearjobs.tasks", os.getpid())
    assert document["message"] == "ran job=H:a:1 duration_s=0.250 cause='exit code 3'"
    assert document["facts"] == {"job": "H:a:1", "duration_s": "0.250", "cause": "exit code 3"}
    assert document["time"].endswith("+00:00")


def test_json_line_has_the_traceback_in_one_line():
    line = JsonFormatter().format(record("failed", exc_info=(ValueError, ValueError("first\nsecond"), None)))

    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: first\nsecond")
    assert "facts" not in json.loads(line)


def test_line_of_text_says_its_process_where_there_are_several():
    assert make_formatter("text", has_many_processes=True).format(record("hello")).endswith(f"[{os.getpid()}] hello")
    assert make_formatter("text").format(record("hello")).endswith("gearjobs.tasks hello")
    assert isinstance(make_formatter("json"), JsonFormatter)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "name",
    [
        "a\n2026-01-01 INFO root all is well",
        "a\r\nb",
        "\x1b[2Ja",
        "a\x00b",
        "a\x9bb",
        "a\u2028b",
        "a\u202eb",
        "a\u2066b",
        "a\x85b",
    ],
)
def test_name_from_a_peer_makes_no_line_of_its_own_and_commands_no_terminal(log_format, name):
    line = make_formatter(log_format).format(record("registered function=%s", name))

    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_traceback_in_text_keeps_its_lines():
    line = make_formatter("text").format(record("failed", exc_info=(ValueError, ValueError("first\nsecond"), None)))

    assert line.endswith("failed\nValueError: first\nsecond")


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    target = SharedTarget(writer)
    target.setFormatter(logging.Formatter("%(message)s"))
    yield reader, writer, target
    target.close()
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def read_all(reader: int) -> bytes:
    pieces = []
    while piece := os.read(reader, 65536):
        pieces.append(piece)
    return b"".join(pieces)


def test_long_lines_of_several_processes_stay_whole(pipe):
    reader, writer, target = pipe
    pids = []
    for number in range(WRITERS):
        pid = os.fork()
        if pid == 0:
            for line in range(LINES):
                # Long and short ones: those must not fall into the others.
                target.handle(record(chr(97 + number) * (LENGTH if line % 2 else 10)))
            os._exit(0)
        pids.append(pid)
    os.close(writer)

    lines = read_all(reader).splitlines()
    for pid in pids:
        os.waitpid(pid, 0)

    assert len(lines) == WRITERS * LINES
    assert [line for line in lines if len(set(line)) != 1 or len(line) not in (10, LENGTH)] == []


def test_process_that_is_stopped_in_the_middle_of_a_line_holds_up_nobody_for_long(pipe):
    reader, _writer, target = pipe
    ready_reader, ready_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        assert target._lock()
        os.write(ready_writer, b"x")
        signal.pause()
    os.read(ready_reader, 1)
    os.kill(pid, signal.SIGSTOP)

    target.handle(record("from the parent"))

    assert os.read(reader, 100) == b"from the parent\n"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for descriptor in (ready_reader, ready_writer):
        os.close(descriptor)


def test_line_that_nobody_reads_is_dropped(pipe, monkeypatch):
    reader, _writer, target = pipe
    previous = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.close(reader)

    target.handle(record("to nobody"))

    signal.signal(signal.SIGPIPE, previous)
