"""Catches what a test enqueues: says what it was, runs it on demand, or at once.

A job counts as enqueued while it would be one in production: what is rolled back is forgotten, what waits for another
database's commit is not there yet. Jobs are run by the job server's own queue and the worker's own code, in this
process, with a clock that the test sets: priorities, delays, retries, limits and uniques are those of production. Used
by the TestCase mixin (`case_mixin`) and by pytest's fixture (`pytest_plugin`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from django.db import connections, transaction

from gearjobs.settings import gearjobs_settings
from gearjobs.tasks import job_client
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.django_tasks import Task, TaskResultStatus, normalize_json, task_enqueued
from gearjobs.tasks.result import GearResult
from gearjobs.testing.capturing_client import CapturingClient
from gearjobs.testing.foreground import run_foreground
from gearjobs.testing.job_round import run_round
from gearjobs.testing.schedule_clock import fire_schedules
from gearjobs.testing.seen_jobs import SeenJobs

#: Runs after which `drain` takes it that jobs enqueue each other without end.
DRAIN_LIMIT: Final = 1_000
#: Seconds that pass at least where nothing could be run.
_STEP_S: Final = 0.01


class JobCapture:
    """What a test enqueues, from `start` to `stop`; also a context manager."""

    def __init__(self) -> None:
        self._client = CapturingClient(run_foreground, now=time.time)
        self._seen = SeenJobs(self._client.memory)
        #: For each `immediate` block around: whether commits are waited for.
        self._immediate: list[bool] = []
        #: Jobs that were run to their end, in that order, as results of that moment.
        self.performed: list[GearResult[Any]] = []

    def start(self) -> None:
        """Catch every job that is enqueued from now on."""
        job_client.stand_ins.append(self._client)
        task_enqueued.connect(self._note)

    def stop(self) -> None:
        """Let jobs go to the job servers again."""
        task_enqueued.disconnect(self._note)
        job_client.stand_ins.remove(self._client)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def enqueued(self) -> list[GearResult[Any]]:
        """The jobs that are enqueued and have not ended, in the order in which they were enqueued."""
        return self._seen.unfinished()

    def clear(self) -> None:
        """Forget all jobs so far; their rows stay."""
        self._seen.clear()
        self.performed.clear()

    def assert_enqueued(
        self,
        task: Task[..., Any],
        *,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        count: int | None = None,
        **attributes: object,
    ) -> GearResult[Any]:
        """Fail unless a call of the task is enqueued; return the last such.

        Args:
            task: the task, whatever queue, priority or time it was used with.
            args: its positional arguments, as given or as JSON has them; None for any.
            kwargs: its keyword arguments; None for any.
            count: how many calls there must be; None for one or more.
            attributes: attributes of the call's task to be compared, such as `queue_name`, `priority`, `run_after`.
        """
        __tracebackhide__ = True
        found = self._matching(task, args=args, kwargs=kwargs, attributes=attributes)
        if not found or (count is not None and len(found) != count):
            wanted = _told_call(task.name, args, kwargs=kwargs, attributes=attributes)
            number = "at least once" if count is None else f"{count} times"
            raise AssertionError(f"expected {wanted} to be enqueued {number}, found {len(found)}. {self._told()}")
        return found[-1]

    def assert_not_enqueued(
        self,
        task: Task[..., Any] | None = None,
        *,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
    ) -> None:
        """Fail if a call of the task is enqueued, or any call at all where no task is named."""
        __tracebackhide__ = True
        found = self.enqueued if task is None else self._matching(task, args=args, kwargs=kwargs, attributes={})
        if found:
            wanted = "nothing" if task is None else f"no {_told_call(task.name, args, kwargs=kwargs, attributes={})}"
            raise AssertionError(f"expected {wanted} to be enqueued, found {len(found)}. {self._told()}")

    def perform_enqueued(
        self, task: Task[..., Any] | None = None, *, at: datetime | None = None, raise_errors: bool = True
    ) -> list[GearResult[Any]]:
        """Run the jobs that are enqueued and due, most urgent first; not those that they enqueue.

        A job that fails and is to be tried again waits for its time, which `at` or `drain` brings.

        Args:
            task: run calls of this task only.
            at: let it be that time for the job server; jobs and the rest of the process keep their clock.
            raise_errors: once all have run, raise what was raised by the first that has failed for good.

        Returns:
            The jobs that ended.
        """
        now = time.time() if at is None else at.timestamp()
        chosen = [result for result in self.enqueued if task is None or result.task.func is task.func]
        done = run_round(chosen, now=now, memory=self._client.memory)
        ended = self._ended(chosen)
        if raise_errors:
            _raise_first(ended, done.errors)
        return ended

    def drain(self, *, limit: int = DRAIN_LIMIT, raise_errors: bool = True) -> list[GearResult[Any]]:
        """Run jobs until none is left: those that they enqueue, delayed ones and retries, too.

        Time passes for the job server alone: from one delayed job to the next, without waiting.

        Args:
            limit: runs after which it fails, for jobs may enqueue each other without end.
            raise_errors: as for `perform_enqueued`.

        Raises:
            AssertionError: the limit was reached.
        """
        now, runs = time.time(), 0
        ended: list[GearResult[Any]] = []
        errors: dict[str, BaseException] = {}
        while waiting := self.enqueued:
            done = run_round(waiting, now=now, memory=self._client.memory, most=limit - runs)
            runs += done.runs
            errors.update(done.errors)
            ended += self._ended(waiting)
            if runs >= limit and self.enqueued:
                raise AssertionError(f"jobs were still enqueued after {runs} runs. {self._told()}")
            if not done.runs:
                if done.next_due_at is None:
                    break
                # It may be told too early, but never without end.
                now = max(now + _STEP_S, done.next_due_at)
        if raise_errors:
            _raise_first(ended, errors)
        return ended

    def fire_schedules(self, until: datetime) -> list[GearResult[Any]]:
        """Enqueue what schedules would until then, as if the time had come and a job server were up; see there.

        Args:
            until: a time to come. The tasks with schedules must have been imported.

        Returns:
            The jobs that were enqueued.
        """
        fired = fire_schedules(until)
        for result in fired:
            self._seen.add(result)
        return fired

    @contextmanager
    def immediate(self, *, on_commit: bool = True) -> Iterator[None]:
        """Run each job that is enqueued within the block at once; its result tells of the end.

        What a job raises fails the job, as on a worker, and not its caller. Delayed jobs and retries wait.

        Args:
            on_commit: wait for the end of the transaction a job is enqueued in; in Django's TestCase, whose transaction
                has none, for `captureOnCommitCallbacks(execute=True)`.
        """
        self._immediate.append(on_commit)
        try:
            yield
        finally:
            self._immediate.pop()

    def _note(self, sender: object, task_result: GearResult[Any], **_: object) -> None:
        if not (isinstance(sender, type) and issubclass(sender, GearmanBackend)):
            return
        self._seen.add(task_result)
        if not self._immediate:
            return
        alias = _awaited_transaction(is_commit_awaited=self._immediate[-1])
        if alias is None:
            self._run_at_once(task_result)
        else:
            transaction.on_commit(partial(self._run_at_once, task_result), using=alias)

    def _run_at_once(self, result: GearResult[Any]) -> None:
        run_round([result], now=time.time(), memory=self._client.memory)
        for known in self._seen.all():
            if known.id == result.id:
                # The caller's own result, as Django's ImmediateBackend gives it back.
                result.take_over(known)
                if known.is_finished:
                    self.performed.append(known)

    def _ended(self, chosen: Sequence[GearResult[Any]]) -> list[GearResult[Any]]:
        handles = {result.id for result in chosen}
        ended = [result for result in self._seen.all() if result.id in handles and result.is_finished]
        self.performed += ended
        return ended

    def _matching(
        self,
        task: Task[..., Any],
        *,
        args: Sequence[object] | None,
        kwargs: Mapping[str, object] | None,
        attributes: Mapping[str, object],
    ) -> list[GearResult[Any]]:
        wanted_args: Any = None if args is None else normalize_json(list(args))
        wanted_kwargs: Any = None if kwargs is None else normalize_json(dict(kwargs))
        return [
            result
            for result in self.enqueued
            if result.task.func is task.func
            and (args is None or result.args == wanted_args)
            and (kwargs is None or result.kwargs == wanted_kwargs)
            and all(getattr(result.task, name) == value for name, value in attributes.items())
        ]

    def _told(self) -> str:
        """Return what is enqueued, as a sentence."""
        told = [_told_call(job.task.name, job.args, kwargs=job.kwargs, attributes={}) for job in self.enqueued]
        return f"Enqueued: {'; '.join(told) or 'nothing'}"


def _awaited_transaction(*, is_commit_awaited: bool) -> str | None:
    """Return the database on which the end of a transaction is to be awaited, or None."""
    alias = gearjobs_settings().database
    if connections[alias].in_atomic_block:
        return alias if is_commit_awaited else None
    # A job that is enqueued in another database's transaction is nowhere before its commit.
    open_now = (connection.alias for connection in connections.all(initialized_only=True) if connection.in_atomic_block)
    return next(open_now, None)


def _raise_first(ended: Sequence[GearResult[Any]], errors: Mapping[str, BaseException]) -> None:
    failed = [result for result in ended if result.status == TaskResultStatus.FAILED and result.id in errors]
    if not failed:
        return
    error = errors[failed[0].id]
    error.add_note(f"raised by the job {failed[0].id} of {failed[0].task.name}")
    if len(failed) > 1:
        error.add_note(f"{len(failed) - 1} more failed: {', '.join(result.task.name for result in failed[1:])}")
    raise error


def _told_call(
    name: str,
    args: Sequence[object] | None,
    *,
    kwargs: Mapping[str, object] | None,
    attributes: Mapping[str, object],
) -> str:
    told = ["..."] if args is None else [repr(value) for value in args]
    told += ["**..."] if kwargs is None else [f"{key}={value!r}" for key, value in kwargs.items()]
    with_words = ", ".join(f"{key}={value!r}" for key, value in attributes.items())
    return f"{name}({', '.join(told)})" + (f" with {with_words}" if with_words else "")
