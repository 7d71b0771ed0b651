"""Uniques and other keys of calls."""

from __future__ import annotations

import pytest

from gearjobs import GearContext, UsageError, gear_task
from gearjobs.tasks.call_keys import UNIQUE_LIMIT_BYTES, check_template, fitted, limit_key, unique_of_call


@gear_task
def send(user_id: int, *, kind: str = "mail", **extra: object) -> None: ...


@gear_task
def other(user_id: int, *, kind: str = "mail") -> None: ...


@gear_task(takes_context=True)
def with_context(context: GearContext, user_id: int, *rest: int) -> None: ...


@gear_task
def with_odd_default(value: object = object()) -> None: ...


def unique(task, rule, *args, **kwargs):
    return unique_of_call(task, args, kwargs=kwargs, rule=rule)


def test_no_rule_makes_no_unique():
    assert unique(send, False, 1) == ""


def test_true_is_the_function_with_its_arguments():
    assert unique(send, True, 1) == unique(send, True, 1) != unique(send, True, 2)
    assert unique(send, True, 1) != unique(other, True, 1)


def test_equal_calls_have_one_unique_however_they_are_written():
    assert unique(send, True, 1) == unique(send, True, user_id=1) == unique(send, True, 1, kind="mail")
    assert unique(send, True, 1, a=1, b=2) == unique(send, True, 1, b=2, a=1)


def test_numbers_and_texts_are_different_arguments():
    assert unique(send, True, 1) != unique(send, True, "1")


def test_default_without_a_json_form_is_left_out():
    assert unique(with_odd_default, True) != unique(with_odd_default, True, 1)


def test_context_is_no_argument():
    assert unique(with_context, "{user_id}", 7) == "7"


def test_template_is_filled_from_the_arguments():
    assert unique(send, "user:{user_id}:{kind}", 7) == "user:7:mail"
    assert unique(send, "user:{user_id[name]}", {"name": "ann"}) == "user:ann"
    assert unique(with_context, "{rest}", 7, 8, 9) == "(8, 9)"
    assert unique(send, "{colour}", 7, colour="red") == "red"
    assert unique(send, "all {{of}} them", 7) == "all {of} them"


def test_template_without_a_value_for_a_call_is_a_mistake():
    with pytest.raises(UsageError, match="has no value"):
        unique(send, "{colour}", 7)


@pytest.mark.parametrize("template", ["{user_id[name]}", "{user_id:{width}}", "{user_id:x}"])
def test_template_that_does_not_fit_the_values_is_a_mistake(template):
    with pytest.raises(UsageError, match="has no value for this call"):
        unique(send, template, "seven")


def test_callable_is_given_the_arguments():
    assert unique(send, lambda user_id, kind: f"{kind}-{user_id}", 7, kind="sms") == "sms-7"


@pytest.mark.parametrize("nothing", ["", None])
def test_callable_may_say_that_a_call_is_a_job_of_its_own(nothing):
    assert unique(send, lambda user_id: nothing, 7) == ""


def test_callable_that_says_no_text_is_a_mistake():
    with pytest.raises(UsageError, match="must be a string or None, got 7"):
        unique(send, lambda user_id: user_id, 7)


def test_call_that_cannot_be_is_refused():
    with pytest.raises(TypeError, match="user_id"):
        unique(send, True)


def test_what_is_too_long_is_hashed():
    long, longer = "x" * (UNIQUE_LIMIT_BYTES + 1), "x" * (UNIQUE_LIMIT_BYTES + 2)

    assert unique(send, "x" * UNIQUE_LIMIT_BYTES, 7) == "x" * UNIQUE_LIMIT_BYTES
    assert unique(send, long, 7) != unique(send, longer, 7)
    assert len(unique(send, long, 7)) == UNIQUE_LIMIT_BYTES
    assert unique(send, long, 7).startswith("xxxxxxxxxxxxxxxxxxxxxx~")
    assert len(unique(send, "ä" * 40, 7).encode()) <= UNIQUE_LIMIT_BYTES
    assert len(limit_key("x" * 200)) == 128


@pytest.mark.parametrize("text", ["-", "a\0b", "a\nb", "\udc80"])
def test_what_the_wire_cannot_say_is_hashed(text):
    assert len(fitted(text, 63)) == 40


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("user:{usr_id}", "names 'usr_id', which is no parameter; there are: user_id, kind"),
        ("user:{}", "names ''"),
        ("user:{0}", "names '0'"),
        ("user:{user_id.name}", "entries only"),
        ("user:{user_id[a].name}", "entries only"),
        ("user:{user_id", "must be a template"),
    ],
)
def test_template_is_read_when_it_is_declared(template, words):
    with pytest.raises(UsageError, match="unique") as refusal:
        check_template(template, other.func, takes_context=False, what="unique")

    assert words in str(refusal.value)


def test_template_may_name_what_a_function_takes_by_any_name():
    check_template("{colour}", send.func, takes_context=False, what="unique")
    with pytest.raises(UsageError, match="no parameter"):
        check_template("{0}", send.func, takes_context=False, what="unique")


def test_template_must_not_name_the_context():
    with pytest.raises(UsageError, match="'context'"):
        check_template("{context}", with_context.func, takes_context=True, what="unique")
