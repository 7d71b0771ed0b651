"""Comparing what two libraries showed: facts as paths with values, and which of them differ.

Two differences are none: a payload of ours is `bytes` where Python 2 had a string, and an exception of ours may be
caught by more names than the old one, as long as its name is among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

#: Where a payload, a packet or a piece of one stands.
_BYTES = re.compile(
    r".*/(?:result|exception|data|(?:data|warning)_updates/deque/\d+)"
    r"|what_the_hooks_return/0/2|packets/(?:request|response)"
    r"|(?:.*/)?(?:ECHO_STRING|MAGIC_RE[QS]_STRING|NULL_CHAR)/value"
)


def facts_of(shown: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return each fact of a description as its path and value."""
    elements: dict[str, Any] = {}
    if isinstance(shown, dict) and "raised" not in shown:
        elements = shown
    elif isinstance(shown, list):
        elements = {str(number): element for number, element in enumerate(shown)}
    if not elements:
        yield path, shown
    for name, element in elements.items():
        yield from facts_of(element, f"{path}/{name}" if path else name)


def differences(old: Any, ours: Any, *, additions_count: bool = True, python2: bool = False) -> dict[str, str]:
    """Return the paths at which ours differs, each with both values.

    Args:
        old: what the old library showed.
        ours: what ours showed.
        additions_count: whether what only ours has is a difference.
        python2: whether the old library's payloads are strings.
    """
    old_facts, our_facts = dict(facts_of(old)), dict(facts_of(ours))
    if python2:
        our_facts = dict(_as_python2(path, value) for path, value in our_facts.items())
    if not additions_count:
        # What is empty there may have gained something here.
        gained = {path for path in old_facts if old_facts[path] == {} and _has_below(our_facts, path)}
        old_facts = {path: value for path, value in old_facts.items() if path not in gained}
    paths = {**old_facts, **our_facts} if additions_count else old_facts
    return {
        path: f"{_written(old_facts, path)} -> {_written(our_facts, path)}"
        for path in paths
        if not _is_same(old_facts.get(path), our_facts.get(path), has_both=path in old_facts and path in our_facts)
    }


def _is_same(old: Any, ours: Any, *, has_both: bool) -> bool:
    if not has_both:
        return False
    if isinstance(old, dict) and isinstance(ours, dict) and "raised" in old:
        return old["raised"][0] in ours.get("raised", ())
    # Not ==: 1 is 1.0 there, and True.
    return json.dumps(old) == json.dumps(ours)


def _has_below(facts: dict[str, Any], path: str) -> bool:
    return any(known.startswith(f"{path}/") for known in facts)


def _as_python2(path: str, value: Any) -> tuple[str, Any]:
    bare = path.removesuffix("/bytes")
    return (bare, value) if bare != path and _BYTES.fullmatch(bare) else (path, value)


def _written(facts: dict[str, Any], path: str) -> str:
    return json.dumps(facts[path]) if path in facts else "nothing"
