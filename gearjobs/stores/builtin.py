"""The store of `--queue-type builtin`: none.

Jobs live in the queue and nowhere else, as in a gearmand without a queue module: fast, and gone with the process. No
row is written, so the job table does not know of them, and jobs that were inserted there wait for another server.
Contract: `stores/base`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle


class BuiltinStore:
    """The JobStore contract, kept by forgetting."""

    def load(self) -> list[StoredJob]:
        return []

    def renew(self) -> float:
        """There is nothing that anybody could take over."""
        return math.inf

    def adopt(self, limit: int) -> list[StoredJob]:
        return []

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        """Keep nothing."""
        return {}

    def close(self) -> None:
        """Nothing is held open."""
