"""Secrets in arguments are not shown."""

from __future__ import annotations

import pytest

from gearjobs.records.masking import MASK, has_mask, mask_call, mask_value
from gearjobs.settings import SECRET_NAMES

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "kwargs",
    [
        {"password": CANARY},
        {"API_TOKEN": CANARY},
        {"customer": {"card_number": CANARY}},
        {"rows": [{"deep": [{"client_secret": CANARY}]}]},
        {"pin": {"value": CANARY}},
        {"Authorization": [CANARY]},
    ],
    ids=str,
)
def test_what_is_called_like_a_secret_is_masked_however_deep(kwargs):
    _, shown = mask_call((), kwargs, patterns=SECRET_NAMES)

    assert CANARY not in str(shown)
    assert MASK in str(shown)


def test_arguments_by_place_have_the_names_of_the_function():
    shown, _ = mask_call([1, CANARY, 3], {}, patterns=["*token*"], names=["user", "reset_token"])

    assert shown == [1, MASK, 3]


def test_everything_else_is_shown_as_it_is():
    value = {"user": 7, "tags": ["a", {"b": None}], "spin": True}

    assert mask_value(value, patterns=SECRET_NAMES) == value


@pytest.mark.parametrize(
    ("value", "has_one"), [([1, {"a": [MASK]}], True), (MASK, True), ({MASK: 1}, False), ([None, "x"], False)]
)
def test_mask_is_found_wherever_it_stands(value, has_one):
    assert has_mask(value) is has_one


def test_what_is_deeper_than_anybody_reads_is_masked():
    value: object = CANARY
    for _ in range(100):
        value = [{"a": value}]

    assert CANARY not in str(mask_value(value, patterns=()))
