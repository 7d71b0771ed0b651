"""What every screen of ours needs: the context of the admin's pages, and how often a page is refreshed.

The templates extend `gearjobs/screen.html`, which has the tabs, the region that `static/gearjobs/refresh.js` fetches
again, and the style sheet; what stands in the region is each screen's own.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest

from gearjobs.settings import gearjobs_settings


def refresh_ms() -> int:
    """Return the milliseconds between two refreshes of an open page."""
    return int(gearjobs_settings().admin.refresh_s * 1000)


def screen_context(model_admin: ModelAdmin[Any], request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
    """Return the context of a page that extends `gearjobs/screen.html`.

    Args:
        model_admin: off whose URLs the page hangs.
        request: for whom.
        title: its heading.
        more: what else it shows.
    """
    context = model_admin.admin_site.each_context(request)
    return {**context, "title": title, "opts": model_admin.opts, "refresh_ms": refresh_ms(), **more}
