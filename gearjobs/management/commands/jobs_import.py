"""`manage.py jobs_import`: takes the jobs of a queue that gearmand left into the Job table.

A file says itself whose it is (`--from`): SQLite's or Tokyo Cabinet's. Other queues are named by the options that
gearmand and `runjobserver` have for them. Nothing else may run on the queue meanwhile: a job that a gearmand there
hands out would run twice.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from gearjobs.actions.import_jobs import ImportReport, import_jobs
from gearjobs.errors import GearjobsError, UsageError
from gearjobs.server.command.option_configs import make_queue_options
from gearjobs.server.command.options import OPTIONS, Option
from gearjobs.stores import tokyo_cabinet
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_records import QueueRecord
from gearjobs.stores.queue_types import QUEUE_TYPES, find_queue_type, make_table

_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_SQLITE: Final = "libsqlite3"


class Command(BaseCommand):
    """Imports jobs."""

    help = "Take the jobs of a gearmand's queue into this project's job table. Stop the gearmand first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="file", type=Path, metavar="FILE", help="file of SQLite or Tokyo Cabinet")
        parser.add_argument("--queue-type", metavar="TYPE", help=f"where else the queue is: {', '.join(QUEUE_TYPES)}")
        parser.add_argument("--dry-run", action="store_true", help="say which jobs are meant, and do nothing")
        for option in _options():
            parser.add_argument(
                option.spelling,
                dest=option.field,
                type=partial(_read, option.read),
                metavar=option.argument,
                default=os.environ.get(option.environment) if option.environment else None,
                help=option.sentence.replace("%", "%%"),
            )

    def handle(self, *args: object, **options: Any) -> None:
        is_dry = options["dry_run"]
        try:
            report = _import(options, is_dry=is_dry)
        except (GearjobsError, OSError, Error) as error:
            raise CommandError(f"the queue was not imported, or not to its end: {error}") from error
        for function, number in sorted(report.imported.items()):
            self.stdout.write(f"{number:>8} {function}")
        verb = "would be imported" if is_dry else "imported"
        self.stdout.write(f"{report.imported.total()} jobs {verb}, {report.known} were there already")


def _import(options: dict[str, Any], *, is_dry: bool) -> ImportReport:
    file: Path | None = options["file"]
    if (file is None) == (options["queue_type"] is None):
        raise UsageError("say either --from FILE or --queue-type TYPE")
    load = partial(import_jobs, now=time.time(), is_dry=is_dry)
    if file is None:
        return _from_table(options["queue_type"], options, load)
    with file.open("rb") as opened:
        head = opened.read(len(_SQLITE_MAGIC))
    if head.startswith(tokyo_cabinet.MAGIC):
        return load(tokyo_cabinet.read_file(file))
    if head != _SQLITE_MAGIC:
        raise UsageError(f"{file} must be a file of SQLite or of Tokyo Cabinet, and is neither")
    return _from_table(_SQLITE, {**options, "libsqlite3_db": str(file)}, load)


def _from_table(
    queue_type: str, options: dict[str, Any], load: Callable[[Iterable[QueueRecord]], ImportReport]
) -> ImportReport:
    name = find_queue_type(queue_type)
    if name is None:
        raise UsageError(f"--queue-type must be one of {', '.join(QUEUE_TYPES)}, got {queue_type!r}")
    where = {field: value for field, value in options.items() if value is not None}
    if name == _SQLITE and not Path(where.get("libsqlite3_db", "")).is_file():
        raise UsageError(f"there is no file {where.get('libsqlite3_db', '')!r}")
    with closing(make_table(name, make_queue_options(where), DurabilityLevel.MEMORY)) as table:
        table.open()
        return load(table.read())


def _options() -> list[Option]:
    """Return the options that say where queues are."""
    found = chain.from_iterable(OPTIONS[name] for name in QUEUE_TYPES)
    return [option for option in found if option.argument]


def _read(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
