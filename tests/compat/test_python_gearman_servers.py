"""python-gearman with several servers: fail-over, servers that come back, and nobody who starves."""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from gearjobs.compat import gearman
from gearjobs.compat.gearman.errors import ExceededConnectionAttempts, ServerUnavailable
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import parse_server
from tests.compat.conftest import running_server
from tests.compat.working import working
from tests.support.eventually import eventually
from tests.support.gearmand import free_port, running_gearmand
from tests.support.scripted_server import Peer, ScriptedServer

SOON_S = 10.0
WORKERS = 8
#: A worker that gets a fair share does several of these; each lasts long enough that one worker cannot do them all.
JOBS = 160
JOB_S = 0.02


def counting(server_list: list[str], counts: dict[int, int], number: int) -> gearman.GearmanWorker:
    def note(_worker: gearman.GearmanWorker, _job: gearman.GearmanJob) -> bytes:
        threading.Event().wait(JOB_S)
        counts[number] = counts.get(number, 0) + 1
        return b""

    worker = gearman.GearmanWorker(server_list)
    worker.register_task("note", note)
    return worker


def submit(server: str, jobs: int) -> None:
    to_submit = [{"task": "note", "data": b"%d" % number} for number in range(jobs)]
    requests = gearman.GearmanClient([server]).submit_multiple_jobs(to_submit, background=True, poll_timeout=SOON_S)
    assert all(request.complete for request in requests)


