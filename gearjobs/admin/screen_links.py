"""Addresses of the screens: every count and every name leads to the list or the page that it is about.

The job list takes the parameters of the REST API's. A screen that an AdminSite does not have has no address, and what
would lead there is plain text. Of several AdminSites it is the one that `enter_site` named, else Django's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse

from gearjobs.records.job_filter import FAILED

#: `status` of the job list for every end that is a failure.
FAILED_WORDS: Final = ",".join(sorted(FAILED))


_site: Final[ContextVar[str]] = ContextVar("gearjobs_admin_site", default="")


def enter_site(name: str) -> str:
    """Let addresses be those of an AdminSite from now on, and return which one's they were."""
    before = _site.get()
    _site.set(name)
    return before


def leave_site(before: str) -> None:
    """Let addresses be what they were; not by a token, for a page may be rendered in another context."""
    _site.set(before)


def screen_url(screen: str, /, *places: str, **parameters: str) -> str:
    """Return the address of a screen; empty where there is none.

    Args:
        screen: name of its URL, without its namespace.
        places: what stands in its path.
        parameters: of its query; empty ones are left out.
    """
    try:
        url = reverse(f"admin:{screen}", args=places, current_app=_site.get() or None)
    except NoReverseMatch:
        return ""
    query = urlencode({key: value for key, value in parameters.items() if value})
    return f"{url}?{query}" if query else url


def jobs_link(**parameters: str) -> str:
    """Return the list of the jobs that the parameters choose, in the words of the REST API's list."""
    return screen_url("gearjobs_job_changelist", **parameters)


def job_link(handle: str) -> str:
    """Return the page of a job."""
    return screen_url("gearjobs_job_change", quote(handle))


def queue_link(function: str) -> str:
    """Return the page of a function."""
    return screen_url("gearjobs_queue", name=function)


def failure_link(fingerprint: str) -> str:
    """Return the page of a group of failures."""
    return screen_url("gearjobs_failuregroup_change", fingerprint)


def group_link(group_id: str) -> str:
    """Return the page of a group, chain or chord."""
    return screen_url("gearjobs_jobgroup_change", quote(group_id))


def target_link(kind: str, target: str) -> str:
    """Return the page of what a problem, or an operator's action, is about; empty where it has none."""
    find = _TARGETS.get(kind)
    return find(target) if find is not None else ""


_TARGETS: Final[Mapping[str, Callable[[str], str]]] = {
    "queue": queue_link,
    "job": job_link,
    "failure": failure_link,
    "group": group_link,
    "schedule": lambda key: screen_url("gearjobs_schedule_change", key),
    "operation": lambda pk: screen_url("gearjobs_bulkoperation_change", pk),
    "server": lambda _: screen_url("gearjobs_jobserver_changelist"),
    "worker": lambda _: screen_url("gearjobs_workers"),
}
