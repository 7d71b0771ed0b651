"""The flags of `manage.py runworkers`, and how they win over the settings of every group that is run.

A flag that is not given leaves each group what GEARJOBS["WORKERS"] says of it. Names and meanings are those of Django's
and of the field's own tools (`db_worker`, gunicorn, GearmanManager), where these have one.
"""

from __future__ import annotations

from argparse import ArgumentTypeError, BooleanOptionalAction
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.management.base import CommandParser

from gearjobs.log_lines import LOG_FORMATS
from gearjobs.settings import WorkerSettings


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _at_least(minimum: float, kind: type[int | float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError as error:
            raise ArgumentTypeError(f"expected a number, got {text!r}") from error
        if not value >= minimum:
            raise ArgumentTypeError(f"expected at least {minimum}, got {text}")
        return value

    return read


def _range(text: str) -> tuple[int, int]:
    least, comma, most = text.partition(",")
    if not (comma and least.strip().isdecimal() and most.strip().isdecimal() and 1 <= int(least) <= int(most)):
        raise ArgumentTypeError(f"expected two numbers, the least and the most processes, as 2,8; got {text!r}")
    return int(least), int(most)


#: Flag, the setting it wins over, how its text is read, what its value is called, and what it does.
_FLAGS: Final = (
    ("--queue-name", "queues", _names, "NAMES", "serve these queues, separated by commas; * for all"),
    ("--functions", "functions", _names, "NAMES", "serve only these Gearman functions of them; * and ? match"),
    ("--processes", "processes", int, "N", "worker processes"),
    ("--threads", "threads", _at_least(1, int), "N", "jobs a process runs at once, each in a thread"),
    (
        "--async-concurrency",
        "async_concurrency",
        _at_least(0, int),
        "N",
        "jobs a process runs at once, coroutines in one event loop",
    ),
    ("--max-tasks", "max_tasks", _at_least(0, int), "N", "jobs after which a process is replaced; 0 for any number"),
    (
        "--max-memory",
        "max_memory_mib",
        _at_least(0, int),
        "MIB",
        "memory from which on a process is replaced; 0 for any",
    ),
    (
        "--max-lifetime",
        "max_lifetime_s",
        _at_least(0, float),
        "SECONDS",
        "age at which a process is replaced; 0 for never",
    ),
    (
        "--recycle-jitter",
        "recycle_jitter",
        _at_least(0, float),
        "SHARE",
        "share by which these three may be lower, by chance",
    ),
)


def add_worker_flags(parser: CommandParser, defaults: WorkerSettings) -> None:
    """Add the flags to the command's parser."""
    parser.add_argument("groups", nargs="*", metavar="group", help="groups to run; all that the settings have")
    for flag, field, read, metavar, sentence in _FLAGS:
        default = getattr(defaults, field)
        shown = ",".join(default) if isinstance(default, tuple) else default
        parser.add_argument(
            flag, dest=field, type=read, metavar=metavar, help=f"{sentence} ({'all' if shown == '' else shown})"
        )
    parser.add_argument(
        "--autoscale",
        type=_range,
        metavar="MIN,MAX",
        help="processes, MIN of them always, up to MAX while none is idle; instead of --processes",
    )
    parser.add_argument(
        "--shutdown-timeout",
        type=_at_least(0, float),
        default=defaults.shutdown_timeout_s,
        metavar="SECONDS",
        help=f"how long running jobs may go on after SIGTERM ({defaults.shutdown_timeout_s:g})",
    )
    parser.add_argument(
        "--worker-id",
        default="",
        metavar="NAME",
        help="name the workers <NAME>-<n> at the servers and in job records (<host>-<pid>)",
    )
    parser.add_argument("--batch", action="store_true", help="end with 0 when there is no job left to run")
    parser.add_argument(
        "--reload",
        action=BooleanOptionalAction,
        default=None,
        help="take new code when a file of it changes (where DEBUG is on)",
    )
    parser.add_argument(
        "--health",
        default=defaults.health,
        metavar="HOST:PORT",
        help="answer GET /livez and /readyz there (nowhere)",
    )
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default=defaults.log_format,
        help=f"how a line of the log looks ({defaults.log_format})",
    )
    parser.add_argument("--check", action="store_true", help="show what would be run, and end")


def given_flags(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of groups that flags were given for, by field."""
    given = {field: options[field] for _, field, *_ in _FLAGS if options.get(field) is not None}
    if options.get("autoscale"):
        given["processes"], given["max_processes"] = options["autoscale"]
    return given
