"""What operators say of functions, written and read."""

from __future__ import annotations

import pytest

from gearjobs.core.function_brake import QueueControl as ControlOfQueue
from gearjobs.models import QueueControl
from gearjobs.records.queue_controls import all_controls, control_of, read_controls, say_of_queue
from gearjobs.records.rows.function_keys import function_key

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_said_is_read_by_servers():
    say_of_queue("resize", {"is_paused": True, "concurrency": 3, "rate": 2, "per_s": 10.0, "max_low": 7})

    assert read_controls("default") == {
        b"resize": ControlOfQueue(is_paused=True, max_jobs=(0, 0, 7), concurrency=3, rate=2, per_s=10.0)
    }


def test_function_of_which_nothing_is_said_any_more_is_not_read_by_servers():
    say_of_queue("resize", {"is_paused": True})
    say_of_queue("resize", {"is_paused": False})

    assert read_controls("default") == {}
    assert [row.function for row in all_controls()] == ["resize"]


def test_change_leaves_the_other_fields():
    say_of_queue("resize", {"concurrency": 3})

    say_of_queue("resize", {"is_paused": True}, changed_by="7")

    row = control_of("resize")
    assert row is not None
    assert (row.is_paused, row.concurrency, row.changed_by) == (True, 3, "7")


def test_only_what_was_said_differently_counts_as_a_change():
    assert say_of_queue("resize", {"is_paused": True})
    assert not say_of_queue("resize", {"is_paused": True})
    assert not say_of_queue("mail", {"is_paused": False})


def test_row_tells_since_when_a_function_is_paused():
    say_of_queue("resize", {"is_paused": True})
    since = QueueControl.objects.get().paused_at

    say_of_queue("resize", {"is_paused": False})

    assert since is not None
    assert QueueControl.objects.get().paused_at is None


def test_functions_that_a_database_may_not_tell_apart_have_rows_of_their_own():
    for name in ("resize", "Resize", "resize ", "x" * 5_000, r"\xff"):
        assert say_of_queue(name, {"is_paused": True})

    assert len(read_controls("default")) == 5
    assert b"\xff" in read_controls("default")


def test_row_that_somebody_wrote_by_hand_cannot_say_half_a_rate():
    QueueControl.objects.create(pk=function_key(b"resize"), function="resize", rate=5, concurrency=1)

    assert read_controls("default") == {b"resize": ControlOfQueue(concurrency=1)}


def test_function_of_which_nothing_was_ever_said_has_no_row():
    assert control_of("resize") is None
