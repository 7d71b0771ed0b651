"""Errors as problem details (RFC 9457): what was expected, what came, and the job it is about.

A problem has `type`, `title`, `status`, `detail` and `instance`; `errors` names the fields of a request that was not
understood, `job` the job that stands in the way. A project that set its own EXCEPTION_HANDLER keeps it: ours answers
only in the place of REST framework's. Errors of gearjobs become a status here and nowhere else.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from gearjobs.errors import (
    GearjobsError,
    RetriedAlready,
    ServerError,
    ServerUnavailable,
    UniqueConflict,
    UsageError,
)
from gearjobs.protocol.packets import Refusal

MEDIA_TYPE: Final = "application/problem+json"
#: What a problem's type begins with; `about:blank` where the status says all.
_TYPES: Final = "urn:gearjobs:problem:"
#: Seconds after which to come back to a queue that is full, or a server that does not answer.
_RETRY_S: Final = 5


class Problem(exceptions.APIException):
    """A refusal with a name of its own.

    Args:
        status: of HTTP.
        detail: a sentence on this case.
        name: what kind of problem it is, `job-ended`; empty where the status says all.
        more: further members of the problem.
    """

    def __init__(self, status: int, detail: str, *, name: str = "", **more: object) -> None:
        super().__init__(detail)
        self.status_code = status
        self.name = name
        self.more = more


def answer_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an error; None for one that is a bug, and is to rise."""
    refusal = _refusal_of(error) if isinstance(error, GearjobsError | RequestDataTooBig) else error
    # REST framework has read the dotted path already.
    handler: Any = api_settings.EXCEPTION_HANDLER
    if handler is not exception_handler:
        own: Response | None = handler(refusal, context)
        return own
    response = exception_handler(refusal, context)
    if response is None:
        return None
    problem = _problem(response, refusal)
    request = context.get("request")
    if request is not None:
        problem["instance"] = request.path
    response.data = problem
    response.is_gearjobs_problem = True  # for `mark_problem`
    return response  # type: ignore[no-any-return]  # of the stubs


def mark_problem(response: Response) -> None:
    """Give a problem its media type where it is to be written as JSON."""
    if getattr(response, "is_gearjobs_problem", False) and isinstance(
        getattr(response, "accepted_renderer", None), JSONRenderer
    ):
        response.content_type = MEDIA_TYPE


def _problem(response: Response, error: Exception) -> dict[str, Any]:
    status = HTTPStatus(response.status_code)
    problem: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    data = response.data
    if isinstance(error, exceptions.ValidationError):
        errors = data if isinstance(data, dict) else {"": data}
        return {**problem, "type": f"{_TYPES}invalid-request", "detail": _sentence(errors), "errors": errors}
    problem["detail"] = str(data.get("detail", "")) if isinstance(data, dict) else ""
    if isinstance(error, Problem):
        problem["type"] = f"{_TYPES}{error.name}" if error.name else "about:blank"
        problem |= error.more
    return problem


def _sentence(errors: dict[str, Any]) -> str:
    """Return the first of the errors, with the path to it."""
    names: list[str] = []
    said: Any = errors
    while isinstance(said, dict | list) and said:
        if isinstance(said, dict):
            name, said = next(iter(said.items()))
            names.append(str(name))
        else:
            said = next((one for one in said if one), "")
    path = ".".join(name for name in names if name)
    return f"{path}: {said}" if path else str(said or "")


def _refusal_of(error: Exception) -> Exception:
    """Return what an error of gearjobs, or Django's of a long body, is to somebody who asks over HTTP."""
    if isinstance(error, RequestDataTooBig):
        return Problem(413, _("the body has more bytes than DATA_UPLOAD_MAX_MEMORY_SIZE allows"), name="too-large")
    if isinstance(error, UniqueConflict):
        return Problem(409, error.text, name="unique-taken", job=error.handle)
    if isinstance(error, ServerUnavailable):
        return _come_back(Problem(503, _("no job server answers, and the job cannot be reached"), name="server-down"))
    if isinstance(error, ServerError):
        if (error.code, error.text) == Refusal.QUEUE_FULL.value:
            return _come_back(Problem(429, _("the queue is full"), name="queue-full"))
        return Problem(502, str(error), name="server-refused")
    if isinstance(error, RetriedAlready):
        return Problem(409, str(error), name="run-again-already", job=error.handle)
    if isinstance(error, UsageError):
        return Problem(409, str(error), name="not-possible")
    return error


def _come_back(problem: Problem) -> Problem:
    problem.wait = _RETRY_S  # type: ignore[attr-defined]  # what REST framework makes Retry-After of
    return problem
