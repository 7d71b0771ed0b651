"""The worker against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from gearjobs.errors import UsageError
from gearjobs.protocol.attributes import AssignAttributes, decode_failure, encode
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from gearjobs.worker.holding.outcome_packets import success_packet
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.gearmand import free_port
from tests.support.running_worker import running
from tests.support.scripted_server import PATIENCE_S, Peer, Script, ScriptedServer

T = PacketType
HANDLE = b"H:a:1"


def echo(job: RunningJob) -> bytes:
    return job.payload


def worker_of(*servers: ServerAddress, run=echo, **options) -> Worker:
    worker = Worker(servers, client_id="w1", **options)
    worker.register("f", run)
    return worker


def assign(peer: Peer, payload: bytes = b"p") -> None:
    """Hand a job to a worker that grabs at a stock server."""
    peer.expect(T.GRAB_JOB_UNIQ)
    peer.say(T.JOB_ASSIGN_UNIQ, HANDLE, b"f", b"u", payload)


def let_sleep(peer: Peer) -> None:
    peer.expect(T.GRAB_JOB_UNIQ)
    peer.say(T.NO_JOB)
    peer.expect(T.PRE_SLEEP)


def expect_farewell(peer: Peer) -> None:
    peer.expect(T.RESET_ABILITIES)
    peer.expect_end()


class Played:
    """Tells the test that a script came to a point of its conversation."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def reached(self) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(PATIENCE_S), f"the script did not come that far within {PATIENCE_S} s"


def until_asleep(script: Script) -> tuple[Script, Played]:
    """The introduction, the script, sleep and the farewell; and a way to wait for the sleep."""
    played = Played()

    def play(peer: Peer) -> None:
        peer.negotiate_worker()
        script(peer)
        let_sleep(peer)
        played.reached()
        expect_farewell(peer)

    return play, played


def test_job_is_run_and_its_result_sent():
    def script(peer):
        assign(peer, b"a\0b")
        assert peer.expect(T.WORK_COMPLETE) == (HANDLE, b"a\0b")

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address)):
        asleep.wait()


def test_sleeping_worker_comes_when_it_is_called():
    def script(peer):
        let_sleep(peer)
        peer.say(T.NOOP)
        assign(peer)
        peer.expect(T.WORK_COMPLETE)

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address)):
        asleep.wait()


def test_sleeping_worker_asks_by_itself_when_it_is_not_called():
    def script(peer):
        let_sleep(peer)
        assign(peer)
        peer.expect(T.WORK_COMPLETE)

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address, regrab_s=0.05)):
        asleep.wait()


def test_gearjobs_server_tells_the_job_its_attempt_and_hears_its_message():
    attributes = AssignAttributes(attempt=2, worker_ids=["w0", "w1"])
    played = Played()

    def script(peer):
        peer.negotiate_worker(has_extensions=True)
        peer.expect(T.GRAB_JOB_EXT)
        peer.say(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"u", encode(attributes), b"p")
        assert peer.expect(T.WORK_STATUS_EXT) == (HANDLE, b"1", b"2", b"half")
        assert peer.expect(T.WORK_COMPLETE) == (HANDLE, b"2 w0 w1")
        played.reached()
        peer.expect(T.GRAB_JOB_EXT)
        expect_farewell(peer)

    def run(job):
        job.send_progress(1, 2, "half")
        return f"{job.attempt} {' '.join(job.worker_ids)}".encode()

    with ScriptedServer(script) as server, running(worker_of(server.address, run=run)):
        played.wait()


def failing_with(error: BaseException):
    def run(_job):
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "class_path", "message"),
    [
        (failing_with(ValueError("bad")), "builtins.ValueError", "bad"),
        (failing_with(asyncio.CancelledError()), "asyncio.exceptions.CancelledError", ""),
        (lambda _job: "text", "builtins.TypeError", "the function f must return bytes, got str"),
    ],
)
def test_failure_is_reported_and_the_worker_goes_on(run, class_path, message):
    def script(peer):
        assign(peer)
        report = decode_failure(peer.expect(T.WORK_EXCEPTION)[1])
        assert (report.class_path, report.message) == (class_path, message)
        assert peer.expect(T.WORK_FAIL) == (HANDLE,)

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address, run=run)):
        asleep.wait()


