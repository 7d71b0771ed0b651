"""The options of tasks as people write them, for type checkers and for who looks one up.

`@gear_task` takes those of `OptionValues`, beside django.tasks' own; `using` those of `CallValues`. What the code
reads, and what is refused, stands in `task_options`; docs/tasks.md has a section on each group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from gearjobs.tasks.call_keys import KeyRule
from gearjobs.tasks.flow_limits import Limit, Rate

if TYPE_CHECKING:
    from gearjobs.tasks.retry_policy import Backoff

#: Seconds, or a timedelta.
Duration = float | timedelta


class OptionValues(TypedDict, total=False):
    """The options of `@gear_task` beyond those of django.tasks."""

    #: Calls with the same key are one job: True for the same arguments, a template such as "user:{user_id}" over the
    #: parameters, or a callable that is given the call's arguments; an empty key is a job of its own.
    unique: bool | KeyRule | None
    #: How long a job keeps its key: until it has ended, or until it starts.
    unique_for: Literal["unfinished", "queued"]
    #: What becomes of a call whose key is taken: it joins the live job ("coalesce" brings that one forward, "skip" does
    #: not), replaces one that has not started, or is refused with UniqueConflict.
    on_conflict: Literal["coalesce", "skip", "replace", "raise"]
    #: Runs after which a failure is final.
    max_attempts: int
    #: The pause before another run; `exponential()`, `linear()` or `(error, task_result) -> seconds | None`.
    backoff: Backoff
    #: Errors that another run may cure.
    retry_on: type[BaseException] | Sequence[type[BaseException]]
    #: Errors among those that none will.
    give_up_on: type[BaseException] | Sequence[type[BaseException]]
    #: What becomes of a job whose worker is lost: it runs again, or ends as lost.
    on_worker_lost: Literal["retry", "fail"]
    #: Lost workers after which a job is dead; None for the server's own bound (--max-crashes), which is 3.
    max_lost: int | None
    #: Longest run: then its process is killed.
    timeout: Duration | None
    #: The run is told by an exception, SoftTimeout, that it must end.
    soft_timeout: Duration | None
    #: How late a job may start, counted from when it may: then it is not started any more.
    expires: Duration | None
    #: How many jobs run at the same time.
    concurrency: int | Limit | Sequence[int | Limit] | None
    #: How many jobs start in a time, such as "10/m".
    rate: str | Rate | Sequence[str | Rate] | None
    #: What these two are counted by: a template or a callable as for `unique`; None counts all jobs of the task.
    limit_key: KeyRule | None
    #: Keep what a run logs: True for INFO and above, or the name of a level.
    capture_logs: bool | str
    #: Where it runs; None wherever a worker serves it.
    executor: Literal["process", "thread", "async"] | None
    #: JSON-ready values that every job of the task carries.
    metadata: Mapping[str, Any] | None
    #: Whether the REST API may enqueue it: True, or a serializer class that checks the keyword arguments.
    api: bool | type[Any]
    #: Arguments that no list and no page shows: names of parameters, `*` and `?` match.
    mask: str | Sequence[str]


class CallValues(TypedDict, total=False):
    """The options that one call may have otherwise: `task.using(expires=60)`; None leaves what was declared."""

    #: As declared, or the key itself; False for a job of its own.
    unique: bool | KeyRule | None
    #: How late it may start, counted from when it may, or the moment itself.
    expires: datetime | Duration | None
    timeout: Duration | None
    #: Added to what the task declares.
    metadata: Mapping[str, Any] | None
