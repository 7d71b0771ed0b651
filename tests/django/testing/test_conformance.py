"""The published conformance suite, run for our backend and, to prove that it is not ours alone, for Django's own."""

from __future__ import annotations

from functools import partial

from django.test import TransactionTestCase

from gearjobs.models import Job
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.function_names import function_table
from gearjobs.testing import BackendConformance, GearjobsTestMixin, JobServerThread
from gearjobs.worker.worker import Worker
from tests.support.running_worker import running
from tests.support.task_settings import DUMMY, IMMEDIATE

QUEUES = ["default", "conformance"]
GEARMAN = {"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend", "QUEUES": QUEUES}}
CLOSE_IS_MISSING = "BaseTaskBackend has no close(), which task_backends.close_all() calls"


class KeptInRows:
    """How to change a kept job."""

    def point_at(self, result_id, path):
        Job.objects.filter(pk=result_id).update(task=path)


class TestGearmanBackend(KeptInRows, GearjobsTestMixin, BackendConformance, TransactionTestCase):
    """With jobs that are caught and run in the test's own process."""

    tasks_setting = GEARMAN

    def run_one(self):
        self.gearjobs.perform_enqueued(raise_errors=False)


class TestGearmanBackendWithItsServer(KeptInRows, BackendConformance, TransactionTestCase):
    """With a real job server and a real worker."""

    tasks_setting = GEARMAN
    # In another thread, which an exception that ends the worker does not leave.
    runs_here = False

    def setUp(self):
        super().setUp()
        self.server = self.enterContext(JobServerThread())

    def run_one(self):
        worker = Worker([self.server.address], client_id="worker-1")
        tasks = [value for value in vars(self.tasks).values() if isinstance(value, Task)]
        for function, task in function_table(tasks, queues=QUEUES).items():
            worker.register(function, partial(run_job, task=task, worker_id="worker-1"))
        with running(worker):
            self.server.wait_until_idle()


class TestImmediateBackend(BackendConformance, TransactionTestCase):
    tasks_setting = {"default": {**IMMEDIATE["default"], "QUEUES": QUEUES}}
    runs_at_enqueue = True
    gaps = {"test_all_backends_can_be_closed": CLOSE_IS_MISSING}

    def run_one(self):
        """It has run."""


class TestDummyBackend(BackendConformance, TransactionTestCase):
    tasks_setting = {"default": {**DUMMY["default"], "QUEUES": QUEUES}}
    gaps = {"test_all_backends_can_be_closed": CLOSE_IS_MISSING}
