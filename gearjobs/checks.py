"""System checks: what is wrong with the project's settings, said at start-up instead of at the first job.

`gearjobs.E001` an unknown key, `gearjobs.E002` a wrong value, `gearjobs.E003` a database that is not configured,
`gearjobs.E004` a server's address that cannot be read, `gearjobs.E005` a secret that is none, `gearjobs.W001` a
middleware in the wrong place; with --deploy `gearjobs.W002` a job server that the network reaches and nothing guards,
`gearjobs.W003` SQLite where several machines need the job table, `gearjobs.W004` tables that are not migrated,
`gearjobs.W005` cookies that other sites' pages send along. Those of tasks and their options (E111 up) stand in
`tasks/option_checks`, of names (E131 up) in `tasks/name_checks`. They read settings and import tasks: no socket is
opened and no file read; the database is asked with `--database` only. They run where Django runs checks: `manage.py
check`, `runserver`, `migrate`. All are in docs/checks.md.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from gearjobs.errors import UsageError
from gearjobs.protocol.auth import parse_secret
from gearjobs.servers import UNIX_PREFIX, parse_server
from gearjobs.settings import SETTING_NAME, GearjobsSettings, read_settings
from gearjobs.tasks.name_checks import check_names
from gearjobs.tasks.option_checks import check_task_options
from gearjobs.tasks.schedules.schedule_checks import check_declared_schedules, check_saved_schedules

#: `manage.py check --tag gearjobs` runs these alone, but for those that ask a database.
TAG = "gearjobs"

_SUBMITTER = "gearjobs.middleware.SubmitterMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def register_checks() -> None:
    """Hook the checks of this module into Django's."""
    checks.register(check_settings, TAG)
    checks.register(check_middleware, TAG)
    checks.register(check_task_options, TAG)
    checks.register(check_names, TAG)
    checks.register(check_declared_schedules, TAG)
    # Not by our tag: asked for by it, they would run without `--database`, and Django 6.1 then names every database.
    checks.register(check_saved_schedules, checks.Tags.database)
    checks.register(check_open_server, TAG, deploy=True)
    checks.register(check_shared_table, TAG, deploy=True)
    checks.register(check_cookies, TAG, deploy=True)
    checks.register(check_migrations, checks.Tags.database, deploy=True)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Report every problem of the project's GEARJOBS."""
    found, problems = read_settings(getattr(settings, SETTING_NAME, {}))
    reports: list[checks.CheckMessage] = [
        checks.Error(problem.text, hint=problem.hint or None, id=problem.check_id) for problem in problems
    ]
    return [*reports, *_check_database(found), *_check_servers(found), *_check_secret(found)]


def _check_database(found: GearjobsSettings) -> Iterator[checks.CheckMessage]:
    if found.database not in settings.DATABASES:
        yield checks.Error(
            f'{SETTING_NAME}["DATABASE"] names the database {found.database!r}, which DATABASES does not have.',
            hint=f"DATABASES has {', '.join(settings.DATABASES)}.",
            id="gearjobs.E003",
        )


def _check_servers(found: GearjobsSettings) -> Iterator[checks.CheckMessage]:
    for server in found.servers:
        try:
            parse_server(server)
        except (UsageError, ValueError) as error:
            yield checks.Error(
                f'{SETTING_NAME}["SERVERS"] has an entry that is not host[:port]: {error}', id="gearjobs.E004"
            )


def _check_secret(found: GearjobsSettings) -> Iterator[checks.CheckMessage]:
    try:
        if found.security.secret:
            parse_secret(found.security.secret)
    except UsageError as error:
        yield checks.Error(f'{SETTING_NAME}["SECURITY"]["SECRET"] cannot be used: {error}.', id="gearjobs.E005")


