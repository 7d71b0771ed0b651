"""gearmand's queue in memcached: taken over from it and given back to it, on one server and on several."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import pytest
from pymemcache.client.base import Client

from gearjobs.errors import StoreError, UsageError
from gearjobs.protocol.packets import PacketType
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.memcached_keys import list_keys, one_at_a_time
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_types import make_table
from tests.support.gearmand import running_gearmand
from tests.support.queue_houses import queue_house
from tests.support.queue_servers import MemcachedServer
from tests.support.store_houses import accepted, finished, new_handle, started
from tests.support.wire_peer import WirePeer

T = PacketType
UUID = b"0b7e7a3e-9f1c-11ee-b9d1-0242ac120002"
#: Seconds within which a submitter is to be answered, and some of the busy machine's.
ANSWER_S = 2.0 + 1.0


@pytest.fixture(params=[1, 3], ids=["one", "three"])
def servers(request):
    """Fresh memcacheds, in whose newer way of ageing items gearmand finds the latest ones late."""
    with ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer("-o", "no_modern,lru_crawler")) for _ in range(request.param)]


@pytest.fixture
def options(servers):
    return QueueOptions(libmemcached_servers=",".join(f"127.0.0.1:{server.port}" for server in servers))


@pytest.fixture
def house(options):
    return queue_house("libmemcached", options)


@pytest.fixture
def gearmand(options, tmp_path):
    """A gearmand on the same queue, each time it is called."""

    def run():
        where = f"--libmemcached-servers={options.libmemcached_servers}"
        return running_gearmand(tmp_path / "gearmand.log", "--queue-type=libmemcached", where)

    return run


def load(house):
    store = house.open()
    try:
        return store.load()
    finally:
        store.close()


def submit(address, packet, function, unique, payload):
    with WirePeer(address) as peer:
        peer.say(packet, function, unique, payload)
        peer.expect(T.JOB_CREATED)


def grab(address, function):
    """Return unique and payload of every job there is, as a worker gets them."""
    jobs: list[Any] = []
    with WirePeer(address) as peer:
        peer.say(T.CAN_DO, function)
        while True:
            peer.say(T.GRAB_JOB_UNIQ)
            packet, arguments = peer.next()
            if packet is T.NO_JOB:
                return sorted(jobs)
            handle, _, unique, payload = arguments
            jobs.append((unique, payload))
            peer.say(T.WORK_COMPLETE, handle, b"")


def test_jobs_of_gearmand_are_taken_over_and_keep_their_new_handles(house, gearmand):
    with gearmand() as address:
        submit(address, T.SUBMIT_JOB_BG, b"resize", b"u1", b"normal")
        submit(address, T.SUBMIT_JOB_HIGH_BG, b"resize", b"u2", b"high")
        submit(address, T.SUBMIT_JOB_LOW_BG, b"make-sheet", UUID, b"")

    jobs = load(house)

    assert sorted((job.function, job.unique, job.payload, job.priority) for job in jobs) == [
        (b"make-sheet", UUID, b"", -50),
        (b"resize", b"u1", b"normal", 0),
        (b"resize", b"u2", b"high", 50),
    ]
    assert {job.handle for job in load(house)} == {job.handle for job in jobs}


def test_gearmand_has_its_queue_back(house, gearmand, servers):
    store = house.open()
    store.load()
    ended, handles = new_handle(), [new_handle() for _ in range(9)]
    uniques = [b"u%d" % number for number in range(9)]
    store.commit([accepted(ended, function=b"resize", unique=b"over"), started(ended)])
    store.commit([finished(ended), *map(accepted_as_resize, handles, uniques)])
    store.commit([started(handles[0])])
    store.close()

    with gearmand() as address:
        assert grab(address, b"resize") == [(unique, b"payload of " + unique) for unique in uniques]

    # gearmand deletes each where libmemcached looks for it.
    assert [server_keys(server, b"gear_") for server in servers] == [[]] * len(servers)
    assert load(house) == []


def accepted_as_resize(handle, unique):
    return accepted(handle, function=b"resize", unique=unique, payload=b"payload of " + unique)


def server_keys(server, prefix):
    return [key for key in list_keys("127.0.0.1", server.port, timeout_s=5.0) if key.startswith(prefix)]


def test_record_that_gearmand_wrote_anew_is_gearmands(house, gearmand):
    store = house.open()
    store.load()
    ours = new_handle()
    store.commit([accepted(ours, function=b"resize", unique=b"u1", payload=b"one"), started(ours, 3)])
    store.close()
    with gearmand() as address:
        grab(address, b"resize")
        submit(address, T.SUBMIT_JOB_BG, b"resize", b"u1", b"another")

    (job,) = load(house)

    assert (job.payload, job.attempt, job.handle == ours) == (b"another", 0, False)


def test_jobs_whose_names_are_no_keys_are_kept_all_the_same(house):
    store = house.open()
    store.load()
    names = {(b"two words", b"u"), (b"f", b"a b"), (b"g" * 400, b"u"), (b"a-b", b"c"), (b"a", b"b-c"), (b"\xff", b"\0")}
    store.commit([accepted(new_handle(), function=function, unique=unique) for function, unique in names])
    store.close()

    assert {(job.function, job.unique) for job in load(house)} == names


def test_nothing_is_left_of_jobs_that_ended(house, servers):
    store = house.open()
    store.load()
    handles = [new_handle() for _ in range(5)]
    store.commit([accepted(handle) for handle in handles])
    store.commit([started(handle) for handle in handles])
    store.commit([finished(handle) for handle in handles])
    store.close()

    assert [server_keys(server, b"") for server in servers] == [[]] * len(servers)


def test_hash_is_libmemcacheds():
    keys = (b"", b"a", b"The quick brown fox jumps over the lazy dog")
    assert [one_at_a_time(key) for key in keys] == [0, 0xCA2E9442, 0x519E91F5]


def test_job_longer_than_an_item_is_refused_by_itself(house):
    store = house.open()
    store.load()
    with pytest.raises(StoreError, match="takes items of at most 1048576 bytes") as refusal:
        store.commit([accepted(new_handle(), payload=b"x" * 1_100_000)])

    assert not refusal.value.is_outage
    store.commit([accepted(new_handle())])
    store.close()


@pytest.mark.parametrize("servers", [1], indirect=True)
def test_memcached_that_hangs_fails_in_time_and_is_used_again(house, servers):
    store = house.open()
    store.load()
    servers[0].pause()
    began = time.monotonic()
    try:
        with pytest.raises(StoreError) as refusal:
            store.commit([accepted(new_handle())])
    finally:
        servers[0].resume()

    assert (refusal.value.is_outage, time.monotonic() - began < ANSWER_S) == (True, True)
    store.commit([accepted(new_handle())])
    store.close()


@pytest.mark.parametrize("servers", [1], indirect=True)
def test_memcached_that_was_restarted_is_used_again(house, servers):
    store = house.open()
    store.load()
    store.commit([accepted(new_handle())])
    servers[0].kill()
    with pytest.raises(StoreError, match="ConnectionRefusedError"):
        store.commit([accepted(new_handle())])
    servers[0].start()

    late = new_handle()
    store.commit([accepted(late)])
    store.close()

    assert [job.handle for job in load(house)] == [late]


@pytest.mark.parametrize("servers", [1], indirect=True)
def test_what_is_no_job_is_left_alone(house, servers, caplog):
    client = Client(("127.0.0.1", servers[0].port))
    client.set_many({"gear_nodash": "no job", "other-key": "no job"}, noreply=False)
    client.close()

    assert load(house) == []
    assert [record.args for record in caplog.records if record.levelname == "WARNING"] == [(b"gear_nodash",)]
    assert sorted(server_keys(servers[0], b"")) == [b"gear_nodash", b"other-key"]


@pytest.mark.parametrize("level", [DurabilityLevel.FULL, DurabilityLevel.PROCESS])
def test_promise_that_memcached_cannot_keep_is_refused(level):
    with pytest.raises(UsageError, match=r"memcached promises nothing .* or say --durability memory"):
        make_table("libmemcached", QueueOptions(libmemcached_servers="localhost"), level)


@pytest.mark.parametrize("text", ["", " , ", "host:port", "host:0", "host:70000", ":11211"])
def test_servers_that_cannot_be_are_refused(text):
    with pytest.raises(UsageError, match=r"--libmemcached-servers.* host:port, with commas between them"):
        make_table("libmemcached", QueueOptions(libmemcached_servers=text), DurabilityLevel.MEMORY)


@pytest.mark.parametrize(
    "text", ["localhost", "localhost:11212,[::1]:11213", "localhost:11212 --libmemcached-prefix=x"]
)
def test_servers_are_read_as_libmemcached_reads_them(text):
    make_table("libmemcached", QueueOptions(libmemcached_servers=text), DurabilityLevel.MEMORY).close()


def test_empty_prefix_is_refused():
    options = QueueOptions(libmemcached_servers="localhost", libmemcached_prefix="")
    with pytest.raises(UsageError, match="--libmemcached-prefix must not be empty"):
        make_table("libmemcached", options, DurabilityLevel.MEMORY)
