"""Every address of the admin's screens with what it takes to be let in, and how it is asked for.

`tests/django/admin/test_admin_access.py` compares the rows with what the admins hang into the site, so that a screen
without a row is a failing test, and goes through them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.test import Client
from django.urls import reverse


@dataclass(frozen=True, kw_only=True)
class ScreenRow:
    """One address, asked for in one way."""

    name: str
    #: Permissions without any of which the answer is 403.
    needs: tuple[str, ...] = ()
    #: What of a test's stands in the path; several are parted by blanks.
    place: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    #: What is posted; None where the screen is only looked at.
    body: Mapping[str, str] | None = None
    #: Whether it is closed to everybody: rows that only the program writes.
    is_closed: bool = False

    @property
    def label(self) -> str:
        said = {**self.query, **(self.body or {})}
        words = (said.get(name, "") for name in ("format", "scope", "verb", "confirmed"))
        return "-".join(filter(None, (self.name, "GET" if self.body is None else "POST", self.place, *words)))

    def url(self, places: Mapping[str, Any]) -> str:
        """Return the address, with what a test made in it."""
        path = reverse(f"admin:{self.name}", args=[places[one] for one in self.place.split()])
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def ask(self, client: Client, places: Mapping[str, Any]) -> Any:
        """Send the request, and return the answer."""
        if self.body is None:
            return client.get(self.url(places))
        return client.post(self.url(places), {name: places.get(said, said) for name, said in self.body.items()})


def _own_forms(model: str, view: str) -> tuple[ScreenRow, ...]:
    """Return the addresses that Django gives every model, where nobody adds or deletes."""
    name = f"gearjobs_{model}"
    return (
        ScreenRow(name=f"{name}_add", is_closed=True),
        ScreenRow(name=f"{name}_add", is_closed=True, body={}),
        ScreenRow(name=f"{name}_delete", place=model, is_closed=True),
        ScreenRow(name=f"{name}_delete", place=model, is_closed=True, body={"post": "yes"}),
        ScreenRow(name=f"{name}_change", place=model, needs=(view,)),
        ScreenRow(name=f"{name}_change", place=model, is_closed=True, body={}),
        ScreenRow(name=f"{name}_history", place=model, needs=(view,)),
    )


def _verbs(name: str, place: str, verbs: Mapping[str, tuple[str, ...]], **words: str) -> tuple[ScreenRow, ...]:
    """Return a verb's rows: as it is chosen, and as it is confirmed where that is asked."""
    return tuple(
        ScreenRow(name=name, place=place, needs=needs, body={**words, "verb": verb, **confirmed})
        for verb, needs in verbs.items()
        for confirmed in ({}, {"confirmed": "1"})
    )


_MANY: Final = {
    "retry": ("view_job", "retry_job"),
    "cancel": ("view_job", "cancel_job"),
    "delete": ("view_job", "delete_job"),
    "change": ("view_job", "change_job"),
}
_ONE: Final = {verb: needs for verb, needs in _MANY.items() if verb != "change"}
_COPY: Final = ("view_job", "retry_job", "add_job", "view_payload")

