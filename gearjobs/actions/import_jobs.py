"""Taking the jobs of a queue that gearmand left into the Job table, for those who move to the default store.

It may be done again: a job of ours keeps its handle, and one of gearmand's is given a handle that is made of what it
is, so that the same record is the same job each time. The queue itself is left as it is.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from gearjobs.core.changes import StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.imported_jobs import insert_imported, not_imported
from gearjobs.stores.queue_records import QueueRecord, foreign_job, read_record

logger = logging.getLogger("gearjobs.actions")

#: Jobs inserted in one transaction.
_AT_ONCE: Final = 200
#: What handles of gearmand's jobs begin with; the digest behind it makes them 41 bytes of the 63 allowed.
_PREFIX: Final = "H:import:"
_DIGEST_BYTES: Final = 16


@dataclass(slots=True)
class ImportReport:
    """What became of the records of a queue."""

    #: How many jobs were taken over, or would be, by function.
    imported: Counter[str] = field(default_factory=Counter)
    #: How many were in the table already.
    known: int = 0


def import_jobs(records: Iterable[QueueRecord], *, now: float, is_dry: bool = False) -> ImportReport:
    """Insert the jobs that the table does not have yet, page by page.

    Args:
        records: of the queue.
        now: unix seconds: when jobs of gearmand count as accepted, which does not know it any more.
        is_dry: only tell what would be done.
    """
    report = ImportReport()
    rest = _jobs(records, now)
    while page := list(islice(rest, _AT_ONCE)):
        # Two records that say the same are one job: gearmand has one of a function and unique.
        jobs = list({job.handle: job for job in page}.values())
        new = not_imported(jobs) if is_dry else insert_imported(jobs)
        report.imported.update(to_text(job.function) for job in new)
        report.known += len(page) - len(new)
    if not is_dry:
        logger.info("import jobs=%d known=%d", report.imported.total(), report.known)
    return report


def _jobs(records: Iterable[QueueRecord], now: float) -> Iterator[StoredJob]:
    for record in records:
        if record.extras:
            try:
                yield read_record(record)
                continue
            except ValueError as error:
                logger.warning("take job=%r as gearmand's: its extras cannot be read: %s", record.name, error)
        try:
            yield foreign_job(record, _handle_of(record), now)
        except ValueError as error:
            logger.warning("leave job=%r where it is: %s", record.name, error)


def _handle_of(record: QueueRecord) -> JobHandle:
    said = (record.name.function, record.name.key, b"%d" % record.lane, b"%d" % record.when, record.payload)
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in said:
        # With its length, so that no two records read alike.
        digest.update(b"%d:%b" % (len(part), part))
    return JobHandle(f"{_PREFIX}{digest.hexdigest()}".encode("ascii"))
