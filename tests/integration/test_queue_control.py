"""Pausing, clearing and limiting functions at real job servers, by lines and by the table that they share."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess

T = PacketType

#: Seconds within which every server of a database obeys; two is the promise, the rest is for a busy machine.
OBEY_S = 4.0


@pytest.fixture(scope="module")
def server(migrated_database, tmp_path_factory):
    """One server for all tests that leave its `resize` as they found it."""
    server = JobServerProcess(tmp_path_factory.mktemp("queues"))
    shutil.copy(migrated_database, server.database)
    server.start()
    yield server
    server.clean_up()


def grabbed(worker):
    """Let the worker ask for a job; return its handle, None where it gets none."""
    worker.say(T.GRAB_JOB)
    packet_type, arguments = worker.next()
    return arguments[0] if packet_type == T.JOB_ASSIGN else None


def admin_of(server):
    return AdminClient(server.address, timeout_s=10.0)


def is_paused(server):
    with admin_of(server) as admin:
        return [one.is_paused for one in admin.snapshot().functions if one.name == "resize"] == [True]


def test_pause_outlives_a_server_that_is_killed(job_server):
    with job_server.peer() as client, admin_of(job_server) as admin:
        handle = client.submit_background(b"resize", b"photo")
        admin.pause("resize")
    assert job_server.rows("SELECT function, is_paused FROM gearjobs_queuecontrol") == [
        {"function": "resize", "is_paused": 1}
    ]
    job_server.kill9()
    job_server.restart()

    with job_server.peer() as worker, admin_of(job_server) as admin:
        worker.can_do(b"resize")
        paused = grabbed(worker)
        admin.resume("resize")

        assert (paused, grabbed(worker)) == (None, handle)


def test_what_stands_in_the_table_is_obeyed_though_nobody_tells_the_server(server):
    with admin_of(server) as admin:
        admin.pause("resize")
        admin.command("create function resize")
        with closing(sqlite3.connect(server.database, timeout=10.0)) as database, database:
            database.execute("UPDATE gearjobs_queuecontrol SET is_paused = 0")
        began_at = time.monotonic()

        eventually(lambda: not is_paused(server), OBEY_S, "the server to read the table")

    assert time.monotonic() - began_at < 2.0


def test_server_that_is_told_obeys_at_once(server):
    with admin_of(server) as admin, Client([server.address]) as client:
        admin.pause("resize")
        admin.command("create function resize")
        with closing(sqlite3.connect(server.database, timeout=10.0)) as database, database:
            database.execute("UPDATE gearjobs_queuecontrol SET is_paused = 0")

        client.queues_changed()

        eventually(lambda: not is_paused(server), OBEY_S, "the server to read the table")


def test_cleared_jobs_are_cancelled_in_the_table(server):
    ended = server.count_jobs("FAILED")
    with server.peer() as client, admin_of(server) as admin:
        handles = [client.submit_background(b"crop", b"%d" % number) for number in range(50)]

        assert admin.clear("crop") == 50

    eventually(lambda: server.count_jobs("FAILED") == ended + 50, OBEY_S, "the jobs to end")
    row = server.job(handles[0])
    assert (row["status_detail"], row["cancel_reason"]) == ("cancelled", "cleared with its queue")


def test_reason_for_cancelling_stands_in_the_row(server):
    with server.peer() as submitter, Client([server.address]) as client:
        handle = submitter.submit_background(b"resize", b"photo")

        client.cancel(handle, reason="wrong customer \N{PILE OF POO}")

    assert server.job(handle)["cancel_reason"] == "wrong customer \N{PILE OF POO}"


def test_reason_for_stopping_a_run_stands_in_its_row_at_once(server):
    with server.peer() as worker, Client([server.address]) as client:
        worker.use_extensions()
        worker.can_do(b"resize")
        handle = worker.submit_background(b"resize", b"photo")
        assert grabbed(worker) == handle

        client.cancel(handle, reason="wrong customer")

        row = server.job(handle)
        assert (row["status_detail"], row["cancel_reason"]) == ("running", "wrong customer")


@pytest.mark.slow
def test_pause_at_one_server_is_obeyed_by_the_others_of_its_database(new_sharing_server):
    first, second = new_sharing_server(), new_sharing_server()
    for server in (first, second):
        server.start()
    with first.peer() as client, second.peer() as other:
        client.submit_background(b"resize", b"photo")
        other.submit_background(b"resize", b"photo")
    with admin_of(first) as admin:
        admin.pause("resize")
        began_at = time.monotonic()
        assert is_paused(first)
        eventually(lambda: is_paused(second), OBEY_S, "the other server to obey")
        obeyed_after_s = time.monotonic() - began_at

        admin.resume("resize")
        eventually(lambda: not is_paused(second), OBEY_S, "the other server to go on")

    assert obeyed_after_s < 2.0
