"""What groups and chains are worth by the book, for tests whose jobs return the arguments they were called with."""

from __future__ import annotations

import json

from gearjobs.tasks.groups.signature import Group, Part, Signature


def answer(payload: bytes) -> list[object]:
    """Return what a job returns: its arguments, so that a value tells how it came about."""
    args: list[object] = json.loads(payload)["args"]
    return args


def expected(part: Part, *given: object) -> object:
    """Return the value of a part that is given this."""
    if isinstance(part, Signature):
        return [*given, *part.args] if part.takes_input else [*part.args]
    if isinstance(part, Group):
        return [expected(one, *given) for one in part.parts]
    for step in part.parts:
        given = (expected(step, *given),)
    return given[0]
