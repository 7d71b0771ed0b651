"""What a commit survives on a database: decided from settings that only its administrator can change.

Where these cannot keep what `--durability` asks for, the store does not open, and names the remedy, rather than to
acknowledge jobs that a power loss takes back. Whoever has a session reads the settings and hands them in: the Job table
(`records/sessions/durability_promise`) and gearmand's tables. Sources: PostgreSQL manual 20.5; MariaDB manual on
`innodb_flush_log_at_trx_commit` and `sync_binlog`; sqlite.org/pragma.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gearjobs.errors import StoreError
from gearjobs.stores.durability_level import DurabilityLevel

FULL_WORDS: Final = "an acknowledged job survives power loss"
PROCESS_WORDS: Final = "an acknowledged job survives the end of the job server"
MEMORY_WORDS: Final = "nothing is promised of an acknowledged job"

#: `PRAGMA synchronous` in WAL mode, and what it comes to.
SQLITE_LEVELS: Final = {
    DurabilityLevel.FULL: ("FULL", FULL_WORDS),
    DurabilityLevel.PROCESS: ("NORMAL", f"{PROCESS_WORDS}, but power loss may take back the latest"),
    DurabilityLevel.MEMORY: ("OFF", f"{MEMORY_WORDS}, and power loss may damage the database"),
}

#: What MySQL and MariaDB are asked for, in the order of MysqlSettings.
MYSQL_SETTINGS: Final = "@@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog, @@binlog_format"


@dataclass(frozen=True, slots=True)
class MysqlSettings:
    """What decides on MySQL and MariaDB."""

    #: 0 to 3.
    flush: int
    #: 1 where there is a binary log.
    log_bin: int
    #: Transactions between two fsyncs of it.
    sync_binlog: int
    #: ROW, MIXED or STATEMENT.
    binlog_format: str


def postgres_promise(place: str, level: DurabilityLevel, *, fsync: str, synchronous: str) -> tuple[str, str]:
    """Decide on PostgreSQL.

    Args:
        place: the database or table, for messages.
        level: what was asked for.
        fsync: the server's setting.
        synchronous: `synchronous_commit` as it was found.

    Returns:
        What the session's `synchronous_commit` must be, and the promise in words.

    Raises:
        StoreError: it cannot be kept.
    """
    if level is not DurabilityLevel.FULL:
        synchronous = "off"
        words = f"{PROCESS_WORDS}, but a crash of PostgreSQL may take back the last second"
    elif fsync != "on":
        raise _unkept(place, "fsync", fsync, remedy="set fsync = on in postgresql.conf")
    else:
        synchronous = "on" if synchronous == "off" else synchronous
        words = FULL_WORDS
    return synchronous, f"{words} (PostgreSQL: fsync={fsync}, synchronous_commit={synchronous})"


def mysql_promise(place: str, level: DurabilityLevel, *, found: MysqlSettings, engine: str, product: str) -> str:
    """Decide on MySQL or MariaDB; return the promise in words.

    Args:
        place: the database or table, for messages.
        level: what was asked for.
        found: the server's settings.
        engine: of the job table.
        product: the server's name.

    Raises:
        StoreError: it cannot be kept.
    """
    if engine != "InnoDB":
        raise StoreError(
            f"the job table must be InnoDB's, for it needs transactions, got {engine}: ALTER TABLE … ENGINE=InnoDB"
        )
    if found.log_bin and found.binlog_format == "STATEMENT":
        raise StoreError(
            "with binlog_format=STATEMENT replicas would differ: SET GLOBAL binlog_format = 'ROW' or 'MIXED'"
        )
    shown = f"innodb_flush_log_at_trx_commit={found.flush}"
    if found.log_bin:
        shown += f", sync_binlog={found.sync_binlog}"
    # 3 is MariaDB's, and flushes more often than 1.
    is_flushed = found.flush in {1, 3}
    is_binlog_kept = not found.log_bin or found.sync_binlog == 1
    if level is DurabilityLevel.FULL and not is_flushed:
        name = "innodb_flush_log_at_trx_commit"
        raise _unkept(place, name, found.flush, remedy=f"SET GLOBAL {name} = 1")
    if level is DurabilityLevel.FULL and not is_binlog_kept:
        raise _unkept(place, "sync_binlog", found.sync_binlog, remedy="SET GLOBAL sync_binlog = 1")
    if is_flushed and is_binlog_kept:
        words = FULL_WORDS
    else:
        cause = "a crash of the database" if found.flush == 0 else "power loss"
        words = f"{PROCESS_WORDS}, but {cause} may take back the last second"
    return f"{words} ({product}: {shown})"


def _unkept(place: str, name: str, value: object, *, remedy: str) -> StoreError:
    return StoreError(
        f"{place} may lose acknowledged jobs when it loses power ({name}={value}): {remedy},"
        " or run the job server with --durability process"
    )
