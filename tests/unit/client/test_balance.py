"""What of a job decides on its server."""

from __future__ import annotations

import pytest

from gearjobs.client.balance import KeyChoice
from gearjobs.client.requests import background_request, job_request
from gearjobs.errors import UsageError


def test_in_order_nothing_of_the_job_matters():
    keys = KeyChoice("order")

    assert keys.of_request(job_request("f", b"", unique="u")) == b""
    assert keys.of_unique("u") == b""


def test_by_unique_the_unique_decides_and_so_does_a_question_about_it():
    keys = KeyChoice("unique")

    assert keys.of_request(job_request("f", b"", unique="ü")) == keys.of_unique("ü") == keys.of_unique("ü".encode())


def test_job_without_a_unique_goes_by_its_handle():
    assert KeyChoice("unique").of_request(background_request("f", b"", handle="H:a:1")) == b"H:a:1"


def test_jobs_that_are_one_by_their_payload_go_by_it():
    keys = KeyChoice("unique")
    one, same, other, empty, nothing = (
        keys.of_request(job_request("f", payload, unique="-")) for payload in (b"a", b"a", b"b", b"", b"")
    )

    assert one == same != other
    assert empty == nothing


def test_jobs_without_both_take_turns():
    keys = KeyChoice("unique")

    assert keys.of_request(job_request("f", b"")) != keys.of_request(job_request("f", b""))


def test_other_words_are_refused():
    with pytest.raises(UsageError, match="must be one of order, unique, got 'random'"):
        KeyChoice("random")  # type: ignore[arg-type]  # the fault
