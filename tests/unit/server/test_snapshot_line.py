"""What `show snapshot` tells of a server at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import ServerUnavailable
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.worker_report import WorkerReport, encode_report
from gearjobs.server import snapshot_line
from tests.support.eventually import eventually

T = PacketType


@pytest.fixture
def admin(server) -> Iterator[AdminClient]:
    with AdminClient(server.address) as admin:
        yield admin


def submit(client):
    client.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
    return client.expect(T.JOB_CREATED)[0].decode()


def start(worker):
    worker.say(T.SET_CLIENT_ID, b"box-1")
    worker.say(T.WORKER_REPORT, encode_report(WorkerReport(pid=4711, host="box")))
    worker.say(T.GRAB_JOB)
    worker.expect(T.JOB_ASSIGN)


def test_function_is_shown_with_its_jobs_and_its_pause(client, worker, admin):
    submit(client)
    start(worker)
    submit(client)
    admin.pause("resize")

    (resize,) = admin.snapshot().functions

    assert (resize.name, resize.normal, resize.running, resize.workers, resize.is_paused) == ("resize", 1, 1, 1, True)
    assert resize.oldest_queued_at is not None


def test_worker_is_shown_first_with_its_job_and_its_report(client, worker, admin):
    handle = submit(client)
    start(worker)

    snapshot = admin.snapshot()

    first = snapshot.peers[0]
    assert (first.client_id, first.runs[0].handle, first.runs[0].attempt) == ("box-1", handle, 1)
    assert first.report == WorkerReport(pid=4711, host="box")
    assert (snapshot.connections, snapshot.workers, snapshot.busy_workers) == (3, 1, 1)


def test_server_tells_of_itself_and_its_store(client, admin, store):
    submit(client)

    snapshot = admin.snapshot()

    assert (snapshot.is_draining, snapshot.is_store_down, snapshot.is_lease_held) == (False, False, True)
    assert snapshot.pid
    assert snapshot.at >= snapshot.started_at > 0


def test_server_that_takes_no_new_connections_says_so(server, client, admin):
    admin.version()
    server.do(server.server.drain)

    eventually(lambda: admin.snapshot().is_draining, 5, "the server to say that it drains")


def test_long_lists_are_cut_and_the_busiest_comes_first(client, worker, admin, monkeypatch):
    monkeypatch.setattr(snapshot_line, "MAX_FUNCTIONS", 1)
    monkeypatch.setattr(snapshot_line, "MAX_PEERS", 1)
    worker.can_do(b"idle")
    submit(client)

    snapshot = admin.snapshot()

    assert ([one.name for one in snapshot.functions], snapshot.functions_left_out) == (["resize"], 1)
    assert (len(snapshot.peers), snapshot.peers[0].is_worker, snapshot.peers_left_out) == (1, True, 2)


def test_server_that_is_gone_cannot_be_asked(server, admin):
    server.stop()

    with pytest.raises(ServerUnavailable):
        admin.snapshot()
