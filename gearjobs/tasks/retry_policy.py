"""Whether a failed run is followed by another, and when: the task's words on it, applied to one error.

Pure: no clock, no chance, no Django. `backoff(error, task_result) -> seconds | None` has the shape that is proposed for
Django's own tasks (new-features #142); `exponential` and `linear` make such callables. Their jitter is a digest of the
job's id and attempt: spread like chance over many jobs, and yet the same whenever it is asked for. What a decision
leads to is the worker's matter (`execution`), and how lost workers count the server's (`core/redelivery`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Protocol

from gearjobs.errors import Discard, JobCancelled, Retry, UsageError
from gearjobs.protocol.attributes import MAX_RETRY_S

if TYPE_CHECKING:
    from gearjobs.tasks.django_tasks import TaskResult

    #: Seconds until the next run after an error, or None for no further one.
    Backoff = Callable[[BaseException, TaskResult[..., Any]], float | timedelta | None]

_SPREAD_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialBackoff:
    """Pauses that grow by a factor; see `exponential`."""

    #: Seconds after the first attempt.
    base_s: float
    #: Each further pause is so many times the one before.
    factor: float
    #: No pause is longer, in seconds.
    maximum_s: float
    #: The share of a pause that differs from job to job.
    jitter: float

    def __call__(self, error: BaseException, task_result: TaskResult[..., Any]) -> float:
        """Return the seconds until the next run."""
        try:
            pause_s = self.base_s * self.factor ** max(0, task_result.attempts - 1)
        except OverflowError:
            # Beyond what a float can hold, so beyond the maximum.
            pause_s = self.maximum_s
        return _with_jitter(min(self.maximum_s, pause_s), self.jitter, task_result)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearBackoff:
    """Pauses that grow by a step; see `linear`."""

    #: Seconds after the first attempt.
    first_s: float
    #: Each further pause is so many seconds longer.
    step_s: float
    #: No pause is longer, in seconds.
    maximum_s: float
    #: The share of a pause that differs from job to job.
    jitter: float

    def __call__(self, error: BaseException, task_result: TaskResult[..., Any]) -> float:
        """Return the seconds until the next run."""
        steps = max(0, task_result.attempts - 1)
        return _with_jitter(min(self.maximum_s, self.first_s + self.step_s * steps), self.jitter, task_result)


def exponential(
    base_s: float = 5.0, factor: float = 2.0, *, maximum_s: float = 3600.0, jitter: float = 0.5
) -> ExponentialBackoff:
    """Make a backoff whose pauses double, or grow by another factor.

    Args:
        base_s: seconds after the first attempt.
        factor: how many times longer each pause is than the one before; at least 1.
        maximum_s: no pause is longer, in seconds.
        jitter: 0 to 1, the share of a pause that differs from job to job, so that jobs that failed together do not
            come back together: with 0.5, a pause of 8 s lasts between 4 and 8.

    Raises:
        UsageError: a number is out of range.
    """
    _check_numbers(base_s=base_s, maximum_s=maximum_s)
    if not (isfinite(factor) and factor >= 1):
        raise UsageError(f"factor must be a number from 1 up, got {factor!r}")
    _check_jitter(jitter)
    return ExponentialBackoff(base_s=base_s, factor=factor, maximum_s=maximum_s, jitter=jitter)


def linear(
    first_s: float = 10.0, step_s: float = 10.0, *, maximum_s: float = 3600.0, jitter: float = 0.5
) -> LinearBackoff:
    """Make a backoff whose pauses grow by the same step; a step of 0 keeps them alike.

    Args:
        first_s: seconds after the first attempt.
        step_s: seconds by which each pause is longer than the one before.
        maximum_s: no pause is longer, in seconds.
        jitter: as in `exponential`.

    Raises:
        UsageError: a number is out of range.
    """
    _check_numbers(first_s=first_s, step_s=step_s, maximum_s=maximum_s)
    _check_jitter(jitter)
    return LinearBackoff(first_s=first_s, step_s=step_s, maximum_s=maximum_s, jitter=jitter)


class RetryRules(Protocol):
    """What a task says of its retries; `task_options.TaskOptions` is one."""

    @property
    def max_attempts(self) -> int:
        """Runs after which a failure is final."""

    @property
    def backoff(self) -> Backoff:
        """Tells the pause before the next run."""

    @property
    def retry_on(self) -> tuple[type[BaseException], ...]:
        """Errors that another run may cure."""

    @property
    def give_up_on(self) -> tuple[type[BaseException], ...]:
        """Errors among those that none will."""


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What follows a failed run."""

    #: Seconds after which the same job runs again; None where this was its last attempt.
    retry_in_s: float | None
    #: Why, for the log.
    reason: str


def decide(
    rules: RetryRules, error: BaseException, *, task_result: TaskResult[..., Any], attempts: int
) -> RetryDecision:
    """Decide whether a job whose run failed runs again.

    Args:
        rules: the task's.
        error: what the task raised.
        task_result: the job's result so far, handed to the task's `backoff`.
        attempts: how many runs count, this one included; those lost with their worker do not.

    Raises:
        UsageError: the task's `backoff` returned what is neither seconds nor None.
        Exception: whatever the task's `backoff` raised.
    """
    name = type(error).__name__
    if isinstance(error, JobCancelled | Discard):
        return RetryDecision(None, f"{name} ends the job")
    if attempts >= rules.max_attempts:
        return RetryDecision(None, f"attempt {attempts} of {rules.max_attempts} was the last")
    if not isinstance(error, Retry):
        if isinstance(error, rules.give_up_on):
            return RetryDecision(None, f"the task gives up on {name}")
        if not isinstance(error, rules.retry_on):
            return RetryDecision(None, f"the task is not run again on {name}")
    pause_s = _pause_s(rules, error, task_result)
    if pause_s is None:
        return RetryDecision(None, "the task's backoff ends the job")
    return RetryDecision(pause_s, f"attempt {attempts} of {rules.max_attempts}, again in {pause_s:.1f} s")


def _pause_s(rules: RetryRules, error: BaseException, task_result: TaskResult[..., Any]) -> float | None:
    if isinstance(error, Retry) and error.delay_s is not None:
        return _as_seconds(error.delay_s, "Retry's delay_s")
    pause = rules.backoff(error, task_result)
    return None if pause is None else _as_seconds(pause, "a backoff")


def _as_seconds(pause: object, what: str) -> float:
    """Return the pause in seconds, no longer than a retry can be put off."""
    seconds = pause.total_seconds() if isinstance(pause, timedelta) else pause
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise UsageError(f"{what} must give seconds from 0 up, a timedelta or None, got {pause!r}")
    return min(float(seconds), MAX_RETRY_S)


def _with_jitter(pause_s: float, jitter: float, task_result: TaskResult[..., Any]) -> float:
    if not jitter:
        return pause_s
    seed = f"{task_result.id}:{task_result.attempts}".encode()
    spread = int.from_bytes(blake2b(seed, digest_size=_SPREAD_BYTES).digest()) / 256**_SPREAD_BYTES
    return pause_s * (1 - jitter * spread)


def _check_numbers(**seconds: float) -> None:
    for name, value in seconds.items():
        if not (isfinite(value) and value >= 0):
            raise UsageError(f"{name} must be seconds from 0 up, got {value!r}")


def _check_jitter(jitter: float) -> None:
    if not 0 <= jitter <= 1:
        raise UsageError(f"jitter must be a share from 0 to 1, got {jitter!r}")
