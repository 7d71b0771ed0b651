"""What running a job leaves in its result, and what is said of it meanwhile.

Source: `django.tasks` of Django 6.0 and 6.1 and django-tasks 0.12, `backends/immediate.py`; django-tasks-db's worker.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from django.dispatch import Signal
from django.utils import timezone

from gearjobs.tasks.django_tasks import TaskResult, TaskResultStatus, task_finished, task_started
from gearjobs.testing.conformance.conformance_stage import ConformanceStage


class RunningRules(ConformanceStage):
    """Rules for running a job."""

    def need_signals(self) -> None:
        """Skip the test where jobs run in another process."""
        if not self.runs_here:
            self.skipTest("jobs run in another process")

    def test_a_job_that_succeeds_has_its_value(self) -> None:
        result = self.enqueue_and_run(self.tasks.add, 1, b=2)

        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL)
        self.assertTrue(result.is_finished)
        self.assertEqual((result.return_value, result.errors), (3, []))

    def test_a_run_leaves_its_times_and_its_worker(self) -> None:
        result = self.enqueue_and_run(self.tasks.add, 1)

        times = [result.enqueued_at, result.started_at, result.last_attempted_at, result.finished_at]
        known = [time for time in times if time is not None]
        self.assertEqual(len(known), 4)
        self.assertEqual(known, sorted(known))
        self.assertEqual(result.attempts, 1)
        self.assertEqual(len(result.worker_ids), 1)
        self.assertTrue(result.worker_ids[0])

    def test_a_value_is_made_json(self) -> None:
        result = self.enqueue_and_run(self.tasks.give_back, (1, 2), word="x")

        self.assertEqual(result.return_value, [[[1, 2]], {"word": "x"}])

    def test_a_job_that_fails_has_its_error(self) -> None:
        result = self.enqueue_and_run(self.tasks.fail, "too bad")

        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertIs(result.errors[-1].exception_class, ValueError)
        self.assertIn("too bad", result.errors[-1].traceback)
        self.assertIn("Traceback", result.errors[-1].traceback)
        with self.assertRaises(ValueError):
            _ = result.return_value

    def test_a_value_without_a_json_form_is_a_failure(self) -> None:
        result = self.enqueue_and_run(self.tasks.return_a_set)

        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertTrue(issubclass(result.errors[-1].exception_class, TypeError | ValueError))

    def test_arguments_that_do_not_fit_are_a_failure(self) -> None:
        result = self.enqueue_and_run(self.tasks.multiply, 1)

        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertIs(result.errors[-1].exception_class, TypeError)

    def test_a_coroutine_is_awaited(self) -> None:
        self.need("supports_async_task")
        result = self.enqueue_and_run(self.tasks.add_later, 1, 2)

        self.assertEqual(result.return_value, 3)

    def test_a_context_comes_first_and_tells_the_attempt(self) -> None:
        result = self.enqueue_and_run(self.tasks.tell_context, "word")

        self.assertEqual(result.return_value, [True, 1, result.id, "word"])

    def test_a_job_on_another_queue_runs(self) -> None:
        result = self.enqueue_and_run(self.tasks.add.using(queue_name="conformance"), 1, 2)

        self.assertEqual(result.return_value, 3)

    def test_a_job_may_enqueue_another(self) -> None:
        result = self.enqueue_and_run(self.tasks.enqueue_another, 1)
        self.need("supports_get_result")

        self.assertEqual(self.backend.get_result(str(result.return_value)).args, [1])

    def test_a_job_waits_for_its_time(self) -> None:
        self.need("supports_defer")
        self.need("supports_get_result")
        result = self.tasks.note.using(run_after=timezone.now() + timedelta(hours=1)).enqueue("early")

        self.run_one()

        result.refresh()
        self.assertEqual(result.status, TaskResultStatus.READY)
        self.assertEqual(self.tasks.noted, [])

    def test_the_most_urgent_job_runs_first(self) -> None:
        self.need("supports_priority")
        self.need_signals()
        if self.runs_at_enqueue:
            self.skipTest("jobs never wait")
        for priority in (1, 50, -5):
            self.tasks.note.using(priority=priority).enqueue(priority)

        for _ in range(3):
            self.run_one()

        self.assertEqual(self.tasks.noted, [50, 1, -5])

    def test_signals_frame_the_call(self) -> None:
        self.need_signals()

        def note(signal: Signal, sender: object, result: TaskResult[..., Any]) -> tuple[object, ...]:
            return signal, sender, result.status, result.attempts, result.started_at is not None

        with self.hearing(task_started, task_finished, note=note) as heard:
            self.enqueue_and_run(self.tasks.add, 1)

        sender = type(self.backend)
        started = (task_started, sender, TaskResultStatus.RUNNING, 1, True)
        self.assertEqual(heard, [started, (task_finished, sender, TaskResultStatus.SUCCESSFUL, 1, True)])

    def test_a_failure_is_signalled_while_it_is_handled(self) -> None:
        self.need_signals()

        def note(result: TaskResult[..., Any], **_: object) -> tuple[object, ...]:
            return result.status, type(sys.exc_info()[1]), len(result.errors)

        with self.hearing(task_finished, note=note) as heard:
            self.enqueue_and_run(self.tasks.fail, "too bad")

        self.assertEqual(heard, [(TaskResultStatus.FAILED, ValueError, 1)])

    def test_ctrl_c_stops_the_worker_and_is_no_failure(self) -> None:
        self.need_signals()

        with (
            self.hearing(task_finished, note=lambda result, **_: result.status) as heard,
            self.assertRaises(KeyboardInterrupt),
        ):
            self.enqueue_and_run(self.tasks.interrupt)

        self.assertEqual(heard, [])
