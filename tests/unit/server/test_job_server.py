"""The server as a whole, in memory: its start and its stop, its walls, and what time makes it do."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Never

import pytest

from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError, UsageError
from gearjobs.protocol.attributes import SubmitAttributes, encode
from gearjobs.protocol.packets import PacketType
from gearjobs.server.config import ServerConfig
from gearjobs.stores.memory import MemoryStore
from tests.support.eventually import eventually
from tests.support.fake_transport import FakeTransport
from tests.support.job_server import LOOPS, MemoryServer, running_memory_server
from tests.support.troubled_store import OUTAGE, TroubledStore, accepted
from tests.support.wire_peer import frame

T = PacketType

on_every_loop = pytest.mark.parametrize("loop", list(LOOPS))


def config_of(**options) -> ServerConfig:
    return ServerConfig(**{"listen": ("127.0.0.1",), "port": 0, **options})


def refused_start(config: ServerConfig, store: MemoryStore | None = None) -> BaseException:
    """Return what the start of a server raises."""
    server = MemoryServer(store or MemoryStore(), config, loop_factory=asyncio.new_event_loop)
    with pytest.raises((StoreError, UsageError, OSError)) as refusal:
        server.start()
    return refusal.value


def writer_threads() -> int:
    return sum(thread.name == "gearjobs-writer" for thread in threading.enumerate())


def submit_at(peer, run_at: float, *, handle: bytes = b"H:me:1") -> None:
    """Submit a background job of `resize` that is due then."""
    peer.use_extensions()
    peer.say(T.SUBMIT_JOB_EXT, handle, b"resize", b"", encode(SubmitAttributes(run_at=run_at)), b"photo")
    peer.expect(T.JOB_CREATED)


def test_pid_file_lives_as_long_as_the_server(tmp_path):
    pid_file = tmp_path / "server.pid"

    with running_memory_server(config_of(pid_file=pid_file)):
        assert pid_file.read_text() == f"{os.getpid()}\n"

    assert not pid_file.exists()


def test_pid_file_of_another_server_is_left_alone(tmp_path):
    # A server that found its port taken removed the pid file of the one that had it.
    pid_file = tmp_path / "server.pid"
    with running_memory_server(config_of(pid_file=pid_file)) as server:
        refusal = refused_start(config_of(pid_file=pid_file, port=server.port))

        assert "another program uses the port" in str(refusal)
        assert pid_file.exists()


def test_pid_file_that_cannot_be_written_is_told_in_a_sentence(tmp_path):
    pid_file = tmp_path / "missing" / "server.pid"

    refusal = refused_start(config_of(pid_file=pid_file))

    assert str(refusal) == f"cannot write the pid file {pid_file}: No such file or directory"


def test_store_that_cannot_be_opened_ends_the_start_and_all_that_was_started():
    store = TroubledStore()
    store.load_failure = OUTAGE

    refusal = refused_start(config_of(), store)

    assert refusal is OUTAGE
    assert store.is_closed
    assert writer_threads() == 0


@on_every_loop
def test_server_leaves_no_thread_and_no_port_behind(loop):
    with running_memory_server(loop=loop) as server:
        assert writer_threads() == 1

    assert writer_threads() == 0
    with socket.socket() as probe:
        probe.bind((server.host, server.port))


@on_every_loop
def test_stop_answers_whose_job_is_being_committed(loop):
    store = TroubledStore()
    with running_memory_server(store=store, loop=loop) as server, server.peer() as peer:
        store.gate.clear()
        peer.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
        eventually(lambda: store.batches, 5.0, "the commit to begin")
        server.ask_to_stop()
        store.gate.set()

        handle = peer.expect_body(T.JOB_CREATED)
        peer.expect_end()

    assert JobHandle(handle) in store.unfinished


@on_every_loop
def test_stop_does_not_wait_for_peers_that_go_on_submitting(loop):
    # It waited for a moment in which nothing was to be committed, which under load never came.
    store = TroubledStore()
    store.commit_s = 0.01
    with running_memory_server(store=store, loop=loop) as server:
        submitters = [threading.Thread(target=submit_for_ever, args=(server,)) for _ in range(4)]
        for submitter in submitters:
            submitter.start()
        eventually(lambda: len(store.unfinished) > 20, 10.0, "the storm")

        server.ask_to_stop()
        eventually(lambda: not server.is_serving, 5.0, "the end of the server")
        for submitter in submitters:
            submitter.join(5.0)


def submit_for_ever(server: MemoryServer) -> None:
    """Submit one job after the other until the server closes."""
    with server.peer() as peer, suppress(OSError):
        while True:
            peer.submit_background(b"resize")


def test_peer_that_comes_while_the_server_stops_is_not_served():
    store = TroubledStore()
    with running_memory_server(store=store) as server, server.peer() as peer:
        store.gate.clear()
        peer.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
        eventually(lambda: store.batches, 5.0, "the commit to begin")
        server.ask_to_stop()
        connections = server.server._connections
        eventually(lambda: all(one.is_choked for one in connections.values()), 5.0, "the last commit")
        arrived: list[FakeTransport] = []
        server.do(lambda: arrived.append(come_late(server)))
        eventually(lambda: arrived, 5.0, "the late peer")
        store.gate.set()
        peer.expect(T.JOB_CREATED)

    assert len(store.unfinished) == 1
    assert arrived[0].is_closing()


def come_late(server: MemoryServer) -> FakeTransport:
    """Let a peer arrive that was accepted before the doors were closed."""
    connection, transport = server.server._accept(), FakeTransport()
    transport.protocol = connection
    connection.connection_made(transport)
    connection.data_received(frame(T.SUBMIT_JOB_BG, b"resize", b"", b"late"))
    return transport


def test_jobs_of_the_store_are_run():
    store = MemoryStore()
    store.commit([accepted(b"H:old:1", payload=b"one"), accepted(b"H:old:2", payload=b"two")])

    with running_memory_server(store=store) as server, server.peer() as worker:
        worker.can_do(b"resize")
        assert [worker.grab(), worker.grab()] == [(b"H:old:1", b"one"), (b"H:old:2", b"two")]


def test_bug_in_a_handler_costs_one_connection(memory_server, caplog):
    memory_server.server._dispatch._table[T.ECHO_REQ] = lambda *arguments: _raise(ZeroDivisionError("bug"))
    with memory_server.peer() as unlucky, memory_server.peer() as other:
        unlucky.say(T.ECHO_REQ, b"abc")
        unlucky.expect_end()

        assert other.ask("version")[0].startswith(b"OK ")
    assert "a packet of it met a bug" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_packet_over_the_limit_is_refused_at_its_header(caplog):
    with running_memory_server(config_of(max_packet_bytes=1000)) as server, server.peer() as peer:
        peer.say(T.ECHO_REQ, bytes(1000))
        assert len(peer.expect_body(T.ECHO_RES)) == 1000

        peer.say_raw(frame(T.ECHO_REQ, bytes(1001))[:12])
        assert peer.expect(T.ERROR)[0] == b"ARGUMENT_TOO_LARGE"
        peer.expect_end()


def test_exceptions_may_be_everybodys():
    with running_memory_server(config_of(exceptions=True)) as server, server.peer() as peer:
        peer.can_do(b"resize")
        handle = peer.submit(b"resize")
        peer.grab()
        peer.say(T.WORK_EXCEPTION, handle, b"no paper")

        assert peer.expect(T.WORK_EXCEPTION) == [handle, b"no paper"]


def test_handles_begin_as_the_operator_wishes():
    with running_memory_server(config_of(job_handle_prefix="photos")) as server, server.peer() as peer:
        assert peer.submit_background(b"resize").startswith(b"photos:")


def test_store_that_is_down_refuses_submits_and_nothing_else(memory_server):
    with memory_server.peer() as client, memory_server.peer() as worker:
        worker.can_do(b"resize")
        kept = client.submit_background(b"resize", b"kept")
        assert worker.grab() == (kept, b"kept")
        memory_server.store.failure = OUTAGE

        client.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
        assert client.expect(T.ERROR) == [b"QUEUE_ERROR", b"QUEUE_ERROR"]
        foreground = client.submit(b"resize", b"now")
        assert worker.grab() == (foreground, b"now")
        worker.say(T.WORK_COMPLETE, kept, b"done")
        worker.expect_quiet()

        memory_server.store.failure = None
        eventually(lambda: memory_server.outcome(kept), 5.0, "the outcome in the store")
        assert client.submit_background(b"resize")


def test_client_of_a_background_job_hears_of_its_end_after_the_commit():
    store = TroubledStore()
    with running_memory_server(store=store) as server, server.peer() as client, server.peer() as worker:
        worker.can_do(b"resize")
        handle = client.submit_background(b"resize", unique=b"u")
        assert client.submit(b"resize", unique=b"u") == handle
        worker.grab()
        eventually(lambda: store.unfinished[JobHandle(handle)].was_running, 5.0, "the start in the store")
        store.gate.clear()
        worker.say(T.WORK_COMPLETE, handle, b"done")
        assert worker.ask("status") == [b"resize\t0\t0\t1\n"]
        assert server.outcome(handle) is None

        store.gate.set()
        assert client.expect(T.WORK_COMPLETE) == [handle, b"done"]
        assert server.outcome(handle)


@on_every_loop
def test_sweep_adopts_what_nobody_told_of(loop):
    with (
        running_memory_server(config_of(sweep_interval_s=0.05), loop=loop) as server,
        server.peer() as worker,
    ):
        worker.can_do(b"resize")
        worker.say(T.PRE_SLEEP)
        server.insert(b"H:row:1", function=b"resize", payload=b"photo")

        worker.expect(T.NOOP)
        assert worker.grab() == (b"H:row:1", b"photo")


def test_server_that_is_told_within_its_process_adopts_before_the_next_sweep():
    with running_memory_server(config_of(sweep_interval_s=60)) as server, server.peer() as worker:
        worker.can_do(b"resize")
        worker.say(T.PRE_SLEEP)
        worker.expect_quiet()
        server.insert(b"H:row:1", function=b"resize", payload=b"photo")
        server.do(server.server.adopt_jobs)

        worker.expect(T.NOOP)


def test_sleeping_worker_is_woken_as_soon_as_stored_jobs_may_be_handed_out():
    # Its NOOP was written by the next sweep.
    config = config_of(sweep_interval_s=60)
    with running_memory_server(config) as server, server.peer() as client, server.peer() as worker:
        server.do(partial(server.server._hand_out, False))
        client.submit_background(b"resize")
        worker.can_do(b"resize")
        worker.say(T.PRE_SLEEP)
        worker.expect_quiet()
        server.do(partial(server.server._hand_out, True))

        worker.expect(T.NOOP)


@on_every_loop
def test_sleeping_worker_is_woken_when_a_job_is_due(loop):
    with running_memory_server(loop=loop) as server, server.peer() as client, server.peer() as worker:
        worker.can_do(b"resize")
        worker.say(T.PRE_SLEEP)
        due_at = time.time() + 0.2
        submit_at(client, due_at)
        worker.expect_quiet()

        worker.expect(T.NOOP)
        assert time.time() >= due_at
        assert worker.grab() == (b"H:me:1", b"photo")


def test_due_job_is_found_by_the_sweep_when_the_clock_was_put_forward():
    # The timer counts seconds by another clock: it rang as late as the clock had been put forward.
    config = config_of(sweep_interval_s=0.05)
    with running_memory_server(config) as server, server.peer() as client, server.peer() as worker:
        worker.can_do(b"resize")
        worker.say(T.PRE_SLEEP)
        submit_at(client, time.time() + 0.2)
        server.do(lambda: put_off(server))

        worker.expect(T.NOOP)


def put_off(server: MemoryServer) -> None:
    """Let the timer ring an hour later than it believes."""
    timers = server.server._timers
    timers.stop()
    timers._handle = asyncio.get_running_loop().call_later(3600, timers._ring)
    timers._rings_at = 0.0


@on_every_loop
def test_job_of_the_year_9999_can_wait(loop):
    with running_memory_server(loop=loop) as server, server.peer() as client:
        submit_at(client, 253_402_300_799.0)

        assert client.ask("status") == [b"resize\t1\t0\t0\n"]


def test_peers_that_come_and_go_are_told_at_debug(caplog):
    caplog.set_level(logging.DEBUG, "gearjobs.server")
    with running_memory_server() as server, server.peer() as peer:
        peer.ask("version")
        peer.leave()
        eventually(lambda: "lose peer=127.0.0.1:" in caplog.text, 5.0, "the loss in the log")

    assert "accept peer=127.0.0.1:" in caplog.text


def test_what_a_peer_did_wrong_is_logged_with_its_address(memory_server, caplog):
    caplog.set_level(logging.INFO, "gearjobs.server")
    with memory_server.peer() as peer:
        peer.say(T.OPTION_REQ, b"compression")
        peer.expect(T.ERROR)
        host, port = peer.socket.getsockname()

    assert f"refuse peer={host}:{port}: UNKNOWN_OPTION" in caplog.text


def _raise(fault: BaseException) -> Never:
    raise fault
