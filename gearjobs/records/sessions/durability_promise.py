"""What a commit on this database survives: the session is set to the level asked for, and the promise said in words.

What a session can set, it sets (SQLite's `synchronous`, PostgreSQL's `synchronous_commit`). What only an administrator
can set is read, and where it cannot keep `full`, the store does not open, and names the remedy, rather than to
acknowledge jobs that a power loss takes back. Sources: sqlite.org/pragma.html, PostgreSQL manual 20.5, MariaDB
manual on `innodb_flush_log_at_trx_commit` and `sync_binlog`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError
from gearjobs.models import Job
from gearjobs.stores.durability_level import DurabilityLevel

_FULL: Final = "an acknowledged job survives power loss"
_PROCESS: Final = "an acknowledged job survives the end of the job server"
_MEMORY: Final = "nothing is promised of an acknowledged job"

#: `PRAGMA synchronous`, and what it comes to; in WAL mode.
_SQLITE: Final = {
    DurabilityLevel.FULL: ("FULL", _FULL),
    DurabilityLevel.PROCESS: ("NORMAL", f"{_PROCESS}, but power loss may take back the latest"),
    DurabilityLevel.MEMORY: ("OFF", f"{_MEMORY}, and power loss may damage the database"),
}
#: Types of file systems where neither locks nor the memory that WAL shares hold between machines.
_NETWORK_FILE_SYSTEMS: Final = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|ncpfs|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph.*|s3fs|rclone|davfs2?|gcsfuse)"
)
_MOUNTS: Final = Path("/proc/self/mountinfo")


def promise(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    """Set the open session to the level; return what it promises, with the settings that the promise rests on.

    Raises:
        StoreError: the database cannot keep it.
    """
    return _PROMISES[connection.vendor](connection, level)


def _promise_sqlite(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    name = str(connection.settings_dict["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        return f"{_MEMORY}: the database is in memory"
    path = Path(name.removeprefix("file:").partition("?")[0]).resolve()
    file_system = file_system_of(path)
    if _NETWORK_FILE_SYSTEMS.fullmatch(file_system) and level is not DurabilityLevel.MEMORY:
        raise StoreError(
            f"SQLite keeps no job safely on a network file system, and {path} is on {file_system}: move the database"
            " to a disk of this machine, use PostgreSQL or MariaDB, or promise nothing with --durability memory"
        )
    synchronous, words = _SQLITE[level]
    # SQLite refuses both inside a transaction (a test's).
    if not connection.in_atomic_block:
        with connection.cursor() as cursor:
            # Readers and the writer do not block each other; a commit is one fsync.
            cursor.execute("PRAGMA journal_mode = WAL")
            # Python's own build may default to less.
            cursor.execute(f"PRAGMA synchronous = {synchronous}")
            # macOS only: its fsync leaves the data in the disk's cache.
            cursor.execute(f"PRAGMA fullfsync = {int(level is DurabilityLevel.FULL)}")
    return f"{words} (SQLite: WAL, synchronous={synchronous})"


def _promise_postgres(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        fsync, synchronous = cursor.fetchone()
        if level is not DurabilityLevel.FULL:
            synchronous = "off"
        elif fsync != "on":
            raise _unkept(connection, "fsync", fsync, remedy="set fsync = on in postgresql.conf")
        elif synchronous == "off":
            synchronous = "on"
        cursor.execute("SELECT set_config('synchronous_commit', %s, false)", [synchronous])
    if level is DurabilityLevel.FULL:
        words = _FULL
    else:
        words = f"{_PROCESS}, but a crash of PostgreSQL may take back the last second"
    return f"{words} (PostgreSQL: fsync={fsync}, synchronous_commit={synchronous})"


def _promise_mysql(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    names = ("innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog", "binlog_format")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'@@{name}' for name in names)}")
        flush, has_binlog, sync_binlog, binlog_format = cursor.fetchone()
        engine = _engine(cursor)
    if engine != "InnoDB":
        raise StoreError(
            f"the job table must be InnoDB's, for it needs transactions, got {engine}: ALTER TABLE … ENGINE=InnoDB"
        )
    if has_binlog and binlog_format == "STATEMENT":
        raise StoreError(
            "with binlog_format=STATEMENT replicas would differ: SET GLOBAL binlog_format = 'ROW' or 'MIXED'"
        )
    shown = f"innodb_flush_log_at_trx_commit={flush}"
    if has_binlog:
        shown += f", sync_binlog={sync_binlog}"
    # 3 is MariaDB's, and flushes more often than 1.
    is_flushed = flush in {1, 3}
    if level is DurabilityLevel.FULL and not is_flushed:
        raise _unkept(
            connection, "innodb_flush_log_at_trx_commit", flush, remedy="SET GLOBAL innodb_flush_log_at_trx_commit = 1"
        )
    if level is DurabilityLevel.FULL and has_binlog and sync_binlog != 1:
        raise _unkept(connection, "sync_binlog", sync_binlog, remedy="SET GLOBAL sync_binlog = 1")
    if is_flushed and (not has_binlog or sync_binlog == 1):
        words = _FULL
    else:
        cause = "a crash of the database" if flush == 0 else "power loss"
        words = f"{_PROCESS}, but {cause} may take back the last second"
    return f"{words} ({connection.display_name}: {shown})"


def _engine(cursor: Any) -> str:
    cursor.execute(
        "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
        [Job._meta.db_table],
    )
    (engine,) = cursor.fetchone()
    return str(engine)


def _unkept(connection: BaseDatabaseWrapper, name: str, value: object, *, remedy: str) -> StoreError:
    return StoreError(
        f"the database {connection.alias!r} may lose acknowledged jobs when it loses power ({name}={value}): {remedy},"
        " or run the job server with --durability process"
    )


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that a file is on, or would be; empty where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    found, kind = "", ""
    for line in lines:
        mounted, _, described = line.partition(" - ")
        # Of two on one place the later one hides the other. Spaces and the like are octal.
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mounted.split()[4])
        if len(place) >= len(found) and os.path.commonpath([place, path]) == place:
            found, kind = place, described.split()[0]
    return kind


_PROMISES: Final[dict[str, Callable[[BaseDatabaseWrapper, DurabilityLevel], str]]] = {
    "sqlite": _promise_sqlite,
    "postgresql": _promise_postgres,
    "mysql": _promise_mysql,
}
