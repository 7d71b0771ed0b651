"""Who takes over what, and when: stores in threads of their own on PostgreSQL and MariaDB."""

from __future__ import annotations

import datetime
import itertools
import subprocess
import sys
import time
from concurrent.futures import wait

import pytest
from django.db import OperationalError, connections
from django.test.utils import CaptureQueriesContext

from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.models import Job, JobServer
from gearjobs.records.job_queries import unfinished_owners
from gearjobs.records.ownership.store_clock import read_clock_us
from gearjobs.records.ownership.take_over import LOAD_CHUNK
from gearjobs.stores.process_identity import this_process
from tests.support.eventually import eventually
from tests.support.store_thread import SHORT_LEASE, accepted, handles_of, started

_numbers = itertools.count(1)


def new_handles(count: int) -> list[JobHandle]:
    return [JobHandle(b"H:heir:%010d" % next(_numbers)) for _ in range(count)]


def rows(alias: str):
    return Job.objects.using(alias)


def servers(alias: str):
    return JobServer.objects.using(alias)


def leave(
    alias: str, owner: str, count: int, *, gone_s: float = 100.0, is_fenced: bool = False, **fields
) -> list[bytes]:
    """Put a server's rows there as it left them."""
    handles = new_handles(count)
    rows(alias).bulk_create([Job(handle=handle.decode(), function="f", owner=owner, **fields) for handle in handles])
    gone_at_us = read_clock_us(connections[alias]) - int(gone_s * 1_000_000)
    servers(alias).create(
        incarnation=owner,
        renewed_at_us=gone_at_us,
        lease_until_us=gone_at_us + 1_000_000,
        fenced_at_us=gone_at_us if is_fenced else None,
    )
    return list(handles)


def be_steady(server) -> None:
    """Let a server hold its lease for long enough to judge others."""

    def is_steady() -> bool:
        server.renew()
        return bool(server.call(lambda: server.store._lease.watch.is_steady(time.monotonic())))

    eventually(is_steady, 10, "a steady lease")


def test_silent_server_is_taken_over_with_its_row(make_server, alias):
    heir = make_server("heir")
    heir.load()
    handles = leave(alias, "silent", 3, status="RUNNING", is_resumable=True, attempt=2)

    jobs = heir.adopt_when_allowed(count=3)

    assert handles_of(jobs) == handles
    assert {(job.was_running, job.is_resumable, job.attempt) for job in jobs} == {(True, True, 2)}
    assert all(100 <= job.owner_gone_s < 130 for job in jobs)
    assert heir.adopt() == []
    assert list(servers(alias).values_list("incarnation", flat=True)) == ["heir"]


def test_server_that_just_came_judges_nobody(make_server, alias):
    leave(alias, "silent", 1)
    newcomer = make_server("newcomer")

    assert newcomer.load() == []
    assert newcomer.adopt() == []
    assert servers(alias).get(incarnation="silent").fenced_at_us is None


def test_server_whose_own_lease_ran_out_judges_nobody(make_server, alias):
    server = make_server("server")
    server.load()
    be_steady(server)
    leave(alias, "silent", 1)
    # As a clock put forward does to all of them: the next look is a batch's, which renews it.
    servers(alias).filter(incarnation="server").update(lease_until_us=1)

    assert server.adopt() == []
    assert servers(alias).get(incarnation="silent").fenced_at_us is None
    assert server.adopt_when_allowed()


def test_lease_from_the_future_ends_when_the_clock_was_put_back(make_server, alias):
    heir = make_server("heir")
    heir.load()
    handles = leave(alias, "ahead", 1, gone_s=-3600.0)

    assert heir.adopt() == []
    row = servers(alias).get(incarnation="ahead")
    assert abs(row.lease_until_us - row.renewed_at_us - 1_000_000) < 1_000
    assert row.renewed_at_us <= read_clock_us(connections[alias])
    assert handles_of(heir.adopt_when_allowed()) == handles


def test_jobs_of_a_fenced_server_need_no_judge(make_server, alias):
    handles = leave(alias, "closed", 2, is_fenced=True)
    newcomer = make_server("newcomer")

    assert handles_of(newcomer.load()) == handles


def test_jobs_whose_owner_is_registered_nowhere_are_found(make_server, alias):
    handles = [*leave(alias, "stray", 2), *leave(alias, "stray-2", 1)]
    servers(alias).all().delete()
    newcomer = make_server("newcomer")

    assert handles_of(newcomer.load()) == handles


