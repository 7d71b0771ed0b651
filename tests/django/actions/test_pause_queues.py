"""Pausing, resuming and limiting functions: who may, what is written, who is told."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied

from gearjobs.actions.change_queue_limits import QueueLimits, change_queue_limits, limits_of
from gearjobs.actions.pause_queues import pause_queues, resume_queues
from gearjobs.errors import UsageError
from gearjobs.models import OperatorAction, QueueControl

pytestmark = pytest.mark.django_db(transaction=True)

LIMITS = QueueLimits(max_high=0, max_normal=10, max_low=5, concurrency=3, rate=100, per_s=60.0)


def user_who_may(codename):
    user = User.objects.create_user("ops")
    user.user_permissions.add(Permission.objects.get(codename=codename))
    return user


def test_paused_function_is_written_and_servers_are_told(job_server):
    assert pause_queues(["resize", "mail", "resize"], note="disk is full") == 2

    assert set(QueueControl.objects.values_list("function", "is_paused", "note")) == {
        ("resize", True, "disk is full"),
        ("mail", True, "disk is full"),
    }
    assert job_server.queue_nudges == 1


def test_function_that_is_paused_already_is_not_paused_again(job_server):
    pause_queues(["resize"])

    assert pause_queues(["resize"]) == 0
    assert (job_server.queue_nudges, OperatorAction.objects.count()) == (1, 1)


def test_resumed_function_is_written_without_its_note(job_server):
    pause_queues(["resize"], note="disk is full")

    assert resume_queues(["resize", "mail"]) == 1
    assert not QueueControl.objects.get(function="resize").is_paused
    assert QueueControl.objects.get(function="resize").note == ""


def test_note_that_is_too_long_is_cut(job_server):
    pause_queues(["resize"], note="x" * 1000)

    assert len(QueueControl.objects.get().note) == 500


def test_who_paused_what_is_written_down(job_server):
    user = user_who_may("control_queue")

    pause_queues(["resize"], user=user, note="disk is full")

    action = OperatorAction.objects.get()
    assert (action.verb, action.target_kind, action.target, action.actor) == (
        "pause_queue",
        "queue",
        "resize",
        str(user.pk),
    )
    assert QueueControl.objects.get().changed_by == str(user.pk)


@pytest.mark.parametrize("act", [pause_queues, resume_queues])
def test_user_without_the_permission_may_not(job_server, act):
    with pytest.raises(PermissionDenied, match=r"gearjobs\.control_queue"):
        act(["resize"], user=user_who_may("change_queue"))

    assert not QueueControl.objects.exists()


def test_function_without_a_name_is_refused(job_server):
    with pytest.raises(UsageError, match="must not be empty"):
        pause_queues(["resize", ""])

    assert not QueueControl.objects.exists()


def test_limits_are_written_and_read(job_server):
    assert change_queue_limits("resize", LIMITS)

    assert (limits_of("resize"), job_server.queue_nudges) == (LIMITS, 1)
    assert OperatorAction.objects.get().verb == "limit_queue"


def test_limits_leave_a_pause(job_server):
    pause_queues(["resize"])

    change_queue_limits("resize", LIMITS)

    assert QueueControl.objects.get().is_paused


def test_same_limits_are_no_change(job_server):
    change_queue_limits("resize", LIMITS)

    assert not change_queue_limits("resize", LIMITS)


def test_function_of_which_nothing_was_said_has_no_limits():
    assert limits_of("resize") == QueueLimits()


def test_user_without_the_permission_may_not_limit(job_server):
    with pytest.raises(PermissionDenied, match=r"gearjobs\.change_queue"):
        change_queue_limits("resize", LIMITS, user=user_who_may("control_queue"))


@pytest.mark.parametrize(
    "limits",
    [
        QueueLimits(concurrency=-1),
        QueueLimits(concurrency=2**31),
        QueueLimits(max_low=-1),
        QueueLimits(rate=5),
        QueueLimits(per_s=5.0),
        QueueLimits(rate=5, per_s=-1.0),
        QueueLimits(rate=5, per_s=float("inf")),
        QueueLimits(rate=5, per_s=float("nan")),
    ],
)
def test_limit_that_cannot_be_is_refused(job_server, limits):
    with pytest.raises(UsageError, match="must"):
        change_queue_limits("resize", limits)

    assert not QueueControl.objects.exists()
