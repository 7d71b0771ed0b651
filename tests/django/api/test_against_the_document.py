"""The API held against its own document by a machine: requests made up from docs/openapi.yaml, answers checked by it.

Few requests for each operation, the same ones in every run, so that it is quick and steady; who wants more sets
GEARJOBS_SCHEMA_EXAMPLES. No answer may be an error of the server's, and each must have a status, a type and a shape
that the document tells of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_attempt, make_job

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.checks")

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"
EXAMPLES = int(os.environ.get("GEARJOBS_SCHEMA_EXAMPLES", "6"))


LABELS = [
    f"{method.upper()} {path}"
    for path, operations in yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))["paths"].items()
    for method in operations
]
#: What every answer must be. What the document cannot say (that a filter has to name a task, what a task takes) may
#: well be refused, so that a refusal is no fault.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.not_a_server_error,
]


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """The operations of the document by method and path; this process is their server."""
    schema = schemathesis.openapi.from_path(DOCUMENT)
    schema.app = get_wsgi_application()
    schema.config.update(base_url="http://testserver/api")
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.label: operation for operation in found}


@pytest.fixture
def root_headers(make_user) -> Iterator[dict[str, str]]:
    """Headers of a session that may do anything."""
    browser = Client()
    browser.force_login(make_user("root", is_superuser=True))
    token = "t" * 32
    # As Django's own test client does: the test's transaction is not to be closed with a request.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        with client_in_place(FakeClient()):
            yield {
                "Cookie": f"sessionid={browser.cookies['sessionid'].value}; csrftoken={token}",
                "X-CSRFToken": token,
            }
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


@pytest.mark.parametrize("label", LABELS)
def test_answers_are_those_of_the_document(operations, label, root_headers):
    job = make_job("failed", attempt=2)
    make_attempt(job)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operations[label].as_strategy())
    def ask(case):
        if case.query:
            # Nobody waits for news here.
            case.query.pop("wait", None)
        if "handle" in (case.path_parameters or {}):
            case.path_parameters["handle"] = job.pk
        cache.clear()
        with transaction.atomic():
            case.call_and_validate(headers=root_headers, checks=CHECKS)
            transaction.set_rollback(True)

    ask()