def test_none_of_8_workers_on_2_servers_stops_receiving(two_servers: list[str]):
    # With python-gearman, workers that were called by one server while busy with the other fell asleep for good.
    counts: dict[int, int] = {}

    with ExitStack() as stack:
        for number in range(WORKERS):
            stack.enter_context(working(counting(two_servers, counts, number)))
        for wave in range(1, 4):
            before = dict(counts)
            for server in two_servers:
                submit(server, JOBS // 2)
            _await_count(counts, wave * JOBS)
            assert all(counts.get(number, 0) > before.get(number, 0) for number in range(WORKERS)), counts


def test_jobs_of_one_server_do_not_wait_for_those_of_the_other(two_servers: list[str]):
    done: list[bytes] = []

    def note(_worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
        done.append(job.data)
        return b""

    worker = gearman.GearmanWorker(two_servers)
    worker.register_task("note", note)
    for server, name in zip(two_servers, (b"first", b"second"), strict=True):
        to_submit = [{"task": "note", "data": name} for _ in range(20)]
        gearman.GearmanClient([server]).submit_multiple_jobs(to_submit, background=True, poll_timeout=SOON_S)

    with working(worker):
        eventually(lambda: len(done) == 40, SOON_S, "all jobs")

    assert set(done[:4]) == {b"first", b"second"}


def test_client_takes_another_server_when_one_is_down(server: str):
    client = gearman.GearmanClient([f"127.0.0.1:{free_port()}", server])

    requests = [client.submit_job("nobody", b"", background=True, poll_timeout=SOON_S) for _ in range(8)]

    assert all(request.complete for request in requests)


def test_worker_serves_the_rest_when_one_server_is_down(server: str):
    worker = gearman.GearmanWorker([f"127.0.0.1:{free_port()}", server])
    worker.register_task("echo", lambda _worker, job: job.data)

    with working(worker):
        request = gearman.GearmanClient([server]).submit_job("echo", b"x", poll_timeout=SOON_S)

    assert request.result == b"x"


def test_worker_goes_back_to_a_server_that_came_back(server: str, tmp_path: Path):
    # python-gearman polled only those that had survived, until its poll time-out.
    port = free_port()
    back = f"127.0.0.1:{port}"
    worker = gearman.GearmanWorker([server, back])
    worker.register_task("echo", lambda _worker, job: job.data)

    with working(worker), running_gearmand(tmp_path / "late.log", port=port):
        request = gearman.GearmanClient([back]).submit_job("echo", b"x", poll_timeout=2 * SOON_S)

    assert request.result == b"x"


def test_worker_that_reconnects_waits_for_its_servers(tmp_path: Path):
    port = free_port()
    worker = gearman.GearmanWorker([f"127.0.0.1:{port}"])
    worker.register_task("echo", lambda _worker, job: job.data)

    with working(worker, reconnect=True):
        for life in range(2):
            with running_gearmand(tmp_path / f"life-{life}.log", port=port) as address:
                request = gearman.GearmanClient([str(address)]).submit_job("echo", b"x", poll_timeout=2 * SOON_S)
                assert request.result == b"x"


def test_worker_ends_with_server_unavailable_when_its_only_server_ends(server_kind: str, tmp_path: Path):
    worker = gearman.GearmanWorker()
    worker.register_task("echo", lambda _worker, job: job.data)
    with ExitStack() as stack:
        address = stack.enter_context(running_server(server_kind, tmp_path / "server.log"))
        worker.add_connection((address.host, address.port))
        thread_ends = _in_thread(worker)
        admin = gearman.GearmanAdminClient([str(address)])
        eventually(lambda: any(line["tasks"] for line in admin.get_workers()), SOON_S, "the worker to be there")
        admin.shutdown()

    assert isinstance(thread_ends(), ServerUnavailable)


def test_client_hears_that_its_foreground_job_is_lost(server_kind: str, tmp_path: Path):
    with ExitStack() as stack:
        address = stack.enter_context(running_server(server_kind, tmp_path / "server.log"))
        client = gearman.GearmanClient([str(address)])
        request = client.submit_job("nobody", b"", wait_until_complete=False, poll_timeout=SOON_S)

    with pytest.raises(ServerUnavailable):
        client.wait_until_jobs_completed([request], poll_timeout=SOON_S)
    assert request.state == gearman.JOB_UNKNOWN


def test_submission_whose_connection_breaks_each_time_ends(server: str):
    class Breaking(gearman.connection.GearmanConnection):
        def send_data_to_socket(self) -> None:
            raise gearman.errors.ConnectionError("broken")

    class Client(gearman.GearmanClient):
        connection_class = Breaking

    client = Client([server])

    with pytest.raises(ExceededConnectionAttempts, match="3 connection"):
        client.submit_job("nobody", b"", max_retries=2, poll_timeout=SOON_S)


def test_host_may_be_a_pair_or_a_dictionary_with_keep_alive(server: str):
    address = parse_server(server)
    keepalive = {"keepalive": True, "keepidle": 5, "keepintvl": 2, "keepcnt": 2}

    for host in ((address.host, address.port), {"host": address.host, "port": address.port, **keepalive}):
        request = gearman.GearmanClient([host]).submit_job("nobody", b"", background=True, poll_timeout=SOON_S)
        assert request.complete


def test_shutdown_lets_the_running_job_end_first(server: str):
    started, may_end = threading.Event(), threading.Event()

    def slow(_worker: gearman.GearmanWorker, _job: gearman.GearmanJob) -> bytes:
        started.set()
        may_end.wait(SOON_S)
        return b"done"

    worker = gearman.GearmanWorker([server])
    worker.register_task("slow", slow)
    client = gearman.GearmanClient([server])
    request = client.submit_job("slow", b"", wait_until_complete=False, poll_timeout=SOON_S)
    with working(worker):
        assert started.wait(SOON_S)
        worker.shutdown()
        may_end.set()
        client.wait_until_jobs_completed([request], poll_timeout=SOON_S)

    assert request.result == b"done"


@pytest.mark.parametrize("hook", ["set_socket", "_create_client_socket"])
def test_socket_of_a_subclass_is_its_own(server: str, hook: str):
    tuned: list[socket.socket] = []

    class TunedConnection(gearman.connection.GearmanConnection):
        def set_socket(self, current_socket: socket.socket) -> None:
            current_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            super().set_socket(current_socket)
            tuned.append(current_socket)

    class OwnConnection(TunedConnection):
        def _create_client_socket(self) -> None:
            self.set_socket(socket.create_connection(self.get_address()))

    class Client(gearman.GearmanClient):
        connection_class = TunedConnection if hook == "set_socket" else OwnConnection

    client = Client([server])

    assert client.submit_job("nobody", b"", background=True, poll_timeout=SOON_S).complete
    assert tuned == [client.connection_list[0].gearman_socket]


def test_connection_that_its_subclass_gives_up_is_one_that_failed():
    class Refusing(gearman.connection.GearmanConnection):
        def _create_client_socket(self) -> None:
            self.throw_exception(message="no such luck")

    class Client(gearman.GearmanClient):
        connection_class = Refusing

    with pytest.raises(ServerUnavailable):
        Client(["127.0.0.1:1"]).submit_job("nobody", b"", poll_timeout=SOON_S)
    with pytest.raises(gearman.errors.ConnectionError, match="no such luck"):
        Refusing("127.0.0.1", 1).connect()


@pytest.mark.parametrize("do_grab", [True, False])
def test_worker_that_sleeps_asks_by_itself_later_unless_told_not_to(do_grab: bool):
    asleep = threading.Event()
    due: list[float] = []

    class Worker(gearman.GearmanWorker):
        def after_poll(self, any_activity: bool) -> bool:
            due[:] = [handler.due_at for handler in self._handlers()]
            return not asleep.is_set()

    def script(peer: Peer) -> None:
        peer.expect(PacketType.CAN_DO)
        peer.expect(PacketType.GRAB_JOB_UNIQ)
        peer.say(PacketType.NO_JOB)
        peer.expect(PacketType.PRE_SLEEP)
        asleep.set()
        peer.expect(PacketType.RESET_ABILITIES)
        peer.expect_end()

    with ScriptedServer(script) as server:
        worker = Worker([str(server.address)])
        worker.register_task("a", lambda _worker, job: job.data)
        worker.work(0.05, do_grab)

    assert (due[-1] < math.inf) is do_grab


def test_requests_that_lost_their_server_may_be_submitted_again(server_kind: str, tmp_path: Path):
    with ExitStack() as stack:
        staying = str(stack.enter_context(running_server(server_kind, tmp_path / "staying.log")))
        ending = stack.enter_context(ExitStack())
        lost = str(ending.enter_context(running_server(server_kind, tmp_path / "lost.log")))
        client = gearman.GearmanClient([lost])
        jobs = [{"task": "echo", "data": b"%d" % number} for number in range(3)]
        requests = client.submit_multiple_jobs(jobs, wait_until_complete=False, max_retries=2, poll_timeout=SOON_S)
        ending.close()
        client.add_connection(staying)
        client.establish_connection(client.connection_list[1])
        client.wait_until_jobs_completed(requests, poll_timeout=SOON_S)
        assert [(request.state, request.timed_out) for request in requests] == [(gearman.JOB_UNKNOWN, True)] * 3

        for request in requests:
            client.request_to_rotating_connection_queue.pop(request, None)
        worker = gearman.GearmanWorker([staying])
        worker.register_task("echo", lambda _worker, job: job.data)
        with working(worker):
            client.submit_multiple_requests(requests, poll_timeout=SOON_S)

    assert [request.result for request in requests] == [b"0", b"1", b"2"]


def _await_count(counts: dict[int, int], due: int) -> None:
    eventually(lambda: sum(counts.values()) == due, 30.0, f"{due} jobs to be done, now {counts}")


def _in_thread(worker: gearman.GearmanWorker):
    """Let the worker work; return what waits for its end and tells what it raised."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            worker.work(poll_timeout=0.5)
        except BaseException as error:  # noqa: BLE001 - told to the test, from the thread it belongs to
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> BaseException | None:
        deadline = time.monotonic() + SOON_S
        thread.join(deadline - time.monotonic())
        assert not thread.is_alive(), f"the worker did not end within {SOON_S} s"
        return raised[0] if raised else None

    return end
