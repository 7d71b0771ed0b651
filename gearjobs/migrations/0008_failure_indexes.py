"""The indexes of failed jobs, made while job servers go on writing."""

from __future__ import annotations

from django.db import migrations

from gearjobs.models.failed_index import FailedJobIndex
from gearjobs.models.table_changes import AddIndexBeside


class Migration(migrations.Migration):
    """Only indexes are made."""

    atomic = False
    dependencies = [("gearjobs", "0007_earlier_failures")]
    operations = [
        AddIndexBeside(
            model_name="job",
            index=FailedJobIndex(fields=["fingerprint", "enqueued_at"], name="gearjobs_job_fingerprint"),
        ),
        AddIndexBeside(
            model_name="job",
            index=FailedJobIndex(fields=["enqueued_at"], is_whole_elsewhere=False, name="gearjobs_job_failed"),
        ),
    ]
