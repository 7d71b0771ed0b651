"""Every screen of the admin and every endpoint of the REST API, asked for on a full database, with what each costs.

Goes through the rows of `admin_rows` and `api_rows`, so that whatever is added there is asked for as well, and through
the lists with what they can be narrowed down by. What a request changes is rolled back. One fake job server answers,
with a hundred functions and fifty workers. Used by `scripts/million-jobs`.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gearjobs.admin.screen_links import jobs_link
from gearjobs.api.status_links import signed_status_url
from gearjobs.models import BulkOperation, Job, Schedule
from gearjobs.protocol.server_snapshot import RunFigures
from gearjobs.records.job_looks import PagePosition
from tests.support import admin_rows, api_rows
from tests.support.api_tasks import ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.fake_job_server import run_fake_job_server
from tests.support.million_rows import BLOCK, BUSY_FAILURE, BUSY_JOB, BUSY_WHOLE, FUNCTIONS, RARE_FUNCTION, handle_of

#: How often each is asked for; the quickest counts.
_TIMES: Final = 3
#: What lists of jobs are narrowed down by.
JOB_QUERIES: Final[tuple[dict[str, str], ...]] = (
    {"status": "failed"},
    {"status": "waiting"},
    {"status": "running"},
    {"status": "succeeded"},
    {"status": "cancelled"},
    {"function": FUNCTIONS[3]},
    {"function": RARE_FUNCTION},
    {"function": RARE_FUNCTION, "status": "waiting"},
    {"fingerprint": BUSY_FAILURE},
    {"group": BUSY_WHOLE},
    {"schedule": "schedule 0"},
    {"worker": "worker-9"},
    {"search": "task_99"},
    {"search": "meta.order:5"},
    {"search": "args.name:dog.png"},
)
#: Lists of all else, and what they are asked for that there is none of.
_SEARCHES: Final = (
    ("admin:gearjobs_operatoraction_changelist", "q=nobody"),
    ("admin:gearjobs_operatoraction_changelist", "verb=none"),
    ("admin:gearjobs_failuregroup_changelist", "q=nothing&muted=all"),
    ("gearjobs:audit-list", "actor=nobody&target=none"),
    ("gearjobs:failure-list", "since=2000-01-01T00:00:00Z&muted=true"),
)
#: What is asked for elsewhere than the rest. Each job of a group is cancelled by itself: a large one takes its time.
_PLACES: Final[dict[str, dict[str, str]]] = {
    "task-detail": {"name": ship.module_path},
    "group-cancel": {"group_id": "H:whole:00001"},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request took."""

    name: str
    took_s: float
    #: What of it processors worked for it: on a busy machine the rest is waiting.
    cpu_s: float
    queries: int
    #: Status of the answer; 0 where it is none of HTTP.
    status: int


@dataclass(frozen=True, slots=True)
class _Asker:
    name: str
    ask: Callable[[], Any]


def page_costs() -> Iterator[Cost]:
    """Ask for everything, and yield what each costs."""
    with _servers(), client_in_place(FakeClient()):
        for asker in (*_screens(), *_endpoints(), *_lists(), *_pages()):
            yield cost_of(asker.name, asker.ask)
    with socket.socket() as taken:
        # Bound, and nobody listens there.
        taken.bind(("127.0.0.1", 0))
        with override_settings(GEARJOBS={"SERVERS": [f"127.0.0.1:{taken.getsockname()[1]}"]}):
            for asker in _screens_without_server():
                yield cost_of(asker.name, asker.ask)


@contextmanager
def _servers() -> Iterator[None]:
    with run_fake_job_server() as server:
        for number, name in enumerate(FUNCTIONS):
            server.add_function(name, (1, 10_000, 2), running=1, workers=2)
            if number < 50:
                run = RunFigures(handle=handle_of(0, BLOCK - 1 - number % 5), function=name, started_at=time.time() - 5)
                server.add_worker(f"worker-{number}", *FUNCTIONS, runs=(run,))
        with override_settings(GEARJOBS={"SERVERS": [server.address]}):
            yield


def cost_of(name: str, ask: Callable[[], Any]) -> Cost:
    """Ask several times, and return what it costs at best: a busy machine only adds to it."""
    best = Cost(name, float("inf"), float("inf"), 0, 0)
    for _ in range(_TIMES):
        # How often somebody may ask is counted there.
        cache.clear()
        connection.queries_log.clear()
        with transaction.atomic(), CaptureQueriesContext(connection) as captured:
            began_at, worked_s = time.perf_counter(), _worked_s()
            answer = ask()
            if getattr(answer, "streaming", False):
                # A file to keep: its reader waits for the first line.
                next(iter(answer.streaming_content))
            took_s, cpu_s = time.perf_counter() - began_at, _worked_s() - worked_s
            transaction.set_rollback(True)
        status = getattr(answer, "status_code", 0)
        best = min(best, Cost(name, took_s, cpu_s, len(captured), status), key=lambda cost: cost.cpu_s)
    return best


