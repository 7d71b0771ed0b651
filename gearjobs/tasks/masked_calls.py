"""The call in a job's payload as it may be shown to whoever may see the job: without what is secret.

What the arguments by place are called, and which are secret beside those of GEARJOBS["MASK"], the task says, where an
application of the project declares it. A payload that is no call of a task is masked as the JSON it is; what is no JSON
may hold anything, and none of it is shown here: those who may see payloads are given the body itself.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gearjobs.records.masking import MASK, is_secret, mask_call, mask_value
from gearjobs.records.readable_body import read_body
from gearjobs.records.rows.column_values import plain_text
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.payload import PayloadError, decode_call
from gearjobs.tasks.registry import registered_tasks, task_at, task_of_function
from gearjobs.tasks.task import GearTask


@dataclass(slots=True)
class ShownCall:
    """What a payload says, without secrets."""

    args: list[object]
    kwargs: dict[str, object]
    #: Another JSON value, where the payload is no call; None for a call, and for what is no JSON.
    value: object = None
    #: True for what is no JSON.
    is_opaque: bool = False

    def summary(self, limit: int = 120) -> str:
        """Return one line for a list."""
        if self.is_opaque:
            text = MASK
        elif self.value is not None:
            text = json.dumps(self.value, ensure_ascii=False)
        else:
            shown = [json.dumps(one, ensure_ascii=False) for one in self.args]
            text = ", ".join(
                [*shown, *(f"{name}={json.dumps(one, ensure_ascii=False)}" for name, one in self.kwargs.items())]
            )
        # JSON may escape half a character, as in a file's name that is not UTF-8: no page can show that.
        text = plain_text(text)
        return text if len(text) <= limit else f"{text[: limit - 1]}…"


def masked_call(payload: bytes, *, task: str = "", function: str = "") -> ShownCall:
    """Return the call in a payload as it may be shown.

    Args:
        payload: a job's.
        task: dotted path of its task; empty where it has none.
        function: the Gearman function, where the task is not known by its path.
    """
    known = _task_of(task, function)
    patterns = mask_patterns(known)
    try:
        args, kwargs = decode_call(payload)
    except PayloadError:
        readable = read_body(payload)
        if readable.encoding != "json":
            return ShownCall([], {}, is_opaque=True)
        return ShownCall([], {}, mask_value(readable.value, patterns=patterns))
    return ShownCall(*mask_call(args, kwargs, patterns=patterns, names=_names(known, len(args))))


def masked_arguments(
    args: Sequence[object], kwargs: Mapping[str, object], *, task: str
) -> tuple[list[object], dict[str, object]]:
    """Return the arguments of a call of a task as they may be shown."""
    known = _task_of(task, "")
    return mask_call(args, kwargs, patterns=mask_patterns(known), names=_names(known, len(args)))


def mask_patterns(task: Task[..., Any] | None) -> tuple[str, ...]:
    """Return the patterns of names that are secret in the calls of a task."""
    own = task.options.mask if isinstance(task, GearTask) else ()
    return (*gearjobs_settings().mask, *own)


def may_be_secret(key: str) -> bool:
    """Tell whether an argument of this name, or such a key in one, may be secret in the calls of any task."""
    discover_tasks()
    own = (task.options.mask for task in registered_tasks() if isinstance(task, GearTask))
    return is_secret(key, (*gearjobs_settings().mask, *chain.from_iterable(own)))


def _task_of(path: str, function: str) -> Task[..., Any] | None:
    # What a task keeps secret is not known before its module is imported, which a web process need not have done.
    discover_tasks()
    return task_at(path) if path else task_of_function(function)


def _names(task: Task[..., Any] | None, count: int) -> list[str]:
    """Return what so many arguments by place are called."""
    if task is None:
        return []
    names: list[str] = []
    for parameter in list(inspect.signature(task.func).parameters.values())[task.takes_context :]:
        # All that are gathered have the one name.
        is_gathering = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        names += [parameter.name] * (count - len(names) if is_gathering else 1)
    return names
