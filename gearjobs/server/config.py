"""How a job server was asked to run: one frozen value, made by the command from its options.

Each field's sentence, default and unit are here; the command line's spelling of them is in `options`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gearjobs.core.reattachment import MARGIN_S, REATTACH_S, STOCK_GRACE_S, STORE_LEASE_S, ReattachRules
from gearjobs.core.redelivery import MAX_CRASHES
from gearjobs.protocol.codec import DEFAULT_MAX_BODY_BYTES
from gearjobs.server.commit.commit_steps import CommitRules
from gearjobs.stores.durability_level import DurabilityLevel

#: The port IANA registered for Gearman.
DEFAULT_PORT = 4730


class AdminPolicy(StrEnum):
    """Who may send admin lines that change something, where no access rules decide."""

    #: Peers on this machine.
    LOCAL = "local"
    #: Peers that have shown who they are, wherever they are.
    AUTH = "auth"
    #: Whoever is let in, as in gearmand.
    ALL = "all"
    #: Nobody, whatever the rules say.
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What one job server does."""

    #: Addresses to listen on; `unix:/path` is a Unix socket. Only this machine by default: the protocol lets anyone who
    #: reaches the port run jobs.
    listen: tuple[str, ...] = ("127.0.0.1", "::1")
    #: Permissions of Unix sockets' files, in octal.
    socket_mode: str = "660"
    #: TCP port; 0 lets the system choose one.
    port: int = DEFAULT_PORT
    #: Connections the kernel may queue before they are accepted. gearmand's 32 makes 10,000 workers wait a minute.
    backlog: int = 4096
    #: Connections open at once; 0 for as many as the process may have files open, less some for other use.
    max_connections: int = 0
    #: Connections open at once from one host that is not this machine; 0 for half of all.
    max_connections_per_host: int = 0
    #: First part of every handle; `H:<hostname>` when empty.
    job_handle_prefix: str = ""
    #: Runs a job may have that end without an answer; -1 without end.
    job_retries: int = -1
    #: Lost workers after which a background job is dead; 0 for no bound.
    max_crashes: int = MAX_CRASHES
    #: Failures in a row, each within a second of the job's start, that a worker may report of a function before it gets
    #: only 20 jobs of it a minute; 0 for any number.
    bench_after: int = 20
    #: Sleeping workers woken for each queued job; 0 for all.
    worker_wakeup: int = 1
    #: Seconds of a peer's silence before it is probed; -1 for the system's. A worker whose host vanished is noticed
    #: after 30 + 3 * 10 s, where gearmand takes the system's two hours.
    keepalive_idle_s: int = 30
    #: Seconds between two probes; -1 for the system's.
    keepalive_interval_s: int = 10
    #: Lost probes that end a connection; -1 for the system's.
    keepalive_count: int = 3
    #: What the admin line `verbose` answers; the level of the logger when empty.
    verbose: str = ""
    #: TLS connections only.
    ssl: bool = False
    #: Certificates of those who sign clients' certificates, which clients must then have; none when empty.
    ssl_ca_file: str = ""
    #: The server's certificate; none when empty.
    ssl_certificate: str = ""
    #: The key of the certificate; none when empty.
    ssl_key: str = ""
    #: List of certificates that their signers took back; none when empty.
    ssl_crl_file: str = ""
    #: File of shared secrets, `<key id>:<secret>` a line, one of which peers must prove; none when empty.
    secret_file: str = ""
    #: File of access rules (see `core/access`); who is admitted may do everything when empty.
    access_file: str = ""
    #: Who may send the admin lines that change something.
    admin: AdminPolicy = AdminPolicy.LOCAL
    #: What a background job survives once it is acknowledged, where the project's database keeps it.
    durability: DurabilityLevel = DurabilityLevel.FULL
    #: WORK_EXCEPTION for every client, asked for or not.
    exceptions: bool = False
    #: Longest packet body in bytes; a longer one is refused at its header.
    max_packet_bytes: int = DEFAULT_MAX_BODY_BYTES
    #: Bytes that all connections may hold together in packets not yet whole and in answers that have not left (see
    #: `memory_budget`). Sixteen of the longest packets.
    buffer_budget_bytes: int = 16 * DEFAULT_MAX_BODY_BYTES
    #: "on" or "off": whether the schedules of the job table's database are fired beside the server.
    schedules: str = "on"
    #: File that holds the process id once the server listens; none when None.
    pid_file: Path | None = None
    #: Seconds between two looks for jobs that clients inserted themselves; a nudge makes the server look at once.
    sweep_interval_s: float = 1.0
    #: Least seconds between two records of a job's progress; the last one is always recorded.
    progress_interval_s: float = 1.0
    #: Seconds within which the submitter of a background job is answered, with ERROR if the store is not heard from.
    store_timeout_s: int = 2
    #: Seconds a server owns its jobs for in a database that several share, from each renewal on: one that is gone is
    #: noticed within them, and one that is slow for a moment keeps its jobs. The same for all of them.
    lease_ttl_s: int = int(STORE_LEASE_S)
    #: Seconds a worker of ours may go on with a background job after its server is gone, until it has found one that
    #: knows the job; the job runs again after that.
    reattach_s: int = int(REATTACH_S)
    #: Seconds a background job rests that ran when its server ended, where its worker cannot come back to it.
    stock_grace_s: int = int(STOCK_GRACE_S)
    #: TCP port of the HTTP module (`-r http`), on the same addresses; 0 lets the system choose one, None is no HTTP.
    http_port: int | None = None
    #: What HTTP requests must bear (`Authorization: Bearer ...`), health apart; when empty, jobs are as open as on the
    #: other port and metrics are for this machine only.
    http_token: str = field(default="", repr=False)


#: Renewals of a lease within its time: three of them fail before it is lost.
RENEWALS_A_LEASE = 4


def commit_rules(config: ServerConfig) -> CommitRules:
    """Return how the store's side of the server is to behave."""
    return CommitRules(
        store_timeout_s=config.store_timeout_s,
        renew_interval_s=config.lease_ttl_s / RENEWALS_A_LEASE,
        lease_margin_s=_margin_s(config),
        progress_interval_s=config.progress_interval_s,
    )


def reattach_rules(config: ServerConfig, *, is_store_shared: bool) -> ReattachRules:
    """Return how long runs without their server are waited for, and what their workers are told of it."""
    # The last time a worker heard that its server owned the job is at most a lease after the server's last renewal.
    lease_s = config.lease_ttl_s if is_store_shared else 0
    return ReattachRules(
        resumable_s=lease_s + config.reattach_s,
        stock_s=config.stock_grace_s,
        lease_s=config.lease_ttl_s - _margin_s(config),
        resume_s=config.reattach_s - _margin_s(config),
    )


def _margin_s(config: ServerConfig) -> float:
    """Return by how many seconds everybody stops early what somebody else may begin; less for a short lease."""
    return min(MARGIN_S, config.lease_ttl_s / 5)
