"""A word in the log when jobs go to a server that obeys less than they say.

A stock gearmand knows uniques, times and three priorities. Retries and time limits are then the workers' own doing;
everything else a job's terms say is passed over. Which server it will be is known once one has answered, so no system
check can say it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final
from weakref import WeakSet

from gearjobs.client.client import Client
from gearjobs.errors import ServerError, ServerUnavailable
from gearjobs.tasks.keeping import NewSubmission

logger = logging.getLogger("gearjobs.tasks")

#: Terms that only a gearjobs server obeys, by the options that people know them by.
_SERVERS_OWN: Final = {
    "expires_at": "expires",
    "limits": "concurrency and rate",
    "on_conflict": "on_conflict",
    "unique_for": "unique_for",
    "on_lost": "on_worker_lost",
    "max_lost": "max_lost",
}

_told: Final[WeakSet[Client]] = WeakSet()


def tell_of_stock_server(
    submissions: Sequence[NewSubmission], outcomes: Sequence[str | ServerError], *, client: Client
) -> None:
    """Log once for each client what its server passes over, where that concerns these jobs.

    Args:
        submissions: the jobs.
        outcomes: what became of each: its handle, or why it was refused.
        client: of the servers that have them now.
    """
    for submission, outcome in zip(submissions, outcomes, strict=True):
        # A server with the extensions takes the handle it is given, but for a job that joins another.
        is_renamed = isinstance(outcome, str) and outcome != submission.handle
        passed_over = [word for term, word in _SERVERS_OWN.items() if term in submission.attributes.terms]
        if is_renamed and passed_over and client not in _told and _is_stock(client):
            _told.add(client)
            logger.warning(
                "passed over by a stock gearmand: %s (a gearjobs server obeys it) job=%s task=%s",
                ", ".join(passed_over),
                outcome,
                submission.attributes.task,
            )
            return


def _is_stock(client: Client) -> bool:
    try:
        return not client.has_extensions
    except ServerUnavailable:
        return False
