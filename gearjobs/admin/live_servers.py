"""What the job servers say of themselves right now, asked over their administrative text protocol.

Every server is asked at the same time, so a dead one costs its time-out once and hides nothing of the others. Any
gearmand can answer. What is asked stays within bounds: the dashboard is a page, not an export.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError
from gearjobs.protocol.wire_text import to_text
from gearjobs.tasks.site_security import site_security

#: Servers asked at once; a list of more is asked in turns.
ASKED_AT_ONCE: Final = 16


@dataclass(slots=True)
class FunctionRow:
    """One function, over all servers."""

    #: The function in the reversible form of `protocol/wire_text`, as in the job table.
    name: str
    high: int = 0
    normal: int = 0
    low: int = 0
    running: int = 0
    workers: int = 0

    @property
    def waiting(self) -> int:
        return self.high + self.normal + self.low

    @property
    def is_stuck(self) -> bool:
        """Whether jobs wait that nobody can do."""
        return self.waiting > 0 and self.workers == 0

    @property
    def is_unused(self) -> bool:
        """Whether it is only remembered: nothing waits or runs, and nobody can do it."""
        return not (self.waiting or self.running or self.workers)


@dataclass(slots=True)
class WorkerRow:
    """One connection that can do something."""

    client_id: str
    #: IP address.
    address: str
    server: str
    functions: list[str]


@dataclass(slots=True)
class ServerRow:
    """One job server and what it said."""

    address: str
    version: str = ""
    #: Why it is shown as down; empty when it answered.
    problem: str = ""
    #: Connections of any kind, the one that asked not counted.
    connections: int = 0
    functions: list[FunctionRow] = field(default_factory=list)
    workers: list[WorkerRow] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        return not self.problem


def ask_servers(addresses: Sequence[str], *, timeout_s: float) -> list[ServerRow]:
    """Ask every server, at the same time; one that does not answer is a row with a problem.

    Args:
        addresses: `host[:port]`, as in the settings.
        timeout_s: how long one question may take.
    """
    if len(addresses) == 1:
        return [_ask_server(addresses[0], timeout_s)]
    with ThreadPoolExecutor(max_workers=min(len(addresses), ASKED_AT_ONCE)) as pool:
        return list(pool.map(lambda address: _ask_server(address, timeout_s), addresses))


def sum_functions(servers: Iterable[ServerRow]) -> list[FunctionRow]:
    """Return the functions of all servers, each once, by name."""
    sums: dict[str, FunctionRow] = {}
    for function in (function for server in servers for function in server.functions):
        row = sums.setdefault(function.name, FunctionRow(function.name))
        row.high += function.high
        row.normal += function.normal
        row.low += function.low
        row.running += function.running
        row.workers += function.workers
    return sorted(sums.values(), key=lambda row: row.name)


def _ask_server(address: str, timeout_s: float) -> ServerRow:
    try:
        with AdminClient(address, timeout_s=timeout_s, security=site_security()) as client:
            server = ServerRow(address, version=client.version())
            _read_functions(server, client)
            _read_workers(server, client)
            return server
    except GearjobsError as error:
        return ServerRow(address, problem=str(error))


def _read_functions(server: ServerRow, client: AdminClient) -> None:
    rows = {line.function: FunctionRow(to_text(line.function), running=line.running) for line in client.status()}
    for line in client.priority_status():
        row = rows.setdefault(line.function, FunctionRow(to_text(line.function)))
        row.high, row.normal, row.low, row.workers = line.high, line.normal, line.low, line.workers
    server.functions = list(rows.values())


def _read_workers(server: ServerRow, client: AdminClient) -> None:
    lines = client.workers()
    server.connections = max(0, len(lines) - 1)
    server.workers = [
        WorkerRow(to_text(line.client_id), line.address, server.address, sorted(map(to_text, line.functions)))
        for line in lines
        if line.functions
    ]
