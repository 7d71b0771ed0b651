"""Whatever a peer, a task or a person writes is text on every screen: none of it becomes markup."""

from __future__ import annotations

import re

import pytest

from gearjobs.actions.pause_queues import pause_queues
from gearjobs.models import (
    FailureGroup,
)
from tests.support.hostile_rows import fill_job, fill_rest, fill_server
from tests.support.hostile_texts import HOSTILE_TEXTS, MARKER, live_markup
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_root(make_user, login):
    return login(make_user("root", is_staff=True, is_superuser=True))


LISTS = (
    "/admin/gearjobs/",
    *(
        f"/admin/gearjobs/{model}/"
        for model in (
            "job",
            "queuecontrol",
            "failuregroup",
            "jobserver",
            "jobserver/workers",
            "jobgroup",
            "operatoraction",
            "schedule",
            "bulkoperation",
        )
    ),
)
#: What people write into addresses, and see again.
ASKED = (
    ("job", ("search", "function", "queue", "worker", "status", "cursor", "task", "finished_after")),
    ("queuecontrol", ("q", "o")),
    ("queuecontrol/queue", ("name",)),
    ("queuecontrol/queue/limits", ("name",)),
    ("failuregroup", ("q", "muted", "since", "cursor")),
    ("jobserver/workers", ("q", "function", "state", "group")),
    ("operatoraction", ("q", "verb", "since", "cursor")),
    ("schedule", ("q",)),
    ("bulkoperation", ("cursor",)),
    ("jobgroup", ("state", "cursor")),
    ("job/new", ("function",)),
)
#: What is posted, and asked about once more.
POSTED = (
    ("queuecontrol/queue/act", {"verb": "clear"}, "function"),
    ("queuecontrol/queue/act", {"verb": "clear", "function": "resize"}, "from"),
    ("jobserver/workers/act", {"verb": "stop"}, "worker"),
    ("failuregroup/act", {"verb": "delete", "fingerprint": "f1"}, "from"),
    ("job/act", {"verb": "delete", "scope": "all"}, "said.function"),
)


@pytest.mark.parametrize("number", range(len(HOSTILE_TEXTS)))
def test_nothing_that_is_written_anywhere_becomes_markup(as_root, fake, number):
    text = HOSTILE_TEXTS[number]
    fill_server(fake, text)
    pages = [*LISTS, *fill_job(text), *fill_rest(text)]
    pause_queues([text], note=text)

    for page in pages:
        answer = as_root.get(page)
        content = answer.content.decode()
        assert answer.status_code == 200, page
        assert live_markup(content) == [], page
        # The list of groups has nothing that anybody else names.
        assert MARKER in content or page == "/admin/gearjobs/jobgroup/", page


def test_every_region_of_ours_holds_under_a_strict_content_security_policy(as_root, fake):
    fill_server(fake, "resize")
    pages = [*LISTS, *fill_job("resize"), *fill_rest("resize"), "/admin/gearjobs/queuecontrol/queue/?name=resize"]
    regions = [as_root.get(page).content.decode().partition('id="gearjobs-live"')[2] for page in pages]

    # Django's own forms, of schedules and groups, have no region of ours.
    assert sum(map(bool, regions)) >= 12
    assert not [region for region in regions if re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", region)]


@pytest.mark.parametrize(("screen", "names"), ASKED, ids=[screen for screen, _ in ASKED])
def test_nothing_that_an_address_says_becomes_markup(as_root, fake, screen, names):
    fake.add_function("resize", (1, 0, 0))
    for text in HOSTILE_TEXTS:
        answer = as_root.get(f"/admin/gearjobs/{screen}/", dict.fromkeys(names, text), follow=True)

        assert answer.status_code == 200, text
        assert live_markup(answer.content.decode()) == [], text


@pytest.mark.parametrize(("screen", "said", "name"), POSTED, ids=[f"{one[0]}-{one[2]}" for one in POSTED])
def test_nothing_that_is_asked_about_becomes_markup(as_root, fake, screen, said, name):
    for text in HOSTILE_TEXTS[:4]:
        make_job("failed", fingerprint="f1", function=text)
        FailureGroup.objects.update_or_create(fingerprint="f1", defaults={"function": text, "error_class": text})

        answer = as_root.post(f"/admin/gearjobs/{screen}/", {**said, name: text}, follow=True)

        assert answer.status_code == 200, text
        assert live_markup(answer.content.decode()) == [], text


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_reader_of_the_tests_finds_what_is_not_escaped(text):
    # Else the tests above could not fail. One that only leads somewhere is alive in an attribute alone.
    assert live_markup(f'<p><a href="{text}">x</a></p>') or live_markup(f"<p><a href='{text}'>{text}</a></p>")
