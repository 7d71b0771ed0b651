"""Where the log goes, and that nothing about it can stop a server."""

from __future__ import annotations

import logging
import os
import syslog
from collections.abc import Iterator
from pathlib import Path

import pytest

from gearjobs.server.command.log_targets import FileTarget, StderrTarget, SyslogTarget, set_up_logging, write_now
from gearjobs.server.command.process_config import ProcessConfig

LOG = logging.getLogger("gearjobs.server")


@pytest.fixture(autouse=True)
def old_logging() -> Iterator[None]:
    """Put the package's logger back as it was."""
    log = logging.getLogger("gearjobs")
    handlers, level, propagate = log.handlers, log.level, log.propagate
    yield
    for handler in log.handlers:
        handler.close()
    log.handlers, log.propagate = handlers, propagate
    log.setLevel(level)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe as a careless parent leaves it: it blocks."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def said_to_syslog(monkeypatch) -> list[tuple[int, str]]:
    """What syslog was told."""
    said: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *_: None)
    monkeypatch.setattr(syslog, "syslog", lambda priority, line: said.append((priority, line)))
    return said


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    for piece in (b"x" * 4096, b"x"):
        try:
            while True:
                os.write(descriptor, piece)
        except BlockingIOError:
            pass
    os.set_blocking(descriptor, True)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("gearjobs.server", logging.INFO, "", 0, text, None, None)


def kinds() -> list[type[logging.Handler]]:
    return [type(handler) for handler in logging.getLogger("gearjobs").handlers]


def test_text_is_written_while_it_is_taken(pipe):
    assert write_now(pipe[1], "a line\n")
    assert os.read(pipe[0], 100) == b"a line\n"


def test_long_text_is_written_in_pieces(pipe):
    assert write_now(pipe[1], "x" * 10_000)
    assert len(os.read(pipe[0], 20_000)) == 10_000


def test_full_pipe_is_not_waited_for(pipe):
    fill(pipe[1])

    assert not write_now(pipe[1], "a line\n")


def test_closed_descriptor_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)

    assert not write_now(writer, "nobody reads\n")
    os.close(writer)
    assert not write_now(-1, "nobody is there\n")


def test_lines_that_stderr_did_not_take_are_counted(pipe):
    target = StderrTarget(pipe[1])
    target.emit(record("first"))
    fill(pipe[1])
    target.emit(record("lost"))
    target.emit(record("lost, too"))
    os.read(pipe[0], 1_000_000)
    target.emit(record("read again"))

    assert os.read(pipe[0], 1000) == b"... 2 log lines dropped: nobody read stderr\nread again\n"


def test_log_goes_to_the_file_with_time_level_and_logger(tmp_path: Path):
    set_up_logging(ProcessConfig(log_file=str(tmp_path / "log")))
    LOG.info("listen port=%d", 17)

    assert (tmp_path / "log").read_text().endswith(" INFO gearjobs.server listen port=17\n")


def test_reopening_begins_a_new_file(tmp_path: Path):
    file = tmp_path / "log"
    reopen = set_up_logging(ProcessConfig(log_file=str(file)))
    file.rename(tmp_path / "log.1")
    reopen()
    LOG.info("after")

    assert "after" in file.read_text()
    assert "after" not in (tmp_path / "log.1").read_text()


def test_moved_file_is_begun_anew_without_being_told(tmp_path: Path):
    file = tmp_path / "log"
    set_up_logging(ProcessConfig(log_file=str(file)))
    file.rename(tmp_path / "log.1")
    LOG.info("after")

    assert "after" in file.read_text()


def test_file_that_cannot_be_reopened_stays_open(tmp_path: Path):
    folder = tmp_path / "logs"
    folder.mkdir()
    reopen = set_up_logging(ProcessConfig(log_file=str(folder / "log")))
    folder.rename(tmp_path / "elsewhere")
    reopen()
    LOG.info("kept")

    assert "kept" in (tmp_path / "elsewhere" / "log").read_text()


def test_full_disk_costs_lines_only():
    set_up_logging(ProcessConfig(log_file="/dev/full"))

    LOG.info("lost")

    assert kinds() == [FileTarget]


def test_file_that_cannot_be_opened_makes_stderr_the_log(tmp_path: Path, capfd):
    set_up_logging(ProcessConfig(log_file=str(tmp_path / "no" / "log")))

    assert kinds() == [StderrTarget]
    assert "Could not open log file" in capfd.readouterr().err


def test_stderr_is_the_log_where_nothing_is_said(capfd):
    reopen = set_up_logging(ProcessConfig())
    LOG.info("listen")
    reopen()

    assert capfd.readouterr().err.endswith(" INFO gearjobs.server listen\n")


def test_none_is_no_log(capfd):
    set_up_logging(ProcessConfig(log_file="none"))
    LOG.error("unheard")

    assert capfd.readouterr().err == ""


def test_syslog_takes_the_place_of_stderr(said_to_syslog, capfd):
    set_up_logging(ProcessConfig(syslog=True, verbose="DEBUG"))
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        LOG.log(level, "told")

    priorities = [syslog.LOG_DEBUG, syslog.LOG_INFO, syslog.LOG_WARNING, syslog.LOG_ERR, syslog.LOG_CRIT]
    assert [priority for priority, _ in said_to_syslog] == priorities
    assert said_to_syslog[3][1] == "ERROR gearjobs.server told"
    assert capfd.readouterr().err == ""


def test_syslog_and_a_file_both_get_the_log(said_to_syslog, tmp_path: Path):
    set_up_logging(ProcessConfig(syslog=True, log_file=str(tmp_path / "log")))
    LOG.info("told")

    assert len(said_to_syslog) == 1
    assert "told" in (tmp_path / "log").read_text()


def test_server_in_the_background_logs_to_syslog_unless_told_otherwise(said_to_syslog, tmp_path: Path):
    set_up_logging(ProcessConfig(daemon=True))
    assert kinds() == [SyslogTarget, logging.NullHandler]

    set_up_logging(ProcessConfig(daemon=True, log_file=str(tmp_path / "log")))
    assert kinds() == [FileTarget]


@pytest.mark.parametrize(
    ("word", "is_heard"),
    [("DEBUG", [True] * 4), ("INFO", [False, True, True, True]), ("NOTICE", [False, False, True, True]),
     ("WARNING", [False, False, True, True]), ("ERROR", [False, False, False, True]), ("FATAL", [False] * 4)],
)  # fmt: skip
def test_level_is_gearmands(word: str, is_heard: list[bool]):
    set_up_logging(ProcessConfig(log_file="none", verbose=word))
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)

    assert [LOG.isEnabledFor(level) for level in levels] == is_heard
