"""The Django application: its name, and what is hooked into Django at start-up.

`ready()` opens no socket and no database, and imports no task: web processes start as fast as before. The `tasks`
modules of the installed applications are imported by the commands that need them (`runworkers`). Development is the
exception: `runserver` may have a job server and workers beside it (`management/beside_runserver`).
"""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GearjobsConfig(AppConfig):
    """The application `gearjobs`."""

    name = "gearjobs"
    verbose_name = _("Gearman jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from gearjobs.checks import register_checks
        from gearjobs.management.beside_runserver import start_beside_runserver
        from gearjobs.tasks.backport_signals import forward_signals

        register_checks()
        forward_signals()
        start_beside_runserver()
