"""How a job server was asked to run: one frozen value, made by the command from its options.

Each field's sentence, default and unit are here; the command line's spelling of them is the command's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gearjobs.protocol.codec import DEFAULT_MAX_BODY_BYTES

#: The port IANA registered for Gearman.
DEFAULT_PORT = 4730


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What one job server does."""

    #: Addresses to listen on. Only this machine by default: the protocol lets anyone who reaches the port run jobs.
    listen: tuple[str, ...] = ("127.0.0.1", "::1")
    #: TCP port; 0 lets the system choose one.
    port: int = DEFAULT_PORT
    #: Connections the kernel may queue before they are accepted. gearmand's 32 makes 10,000 workers wait a minute.
    backlog: int = 4096
    #: First part of every handle; `H:<hostname>` when empty.
    job_handle_prefix: str = ""
    #: Runs a job may have that end without an answer; -1 without end.
    job_retries: int = -1
    #: Sleeping workers woken for each queued job; 0 for all.
    worker_wakeup: int = 1
    #: WORK_EXCEPTION for every client, asked for or not.
    exceptions: bool = False
    #: Longest packet body in bytes; a longer one is refused at its header.
    max_packet_bytes: int = DEFAULT_MAX_BODY_BYTES
    #: File that holds the process id once the server listens; none when None.
    pid_file: Path | None = None
    #: Seconds between two looks for jobs that clients inserted themselves; a nudge makes the server look at once.
    sweep_interval_s: float = 1.0
    #: Least seconds between two records of a job's progress; the last one is always recorded.
    progress_interval_s: float = 1.0
