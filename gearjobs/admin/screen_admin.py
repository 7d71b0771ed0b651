"""The base of all admins of ours: unfold's where the project uses django-unfold, else Django's; and links that stay.

A project may have several AdminSites. The addresses that a screen shows and leads to are those of the site that it is
looked at on (`screen_links`), so the views say where they are, for as long as their page is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern

from gearjobs.admin.screen_links import enter_site, leave_site

_View = Callable[..., HttpResponseBase]

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
elif apps.is_installed("unfold"):
    # Its templates ask the admins of its own class for what they show.
    _ModelAdmin = import_module("unfold.admin").ModelAdmin
else:
    _ModelAdmin = admin.ModelAdmin


#: Style sheets of every page.
STYLE_SHEETS = [
    "gearjobs/screens.css",
    "gearjobs/job_screens.css",
    *(["gearjobs/unfold.css"] if apps.is_installed("unfold") else []),
]


class ScreenAdmin(_ModelAdmin):
    """An admin whose pages link to pages of their own site."""

    class Media:
        css = {"all": STYLE_SHEETS}

    @property
    def urls(self) -> list[URLPattern]:
        patterns = self.get_urls()
        for pattern in patterns:
            # A page that is included from elsewhere has none.
            if isinstance(pattern, URLPattern) and pattern.callback is not None:
                pattern.callback = _on_site(pattern.callback, self.admin_site.name)
        return patterns


def _on_site(view: _View, site: str) -> _View:
    """Return the view with its links leading to pages of that site, also those that are made while it is rendered."""

    @wraps(view)
    def placed(*args: Any, **kwargs: Any) -> HttpResponseBase:
        before = enter_site(site)
        try:
            response = view(*args, **kwargs)
        except BaseException:
            leave_site(before)
            raise
        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            response.add_post_render_callback(lambda _response: leave_site(before))
        else:
            leave_site(before)
        return response

    return placed