def _worked_s() -> float:
    """Return the seconds that this thread, and its session of a PostgreSQL on this machine, had a processor."""
    worked_s = time.thread_time()
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        schedule = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
        worked_s += int(schedule.read_text(encoding="ascii").split()[0]) / 1e9 if schedule.exists() else 0.0
    return worked_s


def _client(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def _screens() -> Iterator[_Asker]:
    client = _client("root")
    places: Mapping[str, Any] = {
        "job": quote(BUSY_JOB),
        "handle": BUSY_JOB,
        "jobgroup": quote(BUSY_WHOLE),
        "jobserver": "server-0",
        "schedule": Schedule.objects.get(key="schedule 0").pk,
        "failuregroup": BUSY_FAILURE,
        "bulkoperation": BulkOperation.objects.earliest("pk").pk,
        "pause": "pause",
        "resume": "resume",
        "run": "run",
    }
    for row in admin_rows.ROWS:
        if not row.is_closed:
            yield _Asker(f"admin {row.label}", partial(row.ask, client, places))
    yield _Asker("admin overview", partial(client.get, reverse("admin:app_list", args=["gearjobs"])))


def _endpoints() -> Iterator[_Asker]:
    arguments = {
        "handle": BUSY_JOB, "group_id": BUSY_WHOLE, "pk": Schedule.objects.get(key="schedule 0").pk,
        "fingerprint": BUSY_FAILURE, "operation_id": BulkOperation.objects.earliest("pk").pk, "name": FUNCTIONS[3],
        "worker_id": "worker-1", "verb": "quiet", "token": signed_status_url(BUSY_JOB).rstrip("/").rpartition("/")[2],
    }  # fmt: skip
    for user in ("root", "customer"):
        client = _client(user)
        for row in api_rows.ROWS:
            known = {**arguments, **_PLACES.get(row.name, {})}
            body = json.dumps(row.body) if row.method != "GET" else ""
            ask = partial(client.generic, row.method, api_rows.url_of(row, known), body, "application/json")
            yield _Asker(f"rest {row.label} as {user}", ask)


def _lists() -> Iterator[_Asker]:
    """Yield the lists of jobs as they are narrowed down, and in their middle."""
    root, customer = _client("root"), _client("customer")
    jobs = reverse("gearjobs:job-list")
    blocks = 100_000 - int(Job.objects.earliest("handle").handle[2:7])
    of_middle = Job.objects.get(handle=handle_of(blocks // 2, BLOCK // 2))
    middle = str(PagePosition(of_middle.enqueued_at, of_middle.handle))
    for said in ({}, *JOB_QUERIES):
        words = urlencode(said)
        yield _Asker(f"rest own jobs {words}", partial(customer.get, f"{jobs}?count=true&{words}"))
        for place, more in (("", {}), (" from the middle on", {"cursor": middle})):
            query = urlencode({**said, **more})
            yield _Asker(f"admin jobs {words}{place}", partial(root.get, f"{jobs_link()}?{query}"))
            yield _Asker(f"rest jobs {words}{place}", partial(root.get, f"{jobs}?count=true&{query}"))


def _pages() -> Iterator[_Asker]:
    """Yield the lists of all else: deep in them, and searched for what is not there."""
    root = _client("root")
    for name, said in _SEARCHES:
        yield _Asker(f"{name} {said}", partial(root.get, f"{reverse(name)}?{said}"))
    for name in ("failure-list", "group-list", "operation-list", "audit-list", "schedule-list"):
        url: str | None = reverse(f"gearjobs:{name}") + "?page_size=200"
        for number in range(1, 31):
            if url is None:
                break
            if number % 10 == 0:
                yield _Asker(f"rest {name} page {number}", partial(root.get, url))
            url = root.get(url).json()["next"]


def _screens_without_server() -> Iterator[_Asker]:
    """Yield the screens that count in the table what no server tells them."""
    root = _client("root")
    for name in ("app_list", "gearjobs_queuecontrol_changelist", "gearjobs_queue", "gearjobs_workers"):
        places = ["gearjobs"] if name == "app_list" else []
        url = f"{reverse(f'admin:{name}', args=places)}?name={RARE_FUNCTION}"
        yield _Asker(f"admin {name} without a job server", partial(root.get, url))
