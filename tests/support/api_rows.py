"""Every endpoint of the REST API with every method: what it takes to be let in, and whose things it shows.

`tests/django/api/test_api_access.py` compares the rows with the URLconf, so that an endpoint without a row is a failing
test, and goes through them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.urls import URLPattern, URLResolver, reverse

from gearjobs import urls

#: Permissions of everything that is no verb on a job.
READING: Final = ("view_job", "view_payload")


@dataclass(frozen=True)
class EndpointRow:
    """One method of one endpoint."""

    name: str
    method: str
    #: Permissions without any of which the answer is 403.
    needs: tuple[str, ...] = ()
    #: What of the URL's arguments is whose: a job's handle, a group's id.
    about: str = ""
    #: The request's body.
    body: Mapping[str, Any] = field(default_factory=dict)
    #: Whether anybody is answered, logged in or not.
    is_open: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}-{self.method}"


_JOB = "handle"
_GROUP = "group_id"
_SCHEDULE = "pk"

ROWS: Final = (
    EndpointRow("job-list", "GET"),
    EndpointRow("job-list", "POST", ("add_job",), body={"task": "tests.support.api_tasks.ship", "args": [1]}),
    EndpointRow(
        "job-bulk", "POST", ("add_job",), body={"task": "tests.support.api_tasks.ship", "calls": [{"args": [1]}]}
    ),
    EndpointRow("job-statuses", "POST", body={"ids": []}),
    EndpointRow("job-detail", "GET", about=_JOB),
    EndpointRow("job-detail", "PATCH", ("change_job",), about=_JOB, body={"metadata": {}}),
    EndpointRow("job-status", "GET", about=_JOB),
    EndpointRow("job-result", "GET", about=_JOB),
    EndpointRow("job-events", "GET", about=_JOB),
    EndpointRow("job-attempts", "GET", about=_JOB),
    EndpointRow("job-timeline", "GET", about=_JOB),
    EndpointRow("job-logs", "GET", about=_JOB),
    EndpointRow("job-children", "GET", about=_JOB),
    EndpointRow("job-cancel", "POST", ("cancel_job",), about=_JOB),
    EndpointRow("job-retry", "POST", ("retry_job",), about=_JOB),
    EndpointRow("job-run-now", "POST", ("retry_job", "cancel_job"), about=_JOB),
    EndpointRow("job-duplicate", "POST", ("retry_job",), about=_JOB),
    EndpointRow("signed-status", "GET", is_open=True),
    EndpointRow("task-list", "GET", ("view_job",)),
    EndpointRow("task-detail", "GET", ("view_job",)),
    EndpointRow("group-list", "GET"),
    EndpointRow("group-detail", "GET", about=_GROUP),
    EndpointRow("group-cancel", "POST", ("cancel_job",), about=_GROUP),
    EndpointRow("schedule-list", "GET", ("view_schedule",)),
    EndpointRow(
        "schedule-list",
        "POST",
        ("add_schedule",),
        body={"key": "k", "task": "tests.support.api_tasks.ship", "args": [1], "interval_s": 60},
    ),
    EndpointRow("schedule-detail", "GET", ("view_schedule",)),
    EndpointRow("schedule-detail", "PATCH", ("change_schedule",), body={"is_enabled": True}),
    EndpointRow("schedule-detail", "DELETE", ("delete_schedule",)),
    EndpointRow("schedule-runs", "GET", ("view_schedule",)),
    EndpointRow("schedule-run", "POST", ("run_schedule",)),
    EndpointRow("schedule-pause", "POST", ("change_schedule",)),
    EndpointRow("schedule-resume", "POST", ("change_schedule",)),
    EndpointRow("job-actions", "POST", body={"action": "cancel", "filter": {"function": "none"}}),
    EndpointRow("job-call", "GET", about=_JOB),
    EndpointRow("job-detail", "DELETE", ("delete_job",), about=_JOB),
    EndpointRow("queue-list", "GET", ("view_job",)),
    EndpointRow("queue-detail", "GET", ("view_job",)),
    EndpointRow("queue-detail", "PATCH", ("change_queue",), body={"concurrency": 2}),
    EndpointRow("queue-pause", "POST", ("control_queue",)),
    EndpointRow("queue-resume", "POST", ("control_queue",)),
    EndpointRow("queue-clear", "POST", ("control_queue", "cancel_job")),
    EndpointRow("worker-list", "GET", ("view_job",)),
    EndpointRow("worker-control", "POST", ("control_worker",)),
    EndpointRow("server-list", "GET", ("view_jobserver",)),
    EndpointRow("problem-list", "GET", ("view_job",)),
    EndpointRow("stats", "GET", ("view_job",)),
    EndpointRow("stat-series", "GET", ("view_job",)),
    EndpointRow("failure-list", "GET", ("view_failuregroup",)),
    EndpointRow("failure-detail", "GET", ("view_failuregroup",)),
    EndpointRow("failure-detail", "PATCH", ("view_failuregroup", "manage_failures"), body={"note": "known"}),
    EndpointRow("failure-mute", "POST", ("view_failuregroup", "manage_failures"), body={"until": None}),
    EndpointRow("failure-retry", "POST", ("view_failuregroup", "retry_job")),
    EndpointRow("failure-discard", "POST", ("view_failuregroup", "delete_job")),
    EndpointRow("operation-list", "GET"),
    EndpointRow("operation-detail", "GET", about="operation_id"),
    EndpointRow("operation-stop", "POST", about="operation_id"),
    EndpointRow("audit-list", "GET", ("view_operatoraction",)),
    EndpointRow("health-live", "GET", is_open=True),
    EndpointRow("health-ready", "GET", is_open=True),
)


def endpoints() -> dict[str, type[Any]]:
    """Return the view class of every URL of the API, by its name."""
    return dict(_walk(urls.urlpatterns))


def methods_of(view_class: type[Any]) -> set[str]:
    """Return the methods that a view has, those that every view has left out."""
    return {name.upper() for name in view_class.http_method_names if hasattr(view_class, name)} - {"OPTIONS", "HEAD"}


def url_of(row: EndpointRow, arguments: Mapping[str, Any]) -> str:
    """Return the URL of a row, with those of the arguments that it takes."""
    wanted = {name: arguments[name] for name in _arguments()[row.name]}
    return reverse(f"gearjobs:{row.name}", kwargs=wanted)


def _arguments() -> dict[str, list[str]]:
    return {pattern.name: list(pattern.pattern.converters) for pattern in _patterns(urls.urlpatterns) if pattern.name}


def _walk(patterns: list[Any]) -> list[tuple[str, type[Any]]]:
    return [(str(one.name), _class_of(one.callback)) for one in _patterns(patterns)]


def _patterns(patterns: list[Any]) -> list[URLPattern]:
    found: list[URLPattern] = []
    for one in patterns:
        found += _patterns(one.url_patterns) if isinstance(one, URLResolver) else [one]
    return found


def _class_of(callback: Callable[..., Any]) -> type[Any]:
    view_class: type[Any] = callback.cls  # type: ignore[attr-defined]  # as `as_view` sets it
    return view_class
