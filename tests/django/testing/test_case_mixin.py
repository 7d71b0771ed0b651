"""`GearjobsTestMixin` in each of Django's test cases, used as a project would."""

from __future__ import annotations

import io
import unittest

from django.db import transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from gearjobs.models import Job
from gearjobs.tasks import job_client
from gearjobs.testing import GearjobsTestMixin
from tests.support import sample_tasks
from tests.support.sample_tasks import add, fail, remember


class CatchingInATransaction(GearjobsTestMixin, TestCase):
    def setUp(self):
        # Without super().setUp(), which people forget.
        sample_tasks.remembered.clear()
        remember.enqueue("in setUp")

    def test_job_is_caught_and_performed(self):
        self.assert_enqueued(remember, args=["in setUp"], count=1)
        self.assert_not_enqueued(add)

        (ended,) = self.perform_enqueued()

        assert ended.is_finished
        assert sample_tasks.remembered == ["in setUp"]
        assert self.enqueued == []

    def test_jobs_are_drained(self):
        sample_tasks.enqueue_a_chain.enqueue(2)

        assert len(self.drain()) == 4

    def test_failure_is_raised(self):
        fail.enqueue("too bad")

        with self.assertRaisesMessage(ValueError, "too bad"):
            self.perform_enqueued(fail)

    async def test_job_of_a_coroutine_is_caught(self):
        await add.aenqueue(1)

        assert await Job.objects.filter(task__endswith=".add").acount() == 1


class CatchingWhereCommitsArePlayed(GearjobsTestMixin, TestCase):
    def test_nudge_is_among_what_is_captured(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            add.enqueue(1)

        assert len(callbacks) == 1
        self.assert_enqueued(add, count=1)


class CatchingWithCommits(GearjobsTestMixin, TransactionTestCase):
    def test_job_is_there_until_it_is_rolled_back(self):
        with transaction.atomic():
            add.enqueue(1)
            self.assert_enqueued(add)
            transaction.set_rollback(True)

        self.assert_not_enqueued()


class CatchingWithoutDatabase(GearjobsTestMixin, SimpleTestCase):
    def test_job_is_caught_and_performed(self):
        add.enqueue(1, b=2)

        self.assert_enqueued(add, kwargs={"b": 2})
        assert self.perform_enqueued()[0].return_value == 3


class ImmediateAtTheCommit(GearjobsTestMixin, TestCase):
    immediate_jobs = True

    def test_job_runs_where_commits_are_played(self):
        with self.captureOnCommitCallbacks(execute=True):
            result = add.enqueue(1, 2)
            self.assert_enqueued(add)

        assert result.return_value == 3


class ImmediateAtOnce(GearjobsTestMixin, TestCase):
    immediate_jobs = "enqueue"

    def test_job_has_run(self):
        assert add.enqueue(1, 2).return_value == 3


class Debugged(GearjobsTestMixin, SimpleTestCase):
    def test_one(self):
        add.enqueue(1)
        self.assert_enqueued(add)


def test_test_that_is_debugged_catches_its_jobs_too():
    unittest.TestSuite([Debugged("test_one")]).debug()

    assert not job_client.stand_ins


def test_failing_test_lets_jobs_go_again():
    class Failing(GearjobsTestMixin, SimpleTestCase):
        def test_one(self):
            raise AssertionError

    outcome = unittest.TextTestRunner(stream=io.StringIO()).run(Failing("test_one"))

    assert len(outcome.failures) == 1
    assert not job_client.stand_ins
