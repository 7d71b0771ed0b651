"""Jobs of a stock gearmand, submitted once more."""

from __future__ import annotations

import time

import pytest

from gearjobs.errors import ServerError
from gearjobs.tasks.payload import attempt_of, decode_call, encode_call
from gearjobs.tasks.resubmission import submit_again
from tests.support.fake_client import FakeClient, FakeRunningJob, client_in_place


@pytest.fixture
def job() -> FakeRunningJob:
    return FakeRunningJob(encode_call([1], {"b": 2}, attempt=1), function=b"resize")


def test_next_attempt_has_the_call_and_counts_on(job):
    with client_in_place(FakeClient(has_extensions=False)) as client:
        assert submit_again(job, retry_in_s=60.0, priority=7)

    (submitted,) = client.submitted
    assert (submitted.function, decode_call(submitted.payload)) == ("resize", ([1], {"b": 2}))
    assert (attempt_of(submitted.payload), submitted.priority) == (2, 7)
    assert 50 < submitted.run_at - time.time() <= 60


def test_next_attempt_that_is_near_comes_at_once(job):
    with client_in_place(FakeClient(has_extensions=False)) as client:
        submit_again(job, retry_in_s=0.9, priority=0)

    assert client.submitted[0].run_at == 0.0


def test_same_attempt_has_the_same_unique_and_no_other(job):
    uniques = []

    class Client(FakeClient):
        def _submit(self, request):
            uniques.append(request.unique)
            return super()._submit(request)

    with client_in_place(Client(has_extensions=False)):
        for _ in range(2):
            submit_again(job, retry_in_s=0.0, priority=0)
        job.payload = encode_call([1], {"b": 2}, attempt=2)
        submit_again(job, retry_in_s=0.0, priority=0)

    first, again, next_attempt = uniques
    assert first == again != next_attempt
    assert len(next_attempt) == 32


@pytest.mark.parametrize("client", [FakeClient(is_down=True), FakeClient(refusal=ServerError("QUEUE_ERROR", "full"))])
def test_server_that_takes_it_not_is_told(job, client, caplog):
    with client_in_place(client):
        assert not submit_again(job, retry_in_s=0.0, priority=0)

    assert "failed to submit again" in caplog.text
