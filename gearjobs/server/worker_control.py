"""What goes between an operator and workers by way of the server: reports of workers, and words to them.

WORKER_REPORT is kept with the connection, unread but for its form, until somebody looks. CONTROL_WORKERS passes one of
three verbs on to every worker of a name; what it does then is the worker's affair. Who may send it, is decided by what
decides it for admin lines that change something (`admin_rights`, and `gatekeeper` where there are access rules). Only
connections with the extensions are told: to others the packet would be a mistake.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import ConnectionId
from gearjobs.errors import WireError
from gearjobs.protocol.codec import Packet, encode_response
from gearjobs.protocol.packets import ErrorCode, PacketType, Refusal
from gearjobs.protocol.wire_text import to_text
from gearjobs.protocol.worker_report import decode_report, encode_report
from gearjobs.server.config import AdminPolicy
from gearjobs.server.connection import Connection
from gearjobs.server.dispatch import Handler
from gearjobs.server.entrance.admin_rights import reason_to_refuse

logger = logging.getLogger("gearjobs.server")

#: What a worker may be told.
CONTROL_VERBS: Final = (b"quiet", b"resume", b"stop")
#: What stands at the end of a name that is meant as a beginning.
_ANY_REST: Final = b"*"


class WorkerControl:
    """Handlers of the packets about workers.

    Args:
        queue: knows the peers.
        connections: the open connections.
        policy: who may tell workers anything.
    """

    def __init__(self, queue: JobQueue, connections: Mapping[ConnectionId, Connection], *, policy: AdminPolicy) -> None:
        self._queue = queue
        self._connections = connections
        self._policy = policy
        #: By packet.
        self.handlers: dict[int, Handler] = {
            PacketType.WORKER_REPORT: self.worker_report,
            PacketType.CONTROL_WORKERS: self.control_workers,
        }

    def worker_report(self, connection: Connection, packet: Packet, _now: float) -> None:
        """Keep the report with its worker.

        Raises:
            WireError: it cannot be read, or the peer did not ask for the extensions.
        """
        _require_extensions(connection)
        (body,) = packet.arguments
        # As we write it: on one line, and nothing in it that nobody reads.
        self._queue.worker_report(connection.id, encode_report(decode_report(body)))

    def control_workers(self, connection: Connection, packet: Packet, _now: float) -> None:
        """Pass the verb on to the workers that are meant, and answer how many they are.

        Raises:
            WireError: there is no such verb, the peer may not, or it did not ask for the extensions.
        """
        _require_extensions(connection)
        pattern, verb = packet.arguments
        if verb not in CONTROL_VERBS:
            known = b", ".join(CONTROL_VERBS).decode()
            raise WireError(ErrorCode.INVALID_PACKET, f"CONTROL_WORKERS wants one of {known}, got {verb[:40]!r}")
        refusal = reason_to_refuse(connection, self._policy)
        if refusal is not None:
            logger.warning("refuse CONTROL_WORKERS peer=%s: it may not administer", connection.address)
            raise WireError(ErrorCode.ACCESS_DENIED, refusal.partition(" ")[2].replace("+", " "))
        workers = [self._connections[peer] for peer in self._queue.workers_called(to_text(pattern))]
        told = [worker for worker in workers if worker.has_extensions]
        for worker in told:
            worker.send(encode_response(PacketType.WORKER_CONTROL, verb))
        logger.info(
            "control workers=%s verb=%s told=%d peer=%s",
            to_text(pattern),
            to_text(verb),
            len(told),
            connection.address,
        )
        connection.send(encode_response(PacketType.CONTROL_RES, b"%d" % len(told)))


def _require_extensions(connection: Connection) -> None:
    if not connection.has_extensions:
        raise WireError(*Refusal.NOT_A_REQUEST.value)
