"""`manage.py runjobserver`: a Gearman job server whose background jobs live in the project's database.

The command line is gearmand's, so that it works after the program's name is replaced:
`gearjobs.server.command.command_line` reads it, not argparse, and the exit code is 0 or 1. Here the options become
the configurations of the process and of the server, the process is made what it is to be, the store is chosen and the
loop is run.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import random
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import connections

from gearjobs.core.handles import RANDOM_BITS, make_incarnation
from gearjobs.errors import GearjobsError, UsageError
from gearjobs.records.control_watch import make_control_watch
from gearjobs.records.ownership.lease_watch import LeaseTimes
from gearjobs.records.ownership.store_lock import is_shared
from gearjobs.records.pruning import make_pruning
from gearjobs.records.record_store import RecordStore
from gearjobs.records.statistics.rollup_writer import make_rollup_writer
from gearjobs.server.command.command_line import CommandLine
from gearjobs.server.command.daemon import Detachment, detach, open_standard_files
from gearjobs.server.command.log_targets import set_up_logging, write_now
from gearjobs.server.command.option_configs import make_process_config, make_queue_options, make_server_config
from gearjobs.server.command.option_help import render_help
from gearjobs.server.command.options import OPTIONS, Option
from gearjobs.server.command.process_config import ProcessConfig
from gearjobs.server.command.process_limits import allow_core_file, set_file_limit, switch_user
from gearjobs.server.config import RENEWALS_A_LEASE, ServerConfig
from gearjobs.server.job_server import JobServer
from gearjobs.server.peer_loop import PeerLoop
from gearjobs.server.queue_begin import make_handles
from gearjobs.server.server_lives import OnListening, ServerLives
from gearjobs.server.stop_signals import serve_until_signal
from gearjobs.servers import UNIX_PREFIX
from gearjobs.settings import gearjobs_settings
from gearjobs.stores.base import JobStore
from gearjobs.stores.builtin import BuiltinStore
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_types import QUEUE_TYPES, find_queue_type, instead_of, make_queue_store
from gearjobs.systemd_notify import SystemdNotify
from gearjobs.tasks.bulk_thread import make_bulk_thread
from gearjobs.tasks.schedules.server_side import make_scheduler
from gearjobs.version import __version__

#: Options of every Django command; `manage.py` has carried out the first two when the command is reached.
DJANGO_OPTIONS: Final = (
    Option("settings", "The project's settings module.", "", "MODULE"),
    Option("pythonpath", "Directory to import the project from.", "", "DIRECTORY"),
    Option("traceback", "Show where an error came from."),
    Option("verbosity", "Taken and ignored: --verbose says how much is logged.", "", "N", is_ignored=True),
    Option("no-color", "Taken and ignored.", is_ignored=True),
    Option("force-color", "Taken and ignored.", is_ignored=True),
    Option("skip-checks", "Taken and ignored: `manage.py check` runs the checks.", is_ignored=True),
)
_GROUPS: Final = {**OPTIONS, "Django": DJANGO_OPTIONS}

#: New objects after which the youngest are looked at, and how many such looks make one at the older ones, and so on:
#: Python's 700, 10 and 10 cost a server whose queue grows a third of its time. Some 3 ms a look.
_GC_THRESHOLDS: Final = (50_000, 20, 50)

Values = Mapping[str, Any]


class Command(BaseCommand):
    """Runs the job server until SIGTERM or SIGINT."""

    help = "Run a Gearman job server that keeps background jobs in this project's database."
    # A job server must start in well under a second; `manage.py check` is where checks run.
    requires_system_checks = ()

    #: Hears of the start, the life and the stop, where systemd runs the server.
    _notify = SystemdNotify.of_environment()

    def run_from_argv(self, argv: list[str]) -> None:
        program = f"{_program_name(argv[0])} {argv[1]}"
        try:
            exit_code = self._run(argv[2:], program)
        finally:
            connections.close_all()
        if exit_code:
            sys.exit(exit_code)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        self._print(_help(f"{_program_name(prog_name)} {subcommand}"))

    def add_arguments(self, parser: CommandParser) -> None:
        """Describe the options for `call_command`; the command line itself is not read by argparse."""
        for option in chain.from_iterable(OPTIONS.values()):
            if option.name in {"help", "version"}:
                continue
            names = [f"-{option.short}", option.spelling] if option.short else [option.spelling]
            if option.argument:
                parser.add_argument(*names, action="append" if option.is_repeatable else "store")
            else:
                parser.add_argument(*names, action="store_true")

    def handle(self, *args: object, **options: Any) -> None:
        """Do what `call_command` was asked for, as if it stood on a command line."""
        try:
            self._serve(_read(_as_words(options)))
        except (GearjobsError, OSError, ValueError) as error:
            raise CommandError(str(error), returncode=1) from error

    def _run(self, words: Sequence[str], program: str) -> int:
        """Do what the command line says; return the exit code."""
        try:
            values = _read(words)
            if "check_args" in values:
                return 0
            if "help" in values:
                self._print(_help(program))
            elif "version" in values:
                self._print(f"\ngearjobs {__version__} - a Gearman job server with the command line of gearmand\n")
            else:
                self._serve(values)
        except KeyboardInterrupt:
            return 1
        except (GearjobsError, OSError, ValueError) as error:
            if "--traceback" in words:
                raise
            _write(self.stderr, f"{program}: {error}\n")
            return 1
        return 0

    def _serve(self, given: Values) -> None:
        process, config, options = make_configs(given)
        make_store = _store_of(process.queue_type, config, options)
        is_store_shared = process.queue_type.lower() == "database" and is_shared(
            connections[gearjobs_settings().database]
        )
        # Before the user is switched, who may not be able to read where Python is installed.
        loop_factory = _fastest_loop(config)
        open_standard_files()
        set_file_limit(process.file_descriptors)
        if process.coredump:
            allow_core_file()
        if process.user:
            switch_user(process.user)
        detachment = detach() if process.daemon else None
        reopen_log = set_up_logging(process)

        rollups = make_rollup_writer(process.queue_type)
        tallies = None if rollups is None else rollups.tallies

        def make_server(config: ServerConfig, on_listening: OnListening) -> JobServer:
            return JobServer(
                config,
                make_store(),
                on_listening=on_listening,
                is_store_shared=is_store_shared,
                keeper=controls,
                tallies=tallies,
            )

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            loop = runner.get_loop()
            controls = make_control_watch(
                process.queue_type, lambda *news: loop.call_soon_threadsafe(server.obey, *news)
            )
            scheduler = make_scheduler(
                process.queue_type,
                config.schedules,
                on_jobs=lambda: loop.call_soon_threadsafe(server.adopt_jobs),
            )
            pruning = make_pruning(process.queue_type)
            bulk = make_bulk_thread(process.queue_type)
            beside = [thread for thread in (scheduler, pruning, rollups, controls, bulk) if thread is not None]

            def begin(addresses: list[tuple[str, int]], http_addresses: list[tuple[str, int]]) -> None:
                self._announce(detachment, addresses, http_addresses)
                for thread in beside:
                    thread.start()

            server = ServerLives(config, make_server, on_listening=begin)
            if controls is not None:
                server.begin_with(controls.first_look())
            # What start-up made lives as long as the process: the collector need not look at it again. Nor need it look
            # often at jobs: they come by the million, and are let go by whoever counts the last reference to them.
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
            try:
                runner.run(serve_until_signal(server, reopen_log=reopen_log, notify=self._notify))
            finally:
                for thread in beside:
                    thread.stop()

    def _announce(
        self, detachment: Detachment | None, addresses: list[tuple[str, int]], http_addresses: list[tuple[str, int]]
    ) -> None:
        self._print(f"gearjobs job server listening on {_shown(addresses)}\n")
        if http_addresses:
            self._print(f"gearjobs job server speaks HTTP on {_shown(http_addresses)}\n")
        if detachment is not None:
            detachment.complete()
        self._notify.ready()
        self._notify.status(f"listening on {_shown(addresses)}")

    def _print(self, text: str) -> None:
        _write(self.stdout, text)


def _shown(addresses: list[tuple[str, int]]) -> str:
    return ", ".join(_shown_address(host, port) for host, port in addresses)


def _shown_address(host: str, port: int) -> str:
    if host.startswith(UNIX_PREFIX):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _read(words: Sequence[str]) -> dict[str, Any]:
    """Return what a command line gives, by field name."""
    return CommandLine(chain.from_iterable(_GROUPS.values()), environment=os.environ).read(words)


def _as_words(options: Values) -> list[str]:
    """Return the command line that says what `call_command` was given."""
    words = []
    for option in chain.from_iterable(OPTIONS.values()):
        given = options.get(option.name.replace("-", "_"))
        if not option.argument:
            words += [option.spelling] if given else []
        elif given is not None:
            several = given if isinstance(given, list | tuple) else [given]
            words += [word for one in several for word in (option.spelling, str(one))]
    return words


def make_configs(given: Values) -> tuple[ProcessConfig, ServerConfig, QueueOptions]:
    """Return how the process, the server and its store are to be: as given, else as GEARJOBS["SERVER"] says.

    Raises:
        SettingsError: something that was given, or set, cannot be.
    """
    values = {**dataclasses.asdict(gearjobs_settings().server), **given}
    return make_process_config(values), make_server_config(values), make_queue_options(values)


def _write(stream: OutputWrapper, text: str) -> None:
    """Write what goes: what were left in a buffer would fail once more at the end, and change the exit code."""
    try:
        stream.flush()
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        # A test's stream, or none: the descriptor was closed.
        if getattr(stream, "_out", None) is not None:
            stream.write(text, ending="")
    else:
        write_now(descriptor, text)


def _program_name(path: str) -> str:
    name = Path(path).name
    return "python -m django" if name == "__main__.py" else name


def _help(program: str) -> str:
    return f"Usage: {program} [options]\n\n{render_help(_GROUPS)}"


def _store_of(queue_type: str, config: ServerConfig, options: QueueOptions) -> Callable[[], JobStore]:
    """Return what makes the store of a --queue-type.

    Raises:
        UsageError: there is no such store, or it cannot be made as the options say.
    """
    known: dict[str, Callable[[], JobStore]] = {
        "database": partial(_make_record_store, config),
        "builtin": BuiltinStore,
    }
    if queue_type.lower() in known:
        return known[queue_type.lower()]
    remedy = "without --queue-type background jobs are kept in the project's database"
    if (instead := instead_of(queue_type)) is not None:
        raise UsageError(f"the queue type {queue_type} is gone: {instead}; {remedy}")
    name = find_queue_type(queue_type)
    if name is None:
        there_is = ", ".join([*known, *QUEUE_TYPES])
        raise UsageError(f"Error while initializing the queue : {queue_type}: there is {there_is}; {remedy}")
    make = partial(
        make_queue_store, name, options, durability=config.durability, make_handle=make_handles(config).next_handle
    )
    # What is wrong with the options is said at the start, and before the process detaches.
    make()
    return make


def _make_record_store(config: ServerConfig) -> JobStore:
    life = make_incarnation(time.time(), random.SystemRandom().getrandbits(RANDOM_BITS))
    return RecordStore(
        gearjobs_settings().database,
        f"{socket.gethostname()}:{os.getpid()}:{life}",
        lease=LeaseTimes(config.lease_ttl_s, config.lease_ttl_s / RENEWALS_A_LEASE),
        durability=config.durability,
    )


def _fastest_loop(config: ServerConfig) -> Callable[[], asyncio.AbstractEventLoop]:
    if hasattr(select, "epoll") and not (config.ssl and find_spec("uvloop")):
        return PeerLoop
    if find_spec("uvloop") is None:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return factory
