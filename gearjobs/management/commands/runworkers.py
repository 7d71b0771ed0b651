"""`manage.py runworkers`: processes that run this project's tasks, each one job at a time.

The functions and servers are worked out once (`tasks.worker_plan`), then a supervisor forks the processes, replaces
the ones that crash, and on SIGTERM or Ctrl-C lets each end its running job. Here are the flags, the log and what must
be let go of before a fork.
"""

from __future__ import annotations

import gc
import logging
import sys
from functools import partial
from typing import Any

from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from gearjobs.errors import GearjobsError
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.worker_plan import ALL_QUEUES, WorkerPlan, make_worker_plan
from gearjobs.tasks.worker_process import run_worker_process
from gearjobs.worker.pool.deadline_board import DeadlineBoard
from gearjobs.worker.pool.process_pool import ProcessPool

_LOG_LINE = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"
#: By Django's --verbosity.
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG)


class Command(BaseCommand):
    """Runs worker processes until SIGTERM or SIGINT."""

    help = "Run processes that take jobs from the job servers and run this project's tasks."

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = gearjobs_settings().workers
        parser.add_argument(
            "--processes",
            type=int,
            default=defaults.processes,
            metavar="N",
            help=f"worker processes, each running one job at a time ({defaults.processes})",
        )
        parser.add_argument(
            "--queue-name",
            type=_names,
            default=[ALL_QUEUES],
            metavar="NAMES",
            help="serve these queues, separated by commas; * for all that tasks are declared on or TASKS lists (*)",
        )
        parser.add_argument(
            "--functions",
            type=_names,
            default=[],
            metavar="NAMES",
            help="serve only these Gearman functions, separated by commas; * and ? match (all of the queues')",
        )
        parser.add_argument(
            "--shutdown-timeout",
            type=float,
            default=defaults.shutdown_timeout_s,
            metavar="SECONDS",
            help=f"how long a running job may go on after SIGTERM ({defaults.shutdown_timeout_s:g})",
        )
        parser.add_argument(
            "--worker-id",
            default="",
            metavar="NAME",
            help="name the workers <NAME>-<n> at the servers and in job records (<host>-<pid>)",
        )

    def handle(self, *args: object, **options: Any) -> None:
        _set_up_logging(_LEVELS[options["verbosity"]])
        try:
            plan = make_worker_plan(queue_names=options["queue_name"], patterns=options["functions"])
            deadlines = DeadlineBoard(options["processes"])
            pool = ProcessPool(
                options["processes"],
                partial(run_worker_process, plan=plan, deadlines=deadlines, name=options["worker_id"]),
                shutdown_timeout_s=options["shutdown_timeout"],
                deadlines=deadlines,
            )
        except GearjobsError as error:
            raise CommandError(str(error)) from error
        self._announce(plan, options["processes"])
        _let_go_before_fork()
        exit_code = pool.run()
        if exit_code:
            sys.exit(exit_code)

    def _announce(self, plan: WorkerPlan, count: int) -> None:
        processes = "1 worker process serves" if count == 1 else f"{count} worker processes serve"
        functions = "1 function" if len(plan.tasks) == 1 else f"{len(plan.tasks)} functions"
        self.stdout.write(f"{processes} {functions} at {', '.join(plan.servers)}; Ctrl-C stops.")
        for function in sorted(plan.tasks):
            self.stdout.write(f"  {function}")
        self.stdout.flush()


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _set_up_logging(level: int) -> None:
    """Show what the workers do, unless the project's LOGGING says where it goes."""
    logger = logging.getLogger("gearjobs")
    if logger.level == logging.NOTSET:
        logger.setLevel(level)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_LOG_LINE))
        logger.addHandler(handler)


def _let_go_before_fork() -> None:
    """Close what parent and children must not share, and keep the collector from copying what they may."""
    connections.close_all()
    caches.close_all()
    gc.collect()
    gc.freeze()
