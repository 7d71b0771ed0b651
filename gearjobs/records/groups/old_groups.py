"""Which jobs of groups must stay, and the removal of wholes that ended long ago.

A job of a whole that goes on stays however old it is, for its result may still be handed to the next stage. The rows of
a whole go when all of its jobs may have gone; they are looked at in the order of their ids, a page at a time.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from django.db import transaction

from gearjobs.models import JobGroup, JobMember


def members_needed(alias: str, handles: Sequence[str]) -> set[str]:
    """Return those of the jobs whose whole has not ended."""
    members = JobMember.objects.using(alias).filter(job__in=handles)
    roots = dict(members.values_list("job_id", "stage__root"))
    if not roots:
        return set()
    going_on = JobGroup.objects.using(alias).filter(pk__in=set(roots.values()), finished_at=None)
    unfinished = set(going_on.values_list("pk", flat=True))
    return {handle for handle, root in roots.items() if root in unfinished}


class GroupSweep:
    """Goes once through the groups of a database.

    Args:
        alias: the database.
        ended_before: when a whole must have ended to go.
    """

    def __init__(self, alias: str, ended_before: datetime.datetime) -> None:
        self._alias = alias
        self._ended_before = ended_before
        self._position = ""
        self.is_over = False

    def step(self, rows: int) -> None:
        """Remove what is to go of the next page of so many rows."""
        groups = JobGroup.objects.using(self._alias)
        page = list(groups.filter(pk__gt=self._position).order_by("pk").values_list("pk", "finished_at")[:rows])
        self.is_over = len(page) < rows
        if not page:
            return
        self._position = page[-1][0]
        old = [pk for pk, finished_at in page if finished_at is not None and finished_at < self._ended_before]
        if old:
            with transaction.atomic(using=self._alias):
                stages = groups.filter(root__in=old)
                JobMember.objects.using(self._alias).filter(stage__in=stages).delete()
                stages.delete()
