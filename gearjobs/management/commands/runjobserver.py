"""`manage.py runjobserver`: a Gearman job server whose background jobs live in the project's database.

The flags are gearmand's, so that its command line works after the program's name is replaced. The server itself is
`gearjobs.server`; here options become a ServerConfig, the store is chosen and logging is set up.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from argparse import ArgumentTypeError
from collections.abc import Callable, Coroutine
from importlib import import_module
from importlib.util import find_spec
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.errors import GearjobsError
from gearjobs.records.record_store import RecordStore
from gearjobs.server.config import ServerConfig
from gearjobs.server.job_server import JobServer
from gearjobs.server.stop_signals import serve_until_signal
from gearjobs.settings import gearjobs_settings

_LOG_LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"

#: gearmand's words for --verbose, and what they are to Python.
_LEVELS = {
    "FATAL": logging.CRITICAL,
    "ALERT": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "NOTICE": logging.INFO,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}


class Command(BaseCommand):
    """Runs the job server until SIGTERM or SIGINT."""

    help = "Run a Gearman job server that keeps background jobs in this project's database."
    # A job server must start in well under a second; `manage.py check` is where checks run.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = gearjobs_settings().server
        parser.add_argument(
            "-L",
            "--listen",
            action="append",
            metavar="ADDR",
            help=f"address to listen on ({', '.join(defaults.listen)})",
        )
        port = _whole_number(0, 65535)
        parser.add_argument("-p", "--port", type=port, default=defaults.port, help="TCP port; 0 takes a free one")
        parser.add_argument(
            "-P", "--pid-file", type=Path, metavar="FILE", help="write the process id here when listening"
        )
        parser.add_argument("-l", "--log-file", default="stderr", metavar="FILE", help="log file, `stderr` or `none`")
        parser.add_argument("--verbose", default="INFO", choices=_LEVELS, type=str.upper, help="how much is logged")
        backlog = _whole_number(1, 2**31 - 1)
        parser.add_argument("-b", "--backlog", type=backlog, default=ServerConfig().backlog, help="listen(2) backlog")
        parser.add_argument(
            "-j",
            "--job-retries",
            type=_whole_number(-1, 2**31 - 1),
            default=-1,
            metavar="N",
            help="runs of a job that may be cut short; -1: any",
        )
        parser.add_argument(
            "-w",
            "--worker-wakeup",
            type=_whole_number(0, 2**31 - 1),
            default=1,
            metavar="N",
            help="sleeping workers woken a job; 0: all",
        )
        parser.add_argument("--job-handle-prefix", default="", metavar="TEXT", help="first part of every job handle")
        parser.add_argument("--exceptions", action="store_true", help="send WORK_EXCEPTION to every client")

    def handle(self, *args: object, **options: Any) -> None:
        store = RecordStore(gearjobs_settings().database, _owner_name())
        try:
            _set_up_logging(options["log_file"], _LEVELS[options["verbose"]])
            server = JobServer(_make_config(options), store, on_listening=self._announce)
            _run(serve_until_signal(server))
        except (GearjobsError, OSError, ValueError) as error:
            raise CommandError(str(error), returncode=1) from error

    def _announce(self, addresses: list[tuple[str, int]]) -> None:
        shown = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses)
        self.stdout.write(f"gearjobs job server listening on {shown}")
        self.stdout.flush()


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not lowest <= number <= highest:
            raise ArgumentTypeError(f"must be from {lowest} to {highest}, got {number}")
        return number

    # argparse names it where the text is no number at all.
    parse.__name__ = "whole number"
    return parse


def _make_config(options: dict[str, Any]) -> ServerConfig:
    return ServerConfig(
        listen=tuple(options["listen"] or gearjobs_settings().server.listen),
        port=options["port"],
        backlog=options["backlog"],
        job_handle_prefix=options["job_handle_prefix"],
        job_retries=options["job_retries"],
        worker_wakeup=options["worker_wakeup"],
        exceptions=options["exceptions"],
        pid_file=options["pid_file"],
    )


def _owner_name() -> str:
    """Return what the rows of this server name as their owner."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _set_up_logging(target: str, level: int) -> None:
    """Let the loggers of gearjobs write to the target; the root logger is the project's."""
    handler: logging.Handler
    if target == "none":
        handler = logging.NullHandler()
    elif target == "stderr":
        handler = logging.StreamHandler()
    else:
        handler = WatchedFileHandler(target)
    handler.setFormatter(logging.Formatter(_LOG_LINE))
    root = logging.getLogger("gearjobs")
    root.handlers = [handler]
    root.setLevel(level)
    root.propagate = False


def _run(serve: Coroutine[Any, Any, None]) -> None:
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if find_spec("uvloop") is not None:
        loop_factory = import_module("uvloop").new_event_loop
    # What start-up made lives as long as the process: the collector need not look at it again.
    gc.freeze()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve)
