"""A test that calls a job's task with the job's own arguments, to be pasted into a project's tests.

It is for the fixture `gearjobs` (docs/testing.md), which runs the job as a worker would and raises what it raises.
Secrets stand in it as masks: what is pasted is committed.
"""

from __future__ import annotations

import keyword
import re
from typing import Final

from gearjobs.models import Job
from gearjobs.tasks.masked_calls import masked_call
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.task import GearTask

#: Characters of arguments in a call; of more, nobody would read the test.
_CALL_LIMIT: Final = 4_000
_LINE_LIMIT: Final = 100
_WORDS: Final = re.compile(r"[^\W\d]\w*")


def test_snippet(job: Job) -> str:
    """Return the test; empty where the project has no such task, or its payload is no call of it."""
    call = masked_call(bytes(job.payload), task=job.task, function=job.function)
    module, _, name = job.task.rpartition(".")
    if not isinstance(task_at(job.task), GearTask) or call.is_opaque or call.value is not None:
        return ""
    arguments = [repr(one) for one in call.args]
    named = {key: value for key, value in call.kwargs.items() if _WORDS.fullmatch(key) and not keyword.iskeyword(key)}
    arguments += [f"{key}={value!r}" for key, value in named.items()]
    if odd := {key: value for key, value in call.kwargs.items() if key not in named}:
        arguments.append(f"**{odd!r}")
    called = f"{name}.enqueue({', '.join(arguments)})"
    if len(called) > _CALL_LIMIT:
        return ""
    lines = [
        f"from {module} import {name}",
        "",
        "",
        f"def test_{name}(gearjobs, db):",
        f"    # {_story(job)}",
        f"    {called}",
        "",
        "    (result,) = gearjobs.perform_enqueued()",
        "",
        '    assert result.status == "SUCCESSFUL"',
    ]
    return "\n".join(lines)


def _story(job: Job) -> str:
    """Return what became of the job, in a line that cannot end before its end."""
    kind = job.error_class.rpartition(".")[2]
    parts = [f"{job.handle} {job.status_detail}", kind, job.error_message]
    text = " ".join(": ".join(part for part in parts if part).split())
    return text if len(text) <= _LINE_LIMIT else f"{text[:_LINE_LIMIT]}…"
