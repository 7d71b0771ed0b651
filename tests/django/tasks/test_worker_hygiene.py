"""Django around the jobs of a worker that goes on: connections, transactions, queries, language and time zone."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from gearjobs.models import Job
from tests.support import hygiene_tasks
from tests.support.hygiene_tasks import make_user, tell_surroundings

#: What a job finds that comes first.
FRESH = {"language": "en", "zone": "Europe/Berlin", "autocommit": True, "atomic": False}

pytestmark = pytest.mark.usefixtures("gearjobs_worker")


@pytest.fixture
def surroundings_after(gearjobs_server):
    """Run jobs one after the other on one worker; return what the next one finds."""

    def run(*tasks):
        for task in tasks:
            task.enqueue()
        told = tell_surroundings.enqueue()
        gearjobs_server.wait_until_idle(timeout_s=30)
        told.refresh()
        return told.return_value

    return run


@pytest.mark.parametrize(
    "task",
    [
        hygiene_tasks.activate_others,
        hygiene_tasks.leave_a_transaction,
        hygiene_tasks.leave_an_atomic_block,
        hygiene_tasks.break_the_connection,
    ],
    ids=lambda task: task.name,
)
def test_next_job_finds_everything_in_order(surroundings_after, task):
    found = surroundings_after(task)

    assert {name: found[name] for name in FRESH} == FRESH
    assert not User.objects.exists()


def test_queries_of_earlier_jobs_are_forgotten(surroundings_after, settings):
    settings.DEBUG = True

    # Each job asks something, and the first on a connection a little more.
    assert 0 < surroundings_after(*[tell_surroundings] * 10)["queries"] < 10


def test_what_a_task_puts_off_is_done_after_its_commit(gearjobs_server):
    make_user.enqueue("ada")

    gearjobs_server.wait_until_idle(timeout_s=30)

    user = User.objects.get()
    assert (user.first_name, user.last_name) == ("committed", "named by a job")


def test_what_a_task_rolls_back_never_was(gearjobs_server):
    make_user.enqueue("ada", fails=True)

    gearjobs_server.wait_until_idle(timeout_s=30)

    assert not User.objects.exists()
    assert [job.task.rpartition(".")[2] for job in Job.objects.all()] == ["make_user"]
