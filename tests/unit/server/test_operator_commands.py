"""Admin lines that change something: what is understood, what is answered, and who is refused."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import FunctionName
from gearjobs.core.snapshot import StatusView
from gearjobs.errors import QueueFull
from gearjobs.protocol.codec import TextLine
from gearjobs.server.operator_commands import OperatorCommands
from tests.support.core_builders import RESIZE
from tests.support.core_stages import QueueRig
from tests.support.fake_transport import QuietHandler, make_connection

OK = b"OK\r\n"
UNKNOWN_COMMAND = b"ERR UNKNOWN_COMMAND Unknown+server+command%s\r\n"
INCOMPLETE = b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+%s\r\n"


class OperatorDesk:
    """The commands on a queue and the connection that sends them."""

    def __init__(self, *, host: str = "127.0.0.1") -> None:
        self.rig = QueueRig()
        self.handler = QuietHandler()
        #: Which way the server was told to end.
        self.ends: list[str] = []
        self.commands = OperatorCommands(
            self.rig.queue, stop=lambda: self.ends.append("stop"), drain=lambda: self.ends.append("drain")
        )
        self.connection, self.transport = make_connection(self.handler, number=99, peer=(host, 4000))

    def say(self, line: bytes) -> bytes:
        """Return the answer to a line."""
        self.transport.read.clear()
        words = tuple(word for word in line.split(b" ") if word)
        assert self.commands.handle(self.connection, TextLine(words), self.rig.now)
        self.handler.flush()
        return b"".join(self.transport.read)

    def functions(self) -> list[FunctionName]:
        """Return the names the queue knows."""
        return [view.name for view in self.rig.queue.functions()]


@pytest.fixture
def desk():
    return OperatorDesk()


def test_line_that_only_shows_is_left_to_others(desk):
    assert not desk.commands.handle(desk.connection, TextLine((b"status",)), desk.rig.now)


@pytest.mark.parametrize("line", [b"cancel job %s", b"CANCEL Job %s"])
def test_cancel_job_ends_it(desk, line):
    handle = desk.rig.submit(desk.rig.client())

    assert desk.say(line % handle) == OK
    assert desk.rig.queue.get_status(handle) == StatusView()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"cancel", UNKNOWN_COMMAND % b"cancel"),
        (b"Cancel job", UNKNOWN_COMMAND % b"Cancel"),
        (b"cancel foo bar", b"ERR UNKNOWN_ERROR\r\n"),
        (b"cancel job H:1 H:2", b"ERR UNKNOWN_ERROR\r\n"),
        (b"cancel job H:nobody", b"ERR UNKNOWN_JOB\r\n"),
    ],
)
def test_cancel_of_nothing(desk, line, answer):
    assert desk.say(line) == answer


def test_function_is_created_and_dropped(desk):
    assert desk.say(b"create function mail") == OK
    assert desk.functions() == [b"mail"]
    assert desk.say(b"Drop Function MAIL") == OK
    assert desk.functions() == []


def test_name_is_read_as_the_lists_print_it(desk):
    desk.say(rb"create function a\x20b\x0a\\")

    assert desk.functions() == [b"a b\n\\"]


@pytest.mark.parametrize("command", [b"create", b"drop"])
@pytest.mark.parametrize("rest", [b"", b" function", b" foo bar", b" function a b"])
def test_incomplete_create_and_drop(desk, command, rest):
    assert desk.say(command + rest) == INCOMPLETE % command


def test_drop_of_an_unknown_function(desk):
    assert desk.say(b"drop function mail") == b"ERR function not found\r\n"


def test_drop_of_a_function_in_use(desk):
    desk.rig.worker(RESIZE)

    assert desk.say(b"drop function resize") == b"ERR there are still connected workers or executing clients\r\n"


@pytest.mark.parametrize(
    ("numbers", "refused"),
    [
        (b" 1", [50, 0, -50]),
        (b" 0 1", [0]),
        (b" 1 0 1", [50, -50]),
        (b" 2", []),
        (b"", []),
        (b" 0", []),
        (b" -1", []),
        (b" many", []),
    ],
)
def test_maxqueue_limits_each_priority(desk, numbers, refused):
    desk.rig.submit(desk.rig.client())
    desk.say(b"maxqueue resize 1")

    assert desk.say(b"maxqueue resize" + numbers) == b"OK\n"
    assert [priority for priority in (50, 0, -50) if is_refused(desk, priority)] == refused


def is_refused(desk, priority):
    client = desk.rig.client()
    try:
        desk.rig.submit(client, priority=priority)
    except QueueFull:
        return True
    desk.rig.disconnect(client)
    return False


def test_maxqueue_of_an_unknown_function_is_ok_and_means_nothing(desk):
    assert desk.say(b"maxqueue mail 1") == b"OK\n"
    assert desk.functions() == []


def test_maxqueue_without_a_function(desk):
    assert desk.say(b"maxqueue") == INCOMPLETE % b"maxqueue"


@pytest.mark.parametrize(
    ("line", "ends"), [(b"shutdown", ["stop"]), (b"shutdown graceful", ["drain"]), (b"SHUTDOWN Graceful", ["drain"])]
)
def test_shutdown_ends_the_server(desk, line, ends):
    assert desk.say(line) == b"OK\n"
    assert desk.ends == ends


def test_shutdown_with_words_that_nobody_knows_ends_nothing(desk):
    assert desk.say(b"shutdown now") == b"ERR UNKNOWN_SHUTDOWN_ARGUMENTS\r\n"
    assert desk.ends == []


@pytest.mark.parametrize(
    "line", [b"cancel job H:1", b"create function f", b"drop function f", b"maxqueue f 1", b"shutdown"]
)
def test_peer_elsewhere_is_refused(line):
    desk = OperatorDesk(host="10.0.0.9")

    assert desk.say(line) == b"ERR NOT_ALLOWED This+command+is+taken+from+the+server's+own+machine+only\r\n"
    assert (desk.functions(), desk.ends) == ([], [])


@pytest.mark.parametrize(("host", "level"), [("127.0.0.1", "INFO"), ("10.0.0.9", "WARNING")])
def test_line_is_logged_with_its_sender(caplog, host, level):
    caplog.set_level("INFO", logger="gearjobs.server")

    OperatorDesk(host=host).say(b"create function x\n")

    assert [record.levelname for record in caplog.records] == [level]
    assert f"line='create function x\\\\x0a' peer={host}:4000" in caplog.text
