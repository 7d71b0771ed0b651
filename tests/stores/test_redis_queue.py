"""gearmand's queue in Redis: taken over from it, given back to it, owned by one server, durable as Redis says."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import Any

import pytest
from redis import Redis

from gearjobs.core.changes import Requeued
from gearjobs.core.handles import HandleMaker
from gearjobs.errors import StoreError, StoreFenced, UsageError
from gearjobs.protocol.packets import PacketType
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.gearmand_redis import RedisTable
from gearjobs.stores.queue_only import QueueOnlyStore
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_types import make_table
from tests.support.database_servers import ROOT
from tests.support.eventually import eventually
from tests.support.gearmand import running_gearmand
from tests.support.queue_houses import queue_house, queue_options
from tests.support.queue_servers import RedisServer
from tests.support.store_houses import ACCEPTED_AT, accepted, finished, new_handle, started
from tests.support.wire_peer import WirePeer

T = PacketType
UUID = b"0b7e7a3e-9f1c-11ee-b9d1-0242ac120002"
#: Seconds within which a submitter is to be answered, and some of the busy machine's.
ANSWER_S = 2.0 + 1.0
HOLDER = """
import sys, redis
from gearjobs.stores.gearmand_redis import RedisTable
table = RedisTable(redis.Redis(port=int(sys.argv[1])), sys.argv[2].encode(), place="here")
table.open()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def options(request):
    return queue_options("redis", request)


@pytest.fixture
def house(options):
    return queue_house("redis", options)


@pytest.fixture
def redis(options):
    """What an operator sees of it."""
    with Redis(port=options.redis_port) as client:
        yield client


@pytest.fixture
def gearmand(options, tmp_path):
    """A gearmand on the same queue, each time it is called."""

    def run():
        where = [f"--redis-port={options.redis_port}", f"--redis-prefix={options.redis_prefix}"]
        return running_gearmand(tmp_path / "gearmand.log", "--queue-type=redis", *where)

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


def grab(address, *functions):
    """Return function, unique and payload of every job there is, as a worker gets them."""
    jobs: list[Any] = []
    with WirePeer(address) as peer:
        for function in functions:
            peer.say(T.CAN_DO, function)
        while True:
            peer.say(T.GRAB_JOB_UNIQ)
            packet, arguments = peer.next()
            if packet is T.NO_JOB:
                return sorted(jobs)
            handle, *job = arguments
            jobs.append(tuple(job))
            peer.say(T.WORK_COMPLETE, handle, b"")


def test_jobs_of_gearmand_are_taken_over_and_keep_their_new_handles(house, gearmand):
    with gearmand() as address:
        submit(address, T.SUBMIT_JOB_BG, b"resize", b"u1", b"normal")
        submit(address, T.SUBMIT_JOB_HIGH_BG, b"resize", b"u2", b"high \0 \xff")
        submit(address, T.SUBMIT_JOB_LOW_BG, b"make-sheet", UUID, b"")

    jobs = load(house)

    assert sorted((job.function, job.unique, job.payload, job.priority) for job in jobs) == [
        (b"make-sheet", UUID, b"", -50),
        (b"resize", b"u1", b"normal", 0),
        (b"resize", b"u2", b"high \0 \xff", 50),
    ]
    assert {job.handle for job in load(house)} == {job.handle for job in jobs}


def test_gearmand_has_its_queue_back(house, gearmand):
    store = house.open()
    store.load()
    ended, running = new_handle(), new_handle()
    store.commit([accepted(ended, function=b"resize", unique=b"over"), started(ended)])
    store.commit([finished(ended), accepted(running, function=b"resize", unique=b"u1", payload=b"one", priority=7)])
    store.commit([started(running), accepted(new_handle(), function=b"resize", unique=b"u2", payload=b"two")])
    store.close()

    with gearmand() as address:
        assert grab(address, b"resize") == [(b"resize", b"u1", b"one"), (b"resize", b"u2", b"two")]

    assert load(house) == []


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


