"""What operators read and do over HTTP: queues, workers, servers, failures, figures, groups, the audit, health."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.db import Error
from django.utils import timezone

from gearjobs.actions.live_snapshot import LiveSnapshot, ServerState, join_peers, sum_functions
from gearjobs.api import group_views, health_views, live_views, queue_views
from gearjobs.api.endpoint import ScopeThrottle
from gearjobs.api.status_links import signed_status_url
from gearjobs.models import BulkOperation, FailureGroup, JobGroup, JobMember, OperatorAction, QueueControl
from gearjobs.protocol.server_snapshot import FunctionFigures, PeerFigures, RunFigures, ServerSnapshot
from gearjobs.protocol.worker_report import WorkerReport
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

WORKER = PeerFigures(
    client_id="web-1",
    address="10.0.0.7:5121",
    functions=("resize",),
    runs=(RunFigures(handle="H:a:1", function="resize", started_at=time.time() - 60),),
    report=WorkerReport(pid=7, host="web", state="busy"),
)
UP = ServerSnapshot(
    at=time.time(),
    version="1.2",
    pid=42,
    started_at=time.time() - 100,
    workers=1,
    functions=(
        FunctionFigures(name="resize", high=1, normal=2, running=1, workers=1, oldest_queued_at=time.time() - 30),
        FunctionFigures(name="a/b", taken_per_s=2.0, low=4),
    ),
    peers=(WORKER, PeerFigures(client_id="-", address="10.0.0.8:1", awaited=1)),
)


@pytest.fixture(autouse=True)
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def servers(monkeypatch):
    """One job server that answers, and one that does not."""

    def look(*_: object, **__: object) -> LiveSnapshot:
        asked = [ServerState("up:4730", UP), ServerState("down:4730", problem="refused")]
        return LiveSnapshot(time.time(), asked, sum_functions(asked), join_peers(asked))

    monkeypatch.setattr(live_views, "live_snapshot", look)
    monkeypatch.setattr(queue_views, "live_snapshot", look)


@pytest.fixture
def as_root(make_user, login):
    return login(make_user("root", is_superuser=True))


def send(client, method, path, body=None):
    return client.generic(method, f"/api/{path}", json.dumps(body or {}), content_type="application/json")


def test_queues_are_told_as_the_servers_see_them(as_root, servers):
    told = as_root.get("/api/queues/").json()

    rows = {one["name"]: one for one in told["results"]}
    assert told["problems"] == ["down:4730: refused"]
    assert (rows["resize"]["waiting"], rows["resize"]["high"], rows["resize"]["running"]) == (3, 1, 1)
    assert 29 < rows["resize"]["oldest_age_s"] < 3600
    assert (rows["a/b"]["eta_s"], rows["a/b"]["oldest_age_s"]) == (2.0, None)


def test_queue_is_paused_and_resumed(as_root, servers, job_server):
    paused = send(as_root, "POST", "queues/a/b/pause/", {"note": "too hot"}).json()
    resumed = send(as_root, "POST", "queues/a/b/resume/").json()

    assert (paused["name"], paused["is_paused"], paused["note"]) == ("a/b", True, "too hot")
    assert resumed["is_paused"] is False
    assert job_server.queue_nudges == 2
    assert [one.verb for one in OperatorAction.objects.order_by("pk")] == ["pause_queue", "resume_queue"]


def test_limits_that_are_not_named_stay(as_root, servers):
    send(as_root, "PATCH", "queues/resize/", {"concurrency": 4, "max_low": 9})

    told = send(as_root, "PATCH", "queues/resize/", {"rate": 10, "per_s": 60}).json()

    assert told["limits"] == {
        "max_high": None, "max_normal": None, "max_low": 9, "concurrency": 4, "rate": 10, "per_s": 60.0,
    }  # fmt: skip


@pytest.mark.parametrize("body", [{"concurrency": -1}, {"rate": 10}, {"colour": 1}])
def test_limit_that_cannot_be_is_refused(as_root, servers, body):
    assert send(as_root, "PATCH", "queues/resize/", body).status_code == 400
    assert not QueueControl.objects.exists()


def test_waiting_jobs_of_a_queue_are_cleared(as_root, servers):
    make_job("waiting", function="resize", owner="")

    told = send(as_root, "POST", "queues/resize/clear/").json()

    assert told["cleared"] == 1


def test_workers_are_told_with_what_they_run(as_root, servers):
    (told,) = as_root.get("/api/workers/").json()["results"]

    assert (told["id"], told["servers"], told["functions"]) == ("web-1", ["up:4730"], ["resize"])
    assert told["jobs"][0]["id"] == "H:a:1"
    assert 59 < told["jobs"][0]["elapsed_s"] < 3600
    assert (told["report"]["pid"], told["report"]["state"]) == (7, "busy")


def test_worker_is_told_something(as_root, job_server):
    response = send(as_root, "POST", "workers/web/1/stop/")

    assert (response.status_code, response.json()) == (202, {"told": 1})
    assert job_server.told_workers == [("web/1", "stop")]
    assert OperatorAction.objects.get().verb == "stop_worker"


def test_worker_that_nobody_knows_is_not_found(as_root, job_server):
    job_server.workers_told = 0

    assert send(as_root, "POST", "workers/web-1/stop/").status_code == 404
    assert send(as_root, "POST", "workers/web-1/dance/").status_code == 404


def test_servers_that_are_down_are_told_as_well(as_root, servers):
    up, down = as_root.get("/api/servers/").json()["results"]

    assert (up["address"], up["is_up"], up["version"], up["pid"], up["workers"]) == ("up:4730", True, "1.2", 42, 1)
    assert (down["is_up"], down["problem"], down["pid"], down["uptime_s"]) == (False, "refused", None, None)


def test_problems_are_told(as_root, servers):
    told = as_root.get("/api/problems/").json()["results"]

    assert ("server_down", "error", "down:4730") in {(one["kind"], one["severity"], one["target"]) for one in told}


@pytest.mark.parametrize("path", ["queues/", "workers/", "servers/", "problems/"])
def test_servers_that_are_all_down_are_no_error(as_root, path):
    assert as_root.get(f"/api/{path}").status_code == 200


def test_figures_are_told_step_by_step(as_root):
    told = as_root.get("/api/stats/series/?span_s=600&step_s=60&function=resize").json()

    assert len(told["results"]) == 10
    assert (told["results"][0]["enqueued"], told["results"][0]["run_p95_s"]) == (0, None)


def test_figures_are_told_in_sums(as_root):
    told = as_root.get("/api/stats/?span_s=90000").json()

    assert (told["span_s"], told["all"]["failed"], told["functions"]) == (90000, 0, [])


@pytest.mark.parametrize(
    "query", ["span_s=0", "span_s=x", "span_s=²", "span_s=99999999999", "step_s=61", "step_s=60&span_s=7000000"]
)
def test_figures_that_cannot_be_are_refused(as_root, query):
    assert as_root.get(f"/api/stats/series/?{query}").status_code == 400


@pytest.fixture
def failure():
    make_job("failed", fingerprint="f1")
    return FailureGroup.objects.create(fingerprint="f1", function="resize", error_class="a.Broken", count=3)


def test_failures_are_told_in_groups(as_root, failure):
    (told,) = as_root.get("/api/failures/").json()["results"]

    assert (told["fingerprint"], told["error_class"], told["count"]) == ("f1", "a.Broken", 3)
    assert len(as_root.get(told["jobs_url"]).json()["results"]) == 1
    assert sum(as_root.get(told["url"]).json()["trend"]) == 1
    assert as_root.get("/api/failures/?since=2999-01-01T00:00:00Z").json()["results"] == []


def test_failures_are_muted_and_noted(as_root, failure):
    send(as_root, "PATCH", "failures/f1/", {"note": "known"})
    told = send(as_root, "POST", "failures/f1/mute/", {"until": "2999-01-01T00:00:00Z"}).json()

    assert (told["note"], told["is_muted"]) == ("known", True)
    assert send(as_root, "POST", "failures/f1/mute/", {"until": "1999-01-01T00:00:00Z"}).status_code == 400
    assert as_root.get("/api/failures/").json()["results"] == []
    assert len(as_root.get("/api/failures/?muted=true").json()["results"]) == 1


@pytest.mark.parametrize(("verb", "done"), [("retry", "retry"), ("discard", "delete")])
def test_jobs_of_a_failure_are_dealt_with_in_the_background(as_root, failure, verb, done):
    response = send(as_root, "POST", f"failures/f1/{verb}/")

    operation = BulkOperation.objects.get()
    assert (response.status_code, operation.verb, operation.filter["fingerprint"]) == (202, done, "f1")


@pytest.mark.parametrize("path", ["failures/nothing/", "failures/%00/", "groups/nothing/", "operations/nothing/"])
def test_what_is_not_there_is_not_found(as_root, path):
    assert as_root.get(f"/api/{path}").status_code == 404


def test_groups_are_told_and_cancelled(as_root):
    group = JobGroup.objects.create(id="H:g:1", root="H:g:1", kind="group", total=2, succeeded=1)
    JobMember.objects.create(job=make_job("waiting", owner=""), stage=group)

    (told,) = as_root.get("/api/groups/").json()["results"]

    assert (told["id"], told["status"], told["total"]) == ("H:g:1", "RUNNING", 2)
    assert len(as_root.get(told["jobs_url"]).json()["results"]) == 1
    assert send(as_root, "POST", "groups/H:g:1/cancel/").json() == {"cancelled": 1}
    assert OperatorAction.objects.get().verb == "cancel_group"


def test_old_groups_are_not_looked_through(as_root, monkeypatch):
    monkeypatch.setattr(group_views, "LOOK_LIMIT", 2)
    for number in range(4):
        at = timezone.now() - timedelta(hours=number)
        JobGroup.objects.create(id=f"H:g:{number}", root=f"H:g:{number}", created_at=at)

    assert [one["id"] for one in as_root.get("/api/groups/").json()["results"]] == ["H:g:0", "H:g:1", "H:g:2"]


def test_audit_is_told_and_filtered(as_root, make_user, servers):
    send(as_root, "POST", "queues/resize/pause/")

    told = as_root.get("/api/audit/?verb=pause_queue&target=resize&after=2020-01-01").json()["results"]

    assert [(one["actor_name"], one["target"], one["address"]) for one in told] == [("root", "resize", "127.0.0.1")]
    assert as_root.get("/api/audit/?verb=other").json()["results"] == []
    assert as_root.get("/api/audit/?colour=red").status_code == 400


def test_site_whose_database_is_down_is_not_ready(client, monkeypatch):
    def fail() -> None:
        raise Error("gone")

    monkeypatch.setattr(health_views, "all_jobs", fail)

    assert (client.get("/api/health/live/").status_code, client.get("/api/health/ready/").status_code) == (200, 503)


def test_signed_link_is_refused_when_it_is_old_or_changed(client):
    job = make_job("running")
    fresh = live_link(job)

    assert client.get(fresh).json()["id"] == job.pk
    assert client.get(fresh).headers["Retry-After"]
    assert client.get(live_link(job, seconds=-1)).status_code == 404
    assert client.get(fresh.replace("/signed/", "/signed/x")).status_code == 404
    job.delete()
    assert client.get(fresh).status_code == 404


def live_link(job, *, seconds: int = 60) -> str:
    return signed_status_url(job.pk, max_age=timedelta(seconds=seconds))


def test_health_does_not_depend_on_the_cache(client, monkeypatch):
    # Counting requests takes the cache: without it, load balancers would have given up every process.
    monkeypatch.setattr(ScopeThrottle, "allow_request", lambda *args: 1 // 0)

    assert client.get("/api/health/live/").status_code == 200
    assert client.get("/api/health/ready/").status_code == 200


@pytest.mark.parametrize("path", ["audit/", "failures/", "groups/", "operations/", "schedules/"])
@pytest.mark.parametrize("query", ["cursor=x", "cursor=cD1qdW5r", "page_size=x", "colour=red"])
def test_page_that_cannot_be_is_refused_by_name(as_root, path, query):
    response = as_root.get(f"/api/{path}?{query}")

    assert (response.status_code, list(response.json()["errors"])) == (400, [query.partition("=")[0]])
