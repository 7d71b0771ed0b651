"""The OpenAPI document: it is kept, it is true, and the API works without what makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.api_rows import ROWS

pytest.importorskip("drf_spectacular")
open_api = pytest.importorskip("gearjobs.api.open_api")

ROOT = Path(__file__).resolve().parents[3]

#: Makes the views without drf-spectacular, which the extra `openapi` brings.
_WITHOUT = """
import sys
sys.modules["drf_spectacular"] = None
import django
django.setup()
import gearjobs.urls
from gearjobs.api.described import HAS_SPECTACULAR
assert not HAS_SPECTACULAR
"""


@pytest.fixture(scope="module")
def document():
    return open_api.open_api_document()


def test_document_is_as_the_code_makes_it(document):
    written = (ROOT / open_api.PATH).read_text(encoding="utf-8")

    assert written == document, f"{open_api.PATH} is stale: run scripts/write-docs"


def test_making_it_warns_of_nothing(document, capsys):
    open_api.open_api_document()

    assert capsys.readouterr().err == ""


def test_every_method_of_every_endpoint_is_described(document):
    paths = yaml.safe_load(document)["paths"]

    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert len(operations) == len(ROWS)
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_method_may_answer_with_a_problem(document):
    for methods in yaml.safe_load(document)["paths"].values():
        for operation in methods.values():
            told = operation["responses"]["429"]["content"]
            assert list(told) == ["application/problem+json"], operation["operationId"]


def test_views_work_without_what_describes_them(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.support.settings")

    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert done.returncode == 0, done.stderr
