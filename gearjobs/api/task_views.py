"""The endpoints `tasks/` and `tasks/<path>/`: what can be enqueued, with the JSON Schema of its arguments.

Whoever may read all jobs sees every declared task; whoever may only enqueue sees those that can be enqueued here. The
tasks of all applications are imported for it, once for the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.call_schemas import schema_of
from gearjobs.api.described import described
from gearjobs.api.endpoint import Endpoint, url_beside
from gearjobs.records.job_queries import has_permission, may_view_all
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.registry import registered_tasks
from gearjobs.tasks.task import GearTask


class TaskSerializer(serializers.Serializer[Any]):
    """A declared task."""

    name = serializers.CharField(help_text="Dotted path.")
    url = serializers.URLField()
    function = serializers.CharField(help_text="The Gearman function.")
    queue = serializers.CharField()
    priority = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    timeout_s = serializers.FloatField(allow_null=True)
    can_be_enqueued = serializers.BooleanField(help_text="Whether `POST jobs/` takes it.")
    description = serializers.CharField()
    arguments = serializers.JSONField(help_text="JSON Schema, by the names of the parameters.")


class TaskListSerializer(serializers.Serializer[Any]):
    """Declared tasks."""

    results = TaskSerializer(many=True)


class TaskEndpoint(Endpoint):
    """The base of what shows tasks."""

    def tasks(self) -> Iterator[GearTask[..., Any]]:
        """Yield the tasks that who asks may know of."""
        may_see_all, may_enqueue = may_view_all(self.request.user), has_permission(self.request.user, "add_job")
        if not (may_see_all or may_enqueue):
            self.permission_denied(self.request, message="this takes the permission gearjobs.view_job or add_job")
        discover_tasks()
        for task in sorted(registered_tasks(), key=lambda task: task.module_path):
            if isinstance(task, GearTask) and (may_see_all or task.options.api):
                yield task

    def told(self, task: GearTask[..., Any]) -> dict[str, Any]:
        """Return what is told of a task."""
        return {
            "name": task.module_path,
            "url": url_beside(self.request, "task-detail", task.module_path),
            "function": task.function_name,
            "queue": task.queue_name,
            "priority": task.priority,
            "max_attempts": task.options.max_attempts,
            "timeout_s": task.options.timeout_s or None,
            "can_be_enqueued": bool(task.options.api),
            "description": (task.func.__doc__ or "").strip().partition("\n")[0],
            "arguments": schema_of(task),
        }


class TaskList(TaskEndpoint):
    """The declared tasks."""

    @described("Tasks, with the schema of their arguments", answers={200: TaskListSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200 with all of them."""
        return Response({"results": [self.told(task) for task in self.tasks()]})


class TaskDetail(TaskEndpoint):
    """One declared task."""

    @described("A task, with the schema of its arguments", answers={200: TaskSerializer}, problems=(404,))
    def get(self, request: Request, name: str) -> Response:
        """Answer 200 with the task of that dotted path."""
        for task in self.tasks():
            if task.module_path == name:
                return Response(self.told(task))
        raise Http404
