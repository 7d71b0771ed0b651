"""Forms of calls: a field for each parameter of a task's function, as its annotation says; JSON for whatever else.

A function with `*args`, `**kwargs` or parameters by place alone, and one whose call does not fit it, has two fields of
JSON: the arguments by place, and those by name. A field that is left empty stands for the parameter's default. What is
shown of a call that is copied is the call itself, so these pages take the permission `view_payload`.
"""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from inspect import Parameter
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.tasks.task import GearTask

#: What the names of the parameters' fields begin with: a task may have a parameter `priority`.
PREFIX: Final = "call-"
#: Characters of a text that are edited in one line.
_LINE_LIMIT: Final = 80
_NAMED: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_CLASSES: Final[Mapping[Any, type[forms.Field]]] = {int: forms.IntegerField, float: forms.FloatField}

Call = tuple[Sequence[Any], Mapping[str, Any]]


#: Initial of a field that shows nothing, where None would be shown as `null`.
NOTHING: Final = object()


class JsonField(forms.JSONField):
    """Any JSON value; `null`, `[]` and `{}` are values, and only nothing at all is empty."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is NOTHING else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        # As it was typed, which may be anything.
        return NOTHING if data is None else InvalidJSONInput(data)

    def to_python(self, value: Any) -> Any:
        if value in (None, ""):
            if self.required:
                raise ValidationError(self.error_messages["required"], code="required")
            return None
        try:
            return super().to_python(value)
        except (RecursionError, ValueError) as error:
            # Nested too deep, or a number of too many digits.
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error

    def validate(self, value: Any) -> None:
        """Do nothing: what is empty was seen before it was read."""


class CallForm(forms.Form):
    """The arguments of one call, its priority and its time.

    Args:
        task: what is called; None for a function of another program, whose payload is a text.
        call: what the fields show; None for the defaults.
        text: the payload that the field shows, where there is no task.
        data: what was sent, if anything was.
        priority: what its field shows.
    """

    priority = forms.IntegerField(
        label=gettext_lazy("Priority"),
        required=False,
        min_value=-100,
        max_value=100,
        help_text=gettext_lazy("-100 to 100, higher first; leave empty for the task's own."),
    )
    at = forms.DateTimeField(
        label=gettext_lazy("Not before"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=gettext_lazy("The earliest start; leave empty for at once."),
    )

    def __init__(
        self,
        task: GearTask[..., Any] | None,
        *,
        call: Call | None = None,
        text: str = "",
        data: Any = None,
        priority: int | None = None,
    ) -> None:
        super().__init__(data, initial={"priority": priority})
        self._call = call
        self._parameters = _parameters(task, call) if task is not None else None
        if task is None:
            fields = {"payload": _text_field(text)}
        elif self._parameters is None:
            fields = _json_fields(call)
        else:
            bound = {} if call is None else _by_name(self._parameters, call)
            fields = {PREFIX + one.name: _field(one, hint, bound) for one, hint in self._parameters}
        self.fields = {**fields, **self.fields}

    @property
    def call(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that a valid form says, by place as many as the call had that was shown."""
        said = self.cleaned_data
        if self._parameters is None:
            return said["args"] or [], said["kwargs"] or {}
        known = {} if self._call is None else _by_name(self._parameters, self._call)
        places_left = 0 if self._call is None else len(self._call[0])
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter, _hint in self._parameters:
            if self._is_left_out(parameter, known):
                # What stands behind it has no place any more.
                places_left = 0
            elif places_left:
                args.append(said[PREFIX + parameter.name])
                places_left -= 1
            else:
                kwargs[parameter.name] = said[PREFIX + parameter.name]
        return args, kwargs

    def clean_args(self) -> Any:
        args = self.cleaned_data["args"]
        if not isinstance(args, list | None):
            raise ValidationError(_('The arguments must be a JSON list, such as [1, "two"].'))
        return args

    def clean_kwargs(self) -> Any:
        kwargs = self.cleaned_data["kwargs"]
        if not isinstance(kwargs, dict | None):
            raise ValidationError(_('The keyword arguments must be a JSON object, such as {"size": 3}.'))
        return kwargs

    def _is_left_out(self, parameter: Parameter, known: Mapping[str, Any]) -> bool:
        """Tell whether the function's own default is meant."""
        if parameter.default is Parameter.empty:
            return False
        said = self.cleaned_data[PREFIX + parameter.name]
        is_empty = said is None and self.data.get(PREFIX + parameter.name, "") == ""
        return is_empty or (parameter.name not in known and said == parameter.default)


