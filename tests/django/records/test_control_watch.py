"""The thread beside a job server that reads and writes what operators say of functions."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from gearjobs.core.function_brake import QueueControl
from gearjobs.core.jobs import FunctionName
from gearjobs.records import control_watch
from gearjobs.records.control_watch import Controls, ControlWatch, make_control_watch
from gearjobs.records.queue_controls import control_of, read_controls, say_of_queue
from gearjobs.server.queue_desk import PauseWish
from tests.support.eventually import eventually

pytestmark = pytest.mark.django_db(transaction=True)

RESIZE = FunctionName(b"resize")
PAUSED = {RESIZE: QueueControl(is_paused=True)}


class Ear:
    """Hears what a watch has to say."""

    def __init__(self) -> None:
        self.news: list[tuple[Controls, list[tuple[PauseWish, bool]]]] = []

    def __call__(self, controls: Controls, settled: list[tuple[PauseWish, bool]]) -> None:
        self.news.append((controls, settled))

    @property
    def last(self) -> Controls | None:
        return self.news[-1][0] if self.news else None

    @property
    def settled(self) -> list[tuple[FunctionName, bool]]:
        return [(wish.function, is_kept) for _, settled in self.news for wish, is_kept in settled]


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def watch(ear, monkeypatch):
    # What is not told at once is then heard of by nobody.
    monkeypatch.setattr(control_watch, "LOOK_S", 60.0)
    watch = ControlWatch(ear)
    watch.start()
    yield watch
    watch.stop()


def wish(*, is_paused=True):
    return PauseWish(RESIZE, is_paused, lambda is_kept: None)


def hear(ear, controls):
    eventually(lambda: ear.last == controls, 10, "the news")


def fail_to_read(monkeypatch, error):
    def read(alias):
        raise error

    monkeypatch.setattr(control_watch, "read_controls", read)


def test_server_that_starts_knows_what_is_said():
    say_of_queue("resize", {"is_paused": True})

    assert ControlWatch(Ear()).first_look() == PAUSED


def test_server_that_starts_without_a_database_says_so(monkeypatch, caplog):
    fail_to_read(monkeypatch, OperationalError("away"))

    assert ControlWatch(Ear()).first_look() == {}
    assert "cannot read what is said of queues error=away" in caplog.text


def test_news_is_heard_at_once_where_somebody_tells(watch, ear):
    say_of_queue("resize", {"is_paused": True})

    watch.look_soon()

    hear(ear, PAUSED)


def test_news_is_heard_within_a_second_where_nobody_tells(ear, monkeypatch):
    monkeypatch.setattr(control_watch, "LOOK_S", 0.05)
    watch = ControlWatch(ear)
    watch.start()
    try:
        say_of_queue("resize", {"is_paused": True})

        hear(ear, PAUSED)
    finally:
        watch.stop()


def test_what_is_said_already_is_no_news(watch, ear):
    say_of_queue("resize", {"is_paused": True})
    watch.look_soon()
    hear(ear, PAUSED)

    watch.look_soon()
    watch.keep(wish())
    eventually(lambda: ear.settled, 10, "the wish to be carried out")

    assert len(ear.news) == 2


def test_pause_of_a_line_is_written_and_then_settled(watch, ear):
    watch.keep(wish())

    eventually(lambda: ear.settled == [(RESIZE, True)], 10, "the wish to be carried out")
    row = control_of("resize")
    assert row is not None
    assert row.is_paused
    assert ear.last == PAUSED


def test_wish_that_the_database_does_not_take_is_settled_so(watch, ear, monkeypatch, caplog):
    fail_to_read(monkeypatch, OperationalError("away"))

    watch.keep(wish())

    eventually(lambda: ear.settled == [(RESIZE, False)], 10, "the wish to be given up")
    assert ear.last == {}
    assert "until the database answers error=away" in caplog.text


def test_watch_goes_on_after_a_stumble(watch, ear, monkeypatch, caplog):
    fail_to_read(monkeypatch, ZeroDivisionError("a bug"))
    watch.look_soon()
    eventually(lambda: "stumble over what is said of queues" in caplog.text, 10, "the stumble")
    monkeypatch.setattr(control_watch, "read_controls", read_controls)

    watch.keep(wish())

    hear(ear, PAUSED)


def test_server_that_keeps_its_jobs_elsewhere_has_no_watch(ear):
    assert make_control_watch("redis", ear) is None
    assert make_control_watch("Database", ear) is not None


def test_stop_without_a_start_is_nothing(ear):
    ControlWatch(ear).stop()
