"""Template tags of the admin's screens: the tabs above them, and the overview, which is the page of the app itself.

That page is Django's own view, which knows nothing of jobs; its template asks for what it shows by these tags, so that
every AdminSite has it. What it shows is `admin/overview`'s, and who sees which tab `admin/screen_tabs`'s.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import Context

from gearjobs.admin.overview import overview_context
from gearjobs.admin.screen_links import screen_url
from gearjobs.admin.screen_tabs import Tab, tabs_for
from gearjobs.records.job_queries import may_view_all

register = template.Library()


@register.simple_tag(takes_context=True)
def screen_tabs(context: Context) -> list[Tab]:
    """Return the tabs that the request's user has."""
    request = context.get("request")
    return [] if request is None else tabs_for(request)


@register.simple_tag(takes_context=True)
def gearjobs_overview(context: Context) -> dict[str, Any] | None:
    """Return what the overview shows; None for a user who may not see everybody's jobs."""
    request = context.get("request")
    if request is None or not may_view_all(request.user):
        return None
    return overview_context(request.user)


@register.simple_tag
def screen_link(screen: str, *places: str, **parameters: str) -> str:
    """Return the address of a screen with a query; empty where the site has none."""
    return screen_url(screen, *places, **parameters)
