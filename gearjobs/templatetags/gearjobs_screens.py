"""Template tags of the admin's screens: the tabs above them, and the overview, which is the page of the app itself.

That page is Django's own view, which knows nothing of jobs; its template asks for what it shows by these tags, so that
every AdminSite has it. What it shows is `admin/overview`'s, and who sees which tab `admin/screen_tabs`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django import template
from django.apps import apps
from django.http import HttpRequest
from django.template.context import Context

from gearjobs.records.job_queries import may_view_all
from gearjobs.templatetags.late_screens import overview, screen_links, screen_tabs

if TYPE_CHECKING:
    from gearjobs.admin.screen_tabs import Tab

register = template.Library()


@register.simple_tag(name="screen_tabs", takes_context=True)
def tabs_of_screens(context: Context) -> list[Tab]:
    """Return the tabs that the request's user has."""
    request = context.get("request")
    if request is None:
        return []
    with _site_of(request):
        return screen_tabs.tabs_for(request)


@register.simple_tag(takes_context=True)
def gearjobs_overview(context: Context) -> dict[str, Any] | None:
    """Return what the overview shows; None for a user who may not see everybody's jobs."""
    request = context.get("request")
    if request is None or not may_view_all(request.user):
        return None
    with _site_of(request):
        return overview.overview_context(request.user)


@register.simple_tag(takes_context=True)
def screen_link(context: Context, screen: str, *places: str, **parameters: str) -> str:
    """Return the address of a screen with a query; empty where the site has none."""
    with _site_of(context.get("request")):
        return screen_links.screen_url(screen, *places, **parameters)


@register.simple_tag
def uses_unfold() -> bool:
    """Return whether the admin's templates are those of django-unfold."""
    return apps.is_installed("unfold")


@contextmanager
def _site_of(request: HttpRequest | None) -> Iterator[None]:
    """Let addresses be those of the AdminSite that a request is for."""
    match = getattr(request, "resolver_match", None)
    before = screen_links.enter_site(match.namespace if match is not None else "")
    try:
        yield
    finally:
        screen_links.leave_site(before)
