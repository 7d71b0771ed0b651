"""Whose jobs a request enqueues."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.functional import SimpleLazyObject

from gearjobs.middleware import SubmitterMiddleware
from gearjobs.records.audit import request_address
from gearjobs.tasks.submitter import submitter


def answer_with_submitter(request):
    return HttpResponse(submitter())


def body_of(response):
    return response.content


def test_submitter_is_the_user_of_the_request():
    request = RequestFactory().get("/")
    request.user = User(pk=7)

    assert body_of(SubmitterMiddleware(answer_with_submitter)(request)) == b"7"


def test_anonymous_request_has_no_submitter():
    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    assert body_of(SubmitterMiddleware(answer_with_submitter)(request)) == b""


def test_request_that_enqueues_nothing_does_not_look_up_its_user():
    request = RequestFactory().get("/")
    user: Any = SimpleLazyObject(lambda: pytest.fail("the user was looked up"))
    request.user = user

    assert body_of(SubmitterMiddleware(lambda request: HttpResponse("ok"))(request)) == b"ok"


def test_submitter_is_forgotten_after_the_request():
    request = RequestFactory().get("/")
    request.user = User(pk=7)

    SubmitterMiddleware(answer_with_submitter)(request)

    assert submitter() == ""


def test_submitter_is_forgotten_after_a_request_that_fails():
    request = RequestFactory().get("/")
    request.user = User(pk=7)

    def fail(request):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        SubmitterMiddleware(fail)(request)

    assert submitter() == ""


def test_asynchronous_requests_keep_their_submitters_apart():
    async def answer(request):
        await asyncio.sleep(0)
        return HttpResponse(await sync_to_async(submitter)())

    async def ask(number):
        request = AsyncRequestFactory().get("/")
        request.user = User(pk=number)
        answered: Any = SubmitterMiddleware(answer)(request)
        return body_of(await answered)

    async def ask_all():
        return await asyncio.gather(*(ask(number) for number in range(1, 6)))

    assert asyncio.run(ask_all()) == [b"1", b"2", b"3", b"4", b"5"]


def answer_with_address(request):
    return HttpResponse(request_address.get())


def test_audit_is_told_where_a_request_comes_from():
    # Anybody can send the header.
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR="203.0.113.9")

    assert body_of(SubmitterMiddleware(answer_with_address)(request)) == b"192.0.2.7"
    assert request_address.get() == ""
