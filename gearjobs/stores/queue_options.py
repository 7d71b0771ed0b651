"""Where gearmand's queue stores are: the values of the command line's options for them.

Each field's sentence and default are here, gearmand's where it has one; the spelling is in `server/command/options`,
and which store reads which in `queue_types`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """What the stores are told of their media."""

    #: The SQLite file; there is no default.
    libsqlite3_db: str = ""
    #: The table in it.
    libsqlite3_table: str = "gearman_queue"
    #: Write the queue to SQLite at a clean stop only; needs --durability memory.
    store_queue_on_shutdown: bool = False
    #: The host of MySQL or MariaDB, or a socket's path.
    mysql_host: str = "localhost"
    #: Its port.
    mysql_port: int = 3306
    #: Who to be there.
    mysql_user: str = ""
    #: The password for it.
    mysql_password: str = field(default="", repr=False)
    #: The database there.
    mysql_db: str = ""
    #: The table in it.
    mysql_table: str = "gearman_queue"
    #: How to connect to PostgreSQL, in libpq's words; its environment variables count, too.
    libpq_conninfo: str = field(default="", repr=False)
    #: The table there.
    libpq_table: str = "queue"
    #: The host of Redis.
    redis_server: str = "127.0.0.1"
    #: Its port.
    redis_port: int = 6379
    #: The password for it; none when empty.
    redis_password: str = field(default="", repr=False)
    #: What the keys of the queue begin with.
    redis_prefix: str = "_gear_"
    #: memcached servers, host:port each, with commas; there is no default.
    libmemcached_servers: str = ""
    #: What the keys of the queue begin with.
    libmemcached_prefix: str = "gear_"
