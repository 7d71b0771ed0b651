"""What the tests of the conformance suite stand on: the settings, the tasks, and how a job gets run.

A test is skipped, with the reason, where the backend's own flags say that it cannot do what is tested.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from django.dispatch import Signal
from django.test import override_settings

from gearjobs.tasks.django_tasks import BaseTaskBackend, Task, TaskResult, task_backends

if TYPE_CHECKING:
    from django.test import TransactionTestCase as _Case
else:
    _Case = object

#: A backend with every flag, under which any task can be declared.
_ANY = {"default": {"BACKEND": f"{BaseTaskBackend.__module__.rpartition('.')[0]}.dummy.DummyBackend", "QUEUES": []}}


class ConformanceStage(_Case):
    """Settings of a backend that is tested; its subclasses are the tests."""

    #: The setting TASKS, whose alias "default" is the backend; its QUEUES must have "default" and "conformance" only.
    tasks_setting: ClassVar[Mapping[str, Any]] = {}
    #: True where a job has ended when `enqueue` returns.
    runs_at_enqueue: ClassVar[bool] = False
    #: False where jobs run in other processes: what is heard of them there cannot be tested.
    runs_here: ClassVar[bool] = True
    #: Tests that the backend is known to fail, and why; one that does not fail is a failure.
    gaps: ClassVar[Mapping[str, str]] = {}

    tasks: ClassVar[ModuleType]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.gaps:
            setattr(cls, name, _expected_to_fail(getattr(cls, name)))

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with override_settings(TASKS=_ANY):
            cls.tasks = import_module("gearjobs.testing.conformance.conformance_tasks")

    def setUp(self) -> None:
        super().setUp()
        if not self.tasks_setting:
            self.skipTest("only subclasses with a tasks_setting are run")
        self.enterContext(override_settings(TASKS=self.tasks_setting))
        self.tasks.noted.clear()

    def run_one(self) -> None:
        """Run one pending job to its end, as a worker does; subclasses say how.

        A backend that runs none leaves this method alone.
        """
        raise unittest.SkipTest("the backend runs no jobs")

    @property
    def backend(self) -> BaseTaskBackend:
        """The backend."""
        return task_backends["default"]

    def need(self, flag: str) -> None:
        """Skip the test unless the backend has a flag."""
        if not getattr(self.backend, flag):
            self.skipTest(f"the backend says {flag} = False")

    def enqueue_and_run(self, task: Task[..., Any], *args: object, **kwargs: object) -> TaskResult[..., Any]:
        """Return the result of a call that has run."""
        result = task.enqueue(*args, **kwargs)
        if not self.runs_at_enqueue:
            self.run_one()
            self.need("supports_get_result")
            result.refresh()
        return result

    @contextmanager
    def hearing(self, *signals: Signal, note: Callable[..., object]) -> Iterator[list[Any]]:
        """Collect what `note` makes of the signals' arguments."""
        heard: list[Any] = []

        def hear(signal: Signal, sender: object, task_result: TaskResult[..., Any], **_: object) -> None:
            heard.append(note(signal=signal, sender=sender, result=task_result))

        for signal in signals:
            signal.connect(hear)
        try:
            yield heard
        finally:
            for signal in signals:
                signal.disconnect(hear)


def _expected_to_fail(test: Callable[..., None]) -> Callable[..., None]:
    """Return a copy: the original is that of other backends, too."""

    def known_gap(self: Any) -> None:
        test(self)

    known_gap.__doc__ = test.__doc__
    return unittest.expectedFailure(known_gap)
