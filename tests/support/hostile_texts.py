"""Texts that would run a script, break out of an attribute or a formula, if a screen took them for its own.

Each has the marker, so that a test finds what became of it; `live_markup` reads a page as a browser would and names
what in it would be executed or was put into an element by a text.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

#: Stands in every text.
MARKER: Final = "x5s7"

HOSTILE_TEXTS: Final = (
    f"<script>alert('{MARKER}')</script>",
    f'"><script>alert("{MARKER}")</script>',
    f"'><img src=x onerror=alert('{MARKER}')>",
    f'" onmouseover="alert(`{MARKER}`)" data-x="',
    f"' onfocus='alert(1)' autofocus data-y='{MARKER}",
    f"<svg/onload=alert`{MARKER}`>",
    f"</textarea></title></style></script><script>alert('{MARKER}')</script>",
    f"--><iframe srcdoc='<script>{MARKER}</script>'>",
    f"javascript:alert('{MARKER}')//",
    f"<a href=javascript:alert('{MARKER}')>a</a>",
    f"</pre></code><body onload=alert('{MARKER}')>",
    f"{{{{ {MARKER}.7*7 }}}}{{% debug %}}<b id={MARKER}>",
    f"&lt;script&gt;{MARKER}&quot;><style>@import'//{MARKER}'</style>",
    f"<math><mi xlink:href='data:,{MARKER}'></math>\u202e<form action=//x><input name={MARKER}>",
)

#: Attributes that lead somewhere.
_LEADING: Final = {"href", "src", "action", "formaction", "xlink:href", "srcdoc", "data"}


class _Reader(HTMLParser):
    """Collects what is alive in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            said = (value or "").strip().lower()
            is_leading = name in _LEADING and (said.startswith(("javascript:", "data:")) or name == "srcdoc")
            if name.startswith("on") or MARKER in name or is_leading:
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag in {"iframe", "object", "embed", "base", "math"} or ("id", MARKER) in attrs:
            self.found.append(f"<{tag} {attrs}>")

    def handle_data(self, data: str) -> None:
        # Between the tags of a script or a style element the reader takes text as it is.
        if self.cdata_elem is not None and MARKER in data:
            self.found.append(f"<{self.cdata_elem}>{data}")


def live_markup(page: str) -> list[str]:
    """Return what of a page would be executed, or was made an element by a text; empty for a sound page."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found
