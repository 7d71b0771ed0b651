"""Several job servers on one database, each store in a thread of its own: leases, fencing, sessions, ends.

Who may take what over: test_take_over. What becomes of the same unique at two servers: test_shared_uniques.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from functools import partial

import pytest
from django.db import OperationalError, connections, transaction

from gearjobs.core.changes import Finished, Outcome, Requeued, Streamed
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError, StoreFenced
from gearjobs.models import Job, JobOutput, JobServer
from gearjobs.records.ownership.server_leases import ServerLease, register
from gearjobs.records.ownership.store_clock import read_clock_us
from gearjobs.records.record_store import RecordStore
from tests.support.eventually import eventually
from tests.support.store_thread import SHORT_LEASE, accepted, handles_of, started

_numbers = itertools.count(1)


@pytest.fixture
def handle():
    return JobHandle(b"H:lease:%010d" % next(_numbers))


def rows(alias: str):
    return Job.objects.using(alias)


def servers(alias: str):
    return JobServer.objects.using(alias)


def run_out(alias: str, name: str) -> None:
    """Let a lease have run out."""
    assert servers(alias).filter(incarnation=name).update(lease_until_us=1)


def fence(alias: str, name: str) -> None:
    assert servers(alias).filter(incarnation=name).update(fenced_at_us=1)


def test_servers_leave_each_others_jobs_alone(make_server, alias, handle):
    first, second = make_server("first"), make_server("second")
    assert first.load() == []
    first.commit(accepted(handle))

    assert second.load() == []
    assert second.adopt() == []
    assert rows(alias).get(pk=handle.decode()).owner == "first"


def test_server_is_listed_with_its_process_while_it_lives(make_server, alias):
    server = make_server("first")
    server.load()
    row = servers(alias).get()
    server.close()

    assert (row.incarnation, row.pid > 0, row.session, row.fenced_at_us) == ("first", True, 1, None)
    assert 0 < row.lease_until_us - row.renewed_at_us <= SHORT_LEASE.ttl_s * 1_000_000
    assert not servers(alias).exists()


def test_renewal_says_how_long_it_lasts_and_pushes_the_end(make_server, alias):
    server = make_server("first")
    server.load()
    run_out(alias, "first")

    assert server.renew() == SHORT_LEASE.ttl_s
    assert servers(alias).get().lease_until_us > read_clock_us(connections[alias])


@pytest.mark.parametrize("call", ["commit", "renew", "adopt"])
def test_fenced_server_can_do_nothing_more(make_server, alias, handle, call):
    server = make_server("first")
    server.load()
    rows(alias).create(handle=handle.decode(), function="f")
    fence(alias, "first")
    calls = {
        "commit": lambda: server.commit(accepted(JobHandle(b"H:x:1"))),
        "renew": server.renew,
        "adopt": server.adopt,
    }

    with pytest.raises(StoreFenced, match="another job server took over the jobs of first") as fenced:
        calls[call]()

    assert fenced.value.is_outage
    assert list(rows(alias).values_list("handle", "owner")) == [(handle.decode(), "")]


def test_fenced_server_begins_anew_with_the_same_store(make_server, alias, handle):
    server = make_server("first")
    server.load()
    server.commit(accepted(handle))
    fence(alias, "first")
    with pytest.raises(StoreFenced):
        server.renew()

    assert handles_of(server.load()) == [handle]
    server.commit(started(handle))
    assert rows(alias).get().owner == "first~2"


def test_lease_that_ran_out_and_nobody_took_is_renewed_by_the_next_batch(make_server, alias, handle):
    server = make_server("first")
    server.load()
    run_out(alias, "first")

    server.commit(accepted(handle))

    assert rows(alias).get().owner == "first"
    assert servers(alias).get().lease_until_us > read_clock_us(connections[alias])


def test_zombie_between_its_batches_changes_nothing(make_server, alias, handle):
    zombie, heir = make_server("zombie"), make_server("heir")
    zombie.load()
    zombie.commit(accepted(handle), started(handle, is_resumable=True))
    heir.load()

    (job,) = heir.adopt_when_allowed()
    heir.commit(started(handle, 2))
    with pytest.raises(StoreFenced):
        zombie.commit(Finished(handle, Outcome.SUCCEEDED, b"late", 0.0))

    assert (job.was_running, job.is_resumable, job.attempt) == (True, True, 1)
    assert SHORT_LEASE.ttl_s <= job.owner_gone_s < 10
    row = rows(alias).get()
    assert (row.status, row.attempt, row.owner, row.is_resumable) == ("RUNNING", 2, "heir", False)


def test_batch_that_is_under_way_when_the_lease_runs_out_is_kept_and_then_taken_over(
    make_server, alias, handle, monkeypatch
):
    slow, heir = make_server("slow"), make_server("heir")
    slow.load()
    heir.load()
    slow.commit(accepted(JobHandle(b"H:before:1")))
    row_sql = slow.store._sql
    assert row_sql is not None
    original = row_sql.write
    reached, released = threading.Event(), threading.Event()

    def write(cursor, fold, **others):
        reached.set()
        assert released.wait(20)
        return original(cursor, fold, **others)

    monkeypatch.setattr(row_sql, "write", write)
    commit = slow.begin(lambda: slow.store.commit([accepted(handle)]))
    assert reached.wait(20)

    def has_run_out() -> bool:
        heir.renew()
        assert heir.adopt() == []
        ended_us: int = servers(alias).get(incarnation="slow").lease_until_us
        return ended_us < read_clock_us(connections[alias]) - 500_000

    eventually(has_run_out, 10, "the lease to have run out long enough")
    released.set()

    assert commit.result(20) == {}
    assert handles_of(heir.adopt_when_allowed(count=2)) == [b"H:before:1", handle]


def test_batch_that_comes_while_its_server_is_being_fenced_is_refused(make_server, alias, handle):
    late = make_server("late")
    late.load()

    with transaction.atomic(using=alias):
        fence(alias, "late")
        commit = late.begin(lambda: late.store.commit([accepted(handle)]))
        eventually(commit.running, 10, "the commit to begin")

    with pytest.raises(StoreFenced):
        commit.result(20)
    assert not rows(alias).exists()


def test_batch_of_an_earlier_session_is_never_executed(make_server, alias, handle):
    server = make_server("first")
    server.load()
    # What its next session does first, while the earlier one is still under way in the database.
    servers(alias).update(session=2)

    with pytest.raises(StoreFenced):
        server.commit(accepted(handle))

    assert not rows(alias).exists()


def test_session_begins_when_the_batch_of_the_earlier_one_is_decided(make_server, alias, handle):
    server = make_server("first")
    server.load()
    lease = ServerLease(alias, "first", times=SHORT_LEASE)
    connection = connections[alias]

    with transaction.atomic(using=alias):
        # In the place of a batch whose server has lost its session and knows no outcome.
        server.store._lease.hold(connection)
        lease._session = 1
        beginning = server.begin(lambda: lease.begin_session(connections[alias]))
        rows(alias).create(handle=handle.decode(), function="f", owner="first")
        assert not beginning.done()

    beginning.result(20)
    assert servers(alias).get().session == 2


def test_broken_session_is_followed_by_another_of_the_same_life(make_server, alias, handle):
    server = make_server("first")
    server.load()
    server.commit(accepted(handle))
    server.vanish()

    server.commit(started(handle))

    assert rows(alias).get().status == "RUNNING"
    assert servers(alias).get().session == 2


@pytest.mark.parametrize("is_committed", [True, False])
def test_batch_whose_answer_was_lost_is_kept_once(make_server, alias, handle, is_committed):
    server = make_server("first")
    server.load()
    server.commit(accepted(holder := JobHandle(handle + b"x"), unique=b"u"), accepted(handle), started(handle))
    twin = accepted(JobHandle(handle + b"y"), unique=b"u")
    batch = [Requeued(handle, True, 0.0, 1), Streamed(handle, False, b"x", 0.0), twin]
    server.call(partial(lose_the_answer, alias, is_committed=is_committed))
    with pytest.raises(StoreError):
        server.commit(*batch)

    joined = server.commit(*batch, Streamed(handle, False, b"y", 0.0))

    assert joined == {twin.handle: holder}
    assert (rows(alias).get(pk=handle.decode()).crashes, rows(alias).get(pk=handle.decode()).version) == (1, 3)
    assert [bytes(piece.body) for piece in JobOutput.objects.using(alias).order_by("sequence")] == [b"x", b"y"]


def test_batch_whose_answer_was_lost_may_be_tried_again_piece_by_piece(make_server, alias, handle):
    # A store that was down is tried with a few changes first; the others were written, and streamed, a second time.
    server = make_server("first")
    server.load()
    pieces = [Streamed(handle, False, b"%d" % number, 0.0) for number in range(3)]
    batch = [accepted(handle), *pieces, started(handle)]
    server.call(partial(lose_the_answer, alias, is_committed=True))
    with pytest.raises(StoreError):
        server.commit(*batch)

    server.call(partial(lose_the_answer, alias, is_committed=False))
    with pytest.raises(StoreError):
        server.commit(*batch[:2], Streamed(handle, False, b"lost", 0.0))
    server.commit(*batch[:2])
    server.commit(*batch[2:], Streamed(handle, False, b"3", 0.0))

    assert [bytes(piece.body) for piece in JobOutput.objects.using(alias).order_by("sequence")] == [
        b"0", b"1", b"2", b"3",
    ]  # fmt: skip
    assert rows(alias).get().version == 2
    assert server.call(lambda: server.store._untold) == {}


def lose_the_answer(alias: str, *, is_committed: bool) -> None:
    """Let this thread's next commit that marks a batch lose its session, before or after it is done."""
    connection = connections[alias]
    commit = connection.commit

    def commit_and_break() -> None:
        if is_committed:
            commit()
        del connection.commit
        connection.connection.close()
        raise OperationalError("the server closed the connection unexpectedly")

    vars(connection)["commit"] = commit_and_break


