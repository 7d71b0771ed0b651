"""The JSON Schema of a task's arguments, made from its function's signature, and the check of a call against it.

Annotations that JSON has a type for are checked; any other takes whatever comes, as the task itself does. A task that
was declared with a serializer is described by, and checked by, that one. The subset of JSON Schema that is written here
is the one that is checked here: no library is needed for it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from inspect import Parameter, Signature, signature
from typing import Any, Final, Literal, TypedDict, Union, get_args, get_origin, get_type_hints

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from gearjobs.errors import UsageError
from gearjobs.records.masking import is_secret
from gearjobs.tasks.masked_calls import mask_patterns
from gearjobs.tasks.payload import Json
from gearjobs.tasks.schedules.declarations import check_call
from gearjobs.tasks.task import GearTask

Schema = dict[str, Any]

_PLAIN: Final[Mapping[Any, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    None: "null",
    type(None): "null",
}
_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "null": (type(None),),
    "array": (list, tuple),
    "object": (dict,),
}
_FIELDS: Final[Mapping[type, str]] = {
    serializers.BooleanField: "boolean",
    serializers.IntegerField: "integer",
    serializers.FloatField: "number",
    serializers.ListField: "array",
    serializers.DictField: "object",
    serializers.ModelField: "string",
    serializers.CharField: "string",
}
_GATHERING: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def schema_of(task: GearTask[..., Any]) -> Schema:
    """Return the schema of a task's arguments by their names."""
    if isinstance(task.options.api, type):
        return _schema_of_serializer(task.options.api)
    properties: Schema = {}
    required = []
    for parameter, schema in _parameters(task):
        if parameter.kind in _GATHERING:
            continue
        properties[parameter.name] = schema
        if parameter.default is Parameter.empty:
            required.append(parameter.name)
        else:
            is_told = not is_secret(parameter.name, mask_patterns(task))
            properties[parameter.name] = {**schema, **(_default(parameter.default) if is_told else {})}
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter, _ in _parameters(task))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": takes_any,
    }


def checked_call(task: GearTask[..., Any], args: Sequence[Json], kwargs: Mapping[str, Json]) -> tuple[list[Any], Any]:
    """Return the arguments of a call as the task may be given them.

    Raises:
        ValidationError: they are not what the task takes; names each argument that is wrong.
    """
    if isinstance(task.options.api, type):
        if args:
            raise ValidationError({"args": [_("must be empty; this task takes keyword arguments only")]})
        serializer = task.options.api(data=dict(kwargs))
        if not serializer.is_valid():
            raise ValidationError({"kwargs": serializer.errors})
        # Back to what JSON can hold.
        return [], dict(serializer.data)
    try:
        check_call(task, args, kwargs=kwargs)
    except UsageError as error:
        raise ValidationError({"args": [str(error.__cause__ or error)]}) from error
    _check_types(task, args, kwargs)
    return list(args), dict(kwargs)


def _check_types(task: GearTask[..., Any], args: Sequence[Json], kwargs: Mapping[str, Json]) -> None:
    schemas = {parameter.name: (parameter, schema) for parameter, schema in _parameters(task)}
    context = (None,) if task.takes_context else ()
    bound = signature(task.func).bind(*context, *args, **kwargs).arguments
    errors: dict[str, list[str]] = {}
    for name, (parameter, schema) in schemas.items():
        if name not in bound:
            continue
        values = {name: bound[name]}
        if parameter.kind is Parameter.VAR_POSITIONAL:
            values = {f"{name}[{place}]": value for place, value in enumerate(bound[name])}
        elif parameter.kind is Parameter.VAR_KEYWORD:
            values = bound[name]
        for where, value in values.items():
            if problem := mismatch(value, schema):
                errors[where] = [problem]
    if errors:
        raise ValidationError({"kwargs": errors})


def mismatch(value: Any, schema: Schema) -> str | None:
    """Return what is wrong with a value; None where it is as the schema says."""
    if "anyOf" in schema:
        return None if any(mismatch(value, one) is None for one in schema["anyOf"]) else _expected(schema, value)
    if "enum" in schema:
        # True equals 1, and is none of them.
        known = any(value == one and type(value) is type(one) for one in schema["enum"])
        return None if known else _expected(schema, value)
    kind = schema.get("type")
    if kind is None:
        return None
    is_bool_for_number = isinstance(value, bool) and kind in {"integer", "number"}
    if not isinstance(value, _PYTHON[kind]) or is_bool_for_number:
        return _expected(schema, value)
    return next(_mismatches_within(value, schema), None)


def _expected(schema: Schema, value: Any) -> str:
    return f"must be {words_of(schema)}, got {repr(value)[:40]}"


def words_of(schema: Schema) -> str:
    """Return what a schema wants, in words."""
    if "anyOf" in schema:
        return " or ".join(words_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    kind = schema.get("type")
    return "anything" if kind is None else f"{'an' if kind[0] in 'aio' else 'a'} {kind}"


def _mismatches_within(value: Any, schema: Schema) -> Iterator[str]:
    if schema["type"] == "array" and "items" in schema:
        for place, one in enumerate(value):
            if problem := mismatch(one, schema["items"]):
                yield f"[{place}] {problem}"
    if schema["type"] == "object":
        for name in schema.get("required", ()):
            if name not in value:
                yield f"[{name!r}] is missing"
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        for name, one in value.items():
            within = properties.get(name, rest)
            if problem := mismatch(one, within if isinstance(within, dict) else {}):
                yield f"[{name!r}] {problem}"


def _parameters(task: GearTask[..., Any]) -> list[tuple[Parameter, Schema]]:
    try:
        hints = get_type_hints(task.func)
    except Exception:  # noqa: BLE001 - a name that is not there at run time says nothing about the call
        hints = {}
    found = list(_signature(task).parameters.values())
    shown = found[1:] if task.takes_context else found
    return [(parameter, _schema_of_hint(hints.get(parameter.name, Any))) for parameter in shown]


def _signature(task: GearTask[..., Any]) -> Signature:
    return signature(task.func)


def _schema_of_hint(hint: Any) -> Schema:
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_schema_of_hint(one) for one in inner]}
    if origin is Literal:
        return {"enum": list(inner)}
    if isinstance(hint, type) and issubclass(hint, Enum) and issubclass(hint, str | int):
        return {"enum": [one.value for one in hint]}
    if _is_class(origin or hint, (list, tuple)) or origin is Sequence:
        is_uniform = origin is not tuple or (len(inner) == 2 and inner[1] is Ellipsis)
        items = {"items": _schema_of_hint(inner[0])} if inner and is_uniform else {}
        return {"type": "array", **items}
    if _is_class(origin or hint, (dict,)) or origin is Mapping:
        values = {"additionalProperties": _schema_of_hint(inner[1])} if len(inner) == 2 else {}
        return {"type": "object", **values}
    return {}


def _is_class(hint: Any, classes: tuple[type, ...]) -> bool:
    return hint in classes


class _Default(TypedDict, total=False):
    default: Any


def _default(value: Any) -> _Default:
    """Return a default as the schema tells it, where it has a JSON form."""
    return {"default": value} if value is None or isinstance(value, bool | int | float | str) else {}


def _schema_of_serializer(serializer_class: type[Any]) -> Schema:
    fields = {name: field for name, field in serializer_class().fields.items() if not field.read_only}
    properties = {}
    for name, field in fields.items():
        kind = next((word for kind, word in _FIELDS.items() if isinstance(field, kind)), None)
        schema: Schema = {"type": kind} if kind else {}
        properties[name] = {**schema, **({"description": str(field.help_text)} if field.help_text else {})}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }
