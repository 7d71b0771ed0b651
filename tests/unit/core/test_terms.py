"""What a submitter wants obeyed, written down and read again; anybody may send such a document."""

from __future__ import annotations

import pytest

from gearjobs.core.terms import (
    MAX_EXPIRY_S,
    MAX_KEY_BYTES,
    MAX_LIMITS,
    MAX_TERM_COUNT,
    MAX_TERM_S,
    NO_TERMS,
    JobTerms,
    Limit,
    OnConflict,
    OnLoss,
    TermsError,
    UniqueSpan,
    read_terms,
    write_terms,
)

TERMS = JobTerms(
    expires_at=1_800_000_000.5,
    timeout_s=60.0,
    soft_timeout_s=50.0,
    max_attempts=4,
    on_lost=OnLoss.FAIL,
    max_lost=2,
    unique_for=UniqueSpan.QUEUED,
    on_conflict=OnConflict.REPLACE,
    is_member=True,
    limits=(Limit("smtp", concurrency=3), Limit("user:é", rate=10, per_s=60.0), Limit("both", 1, 2, 3.0)),
)
DOCUMENT = {
    "expires_at": 1_800_000_000.5,
    "timeout_s": 60.0,
    "soft_timeout_s": 50.0,
    "max_attempts": 4,
    "on_lost": "fail",
    "max_lost": 2,
    "unique_for": "queued",
    "on_conflict": "replace",
    "is_member": True,
    "limits": [
        {"key": "smtp", "concurrency": 3},
        {"key": "user:é", "rate": 10, "per_s": 60.0},
        {"key": "both", "concurrency": 1, "rate": 2, "per_s": 3.0},
    ],
}


def limits_of(*said):
    return {"limits": list(said)}


def test_terms_are_written_down_as_a_json_ready_object() -> None:
    assert write_terms(TERMS) == DOCUMENT


def test_terms_read_back() -> None:
    assert read_terms(DOCUMENT) == TERMS


def test_terms_that_say_nothing_are_written_as_nothing() -> None:
    assert (write_terms(NO_TERMS), write_terms(JobTerms())) == ({}, {})


def test_nothing_is_read_as_the_terms_of_an_ordinary_job() -> None:
    assert read_terms({}) is NO_TERMS


@pytest.mark.parametrize("key", list(DOCUMENT))
def test_each_term_stands_for_itself(key: str) -> None:
    terms = read_terms({key: DOCUMENT[key]})

    assert write_terms(terms) == {key: DOCUMENT[key]}
    assert getattr(terms, key) == getattr(TERMS, key)


def test_unknown_keys_are_passed_over() -> None:
    assert read_terms({"later": 1, "max_lost": 2}) == JobTerms(max_lost=2)


def test_whole_seconds_are_a_time() -> None:
    assert isinstance(read_terms({"timeout_s": 5}).timeout_s, float)


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("expires_at", MAX_EXPIRY_S),
        ("timeout_s", MAX_TERM_S),
        ("soft_timeout_s", MAX_TERM_S),
        ("max_attempts", MAX_TERM_COUNT),
        ("max_lost", MAX_TERM_COUNT),
    ],
)
def test_highest_value_is_taken_and_no_higher_one(key: str, most: float) -> None:
    assert getattr(read_terms({key: most}), key) == most
    with pytest.raises(TermsError, match=f"{key} must be"):
        read_terms({key: most + 1})


@pytest.mark.parametrize("word", list(OnConflict))
def test_every_word_is_understood(word: OnConflict) -> None:
    assert read_terms({"on_conflict": word.value}).on_conflict is word


def test_so_many_limits_are_taken() -> None:
    said = [{"key": f"k{number}", "concurrency": 1} for number in range(MAX_LIMITS)]

    assert len(read_terms(limits_of(*said)).limits) == MAX_LIMITS


def test_longest_key_is_taken() -> None:
    assert read_terms(limits_of({"key": "k" * MAX_KEY_BYTES, "concurrency": 1})).limits


REFUSED = [
    pytest.param({"timeout_s": -1}, "timeout_s must be seconds from 0 to 3200000000, got -1", id="negative time"),
    pytest.param({"timeout_s": float("nan")}, "timeout_s must be seconds .* got nan", id="no number"),
    # No float holds it: a row that said so kept the job server from its start.
    pytest.param({"timeout_s": 10**400}, "timeout_s must be seconds .* got 1000", id="beyond floats"),
    pytest.param({"expires_at": float("inf")}, "expires_at must be seconds .* got inf", id="infinite"),
    pytest.param({"expires_at": True}, "expires_at must be seconds .* got True", id="time as bool"),
    pytest.param({"soft_timeout_s": "1"}, "soft_timeout_s must be seconds .* got '1'", id="time as text"),
    pytest.param({"soft_timeout_s": None}, "soft_timeout_s must be seconds .* got None", id="time as null"),
    pytest.param({"max_attempts": 1.0}, "max_attempts must be an integer from 0 .* got 1.0", id="count as float"),
    pytest.param({"max_attempts": True}, "max_attempts must be an integer", id="count as bool"),
    pytest.param({"max_lost": -1}, "max_lost must be an integer from 0 to 2147483647, got -1", id="negative count"),
    pytest.param({"on_lost": "maybe"}, "on_lost must be one of retry, fail, got 'maybe'", id="unknown word"),
    pytest.param({"on_lost": ["retry"]}, "on_lost must be one of", id="word as list"),
    pytest.param({"unique_for": 1}, "unique_for must be one of unfinished, queued, got 1", id="word as number"),
    pytest.param({"is_member": 1}, "is_member must be true or false, got 1", id="flag as number"),
    pytest.param({"limits": {}}, "limits must be a list of at most 8 objects, got {}", id="limits as object"),
    pytest.param({"limits": [{}] * 9}, "limits must be a list of at most 8", id="too many limits"),
    pytest.param({"limits": ["smtp"]}, "a limit must be an object, got 'smtp'", id="limit as text"),
    pytest.param(limits_of({"concurrency": 1}), "key must be a string of 1 to 128 bytes, got None", id="no key"),
    pytest.param(limits_of({"key": "", "concurrency": 1}), "key must be a string", id="empty key"),
    pytest.param(limits_of({"key": "é" * 65, "concurrency": 1}), "1 to 128 bytes", id="long key"),
    pytest.param(limits_of({"key": 1, "concurrency": 1}), "key must be a string", id="key as number"),
    pytest.param(limits_of({"key": "a"}), "must have a concurrency, or a rate and per_s", id="limit of nothing"),
    pytest.param(limits_of({"key": "a", "rate": 1}), "a rate and per_s", id="rate without a time"),
    pytest.param(limits_of({"key": "a", "concurrency": 1, "per_s": 1}), "a rate and per_s", id="time without a rate"),
    pytest.param(limits_of({"key": "a", "concurrency": -1}), "concurrency must be an integer", id="negative limit"),
]


@pytest.mark.parametrize(("document", "text"), REFUSED)
def test_bad_terms_are_refused_with_what_was_expected_and_what_came(document: dict[str, object], text: str) -> None:
    with pytest.raises(TermsError, match=text):
        read_terms(document)


def test_refusal_quotes_no_more_than_the_beginning_of_what_came() -> None:
    with pytest.raises(TermsError) as caught:
        read_terms({"on_lost": "x" * 100_000})

    assert len(str(caught.value)) < 200
