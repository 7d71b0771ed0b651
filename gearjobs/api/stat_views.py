"""The endpoints below `stats/`: what jobs did over time, from rows of figures and never from the job table.

They are about everybody's jobs, and take `view_job`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.endpoint import Endpoint
from gearjobs.api.query_filters import parameters_of, read_text, refuse_unknown
from gearjobs.models import HOUR_S, MINUTE_S
from gearjobs.records.statistics.series import COUNTS, SeriesPoint, series, summary, totals

#: Seconds: a quarter of a year, as long as rows are kept.
_LONGEST_S: Final = 92 * 24 * HOUR_S
_QUERY: Final = {
    "function": "A Gearman function; all of them together when not given.",
    "span_s": "How far back, in seconds; an hour when not given.",
    "step_s": "The length of a step in seconds, whole minutes; a minute when not given.",
}


class FiguresSerializer(serializers.Serializer[Any]):
    """What jobs did within a stretch of time."""

    enqueued = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    retried = serializers.IntegerField()
    lost = serializers.IntegerField()
    run_p50_s = serializers.FloatField(allow_null=True)
    run_p95_s = serializers.FloatField(allow_null=True)
    wait_p50_s = serializers.FloatField(allow_null=True)
    wait_p95_s = serializers.FloatField(allow_null=True)


class PointSerializer(FiguresSerializer):
    """A step of a series."""

    starts_at = serializers.DateTimeField()


class SeriesSerializer(serializers.Serializer[Any]):
    """Steps up to now, those in which nothing happened, too."""

    step_s = serializers.IntegerField()
    results = PointSerializer(many=True)


class FunctionFiguresSerializer(serializers.Serializer[Any]):
    """What the jobs of one function did."""

    function = serializers.CharField()
    enqueued = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    retried = serializers.IntegerField()
    lost = serializers.IntegerField()
    run_s = serializers.FloatField(help_text="Seconds of all runs.")
    wait_s = serializers.FloatField(help_text="Seconds of all waits.")


class StatsSerializer(serializers.Serializer[Any]):
    """What all jobs did, and those of each function."""

    span_s = serializers.IntegerField()
    all = FiguresSerializer()
    functions = FunctionFiguresSerializer(many=True)


class Stats(Endpoint):
    """What jobs did lately."""

    verbs: ClassVar = {"GET": ("view_job",)}

    @described("What jobs did lately, by function", answers={200: StatsSerializer},
               query={"span_s": _QUERY["span_s"]}, problems=(400,))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Answer 200 with sums."""
        asked = parameters_of(request)
        refuse_unknown(asked, {"span_s": ""})
        span_s = _seconds(asked, "span_s", HOUR_S, most=_LONGEST_S)
        step_s = HOUR_S if span_s > 24 * HOUR_S else MINUTE_S
        whole = summary(series(span_s=max(span_s, step_s), step_s=step_s))
        functions = [
            {"function": one.function, **{name: getattr(one, name) for name in (*COUNTS, "run_s", "wait_s")}}
            for one in totals(span_s=span_s)
        ]
        return Response({"span_s": span_s, "all": _figures(whole), "functions": functions})


class StatSeries(Endpoint):
    """What jobs did, step by step."""

    verbs: ClassVar = {"GET": ("view_job",)}

    @described("What jobs did, step by step", answers={200: SeriesSerializer}, query=_QUERY, problems=(400,))
    def get(self, request: Request) -> Response:
        """Answer 200 with a point for each step."""
        asked = parameters_of(request)
        refuse_unknown(asked, _QUERY)
        span_s = _seconds(asked, "span_s", HOUR_S, most=_LONGEST_S)
        step_s = _seconds(asked, "step_s", MINUTE_S, most=24 * HOUR_S)
        function = read_text(asked["function"], "function") if "function" in asked else None
        try:
            points = series(function, span_s=span_s, step_s=step_s)
        except ValueError as error:
            raise ValidationError({"step_s": [str(error)]}) from error
        told = [{"starts_at": datetime.fromtimestamp(one.starts_s, UTC), **_figures(one)} for one in points]
        return Response({"step_s": step_s, "results": told})


def _figures(point: SeriesPoint) -> dict[str, Any]:
    percentiles = {
        f"{name}_p{share}_s": histogram.percentile_s(share / 100)
        for name, histogram in (("run", point.runs), ("wait", point.waits))
        for share in (50, 95)
    }
    return {**{name: getattr(point, name) for name in COUNTS}, **percentiles}


def _seconds(asked: dict[str, str], name: str, default: int, *, most: int) -> int:
    text = asked.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text[:12]) <= most:
        raise ValidationError(
            {name: [_("must be seconds from 1 to %(most)s, got %(value)s") % {"most": most, "value": repr(text[:40])}]}
        )
    return int(text)
