"""A call as bytes and back: `{"args": [...], "kwargs": {...}}`, and a result as the JSON of its value.

A call that may be tried several times carries `"attempt"` besides: a stock gearmand cannot count them, so that a worker
that has to submit such a job again counts in the payload. Only calls that nobody waits for carry it.
Pure: no Django, no registry; what a function name means is decided elsewhere and never by the payload. Any Gearman
client may submit such a payload, so reading is strict: limits on size and depth, no NaN or infinity, no key twice.
Writing obeys the same limits, so that what was enqueued can be read.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from gearjobs.errors import UsageError

#: Bytes of one payload or result. Files belong in storage, their names in the payload.
PAYLOAD_LIMIT_BYTES: Final = 8 * 1024 * 1024
#: Nested lists and objects. Deep enough for any document, far below Python's own recursion limit.
DEPTH_LIMIT: Final = 64

_CALL_KEYS: Final = frozenset({"args", "kwargs", "attempt"})
# Anything else has no JSON form, or nothing in it.
_CONTAINERS: Final = (dict, list, tuple)

#: What a JSON document can hold.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class PayloadError(UsageError):
    """A payload or result cannot be written or read as JSON within the limits."""


def encode_call(args: Sequence[object], kwargs: Mapping[str, object], *, attempt: int = 0) -> bytes:
    """Return the payload of a call.

    Args:
        args: the positional arguments.
        kwargs: the keyword arguments.
        attempt: which attempt it is, from 1; 0 for a call that is not counted.

    Raises:
        PayloadError: an argument has no JSON form, or a limit is broken.
    """
    call: dict[str, object] = {"args": list(args), "kwargs": dict(kwargs)}
    if attempt:
        call["attempt"] = attempt
    return encode_value(call, what="the arguments")


def decode_call(payload: bytes) -> tuple[list[Json], dict[str, Json]]:
    """Return the arguments in a payload; an empty payload is a call without arguments.

    Raises:
        PayloadError: the payload is not what `encode_call` makes.
    """
    call = _read_call(payload)
    args, kwargs = call.get("args", []), call.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        came = f"{type(args).__name__} and {type(kwargs).__name__}"
        raise PayloadError(f'the payload\'s "args" must be a list and its "kwargs" an object, got {came}')
    return args, kwargs


def attempt_of(payload: bytes) -> int:
    """Return which attempt a payload says it is; 0 where it is not counted.

    Raises:
        PayloadError: the payload is not what `encode_call` makes.
    """
    attempt = _read_call(payload).get("attempt", 0)
    # A bool is an int to isinstance.
    if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 0:
        raise PayloadError(f'the payload\'s "attempt" must be a whole number from 0 up, got {str(attempt)[:40]!r}')
    return attempt


def _read_call(payload: bytes) -> dict[str, Json]:
    if not payload:
        return {}
    call = decode_value(payload, what="the payload")
    if not isinstance(call, dict):
        raise PayloadError(f'the payload must be {{"args": [...], "kwargs": {{...}}}}, got {type(call).__name__}')
    if not call.keys() <= _CALL_KEYS:
        unknown = min(call.keys() - _CALL_KEYS)
        raise PayloadError(f'the payload must have the keys "args" and "kwargs" only, got {unknown[:40]!r}')
    return call


def encode_value(value: object, *, what: str = "the result") -> bytes:
    """Return the JSON of a value, as UTF-8.

    Args:
        value: None, bool, int, finite float, str, and lists and dicts of them.
        what: names the value in an error.

    Raises:
        PayloadError: the value has no JSON form, or a limit is broken.
    """
    _check_depth(value, what=what)
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError) as error:
        raise PayloadError(f"{what} must be JSON: {error}") from error
    try:
        body = text.encode()
    except UnicodeEncodeError:
        # A lone surrogate, as in the name of a file that is not UTF-8: only an escape can carry it.
        body = json.dumps(value, allow_nan=False, check_circular=False, separators=(",", ":")).encode("ascii")
    _check_size(body, what=what)
    return body


def decode_value(body: bytes, *, what: str = "the result") -> Json:
    """Return the value whose JSON is `body`.

    Raises:
        PayloadError: it is no JSON, or a limit is broken.
    """
    _check_size(body, what=what)
    try:
        value: Json = _DECODER.decode(body.decode())
    except RecursionError:
        raise PayloadError(f"{what} must be nested at most {DEPTH_LIMIT} levels deep") from None
    except ValueError as error:
        raise PayloadError(f"{what} must be JSON: {error}; got {_beginning(body)}") from error
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT:
        # Less of them cannot be nested more deeply.
        _check_depth(value, what=what)
    return value


def read_result(body: bytes) -> Json | bytes:
    """Return what a worker of any language gave back: the value of its JSON, else its text, else its bytes."""
    try:
        return decode_value(body)
    except PayloadError:
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _check_size(body: bytes, *, what: str) -> None:
    if len(body) > PAYLOAD_LIMIT_BYTES:
        raise PayloadError(f"{what} must be at most {PAYLOAD_LIMIT_BYTES} bytes of JSON, got {len(body)}")


def _check_depth(value: object, *, what: str) -> None:
    """Walk level by level, so that neither depth nor a cycle costs a stack."""
    level: list[Any] = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(DEPTH_LIMIT):
        below: list[Any] = []
        for parent in level:
            children = parent
            if isinstance(parent, dict):
                _check_keys(parent, what=what)
                children = parent.values()
            below += [child for child in children if isinstance(child, _CONTAINERS)]
        if not below:
            return
        level = below
    raise PayloadError(f"{what} must be nested at most {DEPTH_LIMIT} levels deep")


def _check_keys(parent: dict[object, object], *, what: str) -> None:
    """JSON writes the key 1 as "1": refuse a mapping that has both."""
    if all(isinstance(key, str) for key in parent):
        return
    names = {key if isinstance(key, str) else json.dumps(key, default=str) for key in parent}
    if len(names) < len(parent):
        raise PayloadError(f"{what} must not have a key twice: {min(names)!r} comes as text and as a number")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    parsed = dict(pairs)
    if len(parsed) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:40]!r} comes twice")
    return parsed


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _beginning(body: bytes) -> str:
    # 75 characters of payload at most in a message; this one ends in a row, so less.
    return repr(body[:40]) + ("..." if len(body) > 40 else "")


# Made once: `json.dumps` and `json.loads` would make one a call, for these arguments.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite_float, parse_constant=_refuse_constant
)
