"""How long the store lets its database take: no statement of the job server's may hang.

The limits are `stores/answer_limits`; here they are given to the session that Django opens for the store, and to no
other: web processes on the same database keep their own. Where the database does nothing at all, `stores/session_watch`
ends the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.stores.answer_limits import (
    CALL_LIMIT_S,
    CONNECT_LIMIT_S,
    MARIADB_LIMITS,
    MYSQL_LIMITS,
    POSTGRES_LIMITS,
    STATEMENT_LIMIT_S,
    UNACKNOWLEDGED_MS,
    extra_time_s,
)
from gearjobs.stores.session_watch import SessionWatch

#: SQLite knows one wait, for another writer (a web process inside its transaction).
_SQLITE: Final = f"PRAGMA busy_timeout = {STATEMENT_LIMIT_S * 1000:.0f}"


class SessionLimits:
    """The limits of one store's session.

    Args:
        alias: of the database.
    """

    def __init__(self, alias: str) -> None:
        self._watch = SessionWatch(alias)
        self._found_settings: dict[str, Any] | None = None
        self._call_s = 0.0
        self._statement_s = CALL_LIMIT_S

    def open(self, connection: BaseDatabaseWrapper) -> None:
        """Connect, if there is no connection yet, and limit the session."""
        if connection.connection is None and self._found_settings is None:
            self._found_settings = connection.settings_dict
            # A copy: the settings are those of all threads.
            options = {**self._found_settings["OPTIONS"], **_options(connection)}
            if connection.vendor == "postgresql":
                # The session's default is set below.
                options.pop("isolation_level", None)
            connection.settings_dict = {**self._found_settings, "OPTIONS": options}
        connection.__dict__.pop("connect", None)
        connection.ensure_connection()
        # Django would connect again where a transaction ends that was cut off, and wait once more.
        connection.connect = _refuse_to_connect  # type: ignore[method-assign]  # of this thread's connection only
        self._watch.begin(connection.connection)
        _lift_reading_limit(connection.connection)
        if self._watched not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._watched)
        # Inside somebody's transaction (a test's) the session is not ours.
        if not connection.in_atomic_block:
            _limit(connection)

    @contextmanager
    def call(self, limit_s: float = CALL_LIMIT_S) -> Iterator[None]:
        """Cut the session off when it does not answer for so long."""
        self._call_s = limit_s
        self._watch.allow(limit_s)
        try:
            yield
        finally:
            self._call_s, self._statement_s = 0.0, CALL_LIMIT_S
            self._watch.rest()

    def allow(self, body_bytes: int) -> float:
        """Let the present call's statements take as long as they need for so much; return the seconds for each."""
        more_s = extra_time_s(body_bytes)
        self._call_s = self._statement_s = CALL_LIMIT_S + more_s
        self._watch.allow(self._call_s)
        return STATEMENT_LIMIT_S + more_s

    def close(self, connection: BaseDatabaseWrapper) -> None:
        """Leave the connection, which is closed, as it was found."""
        self._watch.end()
        connection.__dict__.pop("connect", None)
        if self._watched in connection.execute_wrappers:
            connection.execute_wrappers.remove(self._watched)
        if self._found_settings is not None:
            connection.settings_dict, self._found_settings = self._found_settings, None

    def _watched(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001, PLR0917 - Django's
        self._watch.allow(self._statement_s)
        try:
            return execute(sql, params, many, context)
        finally:
            if self._call_s:
                self._watch.allow(self._call_s)
            else:
                self._watch.rest()


def _refuse_to_connect() -> None:
    raise OperationalError("the session is lost")


def _options(connection: BaseDatabaseWrapper) -> dict[str, object]:
    """Return the OPTIONS of the store's own session."""
    options: dict[str, object] = {"connect_timeout": CONNECT_LIMIT_S}
    if connection.vendor == "postgresql":
        # A session from a pool would take its limits back there.
        return {**options, "tcp_user_timeout": UNACKNOWLEDGED_MS, "pool": None}
    if connection.vendor == "mysql":
        # PyMySQL calls a connection made when TCP has it, and then waits for the greeting without an end.
        is_pymysql = getattr(getattr(connection, "Database", None), "__name__", "") == "pymysql"
        # Stricter levels lock the gaps between rows, and do not see what others have just committed.
        options["isolation_level"] = "read committed"
        return {**options, "read_timeout": CONNECT_LIMIT_S} if is_pymysql else options
    return {}


def _lift_reading_limit(session: Any) -> None:
    """Let answers come as late as the watch allows, which knows how much was asked."""
    if getattr(session, "_read_timeout", None) is not None:
        session._read_timeout = None  # noqa: SLF001 - PyMySQL has no public name for it


def _limit(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = ", ".join(["set_config(%s, %s, false)"] * len(POSTGRES_LIMITS))
            cursor.execute(f"SELECT {columns}", [word for pair in POSTGRES_LIMITS for word in pair])
        elif connection.vendor == "mysql":
            cursor.execute(MARIADB_LIMITS if is_mariadb(connection) else MYSQL_LIMITS)
        elif connection.vendor == "sqlite":
            cursor.execute(_SQLITE)


def is_mariadb(connection: BaseDatabaseWrapper) -> bool:
    """Tell MariaDB from MySQL, which have one name in Django."""
    return bool(getattr(connection, "mysql_is_mariadb", False))
