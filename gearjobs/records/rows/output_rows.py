"""What running jobs stream, as rows of JobOutput: numbered within the job and bounded.

Two limits hold for a job, over all of its attempts: pieces and bytes. The piece that passes a limit is cut, and one
warning says that the rest was not kept; waiting clients were sent everything all the same. How much a job has is
remembered while it runs and asked of the table once, at its first piece in this server's life.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Max, Sum
from django.db.models.functions import Length

from gearjobs.core.changes import Streamed
from gearjobs.core.jobs import JobHandle
from gearjobs.core.output_limit import OUTPUT_LIMIT_BYTES, OUTPUT_LIMIT_PIECES
from gearjobs.models import JobOutput
from gearjobs.records.rows.column_values import TimeColumn

_CUT: Final = b"gearjobs keeps %d pieces and %d bytes of a job's output; the rest was not kept"
#: Handles asked for in one query: below the 999 parameters of the oldest SQLite that Django supports.
_ASKED_AT_ONCE: Final = 500


@dataclass(slots=True)
class _Tally:
    """What a job has in the table."""

    pieces: int = 0
    body_bytes: int = 0


class OutputRows:
    """Numbers and bounds the pieces of all running jobs.

    Args:
        alias: the database of the job table.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._tallies: dict[JobHandle, _Tally] = {}

    def rows(
        self, streamed: Sequence[Streamed], *, fresh: Iterable[JobHandle], to_time: TimeColumn
    ) -> list[tuple[Any, ...]]:
        """Return the rows for new pieces, and count them.

        Args:
            streamed: the pieces in order.
            fresh: jobs accepted in the same batch: they have nothing in the table.
            to_time: the database's time column.
        """
        self._count_known({piece.handle for piece in streamed} - self._tallies.keys(), fresh=set(fresh))
        rows: list[tuple[Any, ...]] = []
        for piece in streamed:
            rows.extend(self._keep(piece, self._tallies[piece.handle], to_time(piece.streamed_at)))
        return rows

    def forget(self, handles: Iterable[JobHandle]) -> None:
        """Drop the tallies of jobs that have ended."""
        for handle in handles:
            self._tallies.pop(handle, None)

    def forget_all(self) -> None:
        """Drop every tally: rows counted here were not kept after all."""
        self._tallies.clear()

    def _keep(self, piece: Streamed, tally: _Tally, moment: object) -> Iterable[tuple[Any, ...]]:
        room = OUTPUT_LIMIT_BYTES - tally.body_bytes
        if tally.pieces > OUTPUT_LIMIT_PIECES:
            return
        is_last = tally.pieces == OUTPUT_LIMIT_PIECES or room < len(piece.body)
        if tally.pieces < OUTPUT_LIMIT_PIECES and (room > 0 or not piece.body):
            tally.pieces += 1
            body = piece.body[:room]
            tally.body_bytes += len(body)
            yield piece.handle.decode("ascii"), tally.pieces, piece.is_warning, body, moment
        if is_last:
            closing = _CUT % (OUTPUT_LIMIT_PIECES, OUTPUT_LIMIT_BYTES)
            tally.pieces = max(tally.pieces + 1, OUTPUT_LIMIT_PIECES + 1)
            yield piece.handle.decode("ascii"), tally.pieces, True, closing, moment

    def _count_known(self, unknown: set[JobHandle], *, fresh: set[JobHandle]) -> None:
        self._tallies.update((handle, _Tally()) for handle in unknown)
        asked = [handle.decode("ascii") for handle in unknown - fresh]
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            some = JobOutput.objects.using(self._alias).filter(job__in=asked[start : start + _ASKED_AT_ONCE])
            known = some.values_list("job").annotate(pieces=Max("sequence"), body_bytes=Sum(Length("body")))
            for handle, pieces, body_bytes in known:
                self._tallies[JobHandle(handle.encode("ascii"))] = _Tally(pieces, body_bytes)
