"""`manage.py runjobserver` with gearmand's stores: killed, and with a real gearmand before and after it."""

from __future__ import annotations

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.gearmand import running_gearmand
from tests.support.job_server import JobServerProcess
from tests.support.queue_houses import SQL_QUEUES, queue_options, queue_words
from tests.support.wire_peer import WirePeer


@pytest.fixture(params=SQL_QUEUES)
def words(request):
    """A queue's options, as words of a command line."""
    return queue_words(request.param, queue_options(request.param, request))


@pytest.fixture
def server(words, tmp_path):
    """Our command, in a project without a database."""
    process = JobServerProcess(tmp_path, *words)
    yield process
    process.clean_up()


def submit(address, *, unique, function=b"f", payload=b"p"):
    with WirePeer(address) as client:
        client.say(PacketType.SUBMIT_JOB_BG, function, unique, payload)
        return client.expect(PacketType.JOB_CREATED)[0]


def grabbed(worker):
    """Return the next job's handle, unique and payload."""
    worker.say(PacketType.GRAB_JOB_UNIQ)
    packet, body = worker.next_body("a job")
    assert packet is PacketType.JOB_ASSIGN_UNIQ
    handle, _, unique, payload = body.split(b"\0", 3)
    return handle, unique, payload


def is_done(address, handle):
    with WirePeer(address) as client:
        client.say(PacketType.GET_STATUS, handle)
        return client.expect(PacketType.STATUS_RES)[1] == b"0"


@pytest.mark.slow
def test_jobs_of_a_killed_server_are_there_under_their_handles_when_it_is_back(server):
    server.start()
    handles = [submit(server.address, unique=b"u%d" % number) for number in range(5)]
    with WirePeer(server.address) as worker:
        worker.say(PacketType.CAN_DO, b"f")
        ended, _, _ = grabbed(worker)
        worker.say(PacketType.WORK_COMPLETE, ended, b"")
        eventually(lambda: is_done(server.address, ended), 5.0, "the end to be committed")

    server.kill9()
    server.restart()

    with WirePeer(server.address) as worker:
        worker.say(PacketType.CAN_DO, b"f")
        left = [grabbed(worker)[0] for _ in range(4)]
    assert sorted([ended, *left]) == sorted(handles)


@pytest.mark.slow
@pytest.mark.interop
def test_site_moves_from_gearmand_and_back(words, server, tmp_path):
    with running_gearmand(tmp_path / "before.log", *words) as gearmand:
        submit(gearmand, unique=b"before")

    server.start()
    submit(server.address, unique=b"between", payload=b"\0")
    with WirePeer(server.address) as worker:
        worker.say(PacketType.CAN_DO, b"f")
        handle, unique, _ = grabbed(worker)
        worker.say(PacketType.WORK_COMPLETE, handle, b"")
        eventually(lambda: is_done(server.address, handle), 5.0, "the end to be committed")
    assert unique == b"before"
    assert server.terminate() == 0

    with running_gearmand(tmp_path / "after.log", *words) as gearmand, WirePeer(gearmand) as worker:
        worker.say(PacketType.CAN_DO, b"f")
        assert grabbed(worker)[1:] == (b"between", b"\0")


@pytest.mark.slow
def test_second_server_of_a_table_ends_with_1_and_says_why(server):
    server.start()

    second = server.run("--port", "0", *server.options)

    assert second.returncode == 1
    assert "has a job server already" in second.stderr
