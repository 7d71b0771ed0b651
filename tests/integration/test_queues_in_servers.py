"""The real command with its queue in Redis or in memcached: killed, refused, and its dead stores."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.job_server import ROOT, JobServerProcess
from tests.support.queue_houses import queue_options
from tests.support.queue_servers import RedisServer

pytestmark = pytest.mark.slow

T = PacketType
JOBS = 60


@pytest.fixture(params=["redis", "libmemcached"])
def server(request: pytest.FixtureRequest, new_job_server: Callable[..., JobServerProcess]) -> JobServerProcess:
    """A job server on a queue of its own."""
    options = queue_options(request.param, request)
    where = [f"--redis-port={options.redis_port}", f"--redis-prefix={options.redis_prefix}"]
    if request.param == "libmemcached":
        where = [
            f"--libmemcached-servers={options.libmemcached_servers}",
            f"--libmemcached-prefix={options.libmemcached_prefix}",
            "--durability=memory",
        ]
    return new_job_server(f"--queue-type={request.param}", *where)


def test_killed_server_has_every_acknowledged_job_again_and_its_handle(server: JobServerProcess) -> None:
    server.start()
    with server.peer() as client, server.peer() as worker:
        for number in range(JOBS):
            client.say(T.SUBMIT_JOB_BG, b"count", b"", b"%d" % number)
        handles = {client.expect(T.JOB_CREATED)[0] for _ in range(JOBS)}
        worker.say(T.CAN_DO, b"count")
        for _ in range(JOBS // 3):
            worker.say(T.GRAB_JOB)
            handle, _, _ = worker.expect(T.JOB_ASSIGN)
            worker.say(T.WORK_COMPLETE, handle, b"")
            handles.discard(handle)

    server.kill9()
    server.start()

    with server.peer() as worker:
        worker.say(T.CAN_DO, b"count")
        again = set()
        worker.say(T.GRAB_JOB)
        while (answer := worker.next())[0] is T.JOB_ASSIGN:
            again.add(answer[1][0])
            worker.say(T.GRAB_JOB)
    # The latest outcomes may not have been committed.
    assert handles <= again


def test_server_says_what_its_queue_promises_and_refuses_what_it_cannot(
    new_job_server: Callable[..., JobServerProcess],
) -> None:
    with RedisServer("--appendonly", "no") as redis:
        where = ["--queue-type=redis", f"--redis-port={redis.port}"]
        refused = new_job_server().run(*where)
        warned = new_job_server(*where, "--durability=process")
        warned.start()
        warned.terminate()

    assert refused.returncode == 1
    assert "without appendonly yes its restart loses everything" in refused.stderr + refused.stdout
    assert "may lose acknowledged jobs: without appendonly yes" in warned.said()


@pytest.mark.parametrize(
    ("queue_type", "reason"),
    [
        ("libmemcached", "memcached promises nothing of what it holds"),
        ("libdrizzle", "--queue-type MySQL is its like"),
        ("libtokyocabinet", "`manage.py jobs_import --from FILE` takes over the jobs in its file"),
    ],
)
def test_store_that_cannot_be_names_what_to_use(
    new_job_server: Callable[..., JobServerProcess], queue_type: str, reason: str
) -> None:
    ended = new_job_server().run(f"--queue-type={queue_type}")

    assert (ended.returncode, reason in ended.stderr + ended.stdout) == (1, True), ended.stderr + ended.stdout


def test_lines_of_the_page_are_command_lines(new_job_server: Callable[..., JobServerProcess]) -> None:
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    lines = re.findall(r"^[ $]*manage\.py runjobserver (--queue-type.*)$", page, re.MULTILINE)

    ended = [new_job_server().run("--check-args", *shlex.split(line)) for line in lines]

    assert len(lines) >= 5
    assert [one.returncode for one in ended] == [0] * len(lines)
