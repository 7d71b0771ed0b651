"""`manage.py jobs_queues`: the functions of the job servers, and pausing, resuming, clearing and limiting them.

    manage.py jobs_queues
    manage.py jobs_queues pause shop.tasks.send_mail --note "mail provider is down"
    manage.py jobs_queues resume shop.tasks.send_mail
    manage.py jobs_queues clear resize
    manage.py jobs_queues limit resize --concurrency 4 --rate 100/60 --max-waiting 1000

`pause`, `resume` and `limit` hold at every server of the database and over restarts; a limit that is not given stays as
it was, and 0 takes it away. Servers that do not answer are named in the end, and the exit code is 1.
"""

from __future__ import annotations

import dataclasses
import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.actions.change_queue_limits import QueueLimits, change_queue_limits, limits_of
from gearjobs.actions.clear_queues import clear_queues
from gearjobs.actions.live_snapshot import FunctionState, LiveSnapshot, live_snapshot
from gearjobs.actions.pause_queues import pause_queues, resume_queues
from gearjobs.errors import GearjobsError
from gearjobs.models import QueueControl
from gearjobs.records.queue_controls import all_controls

_COLUMNS: Final = ("FUNCTION", "WAITING", "RUNNING", "SCHEDULED", "WORKERS", "OLDEST", "IN/S", "OUT/S", "STATE")


class Command(BaseCommand):
    """Lists functions, or does something to some of them."""

    help = "List the functions of the job servers, or pause, resume, clear or limit some of them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "verb",
            nargs="?",
            choices=("pause", "resume", "clear", "limit"),
            help="what to do to them; without it they are listed",
        )
        parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="Gearman functions, as they are listed")
        parser.add_argument("--note", default="", metavar="TEXT", help="why they are paused")
        parser.add_argument(
            "--concurrency", type=_count, metavar="N", help="at most so many run at once, at each server"
        )
        parser.add_argument("--rate", type=_rate, metavar="N/SECONDS", help="at most so many start in a time")
        parser.add_argument(
            "--max-waiting",
            type=_lanes,
            metavar="N",
            help="refuse new jobs from so many on; three numbers with commas: of high, normal and low priority",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: object, **options: Any) -> None:
        verb, functions = options["verb"], options["functions"]
        if verb is None:
            self._list(live_snapshot(), as_json=options["json"])
            return
        if not functions:
            raise CommandError(f"name the functions that are meant: jobs_queues {verb} FUNCTION")
        verbs: Mapping[str, Callable[[Sequence[str], dict[str, Any]], str]] = {
            "pause": lambda names, options: f"{pause_queues(names, note=options['note'])} paused",
            "resume": lambda names, options: f"{resume_queues(names)} resumed",
            "clear": self._clear,
            "limit": self._limit,
        }
        try:
            self.stdout.write(verbs[verb](functions, options))
        except GearjobsError as error:
            raise CommandError(str(error)) from error

    def _clear(self, functions: Sequence[str], options: dict[str, Any]) -> str:
        report = clear_queues(functions)
        if report.problems:
            problems = "; ".join(report.problems)
            raise CommandError(f"{report.cleared} jobs cleared, {report.left} could not be: {problems}")
        return f"{report.cleared} jobs cleared"

    def _limit(self, functions: Sequence[str], options: dict[str, Any]) -> str:
        given = _given_limits(options)
        if not given:
            raise CommandError("say which limit: --concurrency, --rate or --max-waiting")
        changed = [name for name in functions if change_queue_limits(name, _changed(name, given))]
        return f"{len(changed)} limited"

    def _list(self, live: LiveSnapshot, *, as_json: bool) -> None:
        controls = {row.function: row for row in all_controls()}
        states = {state.name: state for state in live.functions}
        for name in controls.keys() - states.keys():
            states[name] = FunctionState(name)
        shown = [states[name] for name in sorted(states)]
        if as_json:
            for state in shown:
                self.stdout.write(_json_line(state, controls.get(state.name)))
        else:
            self._write_table([_COLUMNS, *(_row(state, controls.get(state.name)) for state in shown)])
        if live.problems:
            raise CommandError("\n".join(live.problems))

    def _write_table(self, rows: Sequence[tuple[str, ...]]) -> None:
        widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(state: FunctionState, control: QueueControl | None) -> tuple[str, ...]:
    oldest = "" if state.oldest_queued_at is None else f"{max(0.0, time.time() - state.oldest_queued_at):.0f} s"
    return (
        state.name,
        str(state.waiting),
        str(state.running),
        str(state.scheduled),
        str(state.workers),
        oldest,
        f"{state.entered_per_s:.1f}",
        f"{state.taken_per_s:.1f}",
        ", ".join(_state_words(state, control)),
    )


def _state_words(state: FunctionState, control: QueueControl | None) -> list[str]:
    words = []
    if state.is_paused or (control is not None and control.is_paused):
        words.append("paused" + (f" ({control.note})" if control is not None and control.note else ""))
    if control is not None:
        words += [f"{control.concurrency} at once"] if control.concurrency else []
        words += [f"{control.rate} in {control.per_s:g} s"] if control.rate else []
    return words + ([f"{state.throttled} held up by limits"] if state.throttled else [])


def _json_line(state: FunctionState, control: QueueControl | None) -> str:
    said = dataclasses.asdict(state)
    said["is_paused"] = state.is_paused or (control is not None and control.is_paused)
    said["note"] = "" if control is None else control.note
    limits = limits_of(state.name) if control is not None else QueueLimits()
    return json.dumps(said | dataclasses.asdict(limits), ensure_ascii=False)


def _given_limits(options: dict[str, Any]) -> dict[str, Any]:
    given = {} if options["concurrency"] is None else {"concurrency": options["concurrency"]}
    if options["rate"] is not None:
        given["rate"], given["per_s"] = options["rate"]
    if options["max_waiting"] is not None:
        given["max_high"], given["max_normal"], given["max_low"] = options["max_waiting"]
    return given


def _changed(function: str, given: dict[str, Any]) -> QueueLimits:
    return dataclasses.replace(limits_of(function), **given)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"it must be a number from 0 upwards, got {text!r}")
    return int(text)


def _rate(text: str) -> tuple[int, float]:
    number, slash, seconds = text.partition("/")
    try:
        rate, per_s = _count(number), float(seconds or "1")
    except ValueError as error:
        raise ArgumentTypeError(
            f"it must be a number of starts and of seconds, such as 100/60, got {text!r}"
        ) from error
    if bool(slash) != bool(seconds):
        raise ArgumentTypeError(f"it must be a number of starts and of seconds, such as 100/60, got {text!r}")
    return (rate, per_s) if rate else (0, 0.0)


def _lanes(text: str) -> tuple[int, int, int]:
    counts = [_count(part) for part in text.split(",")]
    if len(counts) == 1:
        counts *= 3
    if len(counts) != 3:
        raise ArgumentTypeError(f"it must be one number, or three with commas, got {text!r}")
    return counts[0], counts[1], counts[2]
