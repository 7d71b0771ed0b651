"""The command line of the job server as one table: gearmand's options, and the few of our own.

A row whose `field` is one of ServerConfig, ProcessConfig or QueueOptions sets that field, whose default is the
option's. The other rows ask for something else than a server (`--help`), or are taken because gearmand takes them, and
mean nothing here (`is_ignored`). `command_line` parses by this table, `option_help` and docs/settings.md are written
from it. Source: gearmand 1.1.20 `--help` and gearmand 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Final

from gearjobs.log_lines import LOG_FORMATS
from gearjobs.server.command.option_values import (
    INT_LIMIT,
    PORT_LIMIT,
    SWITCH_WORDS,
    count,
    level,
    one_of,
    permissions,
    port,
    text,
    whole_number,
)
from gearjobs.server.command.process_config import ProcessConfig
from gearjobs.server.config import AdminPolicy, ServerConfig
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_options import QueueOptions

#: Read where --config-file names no other; need not exist.
DEFAULT_CONFIG_FILE: Final = "/etc/gearmand.conf"
#: Where gearmand's HTTP module listens.
DEFAULT_HTTP_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Option:
    """One option."""

    #: The long spelling, without its dashes.
    name: str
    #: What it does, for people who run servers.
    sentence: str
    #: The letter of the short spelling; "" where there is none.
    short: str = ""
    #: What its value is called; "" for a switch, which has none.
    argument: str = ""
    #: Makes the value of the text.
    read: Callable[[str], object] = text
    #: The field it sets; "" for the one of its name.
    sets: str = ""
    #: Environment variable that gives the value where neither the command line nor the configuration file does.
    environment: str = ""
    #: May be given several times.
    is_repeatable: bool = False
    #: gearmand's option that means nothing here.
    is_ignored: bool = False
    #: Not in --help.
    is_hidden: bool = False

    @property
    def field(self) -> str:
        """Name of the field that it sets, if there is one."""
        return self.sets or self.name.replace("-", "_")

    @property
    def spelling(self) -> str:
        """How it is written in messages."""
        return f"--{self.name}"

    @property
    def takes_empty(self) -> bool:
        """Whether an empty value is no error but means what leaving the option out means: `-L ""`."""
        return bool(self.argument) and self.read in {text, port, Path}

    @property
    def default(self) -> object:
        """The value of its field where it is not given; None without a field."""
        return _DEFAULTS.get(self.field)


_DEFAULTS: Final = {
    one.name: one.default
    for config in (ServerConfig, ProcessConfig, QueueOptions)
    for one in fields(config)
    if one.default is not MISSING
}
_SECONDS: Final = whole_number(-1, 32767)

_GENERAL: Final = (
    Option("backlog", "Connections the kernel queues before they are accepted.", "b", "N", whole_number(-1, INT_LIMIT)),
    Option("daemon", "Detach and run in the background; returns when the server listens.", "d"),
    Option("exceptions", "Send WORK_EXCEPTION to every client, asked for or not."),
    Option(
        "file-descriptors",
        "Open files the process may have, connections among them. Default: as many as the user may have.",
        "f",
        "N",
        count,
    ),
    Option("help", "Print this help and exit.", "h"),
    Option(
        "job-retries",
        "How often a job is run whose worker is lost or too slow, before it fails: -1 without end, 0 never again.",
        "j",
        "N",
        whole_number(-1, INT_LIMIT),
    ),
    Option("job-handle-prefix", "First part of every job handle. Default: H: and the host's name.", "", "TEXT"),
    Option(
        "hashtable-buckets",
        "Taken and ignored: tables grow by themselves.",
        "",
        "N",
        whole_number(1, 2**32 - 1),
        is_ignored=True,
    ),
    Option("keepalive", "Taken and ignored: keepalive is always on.", is_ignored=True),
    Option(
        "keepalive-idle",
        "Seconds of silence before a peer is probed; -1: the system's.",
        "",
        "SECONDS",
        _SECONDS,
        "keepalive_idle_s",
    ),
    Option(
        "keepalive-interval",
        "Seconds between two probes; -1: the system's.",
        "",
        "SECONDS",
        _SECONDS,
        "keepalive_interval_s",
    ),
    Option("keepalive-count", "Lost probes that end a connection; -1: the system's.", "", "N", whole_number(-1, 127)),
    Option("log-file", "Log file, reopened on SIGHUP; stderr, or none. Default: stderr.", "l", "FILE"),
    Option(
        "log-format",
        "How a line of the log looks: text, or json, an object a line.",
        "",
        "FORMAT",
        one_of(LOG_FORMATS),
    ),
    Option(
        "listen",
        "Address to listen on, or unix:/path; may be given again. Whoever reaches it can submit and work.",
        "L",
        "ADDRESS",
        is_repeatable=True,
    ),
    Option("socket-mode", "Permissions of Unix sockets' files: who may connect.", "", "MODE", permissions),
    Option(
        "pid-file", "File for the process id, written once the server listens, removed at its end.", "P", "FILE", Path
    ),
    Option("protocol", "Further protocol: http.", "r", "NAME"),
    Option(
        "round-robin",
        "Taken and ignored: functions of a worker always take turns, as in gearmand 2.0.",
        "R",
        is_ignored=True,
    ),
    Option(
        "queue-type",
        "Where background jobs live: database, the project's; builtin, this process's memory; or a store of "
        "gearmand's: libsqlite3, MySQL, Postgres, redis, libmemcached.",
        "q",
        "TYPE",
    ),
    Option(
        "durability",
        "What acknowledged background jobs survive: full, power loss; process, the end of the server; memory, nothing.",
        "",
        "LEVEL",
        one_of(DurabilityLevel),
    ),
    Option(
        "config-file",
        f"File with more options; the command line wins. Default: {DEFAULT_CONFIG_FILE}, if it exists.",
        "",
        "FILE",
    ),
    Option("syslog", "Log to syslog; with --log-file to both."),
    Option("coredump", "Leave a core file when the process dies of a fault, as large as the user may have."),
    Option(
        "threads",
        "Taken and ignored: one thread serves all connections.",
        "t",
        "N",
        whole_number(-1, 2**32 - 1),
        is_ignored=True,
    ),
    Option("user", "User to become after start-up; only root may.", "u", "USER"),
    Option(
        "verbose",
        "How much is logged: FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG.",
        "",
        "LEVEL",
        level,
    ),
    Option("version", "Print the version and exit.", "V"),
    Option(
        "worker-wakeup", "Sleeping workers woken for each job; an unheard call is passed on. 0: all.", "w", "N", count
    ),
    Option("max-crashes", "Lost workers after which a background job is dead. 0: any number.", "", "N", count),
    Option(
        "bench-after",
        "Fast failures in a row that a worker may report before it gets only 20 jobs of the function a minute; 0: any.",
        "",
        "N",
        count,
    ),
    Option(
        "store-timeout",
        "Seconds within which a submitter is answered, with ERROR where the database does not answer.",
        "",
        "SECONDS",
        whole_number(1, 60),
        "store_timeout_s",
    ),
    Option(
        "lease-ttl",
        "Seconds after which the other servers of the database take over the jobs of one that is gone; all alike.",
        "",
        "SECONDS",
        whole_number(2, 3600),
        "lease_ttl_s",
    ),
    Option(
        "reattach",
        "Seconds a worker of ours may go on with a job whose server is gone, to hand its result to the next one.",
        "",
        "SECONDS",
        whole_number(4, 3600),
        "reattach_s",
    ),
    Option(
        "stock-grace",
        "Seconds until a job runs again whose server ended while any other worker ran it.",
        "",
        "SECONDS",
        whole_number(0, 3600),
        "stock_grace_s",
    ),
    Option(
        "schedules",
        "Whether schedules are fired: on or off. They need --queue-type database.",
        "",
        "WORD",
        one_of(SWITCH_WORDS),
    ),
    Option("check-args", "Read the options, then exit with 0 if they are right, with 1 if not.", is_hidden=True),
)

_HTTP: Final = (Option("http-port", f"Port of the protocol http. Default: {DEFAULT_HTTP_PORT}.", "", "PORT", port),)

_GEAR: Final = (
    Option(
        "port",
        "Port to listen on, or a service's name; 0 takes a free one.",
        "p",
        "PORT",
        port,
        environment="GEARMAND_PORT",
    ),
    Option("ssl", "Take TLS connections only."),
    Option(
        "ssl-ca-file",
        "Certificates of those who sign clients' certificates; clients must then have one.",
        "",
        "FILE",
        environment="GEARMAND_CA_CERTIFICATE",
    ),
    Option("ssl-certificate", "The server's certificate.", "", "FILE", environment="GEARMAND_SERVER_PEM"),
    Option("ssl-key", "Key of the certificate.", "", "FILE", environment="GEARMAND_SERVER_KEY"),
    Option("ssl-crl-file", "Certificates that the signers of --ssl-ca-file took back.", "", "FILE"),
    Option(
        "secret-file",
        "Shared secrets, one <key id>:<secret> a line; peers must prove one. Read again on SIGHUP.",
        "",
        "FILE",
        environment="GEARJOBS_SECRET_FILE",
    ),
    Option("access-file", "Who may do what to which functions, a rule a line. Read again on SIGHUP.", "", "FILE"),
    Option(
        "admin",
        "Who may cancel, drop, limit and shut down, where no rules say: local, auth (who has shown who it is), all; "
        "off: nobody, whatever rules say.",
        "",
        "WHO",
        one_of(AdminPolicy),
    ),
)

_LIMITS: Final = (
    Option(
        "max-connections",
        "Connections open at once; more are turned away. Default: as many as there are file descriptors for.",
        "",
        "N",
        count,
    ),
    Option(
        "max-connections-per-host",
        "Connections open at once from one host that is not this machine. Default: half of all.",
        "",
        "N",
        count,
    ),
    Option(
        "max-packet-bytes",
        "Longest packet body; a longer one is refused at its header.",
        "",
        "BYTES",
        whole_number(1, 2**32 - 1),
    ),
    Option(
        "buffer-budget-bytes",
        "What connections may hold together in unfinished packets and unread answers. From half of it on the heaviest "
        "wait, from three quarters on submits are refused, beyond all of it the worst is cut off.",
        "",
        "BYTES",
        whole_number(1, 2**62),
    ),
)

_SQLITE_QUEUE: Final = (
    Option("libsqlite3-db", "SQLite file of the queue, made where it is missing.", "", "FILE"),
    Option(
        "store-queue-on-shutdown",
        "With --durability memory: write the queue at a clean stop only. Otherwise jobs are kept at once all the same.",
    ),
    Option("libsqlite3-table", "Table of the queue in it.", "", "NAME"),
)
_POSTGRES_QUEUE: Final = (
    Option("libpq-conninfo", "How to connect, in libpq's words; its environment variables count, too.", "", "TEXT"),
    Option("libpq-table", "Table of the queue.", "", "NAME"),
)
_MYSQL_QUEUE: Final = (
    Option("mysql-host", "Host of MySQL or MariaDB, or the path of its socket.", "", "HOST"),
    Option("mysql-port", "Its port.", "", "PORT", whole_number(0, PORT_LIMIT)),
    Option("mysql-user", "User to be there. Default: the process's.", "", "USER"),
    Option(
        "mysql-password",
        "The user's password: everybody on the machine sees it here.",
        "",
        "TEXT",
        environment="MYSQL_PWD",
    ),
    Option("mysql-db", "Database of the queue.", "", "NAME"),
    Option("mysql-table", "Table of the queue.", "", "NAME"),
)
_REDIS_QUEUE: Final = (
    Option("redis-server", "Host of Redis.", "", "HOST"),
    Option("redis-port", "Its port.", "", "PORT", whole_number(1, PORT_LIMIT)),
    Option(
        "redis-password",
        "Its password: everybody on the machine sees it here.",
        "",
        "TEXT",
        environment="REDISCLI_AUTH",
    ),
    Option("redis-prefix", "What the keys of the queue begin with.", "", "TEXT"),
)
_MEMCACHED_QUEUE: Final = (
    Option("libmemcached-servers", "host:port of each memcached, with commas; needs --durability memory.", "", "LIST"),
    Option("libmemcached-prefix", "What the keys of the queue begin with.", "", "TEXT"),
)


def _for_store(name: str, argument: str = "VALUE", read: Callable[[str], object] = text) -> Option:
    return Option(
        name, "Taken and ignored: the store it belongs to is not kept any more.", "", argument, read, is_ignored=True
    )


#: Heading in --help -> its options.
OPTIONS: Final[Mapping[str, tuple[Option, ...]]] = {
    "General options": _GENERAL,
    "HTTP": _HTTP,
    "Gear": _GEAR,
    "Limits": _LIMITS,
    "libmemcached": _MEMCACHED_QUEUE,
    "libsqlite3": _SQLITE_QUEUE,
    "Postgres": _POSTGRES_QUEUE,
    "redis": _REDIS_QUEUE,
    "MySQL": _MYSQL_QUEUE,
    "libdrizzle": (
        *(_for_store(f"libdrizzle-{name}") for name in ("host", "uds", "user", "password", "db", "table")),
        _for_store("libdrizzle-port", "PORT", whole_number(0, INT_LIMIT)),
        _for_store("libdrizzle-mysql", ""),
    ),
    "libtokyocabinet": (_for_store("libtokyocabinet-file", "FILE"), _for_store("libtokyocabinet-optimize", "")),
}