ROWS: Final = (
    ScreenRow(name="gearjobs_job_changelist", needs=("view_job",)),
    ScreenRow(name="gearjobs_job_changelist", needs=("view_job",), query={"format": "csv"}),
    ScreenRow(name="gearjobs_job_changelist", needs=("view_job",), query={"format": "json"}),
    *_own_forms("job", "view_job"),
    *_verbs("gearjobs_job_act", "job", {**_ONE, "run_now": ("view_job", "retry_job", "cancel_job")}),
    *_verbs("gearjobs_job_act", "job", {"force": ("view_job", "cancel_job")}),
    *_verbs("gearjobs_job_act", "job", {"retry_at": ("view_job", "retry_job")}, at="2026-12-24T18:00"),
    ScreenRow(name="gearjobs_job_new", needs=("view_job", "add_job")),
    ScreenRow(name="gearjobs_job_new", needs=("view_job", "add_job"), query={"function": "resize"}),
    ScreenRow(
        name="gearjobs_job_new", needs=("view_job", "add_job"), query={"function": "resize"}, body={"payload": ""}
    ),
    ScreenRow(name="gearjobs_job_duplicate", place="job", needs=_COPY),
    ScreenRow(name="gearjobs_job_duplicate", place="job", needs=_COPY, body={"priority": "3", "payload": "{}"}),
    ScreenRow(name="gearjobs_job_edit", place="job", needs=("view_job", "change_job")),
    ScreenRow(name="gearjobs_job_edit", place="job", needs=("view_job", "change_job"), body={"priority": "3"}),
    *_verbs("gearjobs_job_act_many", "", _MANY, scope="all"),
    *_verbs("gearjobs_job_act_many", "", _MANY, scope="ticked", handle="handle"),
    ScreenRow(name="gearjobs_queuecontrol_changelist", needs=("view_job",)),
    ScreenRow(name="gearjobs_queue", needs=("view_job",), query={"name": "resize"}),
    ScreenRow(name="gearjobs_queue_limits", needs=("view_job", "change_queue"), query={"name": "resize"}),
    ScreenRow(
        name="gearjobs_queue_limits", needs=("view_job", "change_queue"), query={"name": "resize"}, body={"rate": "x"}
    ),
    *_verbs(
        "gearjobs_queue_act",
        "",
        {
            "pause": ("view_job", "control_queue"),
            "resume": ("view_job", "control_queue"),
            "clear": ("view_job", "control_queue", "cancel_job"),
            "drop": ("view_job", "control_queue"),
        },
        function="resize",
    ),
    ScreenRow(name="gearjobs_failuregroup_changelist", needs=("view_failuregroup",)),
    ScreenRow(name="gearjobs_failuregroup_change", place="failuregroup", needs=("view_failuregroup",)),
    *_verbs(
        "gearjobs_failuregroup_act",
        "",
        {
            "retry": ("view_failuregroup", "retry_job"),
            "delete": ("view_failuregroup", "delete_job"),
            "mute": ("view_failuregroup", "manage_failures"),
            "unmute": ("view_failuregroup", "manage_failures"),
            "note": ("view_failuregroup", "manage_failures"),
        },
        fingerprint="failuregroup",
    ),
    ScreenRow(name="gearjobs_bulkoperation_changelist", needs=("view_bulkoperation",)),
    ScreenRow(name="gearjobs_bulkoperation_change", place="bulkoperation", needs=("view_bulkoperation",)),
    ScreenRow(
        name="gearjobs_bulkoperation_stop", place="bulkoperation", needs=("view_bulkoperation", "cancel_job"), body={}
    ),
    ScreenRow(name="gearjobs_jobgroup_changelist", needs=("view_jobgroup",)),
    ScreenRow(name="gearjobs_jobgroup_change", place="jobgroup", needs=("view_jobgroup",)),
    *_verbs("gearjobs_jobgroup_act", "", {"cancel": ("view_jobgroup", "cancel_job")}, group="group"),
    ScreenRow(name="gearjobs_jobserver_changelist", needs=("view_jobserver",)),
    *_own_forms("jobserver", "view_jobserver"),
    ScreenRow(name="gearjobs_workers", needs=("view_job",)),
    *_verbs(
        "gearjobs_workers_act",
        "",
        dict.fromkeys(("quiet", "resume", "stop"), ("view_job", "control_worker")),
        worker="worker-1",
    ),
    ScreenRow(name="gearjobs_operatoraction_changelist", needs=("view_operatoraction",)),
    ScreenRow(name="gearjobs_operatoraction_changelist", needs=("view_operatoraction",), query={"format": "csv"}),
    ScreenRow(name="gearjobs_schedule_changelist", needs=("view_schedule",)),
    ScreenRow(name="gearjobs_schedule_add", needs=("add_schedule",)),
    ScreenRow(name="gearjobs_schedule_add", needs=("add_schedule",), body={}),
    ScreenRow(name="gearjobs_schedule_change", place="schedule", needs=("view_schedule",)),
    ScreenRow(name="gearjobs_schedule_change", place="schedule", needs=("change_schedule",), body={}),
    ScreenRow(name="gearjobs_schedule_history", place="schedule", needs=("view_schedule",)),
    ScreenRow(name="gearjobs_schedule_delete", place="schedule", needs=("delete_schedule",)),
    ScreenRow(name="gearjobs_schedule_delete", place="schedule", needs=("delete_schedule",), body={"post": "yes"}),
    *(
        ScreenRow(name="gearjobs_schedule_act", place=f"schedule {verb}", needs=needs, body={})
        for verb, needs in {
            "pause": ("change_schedule",),
            "resume": ("change_schedule",),
            "run": ("view_schedule", "run_schedule"),
        }.items()
    ),
)


def screen_names() -> set[str]:
    """Return the names of all addresses that the admins of gearjobs have."""
    found = set()
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label == "gearjobs":
            # Django's last one has no name: an address of its old times, which leads to the change page.
            found |= {str(pattern.name) for pattern in model_admin.get_urls() if pattern.name}
    return found
