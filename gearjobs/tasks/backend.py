"""The django.tasks backend: `TASKS = {"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend"}}`.

OPTIONS: `SERVERS`, a list of `host[:port]`, instead of GEARJOBS["SERVERS"]. Making a backend touches no model and no
socket, since the first `@gear_task` of a project makes one. Django makes one for each thread, so it holds no state:
the connections are the process's (`job_client`), the jobs are the table's. The async twins are Django's: they run in
the thread that owns the caller's transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from django.apps import apps
from django.core import checks
from django.core.exceptions import ObjectDoesNotExist

from gearjobs.client.client import Client
from gearjobs.errors import UsageError
from gearjobs.servers import parse_server
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResultDoesNotExist,
    normalize_json,
    task_enqueued,
)
from gearjobs.tasks.enqueue import Call, enqueue_calls
from gearjobs.tasks.function_names import check_queue_name, function_of
from gearjobs.tasks.job_client import client_of
from gearjobs.tasks.late_records import job_queries
from gearjobs.tasks.payload import encode_call, read_result
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.stored_result import result_of
from gearjobs.tasks.task import GearTask

#: Every key of OPTIONS.
OPTION_NAMES: Final = ("SERVERS",)


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

    def do(self, task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object]) -> object:
        """Run a call on a worker, wait for its end and return its value; nothing is kept of it.

        Raises:
            JobFailed: the task raised.
            ServerUnavailable: no job server answered, or the connection broke.
        """
        self.validate_task(task)
        payload = encode_call(*_normal_call(args, kwargs))
        return read_result(self._client().do(function_of(task), payload, priority=task.priority))

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

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Report what is wrong with this alias of TASKS."""
        return [*super().check(**kwargs), *self._check_app(), *self._check_options()]

    def close(self) -> None:
        """Close the process's connections to the servers; the next call opens new ones."""
        self._client().close()

    def _client(self) -> Client:
        return client_of(self.servers)

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
