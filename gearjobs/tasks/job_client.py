"""The process's clients of the job servers: one for each list of servers, shared by all threads and backends.

Django makes a backend for each thread and closes none at the end of a request, so a backend cannot own the connection.
A Client connects when first used and is safe after a fork; making one costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gearjobs.client.balance import Balance
from gearjobs.client.client import Client
from gearjobs.tasks.site_security import site_security

#: By list of servers and how jobs are shared out among them; tests put a client without servers here.
clients: Final[dict[tuple[tuple[str, ...], Balance], Client]] = {}

#: Clients that stand in for all others, the last one for those before it; `gearjobs.testing` puts one here for a test.
stand_ins: Final[list[Client]] = []


def client_of(servers: Sequence[str], *, balance: Balance = "order") -> Client:
    """Return the process's client of a list of servers.

    Raises:
        UsageError: a server's address, or a file of GEARJOBS["SECURITY"], cannot be read.
    """
    if stand_ins:
        return stand_ins[-1]
    key = (tuple(servers), balance)
    # `setdefault` is one step to other threads; a client made in vain never connected.
    return clients.get(key) or clients.setdefault(key, Client(servers, balance=balance, security=site_security()))
