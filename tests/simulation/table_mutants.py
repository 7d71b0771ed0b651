"""Shared tables that each break one rule; what they are for is said in `mutants`."""

from __future__ import annotations

from collections.abc import Sequence

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle
from tests.simulation.shared_table import Row, ServerRow, Session, SharedTable


class TableThatFencesNobody(SharedTable):
    """Whoever was taken over still writes."""

    def may_write(self, server: ServerRow) -> bool:
        return True

    def _apply(self, incarnation: str, change: Change, joined: dict[JobHandle, JobHandle]) -> bool:
        row = self.unfinished.get(change.handle)
        if row is not None:
            row.owner = incarnation
        return super()._apply(incarnation, change, joined)


class TableOfOldSessions(SharedTable):
    """What a lost session had sent still counts when it arrives after the next session's."""

    def _is_current(self, server: ServerRow, session: Session) -> bool:
        return True


class TableThatFencesAtOnce(SharedTable):
    """Another's jobs are taken over while its lease still runs."""

    def _is_overdue(self, server: ServerRow, now: float) -> bool:
        return server.lease_until <= now + 7.0


class TableThatRenewsTheFenced(SharedTable):
    """A fenced server gets its lease back by renewing it, and writes again."""

    def renew(self, session: Session) -> float:
        server = self.servers.get(session.incarnation)
        if server is not None:
            server.fenced_at = None
        return super().renew(session)


class TableThatTakesNothingOver(SharedTable):
    """Nobody looks after servers that are gone, but those that closed or were of the same host."""

    def _is_overdue(self, server: ServerRow, now: float) -> bool:
        return False


class TableThatBelievesAnyDeath(SharedTable):
    """At a start every other server is taken for dead, though it may live and hold its lease."""

    def _is_surely_dead(self, server: ServerRow, session: Session) -> bool:
        return True


class TableOfServersOwnUniques(SharedTable):
    """A unique holds within a server only."""

    def holder(self, key: tuple[bytes, bytes] | None) -> JobHandle | None:
        return None


class TableWithoutPatience(SharedTable):
    """Whoever is taken over counts as gone for ever, however short ago it was there."""

    def _gone_s(self, previous: ServerRow | None, now: float) -> float:
        return 1e6


class TableThatAdoptsInSilence(SharedTable):
    """What an adoption took whose answer was lost is not handed over by the next one."""

    def adopt(self, session: Session, limit: int, in_doubt: list[JobHandle]) -> list[StoredJob]:
        in_doubt.clear()
        return super().adopt(session, limit, in_doubt)


class TableThatWithdrawsAnything(SharedTable):
    """A job whose submitter heard ERROR is removed although others rely on it."""

    def _is_relied_on(self, row: Row) -> bool:
        return False


class TableThatForgetsCommits(SharedTable):
    """Commits are answered before they are synced: now and then the database crashes and takes one back."""

    def commit(self, session: Session, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        if self.world.chance.random() < 0.05:
            return {}
        return super().commit(session, changes)
