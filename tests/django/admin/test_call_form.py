"""Forms of calls: which field a parameter has, what an empty one means, and which call a filled one is."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import pytest
from django import forms

from gearjobs import gear_task
from gearjobs.admin.call_form import Call, CallForm, JsonField


class Grade(StrEnum):
    GOOD = "good"
    BAD = "bad"


NO_JSON = object()


@gear_task
def order(
    number: int,
    price: float,
    name: str,
    kind: Literal["new", "old"],
    is_paid: bool = False,
    grade: Grade = Grade.GOOD,
    sizes: list[int] | None = None,
    note: str | None = None,
    limit: int | None = 7,
    text: str = "none",
    odd: Any = NO_JSON,
) -> None: ...


@gear_task
def gather(*args: int, **kwargs: int) -> None: ...


@gear_task(takes_context=True)
def with_context(context: Any, number: int = 3) -> None: ...


@gear_task
def must_have(first: int) -> None: ...


FILLED = {
    "call-number": "17",
    "call-price": "2.5",
    "call-name": " two\twords ",
    "call-kind": '"old"',
    "call-grade": '"good"',
    "call-text": "none",
    "call-limit": "7",
    "call-sizes": "null",
    "call-note": "null",
}


def filled(task, call=None, **data):
    form = CallForm(task, call=call, data={f"call-{name}": value for name, value in data.items()})
    assert form.is_valid(), form.errors
    return form.call


def test_each_annotation_has_its_field():
    fields = CallForm(order).fields

    kinds = {name.removeprefix("call-"): type(field) for name, field in fields.items()}
    assert kinds == {
        "number": forms.IntegerField,
        "price": forms.FloatField,
        "name": forms.CharField,
        "kind": forms.TypedChoiceField,
        "is_paid": forms.BooleanField,
        "grade": forms.TypedChoiceField,
        "sizes": JsonField,
        "note": JsonField,
        "limit": forms.IntegerField,
        "text": forms.CharField,
        "odd": JsonField,
        "priority": forms.IntegerField,
        "at": forms.DateTimeField,
    }


def test_filled_form_is_the_call_and_leaves_defaults_to_the_function():
    form = CallForm(order, data=FILLED)

    assert form.is_valid(), form.errors
    assert form.call == ([], {"number": 17, "price": 2.5, "name": " two\twords ", "kind": "old"})


def test_values_other_than_the_defaults_are_said():
    said = {
        "call-is_paid": "on",
        "call-grade": '"bad"',
        "call-sizes": "[1, 2]",
        "call-odd": '{"a": null}',
        "call-text": "",
    }
    form = CallForm(order, data={**FILLED, **said})

    assert form.is_valid(), form.errors
    _, kwargs = form.call
    assert {name: kwargs[name] for name in ("is_paid", "grade", "sizes", "odd", "text")} == {
        "is_paid": True,
        "grade": "bad",
        "sizes": [1, 2],
        "odd": {"a": None},
        "text": "",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "x"),
        ("number", ""),
        ("price", "inf"),
        ("kind", '"other"'),
        ("kind", ""),
        ("sizes", "[1"),
        ("limit", "1.5"),
    ],
)
def test_what_a_parameter_cannot_be_is_said_beside_its_field(name, value):
    form = CallForm(order, data={**FILLED, f"call-{name}": value})

    assert not form.is_valid()
    assert set(form.errors) == {f"call-{name}"}


def test_copied_call_is_the_same_call_where_nothing_is_changed():
    call: Call = ([17, 2.5, "a"], {"kind": "new", "limit": 7, "sizes": [], "note": ""})
    shown = CallForm(order, call=call)
    data = {name: shown[name].value() for name in shown.fields if shown[name].value() not in (None, False)}

    form = CallForm(order, call=call, data=data)

    assert form.is_valid(), form.errors
    assert form.call == call


def test_place_of_an_argument_is_kept_until_one_before_it_is_left_out():
    call: Call = ([3], {})

    assert filled(with_context, call, number="4") == ([4], {})
    assert filled(with_context, call, number="") == ([], {})


def test_call_that_does_not_fit_the_annotations_is_shown_as_json():
    call: Call = (["seventeen", True, 5, "newish"], {})

    form = CallForm(order, call=call)

    shown = {name: form[f"call-{name}"].value() for name in ("number", "price", "name", "kind")}
    assert shown == {"number": '"seventeen"', "price": "true", "name": "5", "kind": '"newish"'}


@pytest.mark.parametrize("call", [None, ([1, 2], {"a": 3})])
def test_function_that_gathers_arguments_has_two_fields_of_json(call):
    form = CallForm(gather, call=call, data={"args": "[1, 2]", "kwargs": '{"a": 4}'})

    assert form.is_valid()
    assert form.call == ([1, 2], {"a": 4})


def test_call_that_the_function_does_not_take_has_two_fields_of_json():
    form = CallForm(with_context, call=([1, 2, 3], {}), data={"args": "{}", "kwargs": "[]"})

    assert not form.is_valid()
    assert set(form.errors) == {"args", "kwargs"}


def test_empty_json_stands_for_no_arguments():
    form = CallForm(gather, data={"args": "", "kwargs": ""})

    assert form.is_valid()
    assert form.call == ([], {})


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, '"\\ud800"'])
def test_json_that_cannot_be_is_told_of_beside_what_was_typed(text):
    form = CallForm(gather, data={"args": text, "kwargs": ""})

    assert set(form.errors) == {"args"}
    assert form["args"].value() == text
    assert form.as_p().encode()


def test_null_is_a_value_of_a_parameter_that_must_be_given(monkeypatch):
    # A name that is not there at run time says nothing.
    monkeypatch.setitem(must_have.func.__annotations__, "first", "NoSuchName")

    assert filled(must_have, first="null") == ([], {"first": None})
    assert not CallForm(must_have, data={"call-first": ""}).is_valid()


def test_function_of_another_program_is_given_its_text():
    form = CallForm(None, text="a\nb", data={"payload": " a \n", "priority": "101"})

    assert form["payload"].field.initial == "a\nb"
    assert not form.is_valid()
    assert set(form.errors) == {"priority"}
    assert form.cleaned_data["payload"] == " a \n"
