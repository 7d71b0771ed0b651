"""A visitor of the demo without a browser: logs in, makes an album, follows its jobs through REST to their end.

It does what a person and the page's script do, over HTTP, as the user `demo`, who may see only their own jobs. Every
request has a time limit, and the whole visit has one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener

#: Seconds one request may take.
REQUEST_TIMEOUT_S: Final = 10.0
#: The statuses of django.tasks after which nothing changes.
ENDED: Final = frozenset({"SUCCESSFUL", "FAILED"})

_CSRF_FIELD = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_JOB_ATTRIBUTE = re.compile(r'data-job="([^"]+)"')


class VisitError(Exception):
    """The visit could not go on: a page or a job did not do what it should; the sentence says what."""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that has ended, as REST told it."""

    handle: str
    #: The function it ran.
    function: str
    #: A status of django.tasks.
    status: str
    #: What it returned, or its error.
    outcome: str


class Visitor:
    """Somebody who looks at the demo.

    Args:
        site: address of the site, with a slash at its end.
        pause: sleeps for so many seconds; may raise what ends the visit.
    """

    def __init__(self, site: str, pause: Callable[[float], None]) -> None:
        self._site = site
        self._pause = pause
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def log_in(self, username: str, password: str) -> None:
        """Log in on the login page."""
        page, address = self._open("accounts/login/")
        page, address = self._open(address, fields={"username": username, "password": password, **_csrf(page)})
        if "accounts/login" in address:
            raise VisitError(f"{username} could not log in at {address}")

    def make_sample_album(self) -> list[str]:
        """Press the button that makes the album of sample photographs; return the handles of its jobs."""
        page, _ = self._open("")
        page, address = self._open("albums/sample/", fields=_csrf(page))
        handles = _JOB_ATTRIBUTE.findall(page)
        if not handles:
            raise VisitError(f"the new album at {address} names no jobs")
        return handles

    def follow(self, handles: list[str], *, deadline: float, told: Callable[[EndedJob], None]) -> list[EndedJob]:
        """Ask for every job until it has ended, also for the contact sheet's, which the last thumbnail's result names.

        Args:
            handles: the jobs to begin with.
            deadline: when to give up, in seconds of time.monotonic().
            told: called for every job as it ends.

        Raises:
            VisitError: a job has not ended at the deadline, or REST did not answer.
        """
        open_handles, ended = list(handles), []
        while open_handles:
            wait_s = 2.0
            for handle in tuple(open_handles):
                job = self._job(handle)
                if job["status"] not in ENDED:
                    wait_s = min(wait_s, float(str(job.get("poll_after_ms") or 1000)) / 1000)
                    continue
                open_handles.remove(handle)
                ended.append(_ended(job))
                told(ended[-1])
                result = job.get("result")
                if isinstance(result, dict) and result.get("contact_sheet_job"):
                    open_handles.append(str(result["contact_sheet_job"]))
            if open_handles and time.monotonic() + wait_s > deadline:
                raise VisitError(f"these jobs had not ended in time: {', '.join(open_handles)}")
            self._pause(wait_s if open_handles else 0)
        return ended

    def _job(self, handle: str) -> dict[str, object]:
        body, address = self._open(f"api/jobs/{quote(handle, safe='')}/")
        job = json.loads(body)
        if not isinstance(job, dict) or "status" not in job:
            raise VisitError(f"{address} answered something that is no job: {body[:200]}")
        return job

    def _open(self, path: str, *, fields: dict[str, str] | None = None) -> tuple[str, str]:
        """GET, or POST `fields`; return the body and the address that it came from after redirects."""
        address = urljoin(self._site, path)
        body = urlencode(fields).encode() if fields is not None else None
        request = Request(address, data=body, headers={"Referer": self._site})  # noqa: S310  # our own site over http
        try:
            with self._opener.open(request, timeout=REQUEST_TIMEOUT_S) as response:
                return response.read().decode(), response.url
        except HTTPError as error:
            raise VisitError(f"{address} answered {error.code} {error.reason}: {_beginning(error)}") from error
        except (URLError, TimeoutError, ConnectionError) as error:
            raise VisitError(f"{address} did not answer: {error}") from error


def _csrf(page: str) -> dict[str, str]:
    found = _CSRF_FIELD.search(page)
    if found is None:
        raise VisitError("the page has no form to send")
    return {"csrfmiddlewaretoken": found[1]}


def _ended(job: dict[str, object]) -> EndedJob:
    outcome = job.get("result") if job["status"] == "SUCCESSFUL" else job.get("error")
    return EndedJob(
        str(job["id"]), str(job.get("function")), str(job["status"]), json.dumps(outcome, ensure_ascii=False)
    )


def _beginning(error: HTTPError) -> str:
    return error.read(300).decode(errors="replace").strip()
