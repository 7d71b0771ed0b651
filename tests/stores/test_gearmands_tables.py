"""gearmand's own queue tables: what gearmand left is taken over, and what we leave gearmand takes back."""

from __future__ import annotations

import time

import pytest

from gearjobs.core.changes import JobDetails
from gearjobs.core.terms import JobTerms, write_terms
from gearjobs.protocol.packets import PacketType
from tests.support.gearmand import running_gearmand
from tests.support.queue_houses import queue_options, queue_store, queue_words
from tests.support.store_houses import accepted, finished, new_handle, started
from tests.support.wire_peer import WirePeer

pytestmark = pytest.mark.interop

TABLES = [
    pytest.param("libsqlite3", id="libsqlite3"),
    pytest.param("Postgres", id="Postgres", marks=pytest.mark.postgres),
    pytest.param("MySQL", id="MySQL", marks=pytest.mark.mysql),
]
IN_AN_HOUR = int(time.time()) + 3600


@pytest.fixture(params=TABLES)
def kind(request):
    return request.param


@pytest.fixture
def options(kind, request):
    return queue_options(kind, request)


@pytest.fixture
def run_gearmand(kind, options, tmp_path):
    """Runs gearmand on the table."""
    return lambda: running_gearmand(tmp_path / "gearmand.log", *queue_words(kind, options))


@pytest.fixture
def load(kind, options):
    """Returns what our store finds."""

    def load_and_close():
        store = queue_store(kind, options)
        try:
            return store.load()
        finally:
            store.close()

    return load_and_close


def submit(peer, packet, *arguments):
    peer.say(packet, *arguments)
    return peer.expect(PacketType.JOB_CREATED)


def drained(address, *functions):
    """Return what a worker is given, function, unique and payload, until there is nothing more."""
    jobs: list[tuple[bytes, bytes, bytes]] = []
    with WirePeer(address) as worker:
        for function in functions:
            worker.say(PacketType.CAN_DO, function)
        while True:
            worker.say(PacketType.GRAB_JOB_UNIQ)
            packet, body = worker.next_body("a job")
            if packet is PacketType.NO_JOB:
                return jobs
            handle, function, unique, payload = body.split(b"\0", 3)
            jobs.append((function, unique, payload))
            worker.say(PacketType.WORK_COMPLETE, handle, b"")
            # What was deleted is so before the next answer.
            worker.say(PacketType.ECHO_REQ, b"done")
            worker.expect(PacketType.ECHO_RES)


def test_what_gearmand_kept_is_taken_over(run_gearmand, load):
    with run_gearmand() as address, WirePeer(address) as client:
        submit(client, PacketType.SUBMIT_JOB_BG, b"f", b"one", b"\0binary\xff")
        submit(client, PacketType.SUBMIT_JOB_HIGH_BG, b"f", b"two", b"high")
        submit(client, PacketType.SUBMIT_JOB_LOW_BG, b"g", b"three", b"low")
        submit(client, PacketType.SUBMIT_JOB_EPOCH, b"g", b"four", b"%d" % IN_AN_HOUR, b"later")

    jobs = {job.unique: (job.function, job.payload, job.priority, job.run_at) for job in load()}

    assert jobs == {
        b"one": (b"f", b"\0binary\xff", 0, 0.0),
        b"two": (b"f", b"high", 50, 0.0),
        b"three": (b"g", b"low", -50, 0.0),
        b"four": (b"g", b"later", 0, float(IN_AN_HOUR)),
    }


def test_handles_given_to_gearmands_jobs_stay_theirs(run_gearmand, load):
    with run_gearmand() as address, WirePeer(address) as client:
        submit(client, PacketType.SUBMIT_JOB_BG, b"f", b"one", b"p")

    first, second = load(), load()

    assert [job.handle for job in second] == [job.handle for job in first]