def test_clone_of_the_same_name_gets_a_number_and_disturbs_nobody(make_server, alias, handle):
    first, clone = make_server("twin"), make_server("twin")
    first.load()
    first.commit(accepted(handle))

    assert clone.load() == []
    clone.close()
    first.commit(started(handle))

    assert rows(alias).get().owner == "twin"
    assert rows(alias).get().status == "RUNNING"


def test_clean_end_hands_the_jobs_over_at_once(make_server, alias, handle):
    leaving, heir = make_server("leaving"), make_server("heir")
    leaving.load()
    leaving.commit(accepted(handle), started(handle, is_resumable=True))
    heir.load()

    leaving.close()
    (job,) = heir.adopt()

    assert (job.handle, job.was_running, job.is_resumable) == (handle, True, True)
    assert 0 <= job.owner_gone_s < 5
    assert heir.adopt() == []
    assert list(servers(alias).values_list("incarnation", flat=True)) == ["heir"]


def test_end_without_a_database_leaves_the_lease_to_run_out(make_server, alias, shared_database):
    server = make_server("first")
    server.load()
    shared_database.server.stop()
    try:
        server.close()
    finally:
        shared_database.server.start()
        connections[alias].close()

    assert servers(alias).get().fenced_at_us is None


def test_outage_of_the_database_fences_nobody(make_server, alias, shared_database, handle):
    first, second = make_server("first"), make_server("second")
    for server in (first, second):
        server.load()
        server.commit(accepted(JobHandle(handle + server.store._name.encode())))
    for server in (first, second):
        eventually(partial(is_steady_when_renewed, server), 10, "a steady lease")
    shared_database.server.stop()
    try:
        for call in (first.renew, second.renew):
            with pytest.raises(StoreError) as outage:
                call()
            assert not isinstance(outage.value, StoreFenced)
        eventually(lambda: not is_steady(first) and not is_steady(second), 10, "both leases to run out")
    finally:
        shared_database.server.start()
        connections[alias].close()

    # The first back finds the other's lease run out, and knows that this says nothing.
    assert eventually(lambda: renewed(second), 20, "the database")
    assert second.adopt() == []
    assert eventually(lambda: renewed(first), 20, "the database")
    first.commit(started(JobHandle(handle + b"first")))

    assert sorted(rows(alias).values_list("owner", flat=True)) == ["first", "second"]


