"""Sets aside rows that cannot be jobs.

The table is open to everybody who can reach the database, and disks decay: an unfinished row may say what no peer could
have sent, such as a handle that cannot travel, or what the driver cannot read. One such row must not keep a server from
starting, nor be found again at every start. It ends as dead, with the reason where people look for one, keeps its
payload, and is named in the log.
"""

from __future__ import annotations

import logging
from typing import Final

from django.db import DatabaseError, DataError, transaction
from django.db.models import F
from django.utils import timezone

from gearjobs.errors import StoreError
from gearjobs.models import DETAIL_STATUS, Job, StatusDetail
from gearjobs.records.failures.fingerprint import failure_kind
from gearjobs.records.groups.advance import GroupAdvance

logger = logging.getLogger("gearjobs.records")

#: What reading a row raises whose values are no values of their columns.
UNREADABLE: Final = (DataError, ValueError, TypeError, OverflowError)
_LONGEST_REASON: Final = 500


def is_unreadable(error: Exception, *, vendor: str) -> bool:
    """Tell whether an error is about what stands in rows, and not about the database.

    SQLite says of text that is no text, and of a damaged page, that the operation failed.
    """
    return isinstance(error, UNREADABLE) or (vendor == "sqlite" and isinstance(error, DatabaseError))


def set_aside(alias: str, handle: str, reason: str) -> None:
    """End the row's job as dead and say why; a row that cannot even be changed is passed over."""
    logger.error("set aside job=%r: such a row is no job: %s", handle, reason)
    columns = {
        "error_class": f"{StoreError.__module__}.{StoreError.__qualname__}",
        "error_message": f"the row cannot be a job: {reason}"[:_LONGEST_REASON],
    }
    try:
        with transaction.atomic(using=alias):
            ended = (
                Job.objects.using(alias)
                .filter(pk=handle, finished_at=None)
                .update(
                    status=DETAIL_STATUS[StatusDetail.DEAD],
                    status_detail=StatusDetail.DEAD,
                    finished_at=timezone.now(),
                    unique_key=None,
                    fingerprint=failure_kind("", columns).fingerprint,
                    **columns,
                    version=F("version") + 1,
                )
            )
            if ended:
                # Its group must not wait for it.
                GroupAdvance(alias).jobs_ended([handle])
    except DatabaseError as error:
        logger.error("cannot change job=%r: %s", handle, error)