def test_functions_and_uniques_with_dashes_stay_apart(house):
    store = house.open()
    store.load()
    pairs = {(b"a-b", b"c"), (b"a", b"b-c"), (b"a-b", b"c-d"), (b"-", b"-x")}
    store.commit([accepted(new_handle(), function=function, unique=unique) for function, unique in pairs])
    store.close()

    assert {(job.function, job.unique) for job in load(house)} == pairs


def test_what_old_gearmands_wrote_is_read_and_what_is_no_job_left_alone(house, options, redis, caplog):
    prefix = options.redis_prefix
    redis.set(f"{prefix}-old-u1", b"kept as text")
    redis.hset(f"{prefix}-new-u2", mapping={"data": b"x", "priority": "2", "function": "a-b", "unique": "c"})
    redis.hset(f"{prefix}-odd-u3", mapping={"data": b"y", "priority": "eleven"})
    redis.rpush(f"{prefix}-list-u4", b"no job")
    redis.set(f"{prefix}-nodash", b"no job")

    jobs = load(house)

    assert sorted((job.function, job.unique, job.payload, job.priority) for job in jobs) == [
        (b"a-b", b"c", b"x", -50),
        (b"odd", b"u3", b"y", 0),
        (b"old", b"u1", b"kept as text", 0),
    ]
    warned = sorted(record.getMessage().split()[1] for record in caplog.records if record.levelno == logging.WARNING)
    assert warned == [f"key=b'{prefix}-{name}'" for name in ("list-u4", "nodash")]
    assert redis.exists(f"{prefix}-list-u4", f"{prefix}-nodash") == 2


def test_nothing_is_left_of_jobs_that_ended(house, options, redis):
    store = house.open()
    store.load()
    handle = new_handle()
    store.commit([accepted(handle, unique=b"u"), started(handle), Requeued(handle, True, ACCEPTED_AT, 1)])
    store.commit([finished(handle)])
    store.close()

    left = [key.decode() for key in redis.keys(f"*{options.redis_prefix}*")]
    assert left == [f"gearjobs:{options.redis_prefix}:owner:taken"]


def test_queues_of_other_prefixes_are_not_seen(house, options, request):
    other = queue_options("redis", request)
    store = queue_house("redis", other).open()
    store.load()
    store.commit([accepted(new_handle())])
    store.close()

    assert load(house) == []


def test_empty_prefix_is_refused():
    with pytest.raises(UsageError, match="--redis-prefix must not be empty"):
        make_table("redis", QueueOptions(redis_prefix=""), DurabilityLevel.FULL)


# ------------------------------------------------ one owner


@pytest.fixture
def make_store(options):
    """Makes a store whose lock lasts so many seconds."""
    handles = HandleMaker("H:taken", "00000000000001")

    def make(ttl_s):
        client = Redis(port=options.redis_port)
        table = RedisTable(client, options.redis_prefix.encode(), place="Redis here", lock_ttl_s=ttl_s)
        return QueueOnlyStore(table, make_handle=handles.next_handle)

    return make


def test_second_server_is_refused_while_the_first_renews_its_lock(make_store):
    first, second = make_store(60.0), make_store(0.1)
    first.load()

    with pytest.raises(StoreError, match=r"has a job server already \(pid \d+ on .*\); one queue has one server"):
        second.load()

    assert first.renew() == 60.0
    first.close()


def test_server_whose_lock_another_one_took_is_fenced(make_store):
    hung, other = make_store(0.2), make_store(60.0)
    hung.load()
    handle = new_handle()
    hung.commit([accepted(handle)])

    (job,) = other.load()
    for call in (hung.renew, lambda: hung.adopt(9), lambda: hung.commit([finished(handle)])):
        with pytest.raises(StoreFenced):
            call()
    hung.close()

    assert job.handle == handle
    other.commit([started(handle)])
    other.close()


def test_server_that_hung_is_fenced_even_if_the_other_one_is_gone_again(make_store):
    hung, other = make_store(0.2), make_store(60.0)
    hung.load()
    other.load()
    other.close()

    with pytest.raises(StoreFenced):
        hung.commit([accepted(new_handle())])


