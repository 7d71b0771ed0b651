"""A job's call as it may be shown."""

from __future__ import annotations

import pytest

from gearjobs.records.masking import MASK
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks import masked_calls
from gearjobs.tasks.decorator import gear_task
from gearjobs.tasks.masked_calls import masked_call, may_be_secret

CANARY = "canary-7f3a"


@gear_task(mask=["iban_of_*"])
def send_money(amount, iban_of_payee, note=""):
    """Never called."""


@gear_task(mask=["keys"])
def send_keys(amount, *keys, note=""):
    """Never called."""


@gear_task(takes_context=True)
def send_letter(context, secret_address):
    """Never called."""


def call(payload: bytes, task: str = "", function: str = "") -> str:
    shown = masked_call(payload, task=task, function=function)
    return shown.summary()


def test_summary_is_the_call():
    payload = b'{"args":[1,"x"],"kwargs":{"note":"hi"}}'

    assert call(payload) == '1, "x", note="hi"'


@pytest.mark.parametrize("args", ['{"args":[5,"%s"]}', '{"kwargs":{"iban_of_payee":"%s"}}'])
def test_task_says_what_is_secret_in_its_calls(args):
    payload = (args % CANARY).encode()

    assert MASK in call(payload, task=send_money.module_path)
    assert CANARY not in call(payload, task=send_money.module_path)
    assert CANARY not in call(payload, function=send_money.function_name)


def test_all_gathered_arguments_are_secret_by_their_name():
    # Only the first of them was masked.
    payload = f'{{"args":[1,"{CANARY}1","{CANARY}2","{CANARY}3"]}}'.encode()

    assert call(payload, task=send_keys.module_path) == f'1, "{MASK}", "{MASK}", "{MASK}"'


def test_task_that_nobody_has_imported_yet_says_what_is_secret(monkeypatch):
    # A web process need not have imported the modules that the workers have.
    found = []
    monkeypatch.setattr(masked_calls, "discover_tasks", lambda: found.append(True))

    call(b'{"args":[]}', task="shop.tasks.pay")

    assert found


@pytest.mark.parametrize(("key", "is_secret"), [("password", True), ("iban_of_x", True), ("amount", False)])
def test_what_any_task_keeps_secret_may_be_secret(key, is_secret):
    assert may_be_secret(key) is is_secret


def test_context_is_no_argument():
    payload = f'{{"args":["{CANARY}"]}}'.encode()

    assert call(payload, task=send_letter.module_path) == f'"{MASK}"'


@pytest.mark.parametrize("payload", [f'{{"password":"{CANARY}"}}'.encode(), f"password={CANARY}".encode(), b"\xff"])
def test_payload_that_is_no_call_is_masked_too(payload):
    shown = masked_call(payload)

    assert CANARY not in shown.summary()
    assert MASK in shown.summary()


def test_project_says_which_names_are_secret(settings):
    settings.GEARJOBS = {"MASK": ["*colour*"]}
    payload = b'{"kwargs":{"hair_colour":"red","password":"plain"}}'

    assert call(payload) == f'hair_colour="{MASK}", password="plain"'
    assert gearjobs_settings().mask == ("*colour*",)


def test_long_summary_is_cut():
    payload = b'{"args":["' + b"x" * 500 + b'"]}'

    assert len(masked_call(payload).summary(40)) == 40
