"""Running an ended job again at most once: the old row names the new one, and both are written by one transaction.

The statement that names the new job compares and sets in one, so of two people who press the button, or of one who
presses it twice, one makes a job and the other is told which. Nothing is in between: a process that is killed leaves
either both or neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from django.db.models import F

from gearjobs.records.job_queries import NewJob, all_jobs, insert_jobs
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.settings import gearjobs_settings

#: What a refusal names where the old job is not there any more.
GONE: Final = ""


def insert_retries(jobs: Mapping[str, NewJob], refused: dict[str, str], *, using: str | None = None) -> None:
    """Insert the jobs that do others' work again, but for those whose work is done again already.

    Args:
        jobs: by the handle of the ended job whose work each does again.
        refused: is given, for each old handle of which no job was made, the handle of the one made before, or GONE.
        using: alias of the database, where it is not that of the settings.

    Raises:
        django.db.Error: as any write may; then nothing was inserted.
    """
    alias = using or gearjobs_settings().database
    refused |= in_writing_transaction(alias, partial(_insert_claimed, jobs, alias))


def _insert_claimed(jobs: Mapping[str, NewJob], alias: str) -> dict[str, str]:
    rows = all_jobs(using=alias)
    claimed: set[str] = set()
    missed: set[str] = set()
    # In one order for everybody: nobody waits for a row while another waits for theirs.
    for handle in sorted(jobs):
        open_to_retry = rows.filter(pk=handle, retried_as="", finished_at__isnull=False)
        done = open_to_retry.update(retried_as=jobs[handle].handle, version=F("version") + 1)
        (claimed if done else missed).add(handle)
    insert_jobs([job for handle, job in jobs.items() if handle in claimed], using=alias)
    known = dict(rows.filter(pk__in=missed).values_list("handle", "retried_as")) if missed else {}
    return {handle: known.get(handle, GONE) for handle in missed}
