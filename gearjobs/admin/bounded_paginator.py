"""What keeps the job list quick on a table of millions: filters, pages and search of bounded cost.

Django's own `AllValuesFieldListFilter` and page counts read the whole table. Here names to filter by are those of the
newest jobs, pages end after ten thousand rows, and a search that no index answers looks at the newest jobs only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.joined_jobs import follow_joined

#: Jobs whose names the filters offer.
NAMES_OF_NEWEST: Final = 1_000
#: Rows that can be reached by turning pages; more is for filters.
PAGED_LIMIT: Final = 10_000
#: Jobs that a search without an index looks at.
SEARCHED_NEWEST: Final = 100_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic when Django runs
    """Counts no further than PAGED_LIMIT."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:PAGED_LIMIT].count())


class JobChangeList(ChangeList):
    """A page of jobs, of which those that another job does the work of are shown as that one stands."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        follow_joined(self.result_list)


class _RecentNamesFilter(SimpleListFilter):
    """Offers the names that the newest jobs have in a column."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Sequence[tuple[str, str]]:
        newest = all_jobs().order_by("-enqueued_at").values_list(self.column, flat=True)[:NAMES_OF_NEWEST]
        names = {str(name) for name in newest if name}
        if chosen := request.GET.get(str(self.parameter_name)):
            names.add(chosen)
        return [(name, name) for name in sorted(names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        chosen = self.value()
        if chosen is None:
            return queryset
        # PostgreSQL cannot compare with a NUL, and no name has one.
        return queryset.none() if "\0" in chosen else queryset.filter(**{self.column: chosen})


class FunctionFilter(_RecentNamesFilter):
    """By Gearman function."""

    title = _("function")
    parameter_name = "function"
    column = "function"


class QueueFilter(_RecentNamesFilter):
    """By the queue of django.tasks."""

    title = _("queue")
    parameter_name = "queue"
    column = "queue"


def search_jobs(jobs: QuerySet[Job], term: str) -> QuerySet[Job]:
    """Return the job with this handle, else the jobs with this function, task or unique id among the newest."""
    term = term.strip()
    if not term:
        return jobs
    if all_jobs().filter(pk=term).exists():
        return jobs.filter(pk=term)
    found = jobs.filter(Q(function=term) | Q(task=term) | Q(unique=term))
    newest = all_jobs().order_by("-enqueued_at").values_list("enqueued_at", flat=True)
    for oldest_searched in newest[SEARCHED_NEWEST : SEARCHED_NEWEST + 1]:
        return found.filter(enqueued_at__gt=oldest_searched)
    return found
