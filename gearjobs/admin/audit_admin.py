"""The book of what operators did, in the Django admin: who, what, to how many, from where, and what came of it.

Rows are never changed. What the list can be narrowed down by stands in its address; the same rows can be exported as
CSV, in which no cell is a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.admin.job_cells import badge
from gearjobs.admin.job_export import plain_cell
from gearjobs.admin.older_pages import older_page
from gearjobs.admin.read_only_admin import ReadOnlyAdmin
from gearjobs.admin.screen_links import screen_url, target_link
from gearjobs.admin.screens import screen_context
from gearjobs.models import ActionOutcome, OperatorAction
from gearjobs.records.audit import all_actions

#: Actions of a page, actions whose verbs the filter offers, and those of an export at most.
ACTIONS_SHOWN: Final = 50
_VERBS_OF_LATEST: Final = 1_000
EXPORT_LIMIT: Final = 10_000
#: Details shown of an action, and characters of each.
_DETAILS_SHOWN: Final = 12
_DETAIL_LIMIT: Final = 200

_SPANS: Final = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_BADGES: Final = {
    ActionOutcome.DONE: "good",
    ActionOutcome.PARTLY: "warning",
    ActionOutcome.REFUSED: "bad",
    ActionOutcome.FAILED: "bad",
}
_COLUMNS: Final = (
    "at",
    "actor",
    "actor_name",
    "verb",
    "target_kind",
    "target",
    "count",
    "address",
    "outcome",
    "details",
)


class OperatorActionAdmin(ReadOnlyAdmin):
    """What operators did, in the Django admin."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.list_view)
        return [path("", view, name="gearjobs_operatoraction_changelist")]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Show the actions, the latest first, or export them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = {name: value.replace("\0", "").strip() for name, value in request.GET.dict().items()}
        actions = _chosen(asked)
        if asked.get("format") == "csv":
            return _export(actions)
        shown = screen_context(self, request, _("Audit"), **_context(asked, actions))
        return _page(request, shown)


def _page(request: HttpRequest, shown: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, "gearjobs/audit_list.html", shown)


def _chosen(asked: Mapping[str, str]) -> QuerySet[OperatorAction]:
    actions = all_actions()
    if verb := asked.get("verb"):
        actions = actions.filter(verb=verb)
    if search := asked.get("q"):
        actions = actions.filter(Q(actor_name__icontains=search) | Q(target__icontains=search) | Q(address=search))
    if span := _SPANS.get(asked.get("since", "")):
        actions = actions.filter(at__gte=timezone.now() - span)
    return actions


def _context(asked: Mapping[str, str], actions: QuerySet[OperatorAction]) -> dict[str, Any]:
    page, cursor = older_page(actions, moment="at", cursor=asked.get("cursor", ""), size=ACTIONS_SHOWN)
    kept = {name: asked.get(name, "") for name in ("verb", "q", "since")}
    name = "gearjobs_operatoraction_changelist"
    verbs = {
        *all_actions().values_list("verb", flat=True)[:_VERBS_OF_LATEST],
        *([kept["verb"]] if kept["verb"] else []),
    }
    spans = (("", _("any time")), ("24h", _("last 24 hours")), ("7d", _("last 7 days")), ("30d", _("last 30 days")))
    return {
        "rows": [_row(action) for action in page],
        "search": kept["q"],
        "verbs": [(verb, _verb_words(verb), verb == kept["verb"]) for verb in sorted(verbs)],
        "spans": [(word, label, word == kept["since"]) for word, label in spans],
        "is_filtered": any(kept.values()),
        "export_url": screen_url(name, **kept, format="csv"),
        "first_url": screen_url(name, **kept) if asked.get("cursor") else "",
        "next_url": screen_url(name, **kept, cursor=cursor) if cursor else "",
    }


def _row(action: OperatorAction) -> dict[str, Any]:
    return {
        "action": action,
        "verb": _verb_words(action.verb),
        "url": target_link(action.target_kind, action.target) if action.target else "",
        "operation_url": _operation_url(action),
        "details": _details(action.details),
        "outcome": _outcome(action),
    }


def _verb_words(verb: str) -> str:
    return verb.replace("_", " ")


def _operation_url(action: OperatorAction) -> str:
    known = action.details if isinstance(action.details, dict) else {}
    operation = known.get("operation")
    return target_link("operation", operation) if isinstance(operation, str) and operation else ""


def _details(details: object) -> list[tuple[str, str]]:
    """Return what else was said: names and values, those of a filter or a selection as if they stood alone."""
    found: list[tuple[str, str]] = []
    for name, value in _flat(details):
        if value not in (None, "", [], {}, False) and name != "operation":
            found.append((name.replace("_", " "), _text(value)))
    return found[:_DETAILS_SHOWN]


def _flat(details: object) -> Iterator[tuple[str, object]]:
    for name, value in details.items() if isinstance(details, dict) else ():
        if name in {"filter", "selection"} and isinstance(value, dict):
            yield from ((str(key), one) for key, one in value.items())
        else:
            yield str(name), value


def _text(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _DETAIL_LIMIT else f"{text[:_DETAIL_LIMIT]}…"


def _outcome(action: OperatorAction) -> SafeString:
    try:
        outcome = ActionOutcome(action.outcome)
    except ValueError:
        return badge(action.outcome, "waiting")
    return badge(str(outcome.label), _BADGES[outcome])


def _export(actions: QuerySet[OperatorAction]) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_csv_lines(actions), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _csv_lines(actions: QuerySet[OperatorAction]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for action in actions[:EXPORT_LIMIT].iterator(chunk_size=500):
        values = {name: getattr(action, name) for name in _COLUMNS}
        values["at"] = action.at.isoformat()
        values["details"] = "; ".join(f"{name}={value}" for name, value in _details(action.details))
        writer.writerow([plain_cell(values[name]) for name in _COLUMNS])
        yield buffer.getvalue().encode("utf-8", "replace")
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode("utf-8", "replace")