def _parameters(task: GearTask[..., Any], call: Call | None) -> list[tuple[Parameter, Any]] | None:
    """Return the parameters with their annotations; None where they cannot be fields of their own."""
    signature = inspect.signature(task.func)
    found = list(signature.parameters.values())[1 if task.takes_context else 0 :]
    if any(one.kind not in _NAMED for one in found):
        return None
    if call is not None:
        try:
            inspect.Signature(found).bind(*call[0], **call[1])
        except TypeError:
            return None
    try:
        hints = get_type_hints(task.func)
    except Exception:  # noqa: BLE001 - a name that is not there at run time says nothing about the call
        hints = {}
    return [(one, hints.get(one.name, Any)) for one in found]


def _by_name(parameters: Sequence[tuple[Parameter, Any]], call: Call) -> dict[str, Any]:
    names = [parameter.name for parameter, _hint in parameters]
    return {**dict(zip(names, call[0], strict=False)), **call[1]}


def _text_field(text: str) -> forms.Field:
    return forms.CharField(
        label=gettext_lazy("Payload"),
        required=False,
        strip=False,
        initial=text,
        widget=forms.Textarea(attrs={"rows": 6, "cols": 60, "autocomplete": "off"}),
        help_text=gettext_lazy("As its worker is given it, in UTF-8."),
    )


def _json_fields(call: Call | None) -> dict[str, forms.Field]:
    args, kwargs = call or ([], {})
    return {
        "args": _json_field(gettext_lazy("Arguments"), list(args), gettext_lazy("A JSON list.")),
        "kwargs": _json_field(gettext_lazy("Keyword arguments"), dict(kwargs), gettext_lazy("A JSON object.")),
    }


def _json_field(label: Any, initial: Any, help_text: Any, *, required: bool = False) -> forms.Field:
    widget = forms.Textarea(attrs={"rows": 2, "cols": 60, "autocomplete": "off"})
    return JsonField(label=label, required=required, initial=initial, widget=widget, help_text=help_text)


def _field(parameter: Parameter, hint: Any, bound: Mapping[str, Any]) -> forms.Field:
    """Return the field of one parameter."""
    has_default = parameter.default is not Parameter.empty
    value = bound.get(parameter.name, parameter.default if has_default else None)
    common: dict[str, Any] = {"label": parameter.name, "required": not has_default, "initial": value}
    kind, is_optional = _kind_of(hint)
    is_given = value is not None
    if (choices := _choices(kind)) and not is_optional and (not is_given or _plain(value) in choices):
        texts = [json.dumps(choice) for choice in choices]
        shown = [("", "---------")] if not is_given else []
        shown += [(text, str(choice)) for text, choice in zip(texts, choices, strict=True)]
        common["initial"] = json.dumps(_plain(value)) if is_given else ""
        return forms.TypedChoiceField(choices=shown, coerce=json.loads, empty_value=None, **common)
    if kind is bool and not is_optional and isinstance(value, bool | None):
        return forms.BooleanField(**{**common, "required": False, "initial": bool(value)})
    if kind in _CLASSES and isinstance(value, int | float | None) and not isinstance(value, bool):
        required = not (has_default or is_optional)
        if kind is float or not isinstance(value, float):
            return _CLASSES[kind](**{**common, "required": required, "help_text": _words(hint)})
    if kind is str and not is_optional and isinstance(value, str | None):
        is_long = len(value or "") > _LINE_LIMIT or "\n" in (value or "")
        widget: Any = forms.Textarea(attrs={"rows": 4, "cols": 60}) if is_long else forms.TextInput(attrs={"size": 60})
        widget.attrs["autocomplete"] = "off"
        return forms.CharField(**{**common, "required": False}, strip=False, widget=widget)
    initial = _shown_json(value) if parameter.name in bound or has_default else NOTHING
    return _json_field(parameter.name, initial, _words(hint), required=not has_default)


def _kind_of(hint: Any) -> tuple[Any, bool]:
    """Return what an annotation is but for `| None`, and whether it has that."""
    if get_origin(hint) not in {Union, types.UnionType}:
        return hint, False
    inner = [one for one in get_args(hint) if one is not type(None)]
    return (inner[0] if len(inner) == 1 else hint), len(inner) < len(get_args(hint))


def _choices(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return [one for one in get_args(kind) if isinstance(one, str | int)]
    if isinstance(kind, type) and issubclass(kind, Enum) and issubclass(kind, str | int):
        return [one.value for one in kind]
    return []


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _shown_json(value: Any) -> Any:
    """Return a value that JSON can say; nothing for any other, which is left to the function."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return NOTHING
    return value


def _words(hint: Any) -> str:
    """Return what a field takes."""
    if hint is Any:
        return _("JSON: a text stands in quotes.")
    name = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
    return name if hint in _CLASSES else _("JSON of %(type)s") % {"type": name}
