"""The tabs above the screens: one table says which there are, in which order, and what it takes to see them.

A tab is there where the site has the screen and the user may see it. The template tag `screen_tabs` asks for them, so
that pages of Django's own that show our tables have them, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gearjobs.admin.screen_links import screen_url
from gearjobs.models import Job
from gearjobs.records.job_queries import has_permission


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab as a user sees it."""

    label: str | Promise
    url: str
    #: Whether this is the page itself, and whether the page is this one or below it.
    is_here: bool
    is_current: bool


@dataclass(frozen=True, slots=True)
class _Screen:
    label: str | Promise
    #: Name of its URL, what stands in its path, and the permission of who sees it.
    name: str
    permission: str
    places: tuple[str, ...] = ()


_SCREENS: Final = (
    _Screen(pgettext_lazy("screen", "Overview"), "app_list", "view_job", (Job._meta.app_label,)),
    _Screen(_("Queues"), "gearjobs_queuecontrol_changelist", "view_job"),
    _Screen(_("Jobs"), "gearjobs_job_changelist", "view_job"),
    _Screen(_("Failures"), "gearjobs_failuregroup_changelist", "view_failuregroup"),
    _Screen(_("Workers"), "gearjobs_workers", "view_job"),
    _Screen(_("Schedules"), "gearjobs_schedule_changelist", "view_schedule"),
    _Screen(_("Groups"), "gearjobs_jobgroup_changelist", "view_jobgroup"),
    _Screen(_("Servers"), "gearjobs_jobserver_changelist", "view_jobserver"),
    _Screen(_("Audit"), "gearjobs_operatoraction_changelist", "view_operatoraction"),
)


def tabs_for(request: HttpRequest) -> list[Tab]:
    """Return the tabs that the request's user may see; those of one screen alone are none."""
    found = [
        (screen, url)
        for screen in _SCREENS
        if has_permission(request.user, screen.permission) and (url := screen_url(screen.name, *screen.places))
    ]
    if len(found) < 2:
        return []
    # The longest address that leads here: some screens hang below others, and all below the overview.
    current = max((url for _, url in found if request.path.startswith(url)), key=len, default="")
    return [Tab(screen.label, url, request.path == url, url == current) for screen, url in found]
