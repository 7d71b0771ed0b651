"""Keys of a call: its unique, which makes two calls one job, and the keys of its limits.

A rule is a template over the function's parameters (`"user:{user_id}"`) or a callable that is given the call's
arguments; either sees them as the worker will, after their way through JSON. Templates are read when the task is
declared, so that a misspelt parameter is no surprise of the first call. What does not fit the wire is hashed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from inspect import Parameter, Signature, signature
from string import Formatter
from typing import Any, Final

from gearjobs.core.terms import MAX_KEY_BYTES
from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import Task, normalize_json

#: Bytes of a unique: one more may be submitted, but gearmand answers no question about that one.
UNIQUE_LIMIT_BYTES: Final = 63

#: How the key of a call is made; an empty key, or None, is none.
KeyRule = str | Callable[..., str | None]

# To gearmand, the payload is the unique.
_RESERVED: Final = "-"
# What stands in brackets in a template's name.
_ENTRY: Final = re.compile(r"\[[^\]]*\]")
#: 160 bits: two of all the calls ever made do not meet.
_DIGEST_BYTES: Final = 20


def unique_of_call(
    task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object], rule: bool | KeyRule
) -> str:
    """Return the unique of a call; empty for a job of its own.

    Args:
        task: what is called.
        args: the call's, made JSON.
        kwargs: the call's, made JSON.
        rule: True for the function with its arguments, False for none.

    Raises:
        TypeError: the function cannot be called so.
        UsageError: the rule cannot be applied to these arguments.
    """
    if rule is False:
        return ""
    if rule is True:
        arguments = _arguments(task, args, kwargs)
        text = json.dumps([task.module_path, arguments], sort_keys=True, separators=(",", ":"))
        return _digest(text)
    return fitted(key_of_call(task, args, kwargs=kwargs, rule=rule), UNIQUE_LIMIT_BYTES)


def key_of_call(task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object], rule: KeyRule) -> str:
    """Return what a rule makes of a call; see `unique_of_call`."""
    if not isinstance(rule, str):
        made: object = rule(*args, **kwargs)
        if made is not None and not isinstance(made, str):
            raise UsageError(f"the key of a call of {task.module_path} must be a string or None, got {made!r}")
        return made or ""
    if "{" not in rule and "}" not in rule:
        return rule
    arguments = _arguments(task, args, kwargs)
    try:
        return rule.format_map(arguments)
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(f"{rule!r} has no value for this call of {task.module_path}: {error!r}") from error


def limit_key(text: str) -> str:
    """Return the key of a limit as the wire takes it."""
    return fitted(text, MAX_KEY_BYTES)


def fitted(text: str, limit_bytes: int) -> str:
    """Return the text, or where it is too long or cannot be shown in a line its beginning and its digest."""
    if not text.isprintable() or text == _RESERVED:
        return _digest(text)
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text
    digest = _digest(text)
    return f"{raw[: limit_bytes - len(digest) - 1].decode(errors='ignore')}~{digest}"


def check_template(template: str, function: Callable[..., Any], *, takes_context: bool, what: str) -> None:
    """Refuse a template that names what the function does not have.

    Args:
        template: such as `"user:{user_id}"`.
        function: the task's.
        takes_context: its first parameter is none of the call's.
        what: the option, for the error.

    Raises:
        UsageError: the text says what was expected.
    """
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"{what} must be a template such as 'user:{{user_id}}', got {template!r}: {error}") from error
    parameters = _signature(function, takes_context).parameters
    takes_any = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    for name in names:
        first = name.partition("[")[0]
        if "." in _ENTRY.sub("", name):
            raise UsageError(f"{what} must use parameters and their entries only, {{a}} or {{a[b]}}, got {template!r}")
        if first not in parameters and not (takes_any and first.isidentifier()):
            known = ", ".join(parameters) or "none"
            raise UsageError(f"{what} {template!r} names {first!r}, which is no parameter; there are: {known}")


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


@lru_cache(maxsize=1024)
def _signature(function: Callable[..., Any], takes_context: bool) -> Signature:  # noqa: FBT001 - the cache's key
    found = signature(function)
    parameters = list(found.parameters.values())
    return found.replace(parameters=parameters[1:] if takes_context else parameters)


def _arguments(task: Task[..., Any], args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, Any]:
    """Return the call's arguments by parameter, defaults among them, so that equal calls look alike."""
    called = _signature(task.func, task.takes_context)
    bound = called.bind(*args, **kwargs)
    named = {**_json_defaults(called), **bound.arguments}
    # Entries of `**kwargs` stand beside the parameters, where a template looks for them.
    for name, parameter in called.parameters.items():
        if parameter.kind is Parameter.VAR_KEYWORD:
            named.update(named.pop(name, {}))
    return named


def _json_defaults(called: Signature) -> dict[str, Any]:
    """Return the parameters' defaults that a call could also have given: those with a JSON form."""
    defaults = {}
    for name, parameter in called.parameters.items():
        if parameter.default is not Parameter.empty:
            try:
                defaults[name] = normalize_json(parameter.default)
            except (TypeError, ValueError):
                continue
    return defaults
