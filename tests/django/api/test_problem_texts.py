"""What refusals say can be translated: every sentence goes through gettext, in the language of the request."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.utils import translation

from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

API = Path(__file__).resolve().parents[3] / "gearjobs" / "api"
#: Whatever refuses, and which of its arguments is the sentence.
_REFUSALS = {"Problem": 1, "PermissionDenied": 0, "ParseError": 0}


def sentences_of(call: ast.Call) -> list[ast.expr]:
    """Return what a call says to people, where it refuses something."""
    name = ast.unparse(call.func).rpartition(".")[2]
    if name == "ValidationError" and call.args and isinstance(call.args[0], ast.Dict):
        lists = [value for value in call.args[0].values if isinstance(value, ast.List)]
        return [said for one in lists for said in one.elts]
    place = _REFUSALS.get(name)
    return call.args[place : place + 1] if place is not None else []


@pytest.mark.parametrize("path", sorted(API.glob("*.py")), ids=lambda path: path.stem)
def test_every_sentence_can_be_translated(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    said = [sentence for call in calls for sentence in sentences_of(call)]

    assert not [ast.unparse(one) for one in said if isinstance(one, ast.Constant | ast.JoinedStr)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"), [("get", "jobs/?wrong=1", 400), ("post", "jobs/{handle}/cancel/", 409)]
)
def test_refusal_is_in_the_language_of_the_request(make_user, login, monkeypatch, method, path, status):
    client = login(make_user("operator", "view_job", "cancel_job"))
    monkeypatch.setattr(
        "django.utils.translation._trans.gettext", lambda text: f"<{translation.get_language()}> {text}"
    )

    with client_in_place(FakeClient()), translation.override("de"):
        url = f"/api/{path.format(handle=make_job('failed').pk)}"
        response = client.generic(method.upper(), url, "" if method == "get" else "{}", content_type="application/json")

    assert response.status_code == status
    assert "<de> " in response.json()["detail"]
