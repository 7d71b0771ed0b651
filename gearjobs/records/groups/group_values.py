"""What the jobs of a stage gave, as the JSON that the next stage is given.

A stage gives the result of its only job, or the list of its jobs' results in their order. One without jobs gives what
it received: the only value, or the list of all, in the order of the places. Results are spliced as they stand, so that
a number keeps every digit; a result that is no JSON (a foreign worker's) is given as text.
"""

from __future__ import annotations

import json
from typing import Final

from django.db import connections
from django.db.models import QuerySet

from gearjobs.errors import GearjobsError
from gearjobs.models import Job, JobGroup, JobMember

#: How `gearjobs.tasks.payload.encode_call` begins a call.
CALL_BEGINNING: Final = b'{"args":['
#: Bytes of a call with what it was given: the limit of any call.
CALL_LIMIT_BYTES: Final = 8 * 1024 * 1024


class ValueUnfit(GearjobsError):
    """What came before cannot be given to a job; the text says why."""


def input_of(stage: JobGroup, *, alias: str) -> bytes | None:
    """Return the JSON of what the stage is given; None where nothing comes before it.

    Raises:
        ValueUnfit: a result has no JSON form.
    """
    if stage.released_by and not stage.gathers:
        return value_of(JobGroup.objects.using(alias).get(pk=stage.released_by), alias=alias)
    sources = list(JobGroup.objects.using(alias).filter(next_stage=stage.pk).order_by("place"))
    values = [value_of(source, alias=alias) for source in sources]
    if stage.gathers:
        return _list_of(values)
    return values[0] if values else None


def value_of(stage: JobGroup, *, alias: str) -> bytes:
    """Return the JSON of what the stage gives.

    Raises:
        ValueUnfit: a result has no JSON form.
    """
    if stage.total == 0 or stage.pk == stage.root:
        return input_of(stage, alias=alias) or b"null"
    members = JobMember.objects.using(alias).filter(stage=stage.pk).order_by("position")
    results = _results(list(members.values_list("job_id", flat=True)), alias=alias)
    if len(results) < stage.total:
        raise ValueUnfit(f"results of stage {stage.pk} are deleted already")
    return _list_of(results) if stage.is_list else results[0]


def with_input(payload: bytes, value: bytes) -> bytes:
    """Return the call in the payload with the value as its first argument.

    Raises:
        ValueUnfit: the payload is no call of ours, or the call would be too long.
    """
    if not payload.startswith(CALL_BEGINNING):
        raise ValueUnfit(f"the payload must begin with {CALL_BEGINNING!r}, got {payload[:40]!r}")
    rest = payload[len(CALL_BEGINNING) :]
    call = CALL_BEGINNING + value + (b"" if rest.startswith(b"]") else b",") + rest
    if len(call) > CALL_LIMIT_BYTES:
        text = f"a call with the results before it must be at most {CALL_LIMIT_BYTES} bytes, got {len(call)}"
        raise ValueUnfit(text)
    return call


def _results(handles: list[str], *, alias: str) -> list[bytes]:
    rows = _as_committed(Job.objects.using(alias).filter(pk__in=handles), alias)
    found = {handle: _as_json(handle, result) for handle, result in rows.values_list("handle", "result")}
    missing = [handle for handle in handles if handle not in found]
    if missing:
        raise ValueUnfit(f"the result of job {missing[0]} is deleted already")
    return [found[handle] for handle in handles]


def _as_committed(rows: QuerySet[Job], alias: str) -> QuerySet[Job]:
    # MySQL reads as of the transaction's first look: another server may have committed the other results since.
    features = connections[alias].features
    if not features.has_select_for_update or not connections[alias].in_atomic_block:
        return rows
    return rows.select_for_update(no_key=features.has_select_for_no_key_update)


def _as_json(handle: str, result: bytes | memoryview | None) -> bytes:
    body = b"null" if result is None else bytes(result)
    try:
        json.loads(body)
    except ValueError:
        try:
            return json.dumps(body.decode()).encode()
        except UnicodeDecodeError:
            raise ValueUnfit(f"the result of job {handle} is neither JSON nor text") from None
    return body


def _list_of(values: list[bytes]) -> bytes:
    return b"[" + b",".join(values) + b"]"
