"""The endpoints `workers/` and `servers/`, and `problems/`: what the job servers say of themselves and of workers.

One look asks all of them at once. Reading takes `view_job`, of servers `view_jobserver`; telling workers something
takes `control_worker`, and is refused by job servers whose admin lines are closed to the site (`--admin`).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, ClassVar

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.control_workers import WORKER_VERBS, control_workers
from gearjobs.actions.live_snapshot import LiveSnapshot, PeerState, ServerState, live_snapshot
from gearjobs.api.described import described
from gearjobs.api.endpoint import Endpoint
from gearjobs.records.problem_finders import ServerAnswer, find_problems
from gearjobs.settings import gearjobs_settings


class RunningSerializer(serializers.Serializer[Any]):
    """A job in a worker's hands."""

    id = serializers.CharField()
    function = serializers.CharField()
    attempt = serializers.IntegerField()
    elapsed_s = serializers.FloatField()


class WorkerSerializer(serializers.Serializer[Any]):
    """A worker, of whatever program."""

    id = serializers.CharField(help_text="Its client id.")
    address = serializers.CharField()
    servers = serializers.ListField(child=serializers.CharField())
    functions = serializers.ListField(child=serializers.CharField())
    benched = serializers.ListField(child=serializers.CharField())
    jobs = RunningSerializer(many=True)
    report = serializers.DictField(allow_null=True, help_text="What it says of itself; workers of gearjobs only.")


class WorkerListSerializer(serializers.Serializer[Any]):
    """Workers at one moment."""

    results = WorkerSerializer(many=True)
    problems = serializers.ListField(child=serializers.CharField())


class ToldSerializer(serializers.Serializer[Any]):
    """How many were told."""

    told = serializers.IntegerField()


class ServerSerializer(serializers.Serializer[Any]):
    """A job server of the settings."""

    address = serializers.CharField()
    is_up = serializers.BooleanField()
    is_stock = serializers.BooleanField(help_text="Whether it is another program's, which tells less.")
    problem = serializers.CharField()
    version = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField(allow_null=True)
    uptime_s = serializers.FloatField(allow_null=True)
    is_draining = serializers.BooleanField()
    is_store_down = serializers.BooleanField()
    store_busy_s = serializers.FloatField(allow_null=True)
    pending_changes = serializers.IntegerField(allow_null=True)
    connections = serializers.IntegerField(allow_null=True)
    workers = serializers.IntegerField(allow_null=True)
    busy_workers = serializers.IntegerField(allow_null=True)


class ServerListSerializer(serializers.Serializer[Any]):
    """Job servers at one moment."""

    results = ServerSerializer(many=True)


class TroubleSerializer(serializers.Serializer[Any]):
    """Something that is not as it should be."""

    kind = serializers.CharField()
    severity = serializers.ChoiceField(["error", "warning"])
    text = serializers.CharField()
    target_kind = serializers.CharField()
    target = serializers.CharField()


class TroubleListSerializer(serializers.Serializer[Any]):
    """What is wrong, the worst first."""

    results = TroubleSerializer(many=True)


def look_at_servers() -> LiveSnapshot:
    """Ask all job servers, within the time that pages wait for them."""
    return live_snapshot(timeout_s=gearjobs_settings().admin.server_timeout_s)


class WorkerList(Endpoint):
    """The workers of all job servers."""

    verbs: ClassVar = {"GET": ("view_job",)}

    @described("Workers, of gearjobs and others", answers={200: WorkerListSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200 with those that work now, the busy ones first."""
        live = look_at_servers()
        told = [_told_worker(peer) for peer in live.peers if peer.is_worker]
        return Response({"results": told, "problems": live.problems})


class WorkerControl(Endpoint):
    """Tells a worker something."""

    verbs: ClassVar = {"POST": ("control_worker",)}

    @described("Tell a worker to take no jobs, to take them again, or to end", answers={202: ToldSerializer},
               problems=(404, 502, 503))  # fmt: skip
    def post(self, request: Request, worker_id: str, verb: str) -> Response:
        """Answer 202 with how many were told `quiet`, `resume` or `stop`: a name may be several's beginning and `*`."""
        if verb not in WORKER_VERBS:
            raise Http404
        told = control_workers(worker_id, verb, user=request.user)
        if not told:
            raise Http404
        return Response({"told": told}, status=202)


class ServerList(Endpoint):
    """The job servers of the settings."""

    verbs: ClassVar = {"GET": ("view_jobserver",)}

    @described("Job servers", answers={200: ServerListSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200 with all of them, those that are down, too."""
        return Response({"results": [_told_server(server) for server in look_at_servers().servers]})


class TroubleList(Endpoint):
    """What an operator should look at."""

    verbs: ClassVar = {"GET": ("view_job",)}

    @described("What is wrong, the worst first", answers={200: TroubleListSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200; an empty list is what one wants to see."""
        servers = [ServerAnswer(one.address, one.problem, one.snapshot) for one in look_at_servers().servers]
        told = [{**asdict(one), "severity": one.severity.name.lower()} for one in find_problems(servers)]
        return Response({"results": told})


def _told_worker(peer: PeerState) -> dict[str, Any]:
    now = time.time()
    return {
        "id": peer.client_id,
        "address": peer.address,
        "servers": peer.servers,
        "functions": peer.functions,
        "benched": peer.benched,
        "jobs": [
            {
                "id": run.handle,
                "function": run.function,
                "attempt": run.attempt,
                "elapsed_s": max(0.0, now - run.started_at),
            }
            for run in peer.runs
        ],
        "report": None if peer.report is None else asdict(peer.report),
    }


def _told_server(server: ServerState) -> dict[str, Any]:
    said = server.snapshot
    figures = ("pid", "uptime_s", "store_busy_s", "pending_changes", "connections", "workers", "busy_workers")
    return {
        "address": server.address,
        "is_up": server.is_up,
        "is_stock": server.is_stock,
        "problem": server.problem,
        "version": said.version if said else "",
        "host": said.host if said else "",
        "is_draining": said is not None and said.is_draining,
        "is_store_down": said is not None and said.is_store_down,
        **{name: getattr(said, name) if said is not None else None for name in figures},
    }