def test_function_may_fail_without_a_reason_for_clients_of_stock_servers():
    # gearmand 1.1.20 makes of a reason a WORK_FAIL whose handle ends with a NUL: a libgearman client waited for ever.
    def run(job):
        job.fails_plainly = True
        raise ValueError("bad")

    def script(peer):
        assign(peer)
        assert peer.expect(T.WORK_FAIL) == (HANDLE,)

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address, run=run)):
        asleep.wait()


def test_failure_is_logged_with_its_traceback(caplog):
    def script(peer):
        assign(peer)
        peer.expect(T.WORK_EXCEPTION)
        peer.expect(T.WORK_FAIL)

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address, run=failing_with(ValueError("bad")))):
        asleep.wait()

    assert "Job failed job=H:a:1 function=f" in caplog.text
    assert "ValueError: bad" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_worker_that_is_to_end_gives_the_job_back(error):
    def script(peer):
        peer.negotiate_worker()
        assign(peer)
        expect_farewell(peer)

    with ScriptedServer(script) as server, pytest.raises(type(error)):
        worker_of(server.address, run=failing_with(error)).work()


def test_running_job_ends_before_a_stop():
    started, stopped = threading.Event(), threading.Event()

    def script(peer):
        peer.negotiate_worker()
        assign(peer)
        assert peer.expect(T.WORK_COMPLETE) == (HANDLE, b"done")
        # No GRAB_JOB in between: nothing new is taken.
        expect_farewell(peer)

    def run(_job):
        started.set()
        assert stopped.wait(PATIENCE_S)
        return b"done"

    with ScriptedServer(script) as server:
        worker = worker_of(server.address, run=run)
        with running(worker):
            assert started.wait(PATIENCE_S)
            worker.stop()
            stopped.set()


def test_worker_stopped_before_it_began_does_nothing():
    worker = worker_of(ServerAddress("127.0.0.1", free_port()))

    worker.stop()

    worker.work()


def test_jobs_of_two_servers_are_taken_in_turn():
    order: list[bytes] = []
    finished = [Played(), Played()]
    both_know_the_worker = threading.Barrier(2, timeout=PATIENCE_S)

    def busy(name: bytes, played: Played) -> Script:
        def script(peer):
            peer.negotiate_worker()
            both_know_the_worker.wait()
            for _ in range(3):
                assign(peer, name)
                peer.expect(T.WORK_COMPLETE)
            let_sleep(peer)
            played.reached()
            expect_farewell(peer)

        return script

    def run(job):
        order.append(job.payload)
        return b""

    with (
        ScriptedServer(busy(b"a", finished[0])) as a,
        ScriptedServer(busy(b"b", finished[1])) as b,
        running(worker_of(a.address, b.address, run=run)),
    ):
        for played in finished:
            played.wait()

    assert b"".join(order) in {b"ababab", b"bababa"}


def test_server_that_is_down_does_not_keep_the_worker_from_another():
    play, asleep = until_asleep(lambda peer: None)
    dead = ServerAddress("127.0.0.1", free_port())

    with ScriptedServer(play) as server, running(worker_of(dead, server.address)):
        asleep.wait()


def test_worker_comes_back_to_a_server_that_broke_off():
    def break_off(peer):
        peer.negotiate_worker()
        peer.expect(T.GRAB_JOB_UNIQ)

    def talk_nonsense(peer):
        peer.negotiate_worker()
        peer.say(T.JOB_CREATED, HANDLE)

    play, asleep = until_asleep(assign_and_take)
    with ScriptedServer(break_off, talk_nonsense, play) as server, running(worker_of(server.address)):
        asleep.wait()


def assign_and_take(peer: Peer) -> None:
    assign(peer)
    peer.expect(T.WORK_COMPLETE)


