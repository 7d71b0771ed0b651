"""Pausing, resuming and clearing functions by admin lines, and obeying what a store says of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.core.changes import Outcome
from gearjobs.core.function_brake import QueueControl
from gearjobs.core.jobs import FunctionName
from gearjobs.errors import ServerError
from gearjobs.protocol.admin_text import OK_LINE
from gearjobs.protocol.packets import PacketType
from gearjobs.server import queue_desk
from gearjobs.server.config import AdminPolicy, ServerConfig
from gearjobs.server.queue_desk import ControlKeeper, PauseWish
from tests.support.eventually import eventually
from tests.support.job_server import MemoryServer, running_memory_server

T = PacketType
RESIZE = FunctionName(b"resize")


class Ledger(ControlKeeper):
    """A keeper that only writes down what it is told."""

    def __init__(self) -> None:
        self.looks = 0
        self.wishes: list[PauseWish] = []

    def look_soon(self) -> None:
        self.looks += 1

    def keep(self, wish: PauseWish) -> None:
        self.wishes.append(wish)


@pytest.fixture
def admin(server) -> Iterator[AdminClient]:
    with AdminClient(server.address) as admin:
        yield admin


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def kept_server(ledger) -> Iterator[MemoryServer]:
    with running_memory_server(keeper=ledger) as server:
        yield server


def submit(client, *, function=b"resize", background=True):
    client.say(T.SUBMIT_JOB_BG if background else T.SUBMIT_JOB, function, b"", b"photo")
    return client.expect(T.JOB_CREATED)[0]


def grab(worker):
    worker.say(T.GRAB_JOB)
    packet_type, arguments = worker.next()
    return arguments[0] if packet_type == T.JOB_ASSIGN else None


def wish_of(ledger):
    eventually(lambda: ledger.wishes, 5, "the line to be read")
    return ledger.wishes[-1]


def test_paused_function_hands_out_nothing_until_it_is_resumed(client, worker, admin):
    handle = submit(client)
    admin.pause("resize")
    paused = grab(worker)

    admin.resume("resize")

    assert (paused, grab(worker)) == (None, handle)


def test_sleeping_worker_is_woken_by_the_end_of_a_pause(client, worker, admin):
    admin.pause("resize")
    worker.say(T.PRE_SLEEP)
    submit(client)

    admin.resume("resize")

    worker.expect(T.NOOP)


def test_cleared_function_has_no_waiting_job_left(client, worker, admin, store):
    running = submit(client)
    assert grab(worker) == running
    waiting = [submit(client) for _ in range(3)]

    assert admin.clear("resize") == 3

    eventually(lambda: all(handle in store.finished for handle in waiting), 5, "the jobs to end")
    assert {store.finished[handle].outcome for handle in waiting} == {Outcome.CANCELLED}
    assert {store.finished[handle].cancel_reason for handle in waiting} == {queue_desk.CLEARED}
    assert running not in store.finished


def test_client_that_waits_for_a_cleared_job_hears_that_it_failed(client, admin):
    handle = submit(client, background=False)

    admin.clear("resize")

    assert client.expect(T.WORK_FAIL) == [handle]


def test_many_jobs_are_cleared_some_at_a_time_and_later_ones_stay(client, worker, admin, monkeypatch):
    monkeypatch.setattr(queue_desk, "CLEARED_AT_ONCE", 4)
    for _ in range(30):
        submit(client)

    assert admin.clear("resize") == 30
    later = submit(client)

    eventually(lambda: admin.status()[0].total == 1, 5, "all but the later job to be cleared")
    assert grab(worker) == later


def test_clearing_waits_for_the_store_to_come_so_far(client, admin, monkeypatch):
    monkeypatch.setattr(queue_desk, "_MOST_PENDING", 0)
    for _ in range(3):
        submit(client)
    assert admin.clear("resize") == 3
    waiting = admin.status()[0].total

    monkeypatch.setattr(queue_desk, "_MOST_PENDING", 10)

    assert waiting == 3
    eventually(lambda: admin.status()[0].total == 0, 5, "the jobs to be cleared")


def test_second_clear_while_one_is_under_way_tells_of_what_came_since(client, admin, monkeypatch):
    monkeypatch.setattr(queue_desk, "_MOST_PENDING", 0)
    for _ in range(5):
        submit(client)
    first = admin.clear("resize")
    submit(client)

    second = admin.clear("resize")
    monkeypatch.setattr(queue_desk, "_MOST_PENDING", 10)

    assert (first, second) == (5, 1)
    eventually(lambda: admin.status()[0].total == 0, 5, "the jobs to be cleared")


@pytest.mark.parametrize("line", ["pause", "resume", "clear", "pause a b"])
def test_line_without_one_function_is_incomplete(admin, line):
    assert admin.command(line).startswith(b"ERR INVALID_ARGUMENTS")


def test_name_is_read_as_the_lists_print_it(client, admin):
    submit(client, function=b"two words")

    assert admin.clear(b"two words") == 1


@pytest.mark.parametrize("verb", ["pause", "resume", "clear"])
def test_line_of_whom_may_not_administer_is_refused(verb):
    config = ServerConfig(listen=("127.0.0.1",), port=0, admin=AdminPolicy.OFF)
    with (
        running_memory_server(config) as server,
        AdminClient(server.address) as admin,
        pytest.raises(ServerError, match="NOT_ALLOWED"),
    ):
        getattr(admin, verb)("resize")


def test_pause_is_answered_when_the_store_has_kept_it(kept_server, ledger):
    with kept_server.peer() as operator:
        operator.say_raw(b"pause resize\nversion\n")
        wish = wish_of(ledger)

        control = {RESIZE: QueueControl(is_paused=True)}
        kept_server.do(lambda: kept_server.server.obey(control, [(wish, True)]))

        assert (wish.function, wish.is_paused) == (RESIZE, True)
        assert operator.expect_line() == OK_LINE


def test_pause_that_was_not_kept_is_an_error(kept_server, ledger):
    with kept_server.peer() as operator:
        operator.say_raw(b"resume resize\n")
        wish = wish_of(ledger)

        kept_server.do(lambda: kept_server.server.obey({}, [(wish, False)]))

        assert not wish.is_paused
        assert operator.expect_line() == b"ERR QUEUE_ERROR The+store+has+not+kept+it\r\n"


def test_what_the_store_says_is_obeyed(kept_server):
    with kept_server.peer() as client, kept_server.peer() as worker:
        worker.can_do(b"resize")
        kept_server.do(lambda: kept_server.server.obey({RESIZE: QueueControl(is_paused=True)}))
        handle = submit(client)
        paused = grab(worker)

        kept_server.do(lambda: kept_server.server.obey({}))

        assert (paused, grab(worker)) == (None, handle)


def test_keeper_is_told_that_somebody_changed_something(kept_server, ledger):
    with kept_server.peer() as client:
        client.use_extensions()
        client.say(T.QUEUES_CHANGED)

        eventually(lambda: ledger.looks == 1, 5, "the keeper to be told")


def test_news_of_changes_is_nothing_to_a_server_without_a_keeper(client):
    client.say(T.QUEUES_CHANGED)
    client.say(T.ECHO_REQ, b"still here")

    assert client.expect(T.ECHO_RES) == [b"still here"]


def test_peer_without_the_extensions_may_not_speak_of_changes(server):
    with server.peer() as stock:
        stock.say(T.QUEUES_CHANGED)

        assert stock.expect(T.ERROR)[0] == b"INVALID_COMMAND"
