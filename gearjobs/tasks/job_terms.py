"""What the job server is told to obey of one call: a task's options as the terms of a job.

The terms are `core/terms`' own; how the wire and the row carry them stands there. A call of a task without options has
none, and costs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gearjobs.core.terms import NO_TERMS, JobTerms
from gearjobs.tasks.call_keys import unique_of_call
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.flow_limits import limits_of_call
from gearjobs.tasks.function_names import own_function_of
from gearjobs.tasks.task import options_of
from gearjobs.tasks.task_options import NO_OPTIONS


def unique_of(task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object]) -> str:
    """Return the unique of a call, empty for a job of its own; see `call_keys.unique_of_call`."""
    return unique_of_call(task, args, kwargs=kwargs, rule=options_of(task).unique)


def terms_of(
    task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object], starts_at: float
) -> JobTerms:
    """Return the terms of a call.

    Args:
        task: what is called.
        args: the call's, made JSON.
        kwargs: the call's, made JSON.
        starts_at: unix seconds from which it may start.

    Raises:
        UsageError: a key of a limit cannot be made of these arguments.
    """
    options = options_of(task)
    if options is NO_OPTIONS:
        return NO_TERMS
    return JobTerms(
        expires_at=starts_at + options.expires_s if options.expires_s else options.expires_at,
        timeout_s=options.timeout_s,
        soft_timeout_s=options.soft_timeout_s,
        # One attempt is what a job has anyway.
        max_attempts=options.max_attempts if options.max_attempts > 1 else 0,
        on_lost=options.on_worker_lost,
        max_lost=options.max_lost,
        unique_for=options.unique_for,
        on_conflict=options.on_conflict,
        limits=limits_of_call(task, args, kwargs=kwargs, limits=options.limits, own_key=own_function_of(task)),
    )