def test_more_than_a_chunk_is_loaded_in_the_order_of_acceptance(make_server, alias):
    handles = leave(alias, "closed", LOAD_CHUNK + 10, is_fenced=True)
    server = make_server("server")

    assert handles_of(server.load()) == handles
    assert list(servers(alias).values_list("incarnation", flat=True)) == ["server"]


def test_process_of_this_machine_that_has_ended_is_taken_over_at_once(make_server, alias, shared_database):
    program = (
        "import os, django; django.setup()\n"
        "from gearjobs.records.record_store import RecordStore\n"
        "from tests.support.store_thread import accepted, started\n"
        "store = RecordStore('default', 'killed')\n"
        "store.load()\n"
        "store.commit([accepted(b'H:killed:1'), started(b'H:killed:1')])\n"
        "os._exit(9)\n"
    )
    environment = {
        "GEARJOBS_TEST_DATABASE_URL": shared_database.url,
        "DJANGO_SETTINGS_MODULE": "tests.support.settings",
    }
    killed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert killed.returncode == 9, killed.stderr

    server = make_server("successor")
    (job,) = server.load()

    assert (job.handle, job.was_running) == (b"H:killed:1", True)
    assert 0 <= job.owner_gone_s < 30


def test_process_that_lives_is_not_taken_over_at_the_start(make_server, alias):
    leave(alias, "alive", 1)
    process = this_process()
    servers(alias).update(
        host=process.host, pid=process.pid, boot_id=process.boot_id, process_start=process.process_start
    )

    assert make_server("newcomer").load() == []


def test_servers_that_restart_together_share_what_was_left(make_server, alias):
    left = [*leave(alias, "first", 300, is_fenced=True), *leave(alias, "second", 300, is_fenced=True)]
    restarted = [make_server("first~2"), make_server("second~2")]

    loads = [server.begin(server.store.load) for server in restarted]
    loaded = [handles_of(load.result(30)) for load in loads]

    assert sorted(itertools.chain(*loaded)) == sorted(left)
    for server, handles in zip(restarted, loaded, strict=True):
        assert rows(alias).filter(owner=server.store._owner).count() == len(handles)


def test_live_servers_share_a_take_over_and_no_job_goes_to_two(make_server, alias):
    left = leave(alias, "gone", 600, is_fenced=True)
    heirs = [make_server(f"heir-{number}") for number in range(3)]
    servers(alias).filter(incarnation="gone").update(fenced_at_us=None, lease_until_us=2**60)
    for heir in heirs:
        assert heir.load() == []
    servers(alias).filter(incarnation="gone").update(fenced_at_us=1)

    adopted: list[list[JobHandle]] = []
    while len(list(itertools.chain(*adopted))) < len(left):
        calls = [heir.begin(lambda heir=heir: heir.store.adopt(20)) for heir in heirs]
        wait(calls, 30)
        adopted += [handles_of(call.result()) for call in calls]

    assert sorted(itertools.chain(*adopted)) == sorted(left)


def test_row_that_another_server_has_locked_is_passed_over(make_server, alias):
    locked, free = leave(alias, "gone", 2, is_fenced=True)
    server = make_server("server")
    servers(alias).filter(incarnation="gone").update(fenced_at_us=None, lease_until_us=2**60)
    server.load()
    servers(alias).filter(incarnation="gone").update(fenced_at_us=1)

    with connections[alias].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT handle FROM gearjobs_job WHERE handle = %s FOR UPDATE", [locked.decode()])
        first = server.adopt()
        cursor.execute("ROLLBACK")

    assert handles_of(first) == [free]
    assert handles_of(server.adopt()) == [locked]


def test_chunk_whose_answer_was_lost_is_given_by_the_next_call(make_server, alias, monkeypatch):
    handles = leave(alias, "", 2)
    servers(alias).all().delete()
    server = make_server("server")
    rows(alias).update(owner="other")
    servers(alias).create(incarnation="other", lease_until_us=2**60)
    server.load()
    rows(alias).update(owner="")

    def lose_the_answer() -> None:
        connection = connections[alias]
        commit = connection.commit

        def commit_and_break() -> None:
            commit()
            del connection.commit
            connection.connection.close()
            raise OperationalError("the server closed the connection unexpectedly")

        vars(connection)["commit"] = commit_and_break

    server.call(lose_the_answer)
    with pytest.raises(StoreError):
        server.adopt()

    assert handles_of(server.adopt()) == handles
    assert server.adopt() == []
    assert set(rows(alias).values_list("owner", flat=True)) == {"server"}


def test_limit_holds_over_all_sources(make_server, alias):
    server = make_server("server")
    server.load()
    leave(alias, "gone", 3, is_fenced=True)
    leave(alias, "gone-2", 3, is_fenced=True)

    assert [len(server.adopt(limit=4)) for _ in range(3)] == [4, 2, 0]


