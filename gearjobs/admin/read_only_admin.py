"""The base of admins of what only the program writes: nobody adds, changes or deletes a row by a form.

What may be done to such rows is done by actions, each with a permission of its own. None of these lets anybody see the
rows: that is the permission to view alone, where Django would take the one to change as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest

from gearjobs.records.job_queries import has_permission

if TYPE_CHECKING:
    _AnyModelAdmin = admin.ModelAdmin[Any]
else:
    # Django's own class takes no type argument.
    _AnyModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(_AnyModelAdmin):
    """Rows to look at."""

    class Media:
        css = {"all": ["gearjobs/screens.css", "gearjobs/job_screens.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_permission(request.user, get_permission_codename("view", self.opts))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
