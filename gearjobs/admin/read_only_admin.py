"""The base of admins of what only the program writes: nobody adds, changes or deletes a row by a form.

What may be done to such rows is done by actions, each with a permission of its own. None of these lets anybody see the
rows: that is the permission to view alone, where Django would take the one to change as well.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_permission_codename
from django.http import HttpRequest

from gearjobs.admin.screen_admin import ScreenAdmin
from gearjobs.records.job_queries import has_permission


class ReadOnlyAdmin(ScreenAdmin):
    """Rows to look at."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_permission(request.user, get_permission_codename("view", self.opts))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
