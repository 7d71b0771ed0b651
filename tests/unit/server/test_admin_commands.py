"""Admin lines: what each shows of the queue; their wording is `protocol/admin_text`'s."""

from __future__ import annotations

import logging
import os

import pytest

from gearjobs.core.jobs import ConnectionId
from gearjobs.protocol.admin_text import parse_worker_reports
from gearjobs.protocol.codec import TextLine
from gearjobs.protocol.server_snapshot import ServerSnapshot, parse_snapshot
from gearjobs.protocol.worker_report import WorkerReport, encode_report
from gearjobs.server.admin_commands import VERSION_TEXT, AdminCommands, gearmand_level
from gearjobs.server.connection import Connection
from gearjobs.version import __version__
from tests.support.core_stages import QueueRig
from tests.support.fake_transport import QuietHandler, make_connection


class AdminDesk:
    """The commands on a queue, asked by a connection of it."""

    def __init__(self) -> None:
        self.rig = QueueRig()
        self.handler = QuietHandler()
        self.connections: dict[ConnectionId, Connection] = {}
        self.commands = AdminCommands(
            self.rig.queue, self.connections, log_level="INFO", snapshot=lambda: ServerSnapshot(at=1.0, pid=7)
        )
        self.asking, self.transport = make_connection(self.handler, number=99)

    def ask(self, line: bytes) -> bytes:
        """Return the answer to a line."""
        self.transport.read.clear()
        self.commands.handle(self.asking, TextLine(tuple(line.split(b" "))))
        self.handler.flush()
        return b"".join(self.transport.read)

    def worker(self, *functions) -> ConnectionId:
        """Connect a worker of the queue."""
        number = self.rig.worker(*functions)
        self.connections[number], _ = make_connection(self.handler, number=number, peer=("10.0.0.9", 4000))
        return number


@pytest.fixture
def desk():
    return AdminDesk()


def test_status_shows_every_function(desk):
    worker = desk.worker(b"mail", b"resize")
    client = desk.rig.client()
    desk.rig.submit(client)
    desk.rig.submit(client)
    desk.rig.start(worker)

    assert desk.ask(b"status") == b"mail\t0\t0\t1\nresize\t2\t1\t1\n.\n"


def test_prioritystatus_shows_what_waits(desk):
    worker = desk.worker()
    client = desk.rig.client()
    for priority in (50, 50, 0, -50):
        desk.rig.submit(client, priority=priority)
    desk.rig.start(worker)

    assert desk.ask(b"prioritystatus") == b"resize\t1\t1\t1\t1\n.\n"


def test_workers_shows_every_connection_with_its_functions(desk):
    worker = desk.worker(b"mail", b"resize")
    desk.rig.queue.set_client_id(worker, "press-1")
    desk.worker(b"mail")

    assert desk.ask(b"workers") == b"7 10.0.0.9 press-1 : resize mail\n7 10.0.0.9 - : mail\n.\n"


def test_workers_shows_where_a_worker_is_benched(desk):
    worker = desk.worker()
    client = desk.rig.client()
    desk.connections[client], _ = make_connection(desk.handler, number=client)
    for _ in range(21):
        desk.rig.submit_background(client)
        desk.rig.fail(worker, desk.rig.start(worker))

    assert b": resize benched:resize\n" in desk.ask(b"workers")


def test_show_jobs_shows_retries_and_what_is_kept(desk):
    worker = desk.worker()
    desk.rig.submit_background()
    desk.rig.submit(desk.rig.client())
    desk.rig.start(worker)
    desk.rig.disconnect(worker)

    assert desk.ask(b"show jobs") == b"H:1\t1\t0\t1\nH:2\t0\t0\t0\n.\n"


def test_show_unique_jobs_shows_a_line_a_job(desk):
    for unique in (b"photo7", b""):
        desk.rig.submit_background(unique=unique)

    assert desk.ask(b"show unique jobs") == b"photo7\n\n.\n"


@pytest.mark.parametrize("line", [b"show", b"show foo", b"show unique", b"show jobs x", b"show unique jobs x"])
def test_what_cannot_be_shown_is_refused(desk, line):
    assert desk.ask(line) == b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"


def test_version_names_the_program_behind_its_number(desk):
    assert desk.ask(b"version") == f"OK {__version__}+gearjobs\n".encode()
    assert VERSION_TEXT[0].isdigit()


def test_getpid_is_the_process(desk):
    assert desk.ask(b"getpid") == f"OK {os.getpid()}\n".encode()


def test_verbose_is_the_level_of_the_log(desk):
    assert desk.ask(b"verbose") == b"OK INFO\n"


@pytest.mark.parametrize("line", [b"STATUS", b"Show JOBS", b"sHoW uNiQuE jObS"])
def test_case_of_a_command_does_not_matter(desk, line):
    assert desk.ask(line) == b".\n"


@pytest.mark.parametrize("word", [b"", b"foo", b"Foo"])
def test_unknown_command_is_named_as_it_came(desk, word):
    assert desk.ask(word) == b"ERR UNKNOWN_COMMAND Unknown+server+command" + word + b"\r\n"


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.CRITICAL, "CRITICAL"),
        (logging.ERROR, "ERROR"),
        (logging.WARNING, "WARNING"),
        (logging.INFO, "INFO"),
        (logging.DEBUG, "DEBUG"),
        (logging.INFO + 1, "INFO"),
    ],
)
def test_level_has_gearmands_name(level, name):
    log = logging.getLogger("gearjobs.tests.levels")
    log.setLevel(level)

    assert gearmand_level(log) == name


def test_show_worker_reports_shows_who_said_something(desk):
    desk.worker(b"resize")
    worker = desk.worker(b"resize")
    desk.rig.queue.set_client_id(worker, "box-0")
    desk.rig.queue.worker_report(worker, encode_report(WorkerReport(pid=7)))

    [line] = parse_worker_reports(desk.ask(b"show worker reports"))

    assert (line.client_id, line.report) == (b"box-0", WorkerReport(pid=7))


def test_snapshot_is_one_line_of_a_list(desk):
    answer = desk.ask(b"show snapshot")

    assert (answer.count(b"\n"), answer.endswith(b"\n.\n")) == (2, True)
    assert parse_snapshot(answer) == ServerSnapshot(at=1.0, pid=7)
