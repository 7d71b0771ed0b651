"""`manage.py runworkers [group ...]`: processes that run this project's tasks.

What the groups are and do is worked out once (`tasks.worker_groups`), then a supervisor (`worker.pool`) forks the
processes, replaces the ones that crash, and on SIGTERM or Ctrl-C lets each end its running jobs. Here are the flags,
the log, what stands beside the supervisor, and what must be let go of before a fork.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from gearjobs.errors import GearjobsError
from gearjobs.log_lines import SharedTarget, make_formatter
from gearjobs.management.code_watch import CodeWatch
from gearjobs.management.worker_flags import add_worker_flags, given_flags
from gearjobs.settings import gearjobs_settings
from gearjobs.systemd_notify import SystemdNotify
from gearjobs.tasks.loss_reports import report_losses
from gearjobs.tasks.schedules.schedule_sync import sync_schedules
from gearjobs.tasks.worker_groups import WorkerGroup, make_worker_groups, unserved_tasks
from gearjobs.tasks.worker_process import WorkerProcess
from gearjobs.worker.pool.health_port import HealthPort
from gearjobs.worker.pool.pool_services import PoolServices, Sideline
from gearjobs.worker.pool.process_pool import ChildPlace, ProcessPool
from gearjobs.worker.pool.renewal import Handover, Renewal, own_command
from gearjobs.worker.pool.signal_pipe import SignalPipe
from gearjobs.worker.pool.systemd_sideline import SystemdSideline

#: By Django's --verbosity.
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG)


class Command(BaseCommand):
    """Runs worker processes until SIGTERM or SIGINT."""

    help = "Run processes that take jobs from the job servers and run this project's tasks."

    def add_arguments(self, parser: CommandParser) -> None:
        add_worker_flags(parser, gearjobs_settings().workers)

    def handle(self, *args: object, **options: Any) -> None:
        _set_up_logging(_LEVELS[options["verbosity"]], options["log_format"])
        # Whatever goes wrong from here on must not leave signals held back that were for the program before this one.
        handover = Handover.taken()
        try:
            groups = make_worker_groups(gearjobs_settings().workers, options["groups"], flags=given_flags(options))
            if options["check"]:
                self._announce(groups)
                return
            pool = _make_pool(groups, options, handover)
        except GearjobsError as error:
            SignalPipe.let_through()
            raise CommandError(str(error)) from error
        self._announce(groups)
        sync_schedules()
        _let_go_before_fork()
        exit_code = pool.run()
        if exit_code:
            sys.exit(exit_code)

    def _announce(self, groups: list[WorkerGroup]) -> None:
        for group in groups:
            given, count = group.pool_group.scale, len(group.plan.tasks)
            number = f"{given.least}" if given.least == given.most else f"{given.least} to {given.most}"
            processes = "1 worker process serves" if number == "1" else f"{number} worker processes serve"
            lanes = f", each {group.pool_group.lanes} jobs at once," if group.pool_group.lanes > 1 else ""
            functions = "1 function" if count == 1 else f"{count} functions"
            self.stdout.write(
                f"{group.name}: {processes}{lanes} {functions} at {', '.join(group.plan.servers)}; Ctrl-C stops."
            )
            for function in sorted(group.plan.tasks):
                self.stdout.write(f"  {function}")
        for function in unserved_tasks(groups):
            self.stdout.write(f"  not served here, for its task has another executor: {function}")
        self.stdout.flush()


def _make_pool(groups: list[WorkerGroup], options: Mapping[str, Any], handover: Handover) -> ProcessPool:
    by_name = {group.name: group for group in groups}

    def run_child(place: ChildPlace) -> None:
        WorkerProcess(place, by_name[place.group], name=options["worker_id"], is_batch=options["batch"]).run()

    sidelines: list[Sideline] = []
    descriptors: dict[str, int] = {}
    if options["health"]:
        port = HealthPort(options["health"], descriptor=handover.descriptors.get("health", -1))
        logging.getLogger("gearjobs.worker").info("Answering /livez and /readyz on %s", port.address)
        sidelines.append(port)
        descriptors["health"] = port.descriptor
    notify = SystemdNotify.of_environment()
    if notify.is_on:
        sidelines.append(SystemdSideline(notify))
    if settings.DEBUG if options["reload"] is None else options["reload"]:
        sidelines.append(CodeWatch())
    services = PoolServices(
        report_loss=report_losses,
        renewal=Renewal(own_command(), descriptors=descriptors),
        sidelines=sidelines,
    )
    return ProcessPool(
        [group.pool_group for group in groups],
        run_child,
        shutdown_timeout_s=options["shutdown_timeout"],
        services=services,
        handover=handover,
    )


def _set_up_logging(level: int, log_format: str) -> None:
    """Show what the workers do, unless the project's LOGGING says where it goes."""
    logger = logging.getLogger("gearjobs")
    if logger.level == logging.NOTSET:
        logger.setLevel(level)
    if not logger.hasHandlers():
        handler = SharedTarget()
        handler.setFormatter(make_formatter(log_format, has_many_processes=True))
        logger.addHandler(handler)


def _let_go_before_fork() -> None:
    """Close what parent and children must not share, and keep the collector from copying what they may."""
    connections.close_all()
    caches.close_all()
    gc.collect()
    gc.freeze()
