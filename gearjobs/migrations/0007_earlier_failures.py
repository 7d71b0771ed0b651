"""Jobs that failed before failures had groups are listed as failures: they get a group of their own.

No transaction: each portion of rows is one of its own, so that job servers can go on meanwhile. Started again, it goes
on with what is left.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

#: Rows looked at at once.
_AT_ONCE = 2_000


def mark_failed(apps: Any, schema_editor: Any) -> None:
    """Let the lists of failures show those of before, although nobody knows their groups."""
    jobs = apps.get_model("gearjobs", "Job").objects.using(schema_editor.connection.alias)
    last = ""
    while rows := list(jobs.filter(pk__gt=last).order_by("pk").values_list("pk", "status", "status_detail")[:_AT_ONCE]):
        last = rows[-1][0]
        failed = [handle for handle, status, detail in rows if status == "FAILED" and detail != "cancelled"]
        # A server of the new version may have been quicker, and knows better.
        jobs.filter(pk__in=failed, fingerprint=None).update(fingerprint="earlier")


class Migration(migrations.Migration):
    """Only rows are changed."""

    atomic = False
    dependencies = [("gearjobs", "0006_operations")]
    operations = [migrations.RunPython(mark_failed, migrations.RunPython.noop, elidable=True)]
