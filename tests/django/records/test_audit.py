"""The book of what operators did."""

from __future__ import annotations

import getpass

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.db.models import Model

from gearjobs.models import ActionOutcome, OperatorAction
from gearjobs.records.audit import acting_from, all_actions, note_action
from gearjobs.signals import operator_action

pytestmark = pytest.mark.django_db


def test_action_says_who_did_what_from_where():
    anna = get_user_model().objects.create_user("anna")

    with acting_from("192.0.2.7"):
        note_action("retry", actor=anna, target_kind="job", target="H:1", count=3, details={"queues": ["a"]})

    action = OperatorAction.objects.get()
    assert (action.actor, action.actor_name, action.address) == (str(anna.pk), "anna", "192.0.2.7")
    assert (action.verb, action.target_kind, action.target, action.count) == ("retry", "job", "H:1", 3)
    assert (action.details, action.outcome, str(action)) == ({"queues": ["a"]}, "done", "retry job H:1")


def test_command_is_the_systems_user(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "root")

    note_action("prune", actor=None, outcome=ActionOutcome.PARTLY)

    action = OperatorAction.objects.get()
    assert (action.actor, action.actor_name, action.address, action.outcome) == ("", "root", "", "partly")


def test_user_whom_the_system_does_not_know_has_no_name(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(getpass, "getuser", refuse)

    note_action("prune", actor=None)

    assert OperatorAction.objects.get().actor_name == ""


def test_nobody_is_written_down_as_nobody():
    note_action("look", actor=AnonymousUser())

    assert OperatorAction.objects.get().actor == ""


def test_long_and_strange_text_is_made_fit():
    note_action("v" * 100, actor=None, target="t" * 600, details={"name": "a\0b", "when": object()})

    action = OperatorAction.objects.get()
    assert (len(action.verb), len(action.target), action.details["name"]) == (64, 500, "a\\x00b")


def test_action_that_cannot_be_written_down_is_logged_and_undoes_nothing(monkeypatch, caplog):
    def refuse(*args, **options):
        raise DatabaseError("no room")

    monkeypatch.setattr(Model, "save", refuse)

    note_action("retry", actor=None)

    assert "cannot write down verb=retry" in caplog.text


def test_receivers_hear_of_every_action():
    heard = []

    def hear(action, **extra):
        heard.append(action.verb)

    operator_action.connect(hear)
    try:
        note_action("retry", actor=None)
    finally:
        operator_action.disconnect(hear)
    assert heard == ["retry"]


def test_latest_comes_first():
    note_action("first", actor=None)
    note_action("second", actor=None)

    assert [action.verb for action in all_actions()] == ["second", "first"]
