"""Muting groups of failures, and writing notes to them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.actions.mute_failures import mute_failures, note_failure
from gearjobs.models import FailureGroup, OperatorAction

pytestmark = pytest.mark.django_db


@pytest.fixture
def group():
    return FailureGroup.objects.create(fingerprint="f1", function="resize")


def test_group_is_muted_and_shown_again(group):
    assert mute_failures(["f1", "f2"], until=timezone.now() + timedelta(hours=1)) == 1
    group.refresh_from_db()
    was_muted = group.is_muted
    mute_failures(["f1"], until=None)
    group.refresh_from_db()

    assert (was_muted, group.is_muted) == (True, False)
    assert [action.verb for action in OperatorAction.objects.order_by("pk")] == ["mute", "unmute"]


def test_note_is_kept(group):
    assert (note_failure("f1", "known: disk"), note_failure("f2", "x")) == (True, False)

    group.refresh_from_db()
    assert (group.note, OperatorAction.objects.get().target) == ("known: disk", "f1")


def test_both_take_their_permission(group):
    anna = get_user_model().objects.create_user("anna")

    with pytest.raises(PermissionDenied, match="manage_failures"):
        mute_failures(["f1"], until=None, user=anna)
    with pytest.raises(PermissionDenied, match="manage_failures"):
        note_failure("f1", "x", user=anna)
