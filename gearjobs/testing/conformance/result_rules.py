"""Reading results: from anywhere, of any task, whatever has changed since the job was enqueued.

Source: `django.tasks` of Django 6.0 and 6.1 and django-tasks 0.12, `base.py`; django-tasks-db's models.
"""

from __future__ import annotations

import threading
import unittest
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import SuspiciousOperation
from django.db import connections
from django.utils import timezone

from gearjobs.tasks.django_tasks import (
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    task_backends,
)
from gearjobs.testing.conformance.conformance_stage import ConformanceStage

_THREAD_TIMEOUT_S = 60.0


class ResultRules(ConformanceStage):
    """Rules for `get_result` and `refresh`."""

    def point_at(self, result_id: str, path: str) -> None:
        """Make a kept job one of the task at another dotted path; a backend that keeps paths says how."""
        raise unittest.SkipTest("the backend does not say how to change a kept job")

    def test_the_flag_for_results_is_true(self) -> None:
        result = self.tasks.add.enqueue(1)
        if self.backend.supports_get_result:
            self.assertEqual(self.backend.get_result(result.id).id, result.id)
        else:
            with self.assertRaises((NotImplementedError, TaskResultDoesNotExist)):
                in_another_thread(lambda: task_backends["default"].get_result(result.id))

    def test_the_parameter_has_the_name_by_which_django_calls_it(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.add.enqueue(1)
        backend: Any = self.backend

        self.assertEqual(backend.get_result(result_id=result.id).id, result.id)
        self.assertEqual(async_to_sync(backend.aget_result)(result_id=result.id).id, result.id)

    def test_a_task_finds_its_result(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.add.enqueue(1, b=2)

        for found in (self.tasks.add.get_result(result.id), async_to_sync(self.tasks.add.aget_result)(result.id)):
            self.assertIsInstance(found, TaskResult)
            self.assertIs(found.task.func, self.tasks.add.func)
            self.assertEqual((found.id, found.args, found.kwargs), (result.id, [1], {"b": 2}))
            self.assertEqual(found.backend, "default")
            assert found.enqueued_at is not None
            # Who keeps the job may go by a clock of its own.
            self.assertAlmostEqual(found.enqueued_at, timezone.now(), delta=timedelta(minutes=1))

    def test_a_result_of_another_task_is_refused(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.add.enqueue(1)

        with self.assertRaises(TaskResultMismatch):
            self.tasks.multiply.get_result(result.id)

    def test_an_unknown_id_is_told_from_a_job_that_waits(self) -> None:
        self.need("supports_get_result")
        for unknown in ("123", "", "00000000-0000-0000-0000-000000000000", "no such job"):
            with self.subTest(id=unknown), self.assertRaises(TaskResultDoesNotExist):
                self.backend.get_result(unknown)
            with self.subTest(id=unknown), self.assertRaises(TaskResultDoesNotExist):
                async_to_sync(self.backend.aget_result)(unknown)

    def test_a_result_is_found_by_another_thread(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.add.enqueue(1)

        found = in_another_thread(lambda: task_backends["default"].get_result(result.id))

        self.assertEqual(found.id, result.id)

    def test_a_job_of_another_thread_is_found(self) -> None:
        self.need("supports_get_result")
        result = in_another_thread(lambda: self.tasks.add.enqueue(1))

        self.assertEqual(self.backend.get_result(result.id).status, TaskResultStatus.READY)

    def test_a_result_is_read_again(self) -> None:
        self.need("supports_get_result")
        first, second = self.tasks.add.enqueue(1, b=2), self.tasks.add.enqueue(3, b=4)
        self.run_one()
        self.run_one()

        first.refresh()
        async_to_sync(second.arefresh)()

        self.assertEqual((first.return_value, second.return_value), (3, 7))
        self.assertEqual((first.attempts, len(first.worker_ids)), (1, 1))
        self.assertEqual(first, self.backend.get_result(first.id))

    def test_a_result_outlives_the_settings_of_its_job(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.add.using(queue_name="conformance").enqueue(1)

        with self.settings(TASKS={"default": {**self.tasks_setting["default"], "QUEUES": ["others"]}}):
            found = task_backends["default"].get_result(result.id)

        self.assertEqual((found.id, found.task.queue_name), (result.id, "conformance"))

    def test_a_path_that_is_no_task_is_refused(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.add.enqueue(1)
        self.point_at(result.id, "os.path.join")

        with self.assertRaises(SuspiciousOperation):
            self.backend.get_result(result.id)


def in_another_thread(function: Any) -> Any:
    """Return what a function returns in a thread of its own, or raise what it raises."""
    outcomes: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcomes.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread of the test
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(_THREAD_TIMEOUT_S)
    if errors:
        raise errors[0]
    return outcomes[0]
