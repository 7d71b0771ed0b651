"""System checks: what is wrong with the project's settings, said at start-up instead of at the first job.

`gearjobs.E001` an unknown key, `gearjobs.E002` a wrong value, `gearjobs.E003` a database that is not configured,
`gearjobs.E004` a server's address that cannot be read, `gearjobs.E005` a secret that is none, `gearjobs.W001` a
middleware in the wrong place, `gearjobs.W002` (with --deploy) a job server that the network reaches and nothing guards.
They read settings only: no socket is opened, no file read and no database asked. They run where Django runs checks:
`manage.py check`, `runserver`, `migrate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core import checks

from gearjobs.errors import UsageError
from gearjobs.protocol.auth import parse_secret
from gearjobs.servers import UNIX_PREFIX, parse_server
from gearjobs.settings import SETTING_NAME, GearjobsSettings, read_settings

#: `manage.py check --tag gearjobs` runs these alone.
TAG = "gearjobs"

_SUBMITTER = "gearjobs.middleware.SubmitterMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def register_checks() -> None:
    """Hook the checks of this module into Django's."""
    checks.register(check_settings, TAG)
    checks.register(check_middleware, TAG)
    checks.register(check_open_server, TAG, deploy=True)


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


def _is_this_machine(host: str) -> bool:
    if host.startswith(UNIX_PREFIX):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
