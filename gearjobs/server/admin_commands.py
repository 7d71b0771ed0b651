"""One handler a line of the administrative text protocol.

Command words are taken in any case and with either line end. Answers are rendered by `protocol/admin_text`; what they
show comes from the queue's views. Lines that change something are `operator_commands`'s.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import ConnectionId
from gearjobs.protocol.admin_text import (
    AdminError,
    FunctionLine,
    JobLine,
    PriorityLine,
    WorkerLine,
    WorkerReportLine,
    render_error,
    render_jobs,
    render_prioritystatus,
    render_status,
    render_unique_jobs,
    render_unknown_command,
    render_value,
    render_worker_reports,
    render_workers,
)
from gearjobs.protocol.codec import TextLine
from gearjobs.protocol.server_snapshot import ServerSnapshot, render_snapshot
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.protocol.worker_report import decode_report
from gearjobs.server.connection import Connection
from gearjobs.version import __version__

Words = tuple[bytes, ...]

#: What `version` answers; monitors look for a number in it.
VERSION_TEXT: Final = f"{__version__}+gearjobs"


class AdminCommands:
    """Lines in, answers out.

    Args:
        queue: the queue.
        connections: the open connections.
        log_level: what `verbose` answers, one of gearmand's names.
        snapshot: gathers what `show snapshot` answers.
    """

    def __init__(
        self,
        queue: JobQueue,
        connections: dict[ConnectionId, Connection],
        *,
        log_level: str,
        snapshot: Callable[[], ServerSnapshot],
    ) -> None:
        self._queue = queue
        self._snapshot = snapshot
        self._connections = connections
        self._log_level = log_level
        self._table: dict[bytes, Callable[[Words], bytes]] = {
            b"status": self._status,
            b"prioritystatus": self._prioritystatus,
            b"workers": self._workers,
            b"show": self._show,
            b"version": self._version,
            b"getpid": self._getpid,
            b"verbose": self._verbose,
        }

    def handle(self, connection: Connection, line: TextLine) -> None:
        """Answer one line."""
        handler = self._table.get(line.words[0].lower())
        if handler is None:
            connection.send(render_unknown_command(line.words[0]))
        else:
            connection.send(handler(line.words[1:]))

    def _status(self, words: Words) -> bytes:
        return render_status(
            FunctionLine(view.name, view.total, view.running, view.workers) for view in self._queue.functions()
        )

    def _prioritystatus(self, words: Words) -> bytes:
        return render_prioritystatus(
            PriorityLine(view.name, view.high, view.normal, view.low, view.workers) for view in self._queue.functions()
        )

    def _workers(self, words: Words) -> bytes:
        lines = []
        for peer in self._queue.peers():
            connection = self._connections[ConnectionId(peer.connection)]
            lines.append(
                WorkerLine(
                    connection.file_descriptor, connection.host, to_bytes(peer.client_id), peer.functions, peer.benched
                )
            )
        return render_workers(lines)

    def _show(self, words: Words) -> bytes:
        match tuple(word.lower() for word in words):
            case (b"jobs",):
                return render_jobs(
                    JobLine(view.handle, view.retries, is_ignored=False, is_persisted=view.is_kept)
                    for view in self._queue.jobs()
                )
            case (b"unique", b"jobs"):
                return render_unique_jobs(view.unique for view in self._queue.jobs())
            case (b"worker", b"reports"):
                return render_worker_reports(
                    WorkerReportLine(to_bytes(peer.client_id), peer.address, decode_report(peer.report))
                    for peer in self._queue.peers()
                    if peer.report
                )
            case (b"snapshot",):
                return render_snapshot(self._snapshot())
            case _:
                return render_error(AdminError.UNKNOWN_SHOW_ARGUMENTS)

    def _version(self, words: Words) -> bytes:
        return render_value(VERSION_TEXT)

    def _getpid(self, words: Words) -> bytes:
        return render_value(str(os.getpid()))

    def _verbose(self, words: Words) -> bytes:
        return render_value(self._log_level)


#: gearmand's names for the levels of Python's logging, least verbose first.
_LEVELS = {
    logging.CRITICAL: "CRITICAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARNING",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}


def gearmand_level(of: logging.Logger) -> str:
    """Return what gearmand calls the logger's level."""
    return _LEVELS.get(of.getEffectiveLevel(), "INFO")
