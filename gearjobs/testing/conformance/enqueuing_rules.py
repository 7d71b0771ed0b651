"""What enqueuing gives back, keeps and says.

Source: `django.tasks` of Django 6.0 and 6.1 and django-tasks 0.12, `backends/base.py`, `immediate.py` and `dummy.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from gearjobs.tasks.django_tasks import (
    BaseTaskBackend,
    InvalidTask,
    TaskException,
    TaskResult,
    TaskResultStatus,
    task_enqueued,
)
from gearjobs.testing.conformance.conformance_stage import ConformanceStage

#: Characters of an id: fewer than this.
_ID_LIMIT = 64
_LOGGER = f"{BaseTaskBackend.__module__.rpartition('.backends')[0]}"


class EnqueuingRules(ConformanceStage):
    """Rules for `enqueue`."""

    def test_the_result_says_what_was_enqueued(self) -> None:
        before = timezone.now()

        result = self.tasks.add.enqueue(1, b=2)

        self.assertIsInstance(result, TaskResult)
        self.assertIs(result.task.func, self.tasks.add.func)
        self.assertEqual((result.args, result.kwargs, result.backend), ([1], {"b": 2}, "default"))
        assert result.enqueued_at is not None
        self.assertLessEqual(before, result.enqueued_at)
        self.assertLessEqual(result.enqueued_at, timezone.now())
        if not self.runs_at_enqueue:
            self.assertEqual(result.status, TaskResultStatus.READY)
            self.assertEqual((result.attempts, result.started_at, result.finished_at), (0, None, None))
            with self.assertRaises(ValueError):
                _ = result.return_value

    def test_ids_are_short_texts_and_never_the_same(self) -> None:
        ids = [self.tasks.add.enqueue(number).id for number in range(5)]

        self.assertEqual(len(set(ids)), 5)
        for one in ids:
            self.assertIsInstance(one, str)
            self.assertTrue(0 < len(one) < _ID_LIMIT, one)

    def test_arguments_are_made_json(self) -> None:
        result = self.tasks.give_back.enqueue((1, 2), word=b"x")

        self.assertEqual((result.args, result.kwargs), ([[1, 2]], {"word": "x"}))

    def test_arguments_are_copied(self) -> None:
        values = [1]

        result = self.tasks.give_back.enqueue(values)
        values.append(2)

        self.assertEqual(result.args, [[1]])

    def test_the_kept_arguments_are_not_the_results_own(self) -> None:
        self.need("supports_get_result")
        result = self.tasks.give_back.enqueue([1])

        result.args[0].append(2)

        self.assertEqual(self.backend.get_result(result.id).args, [[1]])

    def test_arguments_without_a_json_form_are_refused(self) -> None:
        for value in ({1}, timezone.now(), object()):
            with (
                self.subTest(value=value),
                self.hearing(task_enqueued, note=dict) as heard,
                self.assertRaises((TypeError, ValueError)),
            ):
                self.tasks.give_back.enqueue(value)
            self.assertEqual(heard, [])

    def test_the_signal_is_sent_by_the_backends_class_once(self) -> None:
        def note(sender: object, result: TaskResult[..., Any], **_: object) -> tuple[object, str]:
            return sender, result.id

        with self.hearing(task_enqueued, note=note) as heard:
            result = self.tasks.add.enqueue(1)

        self.assertEqual(heard, [(type(self.backend), result.id)])

    def test_the_job_is_kept_when_the_signal_is_sent(self) -> None:
        self.need("supports_get_result")

        def note(result: TaskResult[..., Any], **_: object) -> str:
            return self.backend.get_result(result.id).id

        with self.hearing(task_enqueued, note=note) as heard:
            result = self.tasks.add.enqueue(1)

        self.assertEqual(heard, [result.id])

    def test_the_framework_logs_the_job(self) -> None:
        with self.assertLogs(_LOGGER, level="DEBUG") as logged:
            result = self.tasks.add.enqueue(1)

        self.assertIn(result.id, "".join(logged.output))

    def test_a_task_of_another_time_is_validated_again(self) -> None:
        with self.settings(TASKS={"default": {**self.tasks_setting["default"], "QUEUES": []}}):
            elsewhere = self.tasks.add.using(queue_name="nowhere")

        with self.assertRaises(InvalidTask):
            elsewhere.enqueue(1)

    def test_a_listed_queue_is_taken(self) -> None:
        result = self.tasks.add.using(queue_name="conformance").enqueue(1)

        self.assertEqual(result.task.queue_name, "conformance")

    def test_parameters_have_the_names_by_which_django_calls_them(self) -> None:
        # The stubs say list, Django hands over a tuple.
        backend: Any = self.backend

        first = backend.enqueue(task=self.tasks.add, args=(1,), kwargs={"b": 2})
        second = async_to_sync(backend.aenqueue)(task=self.tasks.add, args=(1,), kwargs={"b": 2})

        self.assertEqual((first.args, first.kwargs), (second.args, second.kwargs))

    def test_coroutines_enqueue(self) -> None:
        with self.hearing(task_enqueued, note=lambda result, **_: result.id) as heard:
            result = async_to_sync(self.tasks.add.aenqueue)(1, b=2)

        self.assertEqual((result.args, result.kwargs), ([1], {"b": 2}))
        self.assertEqual(heard, [result.id])

    def test_a_job_of_a_transaction_has_its_id_at_once(self) -> None:
        self.need("supports_get_result")
        with transaction.atomic():
            result = self.tasks.add.enqueue(1)
            self.assertTrue(result.id)

        self.assertEqual(self.backend.get_result(result.id).id, result.id)

    def test_a_priority_and_a_time_are_kept(self) -> None:
        self.need("supports_get_result")
        self.need("supports_priority")
        self.need("supports_defer")
        later = timezone.now().replace(microsecond=0) + timedelta(hours=1)
        result = self.tasks.add.using(priority=7, run_after=later).enqueue(1)

        found = self.backend.get_result(result.id)

        self.assertEqual((found.task.priority, found.task.run_after), (7, later))
        self.assertEqual(found.status, TaskResultStatus.READY)

    def test_errors_of_the_framework_have_one_root(self) -> None:
        with self.assertRaises(TaskException):
            self.tasks.add.using(queue_name="nowhere").enqueue(1)