def test_lease_lasts_through_a_long_take_over(make_server, alias):
    server = make_server("server", lease=SHORT_LEASE)
    server.load()
    server.commit(*[accepted(handle) for handle in new_handles(3)])
    servers(alias).filter(incarnation="server").update(lease_until_us=1)
    leave(alias, "gone", 1, is_fenced=True)

    assert len(server.adopt()) == 1
    assert servers(alias).get(incarnation="server").lease_until_us > read_clock_us(connections[alias])


def test_job_that_ended_is_not_taken_over(make_server, alias):
    server, heir = make_server("server"), make_server("heir")
    server.load()
    heir.load()
    (done, open_) = new_handles(2)
    server.commit(accepted(done), accepted(open_), started(done))
    rows(alias).filter(handle=done.decode()).update(finished_at="2026-01-01T00:00:00Z")
    server.close()

    assert handles_of(heir.adopt()) == [open_]


def test_chunk_without_a_single_job_does_not_end_the_load(make_server, alias, monkeypatch):
    # Duplicates and rows that are no jobs were once taken for the end of what a server left.
    monkeypatch.setattr("gearjobs.records.ownership.take_over.LOAD_CHUNK", 2)
    times = [datetime.datetime(2026, 1, 1, 0, 0, second, tzinfo=datetime.UTC) for second in range(6)]
    (holder, *flawed, good) = leave(alias, "closed", 6, is_fenced=True)
    for handle, enqueued_at in zip([holder, *flawed, good], times, strict=True):
        rows(alias).filter(pk=handle.decode()).update(enqueued_at=enqueued_at, unique="u")
    rows(alias).filter(pk=good.decode()).update(unique="")

    assert handles_of(make_server("server").load()) == [holder, good]


def test_jobs_adopted_before_an_adoption_failed_are_given_by_the_next(make_server, alias, monkeypatch):
    # They were this server's in the table, and unknown to it: nobody would have run them.
    server = make_server("server")
    server.load()
    first, second = leave(alias, "gone", 1, is_fenced=True), leave(alias, "gone-2", 1, is_fenced=True)
    hold, calls = server.store._lease.hold, itertools.count(1)

    def hold_once(connection) -> None:
        if next(calls) == 2:
            raise OperationalError("the server closed the connection unexpectedly")
        hold(connection)

    monkeypatch.setattr(server.store._lease, "hold", hold_once)
    with pytest.raises(StoreError):
        server.adopt()

    assert sorted(handles_of(server.adopt())) == sorted([*first, *second])


def analyze(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("ANALYZE TABLE gearjobs_job" if connections[alias].vendor == "mysql" else "ANALYZE gearjobs_job")


def plan_of(alias: str, sql: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return str(cursor.fetchall())


def test_look_for_stray_jobs_does_not_sort_every_job(alias):
    # MariaDB did at each look: with some millions of jobs for longer than a statement may take.
    leave(alias, "busy", 2_000)
    analyze(alias)

    with CaptureQueriesContext(connections[alias]) as captured:
        assert list(unfinished_owners(using=alias)) == ["busy"]

    assert "sort" not in plan_of(alias, captured[0]["sql"]).lower()


def test_sweep_reads_no_finished_jobs(make_server, alias):
    # PostgreSQL went through all of them, the oldest first, to find the few of a server that was gone.
    server = make_server("server")
    server.load()
    long_ago = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    leave(alias, "done", 3_000, is_fenced=True, finished_at=long_ago, enqueued_at=long_ago, status="SUCCESSFUL")
    leave(alias, "gone", 600, is_fenced=True)
    analyze(alias)

    def adopt() -> list[str]:
        with CaptureQueriesContext(connections[alias]) as captured:
            assert len(server.store.adopt(100)) == 100
        return [str(query["sql"]) for query in captured]

    looks = [sql for sql in server.call(adopt) if sql.startswith("SELECT") and "finished_at" in sql]
    plans = [plan_of(alias, sql) for sql in looks if "ORDER BY" in sql]

    assert len(plans) >= 3
    assert [plan for plan in plans if "gearjobs_job_finished" not in plan] == []


def test_flood_of_inserted_rows_holds_no_take_over_up(make_server, alias):
    heir = make_server("heir")
    heir.load()
    inserted = [Job(handle=handle.decode(), function="f") for handle in new_handles(20)]
    rows(alias).bulk_create(inserted)
    handles = leave(alias, "silent", 2, is_fenced=True)

    adopted = handles_of(heir.adopt(10))

    assert len(adopted) == 10
    assert set(handles) <= set(adopted)