def check_open_server(**_: Any) -> list[checks.CheckMessage]:
    """Report a job server that whoever reaches it may use, where the settings let the network reach it."""
    found, _problems = read_settings(getattr(settings, SETTING_NAME, {}))
    server = found.server
    reachable = [host for host in server.listen if not _is_this_machine(host)]
    if not reachable or server.secret_file or server.access_file or (server.ssl and server.ssl_ca_file):
        return []
    return [
        checks.Warning(
            f'{SETTING_NAME}["SERVER"]["LISTEN"] has {", ".join(reachable)}: whoever reaches it may run jobs.',
            hint="Set SECRET_FILE, or SSL with SSL_CA_FILE, or ACCESS_FILE; or listen on 127.0.0.1.",
            id="gearjobs.W002",
        )
    ]


def _host(server: str) -> str:
    try:
        # A Unix socket has none.
        return parse_server(server).host or "localhost"
    except (UsageError, ValueError):
        # `gearjobs.E004` says so.
        return "localhost"


def _is_this_machine(host: str) -> bool:
    if host.startswith(UNIX_PREFIX) or host == socket.gethostname():
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_shared_table(**_: Any) -> list[checks.CheckMessage]:
    """Report job servers elsewhere, or several of them, where the job table is a file of this machine."""
    found, _problems = read_settings(getattr(settings, SETTING_NAME, {}))
    engine = str(connections.databases.get(found.database, {}).get("ENGINE", ""))
    far = [server for server in found.servers if not _is_this_machine(_host(server))]
    if not engine.endswith("sqlite3") or (not far and len(found.servers) == 1):
        return []
    reason = f"{', '.join(far)} cannot read it" if far else f"{len(found.servers)} servers cannot share it"
    return [
        checks.Warning(
            f"The job table is in SQLite, a file of this machine: the job servers of"
            f' {SETTING_NAME}["SERVERS"] do not all see the jobs in it: {reason}.',
            hint="Use PostgreSQL, MySQL or MariaDB, or one job server on this machine.",
            id="gearjobs.W003",
        )
    ]


def check_cookies(**_: Any) -> list[checks.CheckMessage]:
    """Report cookies that a browser sends along with requests that other sites' pages make.

    Screens and REST API are guarded by CSRF tokens besides; this is the second lock on the same door.
    """
    names = ("SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE")
    # Django writes the attribute for texts only; "None" tells browsers to send the cookie everywhere.
    open_ones = [name for name in names if str(getattr(settings, name) or "None").lower() == "none"]
    if not open_ones:
        return []
    return [
        checks.Warning(
            f"{' and '.join(open_ones)} let other sites' pages send requests to the admin and the REST API as whoever"
            " is logged in.",
            hint='Leave "Lax", which is the default, or set "Strict".',
            id="gearjobs.W005",
        )
    ]


def check_migrations(*, databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report migrations of gearjobs that the job table's database does not have; asks only a database it is given."""
    found, _problems = read_settings(getattr(settings, SETTING_NAME, {}))
    if not databases or found.database not in databases or found.database not in connections.databases:
        return []
    executor = MigrationExecutor(connections[found.database])
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "gearjobs"]
    missing = [migration.name for migration, _ in executor.migration_plan(leaves) if migration.app_label == "gearjobs"]
    if not missing:
        return []
    return [
        checks.Warning(
            f"The database {found.database!r} lacks migrations of gearjobs: {', '.join(missing)}.",
            hint=f"Run manage.py migrate --database {found.database}.",
            id="gearjobs.W004",
        )
    ]


def check_middleware(**_: Any) -> list[checks.CheckMessage]:
    """Report a SubmitterMiddleware that cannot see the user."""
    order = list(settings.MIDDLEWARE)
    if _SUBMITTER not in order:
        return []
    if _AUTHENTICATION in order and order.index(_AUTHENTICATION) < order.index(_SUBMITTER):
        return []
    return [
        checks.Warning(
            f"{_SUBMITTER} must come after {_AUTHENTICATION}: it would never see a user.", id="gearjobs.W001"
        )
    ]
