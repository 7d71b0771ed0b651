"""Arguments as they may be shown: what is secret stands there as a mask, by the name it has.

A pattern matches the name of an argument, or of a key anywhere in its value, in any case of letters: whatever is called
`api_token` is secret, however deep it lies. Which patterns there are say GEARJOBS["MASK"] and the task's own `mask=`.
What is stored is not changed: a worker needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from gearjobs.records.readable_body import DEPTH_LIMIT

#: What stands for a secret.
MASK: Final = "••••••"


def mask_call(
    args: Sequence[object], kwargs: Mapping[str, object], *, patterns: Sequence[str], names: Sequence[str] = ()
) -> tuple[list[object], dict[str, object]]:
    """Return the arguments of a call as they may be shown.

    Args:
        args: by place.
        kwargs: by name.
        patterns: of names, `*` and `?` match; any case.
        names: what those by place are called, as far as that is known.
    """
    wanted = tuple(patterns)
    called = [*names, *[""] * len(args)]
    shown = [
        _masked(name, value, patterns=wanted, levels=DEPTH_LIMIT) for name, value in zip(called, args, strict=False)
    ]
    return shown, {name: _masked(name, value, patterns=wanted, levels=DEPTH_LIMIT) for name, value in kwargs.items()}


def mask_value(value: object, *, patterns: Sequence[str]) -> object:
    """Return a JSON value as it may be shown."""
    return _masked("", value, patterns=tuple(patterns), levels=DEPTH_LIMIT)


def has_mask(value: object) -> bool:
    """Tell whether a mask stands anywhere in a JSON value: somebody sends back what they were shown."""
    if isinstance(value, Mapping):
        return any(has_mask(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(has_mask(one) for one in value)
    return value == MASK


@lru_cache(maxsize=4096)
def is_secret(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether what has this name is not to be shown."""
    lower = name.lower()
    return any(fnmatchcase(lower, pattern.lower()) for pattern in patterns)


def _masked(name: str, value: object, *, patterns: tuple[str, ...], levels: int) -> object:
    if name and is_secret(name, patterns):
        return MASK
    if isinstance(value, Mapping):
        if levels == 0:
            return MASK
        return {str(key): _masked(str(key), one, patterns=patterns, levels=levels - 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        if levels == 0:
            return MASK
        return [_masked("", one, patterns=patterns, levels=levels - 1) for one in value]
    return value
