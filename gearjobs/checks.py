"""System checks: what is wrong with the project's settings, said at start-up instead of at the first job.

`gearjobs.E001` an unknown key, `gearjobs.E002` a wrong value, `gearjobs.E003` a database that is not configured,
`gearjobs.E004` a server's address that cannot be read, `gearjobs.W001` a middleware in the wrong place. They read
settings only: no socket is opened and no database asked. They run where Django runs checks: `manage.py check`,
`runserver`, `migrate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from gearjobs.errors import UsageError
from gearjobs.servers import parse_server
from gearjobs.settings import SETTING_NAME, GearjobsSettings, read_settings

#: `manage.py check --tag gearjobs` runs these alone.
TAG = "gearjobs"

_SUBMITTER = "gearjobs.middleware.SubmitterMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def register_checks() -> None:
    """Hook the checks of this module into Django's."""
    checks.register(check_settings, TAG)
    checks.register(check_middleware, TAG)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Report every problem of the project's GEARJOBS."""
    found, problems = read_settings(getattr(settings, SETTING_NAME, {}))
    reports: list[checks.CheckMessage] = [
        checks.Error(problem.text, hint=problem.hint or None, id=problem.check_id) for problem in problems
    ]
    return [*reports, *_check_database(found), *_check_servers(found)]


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