def is_steady(server) -> bool:
    return bool(server.call(lambda: server.store._lease.watch.is_steady(time.monotonic())))


def is_steady_when_renewed(server) -> bool:
    return server.renew() > 0 and is_steady(server)


def renewed(server) -> bool:
    try:
        return bool(server.renew() > 0)
    except StoreFenced:
        raise
    except StoreError:
        return False


def test_many_lives_of_one_name_are_refused(alias, monkeypatch):
    monkeypatch.setattr("gearjobs.records.ownership.server_leases._LIVES_LIMIT", 3)
    assert [register(alias, "x" * 200, times=SHORT_LEASE).incarnation for _ in range(2)] == [
        "x" * 122,
        "x" * 122 + "~2",
    ]

    with pytest.raises(StoreError, match=r"3 job servers called x+ are registered in .*delete their rows"):
        register(alias, "x" * 200, times=SHORT_LEASE)


def test_store_that_is_alone_owns_its_jobs_for_ever(db):
    if connections["default"].vendor != "sqlite":
        pytest.skip("the default database is shared")
    store = RecordStore("default", "only")
    store.load()
    lasts = store.renew()
    row = JobServer.objects.get()
    store.close()

    assert not JobServer.objects.exists()
    assert lasts == math.inf
    assert (row.incarnation, row.lease_until_us, row.fenced_at_us) == ("only", None, None)


def test_nothing_is_adopted_before_the_store_is_loaded(db):
    with pytest.raises(StoreError, match="must be loaded"):
        RecordStore("default", "early").adopt(1)