def test_job_goes_on_when_its_server_is_lost_and_the_loss_is_logged(caplog):
    gone = threading.Event()

    def vanish(peer):
        peer.negotiate_worker()
        assign(peer)
        peer.socket.close()
        gone.set()

    def run(job):
        assert gone.wait(PATIENCE_S)
        for _ in range(100):
            job.send_data(bytes(10_000))
        return b"done"

    play, asleep = until_asleep(lambda peer: None)
    with ScriptedServer(vanish, play) as server, running(worker_of(server.address, run=run)):
        asleep.wait()

    assert "Lost the outcome with the job server; the job runs again job=H:a:1" in caplog.text


def test_complaint_of_the_server_is_logged(caplog):
    def script(peer):
        assign(peer)
        peer.expect(T.WORK_COMPLETE)
        peer.say(T.ERROR, b"JOB_NOT_FOUND", b"Job given in work result not found")

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server, running(worker_of(server.address)):
        asleep.wait()

    assert "JOB_NOT_FOUND: Job given in work result not found" in caplog.text


@pytest.mark.parametrize("options", [{}, {"after_job": lambda job, error: None}], ids=["quickly", "with a hook"])
def test_outcome_that_is_kept_and_the_next_grab_travel_in_one_write(options):
    written: list[bytes] = []
    attributes = encode(AssignAttributes(lease_s=8.0, resume_s=30.0))
    played = Played()

    def script(peer):
        peer.negotiate_worker(has_extensions=True)
        peer.expect(T.GRAB_JOB_EXT)
        peer.say(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"u", attributes, b"p")
        written.append(peer.socket.recv(65536))
        peer.say(T.OUTCOME_SETTLED, HANDLE)
        peer.say(T.NO_JOB)
        peer.expect(T.PRE_SLEEP)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(script) as server, running(worker_of(server.address, **options)):
        played.wait()

    assert written == [success_packet(HANDLE, b"p") + encode_request(T.GRAB_JOB_EXT)]


def test_hooks_are_called_around_each_job():
    calls: list[object] = []
    worker_error = ValueError("bad")

    def script(peer):
        assign(peer)
        peer.expect(T.WORK_EXCEPTION)
        peer.expect(T.WORK_FAIL)

    def run(job):
        calls.append("run")
        raise worker_error

    play, asleep = until_asleep(script)
    with ScriptedServer(play) as server:
        worker = worker_of(
            server.address,
            run=run,
            before_job=lambda job: calls.append(("before", job.handle)),
            after_job=lambda job, error: calls.append(("after", job.handle, error)),
        )
        with running(worker):
            asleep.wait()

    assert calls == [("before", "H:a:1"), "run", ("after", "H:a:1", worker_error)]


def test_hook_that_raises_before_the_job_fails_it():
    def script(peer):
        assign(peer)
        assert decode_failure(peer.expect(T.WORK_EXCEPTION)[1]).message == "no database"
        peer.expect(T.WORK_FAIL)

    play, asleep = until_asleep(script)
    failing = failing_with(RuntimeError("no database"))
    with ScriptedServer(play) as server, running(worker_of(server.address, before_job=failing)):
        asleep.wait()


def test_worker_says_in_the_log_whom_it_serves_and_what_it_lost(caplog):
    caplog.set_level(logging.INFO, logger="gearjobs")
    dead = ServerAddress("127.0.0.1", free_port())
    play, asleep = until_asleep(lambda peer: None)

    with ScriptedServer(play) as server, running(worker_of(dead, server.address)):
        asleep.wait()

    assert f"Serving job server server={server.address} extensions=False" in caplog.text
    assert f"Lost job server server={dead} reason=Connection refused" in caplog.text


def test_worker_without_a_function_is_refused():
    with pytest.raises(UsageError, match="register a function first"):
        Worker(["127.0.0.1"], client_id="w").work()


def test_function_registered_twice_is_refused():
    worker = worker_of(ServerAddress("127.0.0.1"))

    with pytest.raises(UsageError, match="f is registered already"):
        worker.register(b"f", echo)


@pytest.mark.parametrize("function", ["", b"a\0b"])
def test_function_name_that_cannot_travel_is_refused(function):
    with pytest.raises(UsageError, match="function's name"):
        Worker(["127.0.0.1"], client_id="w").register(function, echo)
