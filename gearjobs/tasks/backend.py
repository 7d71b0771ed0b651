"""The django.tasks backend: `TASKS = {"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend"}}`.

OPTIONS: `SERVERS`, a list of `host[:port]`, instead of GEARJOBS["SERVERS"]; `BALANCE`, how jobs are shared out among
them (`client/balance`). Making a backend touches no model and no socket, since the first `@gear_task` of a project
makes one. Django makes one for each thread, so it holds no state: the connections are the process's (`job_client`), the
jobs are the table's. The async twins are Django's: they run in the thread that owns the caller's transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from django.apps import apps
from django.core import checks
from django.core.exceptions import ObjectDoesNotExist
from django.db import connections

from gearjobs.client.balance import BALANCES
from gearjobs.client.client import Client
from gearjobs.errors import ServerUnavailable, UsageError
from gearjobs.servers import parse_server
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_enqueued,
)
from gearjobs.tasks.enqueue import Call, enqueue_calls
from gearjobs.tasks.function_names import check_queue_name, function_of
from gearjobs.tasks.groups.enqueue_group import enqueue_whole
from gearjobs.tasks.groups.group_result import GroupResult
from gearjobs.tasks.groups.signature import Chain, Group
from gearjobs.tasks.job_client import client_of
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, retried_result
from gearjobs.tasks.job_events import Event
from gearjobs.tasks.job_terms import unique_of
from gearjobs.tasks.late_records import job_outputs, job_queries
from gearjobs.tasks.payload import encode_call, read_result
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.stored_result import result_of
from gearjobs.tasks.task import GearTask

#: Every key of OPTIONS.
OPTION_NAMES: Final = ("BALANCE", "SERVERS")


class GearmanBackend(BaseTaskBackend):
    """Enqueues tasks as Gearman jobs and reads their results from the Job table."""

    task_class = GearTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    @property
    def servers(self) -> tuple[str, ...]:
        """The job servers, in the order in which they are tried."""
        return tuple(self.options.get("SERVERS") or gearjobs_settings().servers)

    def validate_task(self, task: Task[..., Any]) -> None:
        """Refuse what cannot be enqueued here.

        Raises:
            InvalidTask: the text says what was expected.
        """
        super().validate_task(task)
        try:
            check_queue_name(task.queue_name)
        except UsageError as error:
            raise InvalidTask(str(error)) from error

    def enqueue(  # type: ignore[override]  # the stubs say list, Django hands over a tuple
        self, task: Task[..., Any], args: Sequence[object], kwargs: Mapping[str, object]
    ) -> GearResult[Any]:
        """Put a call into its queue; see `enqueue.enqueue_calls` for where it is kept.

        Raises:
            InvalidTask: this backend cannot run the task.
            PayloadError: the arguments have no JSON form.
            ServerError: the job server refused the job.
            ServerUnavailable: neither a job server nor the database could keep it.
        """
        return self.enqueue_many(task, [(args, kwargs)])[0]

    def enqueue_many(self, task: Task[..., Any], calls: Iterable[Call]) -> list[GearResult[Any]]:
        """Put calls into their queue, all in one go; see `enqueue.enqueue_calls`.

        Raises:
            PartlyRefused: the job server refused some of them; it carries the results of the others.
            The same as `enqueue` besides; of PayloadError and InvalidTask nothing was enqueued.
        """
        self.validate_task(task)
        results = enqueue_calls(task, calls, backend=self.alias, client=self._client())
        for result in results:
            task_enqueued.send(sender=type(self), task_result=result)
        return results

    def enqueue_group(self, whole: Group | Chain) -> GroupResult:
        """Put calls into the queue that wait for one another; see `groups.enqueue_group`.

        Raises:
            UsageError: a call is of a task of another kind of backend.
            The same as `enqueue` besides.
        """
        group, results = enqueue_whole(whole, client=self._client())
        for result in results:
            task_enqueued.send(sender=type(self), task_result=result)
        return group

    def do(self, task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object]) -> object:
        """Run a call on a worker, wait for its end and return its value; nothing is kept of it.

        Calls of the same unique share one run. Other terms are for jobs that are kept.

        Raises:
            JobFailed: the task raised.
            ServerUnavailable: no job server answered, or the connection broke.
        """
        self.validate_task(task)
        normal_args, normal_kwargs = _normal_call(args, kwargs)
        payload = encode_call(normal_args, normal_kwargs)
        unique = unique_of(task, normal_args, kwargs=normal_kwargs)
        return read_result(self._client().do(function_of(task), payload, unique=unique, priority=task.priority))

    def get_result(self, result_id: str) -> GearResult[Any]:
        """Return the result of any job in the table, whoever enqueued it.

        Raises:
            TaskResultDoesNotExist: there is no such job.
            SuspiciousOperation: the job's task is the path of something that is no task.
        """
        try:
            job = job_queries.get_job(result_id, using=gearjobs_settings().database)
        except ObjectDoesNotExist:
            raise TaskResultDoesNotExist(result_id) from None
        return result_of(job, backend=self.alias)

    def has_ended(self, result_id: str) -> bool:
        """Tell whether a job has ended; reads one column.

        Raises:
            TaskResultDoesNotExist: there is no such job.
            UsageError: it has not, and in this transaction nobody would see it end.
        """
        alias = gearjobs_settings().database
        try:
            has_ended = job_queries.has_ended(result_id, using=alias)
        except ObjectDoesNotExist:
            raise TaskResultDoesNotExist(result_id) from None
        if not has_ended and connections[alias].in_atomic_block:
            raise UsageError(f"the job {result_id} cannot be waited for in a transaction; wait after the commit")
        return has_ended

    def outputs_after(self, result_id: str, since: int) -> list[Event]:
        """Return what a job sent after the output of the number `since`, at most a hundred pieces."""
        rows = job_outputs.outputs_after(result_id, since, using=gearjobs_settings().database)
        return [
            Event(
                kind="warning" if row.is_warning else "data",
                sequence=row.sequence,
                body=bytes(row.body),
                sent_at=row.streamed_at,
            )
            for row in rows
        ]

    def cancel(self, result_id: str, *, force: bool = False, reason: str = "") -> bool:
        """End a job, or have its worker told; see `GearResult.cancel`.

        Raises:
            ServerUnavailable: the job is at a server that does not answer.
        """
        verdict = cancel_one(result_id, client=self._client(), force=force, reason=reason)
        if verdict is CancelOutcome.UNREACHABLE:
            raise ServerUnavailable(f"the job {result_id} is at a job server that did not answer")
        return verdict in (CancelOutcome.CANCELLED, CancelOutcome.ASKED)

    def retry(self, result_id: str, *, at: datetime | None = None) -> GearResult[Any]:
        """Enqueue a job again that has ended; see `GearResult.retry`.

        Raises:
            TaskResultDoesNotExist: there is no such job.
            UsageError: it has not ended; RetriedAlready where another job does its work again already.
        """
        row = job_queries.all_jobs(using=gearjobs_settings().database).filter(pk=result_id).first()
        if row is None:
            raise TaskResultDoesNotExist(result_id)
        return retried_result(row, backend=self.alias, client=self._client(), at=at)

    def purge(self, task: Task[..., Any]) -> int:
        """Cancel the jobs of a task that have not started, on any queue; return how many.

        Raises:
            ServerUnavailable: one is at a server that does not answer; others may have been cancelled.
        """
        waiting = job_queries.all_jobs(using=gearjobs_settings().database).filter(
            task=task.module_path, finished_at=None, status=TaskResultStatus.READY
        )
        handles = waiting.order_by("enqueued_at", "handle").values_list("handle", flat=True)
        return sum(self.cancel(handle) for handle in list(handles))

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Report what is wrong with this alias of TASKS."""
        return [*super().check(**kwargs), *self._check_app(), *self._check_options()]

    def close(self) -> None:
        """Close the process's connections to the servers; the next call opens new ones."""
        self._client().close()

    def _client(self) -> Client:
        return client_of(self.servers, balance=self.options.get("BALANCE", "order"))

    def _check_app(self) -> Iterable[checks.CheckMessage]:
        if not apps.is_installed("gearjobs"):
            yield checks.Error(
                f"TASKS[{self.alias!r}] uses GearmanBackend, but INSTALLED_APPS lacks gearjobs.",
                hint='Add "gearjobs" to INSTALLED_APPS and run migrate.',
                id="gearjobs.E101",
            )

    def _check_options(self) -> Iterable[checks.CheckMessage]:
        for name in sorted(self.options.keys() - set(OPTION_NAMES)):
            near = get_close_matches(name.upper(), OPTION_NAMES, n=1)
            yield checks.Error(
                f"TASKS[{self.alias!r}] has the unknown option {name!r}.",
                hint=f'Did you mean "{near[0]}"?' if near else f"The options are {', '.join(OPTION_NAMES)}.",
                id="gearjobs.E102",
            )
        balance = self.options.get("BALANCE", "order")
        if balance not in BALANCES:
            yield checks.Error(
                f"TASKS[{self.alias!r}] must have one of {', '.join(BALANCES)} as BALANCE, got {balance!r}.",
                hint='Leave it out to have the first server that lives used, or write "unique" to spread the jobs.',
                id="gearjobs.E104",
            )
        servers = self.options.get("SERVERS", ("localhost",))
        if not isinstance(servers, list | tuple) or not servers or not all(isinstance(one, str) for one in servers):
            yield checks.Error(
                f"TASKS[{self.alias!r}] must have a list of strings as SERVERS, got {servers!r}.",
                hint='Write ["127.0.0.1:4730"], or leave it out.',
                id="gearjobs.E103",
            )
            return
        for server in servers:
            try:
                parse_server(server)
            except UsageError as error:
                yield checks.Error(f"TASKS[{self.alias!r}] has unusable SERVERS: {error}", id="gearjobs.E103")


def _normal_call(args: Sequence[object], kwargs: Mapping[str, object]) -> tuple[list[object], dict[str, object]]:
    normal: Any = normalize_json([args, kwargs])
    return normal[0], normal[1]
