"""For Django's test cases: `class OrderTests(GearjobsTestMixin, TestCase)`.

Every test of the class catches its jobs (`job_capture`), and has what is needed to look at them and to run them.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.result import GearResult
from gearjobs.testing.job_capture import DRAIN_LIMIT, JobCapture

if TYPE_CHECKING:
    _Case = unittest.TestCase
else:
    _Case = object


class GearjobsTestMixin(_Case):
    """Catches the jobs of each test; stands before the test case's class."""

    #: Run jobs when they are enqueued: True once their transaction ends, "enqueue" without waiting for that.
    immediate_jobs: ClassVar[bool | str] = False
    #: What the test has enqueued.
    gearjobs: JobCapture

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test, with all its fixtures, while its jobs are caught."""
        with self._catching():
            return super().run(result)

    def debug(self) -> None:
        """Run the test without collecting its outcome."""
        with self._catching():
            super().debug()

    @property
    def enqueued(self) -> list[GearResult[Any]]:
        """See `JobCapture.enqueued`."""
        return self.gearjobs.enqueued

    def assert_enqueued(
        self,
        task: Task[..., Any],
        *,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        count: int | None = None,
        **attributes: object,
    ) -> GearResult[Any]:
        """See `JobCapture.assert_enqueued`."""
        return self.gearjobs.assert_enqueued(task, args=args, kwargs=kwargs, count=count, **attributes)

    def assert_not_enqueued(
        self,
        task: Task[..., Any] | None = None,
        *,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
    ) -> None:
        """See `JobCapture.assert_not_enqueued`."""
        self.gearjobs.assert_not_enqueued(task, args=args, kwargs=kwargs)

    def perform_enqueued(
        self, task: Task[..., Any] | None = None, *, at: datetime | None = None, raise_errors: bool = True
    ) -> list[GearResult[Any]]:
        """See `JobCapture.perform_enqueued`."""
        return self.gearjobs.perform_enqueued(task, at=at, raise_errors=raise_errors)

    def drain(self, *, limit: int = DRAIN_LIMIT, raise_errors: bool = True) -> list[GearResult[Any]]:
        """See `JobCapture.drain`."""
        return self.gearjobs.drain(limit=limit, raise_errors=raise_errors)

    @contextmanager
    def _catching(self) -> Iterator[None]:
        with JobCapture() as self.gearjobs:
            if self.immediate_jobs:
                with self.gearjobs.immediate(on_commit=self.immediate_jobs != "enqueue"):
                    yield
            else:
                yield