def test_server_that_hung_goes_on_if_nobody_wanted_its_queue(make_store, redis, options):
    hung = make_store(0.1)
    hung.load()
    eventually(lambda: not redis.exists(f"gearjobs:{options.redis_prefix}:owner"), 5.0, "the lock to expire")

    hung.commit([accepted(new_handle())])
    hung.close()


def test_lock_of_a_killed_process_is_taken_at_once(house, options):
    command = [sys.executable, "-c", HOLDER, str(options.redis_port), options.redis_prefix]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    began = time.monotonic()

    assert load(house) == []
    assert time.monotonic() - began < ANSWER_S


# ------------------------------------------------ outages


def test_redis_that_hangs_fails_each_call_in_time_and_is_used_again(house, redis_server):
    store = house.open()
    store.load()
    redis_server.pause()
    try:
        for call in (lambda: store.commit([accepted(new_handle())]), lambda: store.adopt(9), store.renew):
            began = time.monotonic()
            with pytest.raises(StoreError) as refusal:
                call()
            assert (refusal.value.is_outage, time.monotonic() - began < ANSWER_S) == (True, True)
    finally:
        redis_server.resume()

    store.commit([accepted(new_handle())])
    store.close()


def test_redis_that_is_killed_comes_back_with_every_job(house, redis_server):
    store = house.open()
    store.load()
    kept, refused, late = (new_handle() for _ in range(3))
    store.commit([accepted(kept)])
    redis_server.kill()
    with pytest.raises(StoreError, match="could not write a batch: ConnectionError"):
        store.commit([accepted(refused)])
    redis_server.start()

    store.commit([accepted(late)])
    store.close()

    assert {job.handle for job in load(house)} == {kept, late}


def test_full_redis_refuses_and_keeps_what_it_has(house, redis):
    store = house.open()
    store.load()
    kept = new_handle()
    store.commit([accepted(kept)])
    redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreError, match="OutOfMemoryError"):
            store.commit([accepted(new_handle(), payload=b"x" * 100_000)])
    finally:
        redis.config_set("maxmemory", 0)

    store.close()
    assert [job.handle for job in load(house)] == [kept]


# ------------------------------------------------ what Redis promises


@pytest.mark.parametrize(
    ("setting", "flaw"),
    [
        (["--appendonly", "no"], "without appendonly yes its restart loses everything"),
        (["--appendonly", "no", "--save", "900 1"], "its restart loses what came since its last snapshot"),
        (["--appendfsync", "everysec"], "with appendfsync everysec a power loss takes back the latest"),
        (["--no-appendfsync-on-rewrite", "yes"], "takes back what came during a rewrite of its file"),
        (
            ["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"],
            "with maxmemory-policy allkeys-lru it drops jobs when it is full",
        ),
        (["--rename-command", "CONFIG", ""], "does not say how it is configured"),
    ],
    ids=["volatile", "snapshots", "everysec", "rewriting", "evicting", "silent"],
)
def test_redis_that_may_lose_jobs_is_refused_or_warned_of(setting, flaw, caplog):
    with RedisServer(*setting) as server:
        where = QueueOptions(redis_port=server.port)

        with pytest.raises(StoreError, match=f"{flaw}.*--durability process"):
            make_table("redis", where, DurabilityLevel.FULL).open()
        table = make_table("redis", where, DurabilityLevel.PROCESS)
        table.open()
        table.close()

    assert [flaw in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [True]


def test_password_is_given_and_a_wrong_one_is_said():
    with RedisServer("--requirepass", "geheim") as server:
        table = make_table("redis", QueueOptions(redis_port=server.port, redis_password="geheim"), DurabilityLevel.FULL)
        assert "survives power loss" in table.open()
        table.close()

        for password in ("", "wrong"):
            options = QueueOptions(redis_port=server.port, redis_password=password)
            with pytest.raises(StoreError, match="AuthenticationError"):
                make_table("redis", options, DurabilityLevel.FULL).open()
