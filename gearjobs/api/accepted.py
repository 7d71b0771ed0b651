"""202 Accepted: how a view answers that it has put work into the background.

`AsyncActionMixin` is for a project's own views: `return self.accepted(result)` after an `enqueue` names the job in
`Location`, says when to ask for it in `Retry-After`, and has the job's state as its body. The project includes
`gearjobs.urls` for it, in the namespace `gearjobs` or wherever `gearjobs_namespace` says.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from gearjobs.api.endpoint import url_beside
from gearjobs.api.poll_advice import SHORTEST_S
from gearjobs.tasks.django_tasks import TaskResult
from gearjobs.tasks.groups.group_result import GroupResult


class AsyncActionMixin:
    """For views of REST framework that enqueue a job and say so."""

    #: Where the project put `gearjobs.urls`.
    gearjobs_namespace: ClassVar[str] = "gearjobs"
    #: Set by the view; any, since mixins and views declare it each in their way.
    request: Any

    def accepted(self, result: TaskResult[..., Any] | GroupResult, **more: Any) -> Response:
        """Return 202 with the place where the job's state can be read.

        Args:
            result: what `enqueue` returned, for a job or for a group.
            more: further members of the body.
        """
        name = "group-detail" if isinstance(result, GroupResult) else "job-detail"
        url = reverse(f"{self.gearjobs_namespace}:{name}", [result.id], request=self.request)
        body = {"id": result.id, "status": str(result.status), "url": url}
        if name == "job-detail":
            body["status_url"] = reverse(f"{self.gearjobs_namespace}:job-status", [result.id], request=self.request)
        return Response({**body, **more}, status=202, headers=accepted_headers(url))


def accepted_job(request: Request, handle: str) -> Response:
    """Return 202 with the place of a job that was enqueued, beside the endpoint that answers."""
    url = url_beside(request, "job-detail", handle)
    body = {"id": handle, "url": url, "status_url": url_beside(request, "job-status", handle)}
    return Response(body, status=202, headers=accepted_headers(url))


def accepted_headers(url: str) -> dict[str, str]:
    """Return the headers of an answer to what goes on in the background."""
    return {"Location": url, "Retry-After": str(math.ceil(SHORTEST_S))}
