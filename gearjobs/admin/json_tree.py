"""JSON as a tree whose branches open and close without a script; the whole as text below it, to be copied.

Short values stand on one line. A tree of more than NODE_LIMIT values is no help to anybody and is shown as text alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.admin.job_cells import SHOWN_BYTES, body_block
from gearjobs.records.readable_body import read_body

#: Values of a tree at most.
NODE_LIMIT: Final = 1_000
#: Characters of a branch that stands on one line.
_LINE_LIMIT: Final = 60
#: Levels that are open at first.
_OPEN_LEVELS: Final = 2


def body_tree(body: bytes | memoryview | None, *, identity: str) -> SafeString | str:
    """Return a payload or result: a tree where it is JSON that has branches, else as `body_block` shows it.

    Args:
        body: what to show.
        identity: tells its branches from others of the page, so that they stay open when the page is refreshed.
    """
    text = body_block(body)
    if not body or len(body) > SHOWN_BYTES:
        return text
    readable = read_body(bytes(body))
    if readable.encoding != "json" or _is_plain(readable.value) or not _is_small(readable.value):
        return text
    return format_html(
        '<div class="gearjobs-tree" tabindex="0">{}</div><details id="{}"><summary>{}</summary>{}</details>',
        _branch(readable.value, f"tree-{identity}", level=0),
        f"raw-{identity}",
        _("As text"),
        text,
    )


def _branch(value: object, place: str, *, level: int) -> SafeString:
    if _is_plain(value):
        return format_html("<code><bdi>{}</bdi></code>", json.dumps(value, ensure_ascii=False))
    lines = format_html_join(
        "",
        "<li><b><bdi>{}</bdi></b> {}</li>",
        (
            (key, _branch(one, f"{place}-{number}", level=level + 1))
            for number, (key, one) in enumerate(_children(value))
        ),
    )
    count = len(value) if isinstance(value, dict | list) else 0
    words = ngettext("%(number)s value", "%(number)s values", count) % {"number": count}
    return format_html(
        '<details id="{}"{}><summary>{} <span class="quiet">{}</span></summary><ul>{}</ul></details>',
        place,
        " open" if level < _OPEN_LEVELS else "",
        "{ }" if isinstance(value, dict) else "[ ]",
        words,
        lines,
    )


def _children(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((str(key), one) for key, one in value.items())
    elif isinstance(value, list):
        yield from ((str(number), one) for number, one in enumerate(value))


def _is_plain(value: object) -> bool:
    """Tell whether a value stands on one line."""
    if not isinstance(value, dict | list):
        return True
    if len(value) > _LINE_LIMIT // 2 or any(isinstance(one, dict | list) and one for _, one in _children(value)):
        return False
    return len(json.dumps(value, ensure_ascii=False)) <= _LINE_LIMIT


def _is_small(value: object) -> bool:
    left = [NODE_LIMIT]

    def count(one: object) -> bool:
        left[0] -= 1
        return left[0] > 0 and all(count(child) for _, child in _children(one))

    return count(value)