def test_gearmand_takes_back_every_job_that_is_left(kind, options, run_gearmand):
    ended, running, alone = new_handle(), new_handle(), [new_handle() for _ in range(3)]
    store = queue_store(kind, options)
    store.load()
    terms = JobDetails(terms=write_terms(JobTerms(max_lost=3)))
    store.commit([accepted(ended, unique=b"gone"), accepted(running, unique=b"run", payload=b"\0\xff", details=terms)])
    # Two without a unique, and one with a unique that stands for its payload: gearmand knows one row for all of them.
    uniques = (b"", b"", b"-")
    store.commit([accepted(one, unique=unique) for one, unique in zip(alone, uniques, strict=True)])
    store.commit([started(ended), finished(ended), started(running)])
    store.close()

    with run_gearmand() as address:
        jobs = drained(address, b"f")

    assert sorted(jobs) == sorted([(b"f", b"run", b"\0\xff"), *((b"f", handle, b"p") for handle in alone)])


def test_job_without_a_payload_does_not_keep_gearmand_from_starting(kind, options, run_gearmand):
    # Its own row of such a job does, in SQLite.
    store = queue_store(kind, options)
    store.load()
    store.commit([accepted(new_handle(), unique=b"u", payload=b"")])
    store.close()

    with run_gearmand() as address:
        assert drained(address, b"f") == [(b"f", b"u", b"")]


def test_job_that_gearmand_ran_meanwhile_does_not_come_back(kind, options, run_gearmand, load):
    store = queue_store(kind, options)
    store.load()
    store.commit([accepted(new_handle(), unique=b"one"), accepted(new_handle(), unique=b"two", function=b"g")])
    store.close()

    with run_gearmand() as address:
        drained(address, b"f")

    assert [job.unique for job in load()] == [b"two"]


def test_job_that_gearmand_was_given_anew_is_not_taken_for_the_old_one(kind, options, run_gearmand, load):
    old = new_handle()
    store = queue_store(kind, options)
    store.load()
    store.commit([accepted(old, unique=b"u"), started(old)])
    store.close()

    with run_gearmand() as address, WirePeer(address) as client:
        drained(address, b"f")
        submit(client, PacketType.SUBMIT_JOB_BG, b"f", b"u", b"anew")

    (job,) = load()
    assert (job.payload, job.was_running, job.handle != old) == (b"anew", False, True)


def test_empty_payload_that_keeps_gearmand_from_starting_is_taken_over(run_gearmand, load):
    with run_gearmand() as address, WirePeer(address) as client:
        submit(client, PacketType.SUBMIT_JOB_BG, b"f", b"u", b"")

    assert [(job.unique, job.payload) for job in load()] == [(b"u", b"")]


@pytest.mark.parametrize("name", ["größe".encode(), "日本".encode()])
def test_names_beyond_ascii_are_taken_over(kind, run_gearmand, load, name):
    with run_gearmand() as address, WirePeer(address) as client:
        submit(client, PacketType.SUBMIT_JOB_BG, name, b"u", b"p")

    assert [job.function for job in load()] == [name]


@pytest.mark.mysql
def test_table_whose_names_a_language_compares_keeps_them_apart(request, tmp_path):
    # gearmand's own columns are text without regard to case: it refuses the second of these.
    options = queue_options("MySQL", request)
    words = queue_words("MySQL", options)
    with running_gearmand(tmp_path / "gearmand.log", *words):
        pass
    names = [b"abc", b"ABC", b"abc ", "äbc".encode(), b"\xff"]
    store = queue_store("MySQL", options)
    store.load()
    store.commit([accepted(new_handle(), unique=name) for name in names])
    store.commit([accepted(new_handle(), unique=b"same", function=name) for name in names])
    store.close()

    store = queue_store("MySQL", options)
    jobs = store.load()
    store.close()
    with running_gearmand(tmp_path / "gearmand.log", *words) as address:
        given_back = drained(address, b"f")

    assert [(job.function, job.unique) for job in jobs] == [
        *((b"f", name) for name in names),
        *((name, b"same") for name in names),
    ]
    assert len(given_back) == len(names)
