"""Schedules in the admin: made, edited, paused, run and deleted, by whom it may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from gearjobs.models import Job, RunOutcome, Schedule, ScheduleRun, ScheduleSource
from gearjobs.tasks.schedules.saved_schedules import create_schedule, spec_columns
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.django.schedules.conftest import next_due
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.sample_tasks import add, resize_picture

LIST = reverse("admin:gearjobs_schedule_changelist")
ADD = reverse("admin:gearjobs_schedule_add")
EVERYTHING = ("view_schedule", "add_schedule", "change_schedule", "delete_schedule", "run_schedule")


@pytest.fixture
def operator(make_user, login):
    """Somebody who may do everything with schedules."""
    return login(make_user("operator", *EVERYTHING, is_staff=True))


@pytest.fixture
def server():
    """What is told to the job servers."""
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def make_schedule(db):
    def make(key="sums", *, source=ScheduleSource.ADMIN, when="0 3 * * *", **words) -> Schedule:
        spec = ScheduleSpec(when, key=key, args=[1, 2], **words)
        return create_schedule(key, spec_columns(add, spec), source=source)

    return make


def page_of(schedule: Schedule) -> str:
    return reverse("admin:gearjobs_schedule_change", args=[schedule.pk])


def act_on(client, schedule: Schedule, verb: str):
    return client.post(reverse("admin:gearjobs_schedule_act", args=[schedule.pk, verb]))


def form(**changes) -> dict[str, object]:
    return {
        "key": "nightly",
        "task": add.module_path,
        "args": "[1, 2]",
        "kwargs": "{}",
        "queue": "",
        "priority": "5",
        "cron": "0 3 * * *",
        "interval_s": "",
        "anchor_at_0": "2026-01-01",
        "anchor_at_1": "00:00:00",
        "time_zone": "Asia/Tokyo",
        "overlap": "queue",
        "catch_up": "all",
        "jitter_s": "30",
        "is_enabled": "on",
    } | changes


def errors_of(response) -> str:
    assert response.status_code == 200
    return str(response.context["adminform"].form.errors.as_data())


def test_schedule_is_made(operator):
    response = operator.post(ADD, form())

    assert response.status_code == 302
    row = Schedule.objects.get()
    assert (row.key, row.task, row.function, row.queue) == ("nightly", add.module_path, add.function_name, "default")
    assert (row.args, row.cron, row.time_zone, row.source) == ([1, 2], "0 3 * * *", "Asia/Tokyo", "admin")
    assert (row.overlap, row.catch_up, row.jitter_s, row.priority) == ("queue", "all", 30, 5)
    # Three in the morning in Tokyo.
    assert (next_due(row).hour, next_due(row) > timezone.now()) == (18, True)
    assert LogEntry.objects.get().object_repr == "nightly"


def test_what_is_left_empty_is_the_tasks_own(operator):
    operator.post(ADD, form(task=resize_picture.module_path, args='["a"]', priority=""))

    row = Schedule.objects.get()
    assert (row.queue, row.function, row.priority) == ("images", "resize", 10)
    page = operator.get(page_of(row)).context["adminform"].form
    assert (page["queue"].value(), page["priority"].value()) == ("", 10)
    assert operator.get(ADD).context["adminform"].form["priority"].value() is None


def test_interval_counts_from_its_anchor(operator):
    operator.post(ADD, form(cron="", interval_s="3600", anchor_at_1="00:20:00"))

    assert next_due(Schedule.objects.get()).minute == 20


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cron": "0 3 * *"}, "A cron expression must have the five fields"),
        ({"cron": ""}, "Give either a cron expression or an interval."),
        ({"interval_s": "60"}, "Give either a cron expression or an interval."),
        ({"interval_s": "-1", "cron": ""}, "greater than or equal to 1"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"task": "os.system"}, "os.system"),
        ({"args": "[1"}, "Enter a valid JSON"),
        ({"args": '{"a": 1}'}, "The arguments must be a JSON list"),
        ({"kwargs": "[1]"}, "The keyword arguments must be a JSON object"),
        ({"args": "[1, 2, 3]"}, "cannot be called with these arguments: too many positional arguments"),
        ({"args": '["\\u0000"]'}, "No text may have a NUL character"),
        ({"key": ""}, "This field is required"),
        ({"jitter_s": "100000"}, "less than or equal to 86400"),
        ({"queue": "a b"}, "white space"),
    ],
)
def test_what_cannot_be_fired_is_refused(operator, changes, words):
    response = operator.post(ADD, form(**changes))

    assert words in errors_of(response)
    assert Schedule.objects.count() == 0


def test_key_is_unique(operator, make_schedule):
    make_schedule("nightly")

    assert "There is a schedule with this key already." in errors_of(operator.post(ADD, form()))


def test_schedule_is_edited_and_aimed_anew(operator, make_schedule):
    schedule = make_schedule("nightly")
    Schedule.objects.update(last_handle="H:x:1")

    response = operator.post(
        page_of(schedule), form(cron="", interval_s="60", task=resize_picture.module_path, args='["a"]')
    )

    assert response.status_code == 302
    row = Schedule.objects.get()
    assert (row.interval_s, row.cron, row.function, row.queue) == (60, "", "resize", "images")
    assert next_due(row) <= timezone.now() + timedelta(seconds=60)
    assert row.last_handle == "H:x:1"


def test_page_shows_the_next_runs_and_the_latest(operator, make_schedule):
    schedule = make_schedule(tz="Asia/Tokyo")
    for number, outcome in enumerate(RunOutcome.values):
        due_at = timezone.now() - timedelta(days=number)
        ScheduleRun.objects.create(schedule=schedule, due_at=due_at, decided_at=due_at, outcome=outcome, handle="H:x:1")

    page = operator.get(page_of(schedule)).content.decode()

    assert page.count("03:00:00 JST") == 5
    assert "At 03:00 every day (Asia/Tokyo)" in page
    assert "skipped: the last one had not ended" in page
    assert reverse("admin:gearjobs_job_change", args=[quote("H:x:1")]) in page


def test_list_says_when_each_runs_next(operator, make_schedule):
    make_schedule("nightly")
    make_schedule("often", when=timedelta(minutes=15))
    make_schedule("paused", when=timedelta(days=1))
    Schedule.objects.filter(key="paused").update(is_enabled=False)
    Schedule.objects.filter(key="nightly").update(last_fired_at=timezone.now(), last_handle="H:x:1")
    make_schedule("gone", when=timedelta(hours=2))
    Schedule.objects.filter(key="gone").update(withdrawn_at=timezone.now())

    page = operator.get(LIST).content.decode()

    for shown in (
        "every 15 minutes",
        "every day",
        "paused",
        "At 03:00 every day",
        "no longer in the code",
        "every 2 hours",
    ):
        assert shown in page


def test_list_stands_a_schedule_that_this_machine_cannot_read(operator, make_schedule):
    schedule = make_schedule()
    Schedule.objects.update(time_zone="Mars/Olympus", cron="never")

    assert operator.get(LIST).status_code == 200
    assert "a time zone must be one of the tz database" in operator.get(page_of(schedule)).content.decode()


def test_schedule_is_paused_and_goes_on(operator, make_schedule):
    schedule = make_schedule()

    act_on(operator, schedule, "pause")
    paused = Schedule.objects.get()
    Schedule.objects.update(next_due_at=timezone.now() - timedelta(days=3))
    act_on(operator, schedule, "resume")
    resumed = Schedule.objects.get()

    assert (paused.is_enabled, resumed.is_enabled) == (False, True)
    assert next_due(resumed) > timezone.now()
    assert LogEntry.objects.count() == 2


def test_selected_schedules_are_paused_resumed_and_run(
    operator, make_schedule, server, django_capture_on_commit_callbacks
):
    chosen = {"_selected_action": [make_schedule("one").pk, make_schedule("two").pk]}
    operator.post(LIST, {"action": "pause_chosen", **chosen})
    assert not Schedule.objects.filter(is_enabled=True).exists()
    operator.post(LIST, {"action": "resume_chosen", **chosen})
    assert not Schedule.objects.filter(is_enabled=False).exists()

    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(LIST, {"action": "run_chosen", **chosen}, follow=True)

    assert "Enqueued the jobs " in response.content.decode()
    assert (Job.objects.count(), server.nudges) == (2, 2)


def test_run_now_makes_a_job_in_the_name_of_the_user(
    operator, make_schedule, server, django_capture_on_commit_callbacks
):
    schedule = make_schedule()

    with django_capture_on_commit_callbacks(execute=True):
        response = act_on(operator, schedule, "run")

    assert response.url == page_of(schedule)
    run = ScheduleRun.objects.get()
    assert (run.outcome, run.decided_by, run.handle) == ("by_hand", "operator", Job.objects.get().handle)


def test_acting_takes_a_post_and_a_known_verb(operator, make_schedule):
    schedule = make_schedule()

    assert operator.get(reverse("admin:gearjobs_schedule_act", args=[schedule.pk, "run"])).status_code == 405
    assert act_on(operator, schedule, "explode").status_code == 404
    assert operator.post(reverse("admin:gearjobs_schedule_act", args=[999, "run"])).status_code == 404
    assert Job.objects.count() == 0


def test_declared_schedule_can_be_paused_and_nothing_else(operator, make_schedule):
    schedule = make_schedule(source=ScheduleSource.CODE)

    response = operator.post(page_of(schedule), {"key": "mine", "cron": "* * * * *"})

    assert response.status_code == 302
    row = Schedule.objects.get()
    assert (row.key, row.cron, row.is_enabled) == ("sums", "0 3 * * *", False)
    assert 'name="cron"' not in operator.get(page_of(schedule)).content.decode()


def test_declared_schedule_is_deleted_only_when_the_code_gave_it_up(operator, make_schedule):
    schedule = make_schedule(source=ScheduleSource.CODE)
    delete = reverse("admin:gearjobs_schedule_delete", args=[schedule.pk])

    assert operator.post(delete, {"post": "yes"}).status_code == 403
    operator.post(LIST, {"action": "delete_selected", "_selected_action": [schedule.pk], "post": "yes"})
    assert Schedule.objects.count() == 1
    Schedule.objects.update(withdrawn_at=timezone.now())
    operator.post(delete, {"post": "yes"})

    assert Schedule.objects.count() == 0


def test_schedule_is_deleted_with_its_runs_and_its_jobs_stay(operator, make_schedule, server):
    schedule = make_schedule()
    act_on(operator, schedule, "run")
    delete = reverse("admin:gearjobs_schedule_delete", args=[schedule.pk])

    assert "sums" in operator.get(delete).content.decode()
    operator.post(delete, {"post": "yes"})

    assert (Schedule.objects.count(), ScheduleRun.objects.count(), Job.objects.count()) == (0, 0, 1)


def test_list_is_shown_where_times_have_no_zone(operator, make_schedule, settings):
    # Django's `localtime` takes no naive time.
    make_schedule()

    settings.USE_TZ = False
    page = operator.get(LIST)

    assert "sums" in page.content.decode()


def test_who_may_only_view_can_do_nothing(make_user, login, make_schedule):
    schedule = make_schedule()
    viewer = login(make_user("viewer", "view_schedule", is_staff=True))

    page = viewer.get(page_of(schedule)).content.decode()

    assert "Run now" not in page
    assert "Pause" not in page
    for verb in ("pause", "resume", "run"):
        assert act_on(viewer, schedule, verb).status_code == 403
    assert viewer.post(page_of(schedule), form()).status_code == 403
    assert viewer.get(ADD).status_code == 403


def test_who_may_not_view_sees_nothing(make_user, login, make_schedule):
    schedule = make_schedule()
    clerk = login(make_user("clerk", "view_job", "run_schedule", is_staff=True))

    assert clerk.get(LIST).status_code == 403
    assert act_on(clerk, schedule, "run").status_code == 403
    assert Job.objects.count() == 0
