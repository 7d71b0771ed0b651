"""Counts the failures of a batch in their groups, in the transaction that commits them.

One statement for each kind of failure in the batch, in one order everywhere, so that no two servers wait for each
other. A group that is new is inserted empty and then counted like any other: another server may have been first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import F

from gearjobs.models import FailureGroup, Job
from gearjobs.records.failures.fingerprint import FailureKind
from gearjobs.records.rows.column_values import fit_text, to_datetime

#: Longest message that a group shows; the whole one stands in the job's row.
SAMPLE_LIMIT: Final = 1_000


@dataclass(slots=True)
class FailureCount:
    """What a batch has of one kind of failure."""

    kind: FailureKind
    #: Handle of the last job.
    last_job: str = ""
    #: Unix seconds of the first and the last.
    first_at: float = 0.0
    last_at: float = 0.0
    #: Runs.
    runs: int = 0
    #: Jobs that it was the end of.
    ended: int = 0

    def add(self, handle: str, ended_at: float, *, is_end: bool) -> None:
        """Count a run."""
        self.first_at = self.first_at or ended_at
        self.last_job, self.last_at = handle, ended_at
        self.runs += 1
        self.ended += is_end


def count_failures(alias: str, counts: Mapping[str, FailureCount]) -> None:
    """Add to the groups, by fingerprint; groups that are not there are made."""
    for fingerprint in sorted(counts):
        count = counts[fingerprint]
        if not _add(alias, count):
            FailureGroup.objects.using(alias).bulk_create([_new_group(alias, count)], ignore_conflicts=True)
            _add(alias, count)


def _add(alias: str, count: FailureCount) -> int:
    return (
        FailureGroup.objects.using(alias)
        .filter(pk=count.kind.fingerprint)
        .update(
            count=F("count") + count.runs,
            ended=F("ended") + count.ended,
            last_seen_at=to_datetime(count.last_at),
            last_job=count.last_job,
        )
    )


def _new_group(alias: str, count: FailureCount) -> FailureGroup:
    kind = count.kind
    task = Job.objects.using(alias).filter(pk=count.last_job).values_list("task", flat=True).first()
    return FailureGroup(
        fingerprint=kind.fingerprint,
        function=kind.function,
        task=task or "",
        error_class=kind.error_class,
        culprit=kind.culprit,
        sample_message=fit_text(kind.message, SAMPLE_LIMIT),
        first_seen_at=to_datetime(count.first_at),
        last_seen_at=to_datetime(count.last_at),
    )
