"""`--queue-type`: gearmand's stores by name, each made from its options when it is asked for.

A store's module is imported only then, so that nobody needs the drivers of the others; one that is missing is named
with the extra that has it. A module of this table has `make_table(options, durability)`, which opens nothing yet. What
keeps jobs in the project's database is not here (`records/record_store`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from gearjobs.core.jobs import JobHandle
from gearjobs.errors import UsageError
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_only import QueueOnlyStore, RecordTable
from gearjobs.stores.queue_options import QueueOptions

#: Makes a table, unopened.
MakeTable = Callable[[QueueOptions, DurabilityLevel], RecordTable]


@dataclass(frozen=True, slots=True)
class QueueType:
    """One of gearmand's stores."""

    #: The module of this folder that makes its table.
    module: str
    #: The extra of gearjobs that installs its driver; "" where none is needed.
    extra: str = ""


#: gearmand's name -> the store; any spelling of the name is taken.
QUEUE_TYPES: Final[dict[str, QueueType]] = {
    "libsqlite3": QueueType("gearmand_sqlite"),
    "MySQL": QueueType("gearmand_mysql", "mysql"),
    "Postgres": QueueType("gearmand_postgres", "postgres"),
    "redis": QueueType("gearmand_redis", "redis"),
    "libmemcached": QueueType("gearmand_memcached", "memcached"),
}

#: What gearmand had and nobody keeps any more -> what to use instead.
DEAD_QUEUE_TYPES: Final[dict[str, str]] = {
    "libdrizzle": "Drizzle is not developed any more, and --queue-type MySQL is its like",
    "libtokyocabinet": (
        "Tokyo Cabinet is not developed any more, and --queue-type libsqlite3 is its like;"
        " `manage.py jobs_import --from FILE` takes over the jobs in its file"
    ),
}


def find_queue_type(name: str) -> str | None:
    """Return gearmand's spelling of a store's name; None where there is no such store."""
    return next((known for known in QUEUE_TYPES if known.lower() == name.lower()), None)


def instead_of(name: str) -> str | None:
    """Return what to use instead of a store that gearmand had, in words; None for any other name."""
    return next((words for dead, words in DEAD_QUEUE_TYPES.items() if dead.lower() == name.lower()), None)


def make_queue_store(
    name: str, options: QueueOptions, *, durability: DurabilityLevel, make_handle: Callable[[], JobHandle]
) -> QueueOnlyStore:
    """Make the store of a queue type, unopened.

    Args:
        name: a key of QUEUE_TYPES.
        options: where it is, and who may use it.
        durability: what a commit is to survive.
        make_handle: names the jobs that gearmand left in it.

    Raises:
        UsageError: its driver is not installed, or an option is missing; the text says which.
    """
    return QueueOnlyStore(make_table(name, options, durability), make_handle=make_handle)


def make_table(name: str, options: QueueOptions, durability: DurabilityLevel) -> RecordTable:
    """Make the table of a queue type, unopened: for whoever only reads what gearmand left.

    Raises:
        UsageError: as for `make_queue_store`.
    """
    found = QUEUE_TYPES[name]
    try:
        make: MakeTable = import_module(f"gearjobs.stores.{found.module}").make_table
    except ModuleNotFoundError as error:
        remedy = f"install gearjobs[{found.extra}]"
        raise UsageError(f"the queue type {name} needs the Python package {error.name}: {remedy}") from error
    return make(options, durability)
