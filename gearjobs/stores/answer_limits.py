"""How long a database may take for what a store asks of it: all within the two seconds a submitter waits.

A session has limits of its own, which others on the same database do not get: for connecting, for a statement, for a
lock, for a transaction that nobody goes on with. The database ends by itself what goes beyond them; where it does
nothing at all, `session_watch` ends the session. A batch with megabytes in it may take longer, by what a slow disk
needs for them.
"""

from __future__ import annotations

from typing import Final

#: Seconds a database may take for a connection, in whole seconds and at least two: libpq takes nothing below.
CONNECT_LIMIT_S: Final = 2
#: Seconds a statement may take until the database ends it.
STATEMENT_LIMIT_S: Final = 1.5
#: Seconds until the session is cut off: what the database can end itself, it has ended by then.
CALL_LIMIT_S: Final = 1.7
#: Seconds between two statements while the store is opened: a million jobs are sorted in them.
LOAD_LIMIT_S: Final = 30.0
#: Seconds a statement waits for somebody else's lock.
LOCK_LIMIT_S: Final = 1
#: Seconds until the database rolls back a transaction whose job server is stopped: half of a lease.
IDLE_LIMIT_S: Final = 5
#: Milliseconds until TCP gives up what was sent and not acknowledged.
UNACKNOWLEDGED_MS: Final = 1_700
#: Bytes a second that any database writes.
_SLOWEST_BYTES_PER_S: Final = 4_194_304

#: PostgreSQL's settings of a session.
POSTGRES_LIMITS: Final = (
    ("statement_timeout", f"{STATEMENT_LIMIT_S * 1000:.0f}"),
    ("lock_timeout", f"{LOCK_LIMIT_S * 1000}"),
    ("idle_in_transaction_session_timeout", f"{IDLE_LIMIT_S * 1000}"),
    ("default_transaction_isolation", "read committed"),
)
#: Limits a session of MariaDB.
MARIADB_LIMITS: Final = (
    f"SET SESSION max_statement_time = {STATEMENT_LIMIT_S}, innodb_lock_wait_timeout = {LOCK_LIMIT_S},"
    f" lock_wait_timeout = {LOCK_LIMIT_S}, idle_transaction_timeout = {IDLE_LIMIT_S}"
)
#: Limits a session of MySQL, which can limit reading statements only.
MYSQL_LIMITS: Final = (
    f"SET SESSION max_execution_time = {STATEMENT_LIMIT_S * 1000:.0f}, innodb_lock_wait_timeout = {LOCK_LIMIT_S},"
    f" lock_wait_timeout = {LOCK_LIMIT_S}"
)


def extra_time_s(body_bytes: int) -> float:
    """Return by how many seconds a batch may take longer that has so many bytes in it."""
    return body_bytes / _SLOWEST_BYTES_PER_S
