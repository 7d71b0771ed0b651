"""The template tag `gear_progress`: what a page shows of a job, with and without scripts."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from django.template import Context, Template
from django.test import Client
from django.utils import translation

from gearjobs.models import Job
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

TAG = re.compile(r"<gear-progress (?P<attributes>.*?)>(?P<inside>.*)</gear-progress>", re.DOTALL)


def render(job: object, options: str = "") -> str:
    text = "{% load gear_progress %}{% gear_progress job " + options + " %}"
    return Template(text).render(Context({"job": job}))


def attribute(html: str, name: str) -> str | None:
    found = re.search(rf'\s{name}="([^"]*)"', html)
    return None if found is None else unescape(found[1])


def address(html: str) -> str:
    found = attribute(html, "src")
    assert found is not None, html
    return found


def part(html: str, name: str) -> str:
    found = re.search(rf'data-part="{name}"[^>]*>([^<]*)<', html)
    assert found, html
    return found[1]


def shown(html: str) -> tuple[str | None, str | None, str, str, str]:
    parts = part(html, "percent"), part(html, "message"), part(html, "state")
    return (attribute(html, "data-state"), attribute(html, "value"), *parts)


@pytest.mark.parametrize(
    ("detail", "fields", "expected"),
    [
        ("waiting", {}, ("waiting", "0", "", "", "waiting")),
        ("running", {}, ("running", None, "", "", "running")),
        (
            "running",
            {"progress_numerator": 1, "progress_denominator": 3, "progress_message": "page 1"},
            ("running", "33.3333", "33%", "page 1", "running"),
        ),
        ("succeeded", {}, ("succeeded", "100", "100%", "", "succeeded")),
        (
            "failed",
            {"error_class": "shop.errors.Sold", "error_message": "none left"},
            ("failed", "0", "", "Sold: none left", "failed"),
        ),
        ("timed_out", {}, ("timed_out", "0", "", "", "timed out")),
    ],
)
def test_bar_shows_how_the_job_stands(detail, fields, expected):
    assert shown(render(make_job(detail, **fields))) == expected


def test_bar_names_where_the_job_is_followed():
    job = make_job("running")

    html = render(job, '"Progress of the <report>"')

    assert attribute(html, "src") == f"/api/jobs/{job.pk}/"
    assert attribute(html, "aria-label") == "Progress of the <report>"
    assert (attribute(html, "data-module") or "").endswith("static/gearjobs/gearjobs.js")


def test_job_that_has_ended_is_not_followed():
    assert attribute(render(make_job("succeeded")), "src") is None


def test_row_costs_no_query(django_assert_num_queries):
    job = make_job("running")

    with django_assert_num_queries(0):
        render(job)


def test_id_costs_one_query(django_assert_num_queries):
    job = make_job("running", progress_numerator=1, progress_denominator=2)

    with django_assert_num_queries(1):
        html = render(job.pk)

    assert attribute(html, "value") == "50"


def test_what_enqueue_returned_is_taken():
    class Result:
        id = make_job("running").pk

    assert attribute(render(Result()), "src") == f"/api/jobs/{Result.id}/"


def test_job_that_nobody_knows_is_looked_for_by_the_script():
    html = render("H:gone:1")

    assert shown(html) == ("unknown", "0", "", "", "unknown")
    assert attribute(html, "src") == "/api/jobs/H:gone:1/"


@pytest.mark.parametrize("job", [None, ""])
def test_bar_without_a_job_waits_for_a_script(job, django_assert_num_queries):
    with django_assert_num_queries(0):
        html = render(job)

    assert shown(html) == ("", "0", "", "", "")
    assert attribute(html, "src") is None


def test_job_that_another_one_does_is_shown_as_that_one_and_stays_as_it_is():
    other = make_job("running", progress_numerator=1, progress_denominator=4)
    job = make_job("cancelled", joined_to=other.pk)

    assert attribute(render(job), "value") == "25"
    assert job.status == "FAILED"


def test_signed_bar_is_followed_by_anybody_and_keeps_the_error_to_itself():
    job = make_job("running")
    url = address(render(job, "signed=True"))
    failed = {"status": "FAILED", "status_detail": "failed", "error_message": "the site's own business"}
    Job.objects.filter(pk=job.pk).update(**failed)

    html = render(job.pk, "signed=True")

    assert Client().get(url).json()["id"] == job.pk
    assert "business" not in html


def test_signed_bar_is_followed_for_a_time():
    url = address(render(make_job("running"), "signed=True max_age_s=-1"))

    assert Client().get(url).status_code == 404


def test_nothing_that_a_worker_says_becomes_markup():
    nasty = '"><script>alert(1)</script>'
    html = render(make_job("running", progress_message=nasty, progress_numerator=1, progress_denominator=2))

    assert "<script" not in html
    assert unescape(part(html, "message")) == nasty


def test_page_has_no_inline_script_or_style():
    head = Template("{% load gear_progress %}{% gear_progress_script %}").render(Context())
    page = render(make_job("running")) + head

    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", page)
    assert 'type="module" src="' in page


def test_numbers_are_as_html_wants_them_in_every_language():
    job = make_job("running", progress_numerator=1, progress_denominator=8)

    with translation.override("de"):
        html = render(job)

    assert attribute(html, "value") == "12.5"


def test_script_is_told_what_the_states_are_called():
    words = json.loads(attribute(render(make_job("running")), "data-words") or "")

    assert words["timed_out"] == "timed out"
    assert {"trouble", "unknown", "waiting", "blocked", "dead"} <= set(words)
