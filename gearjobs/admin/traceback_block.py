"""A traceback for who has to find the mistake: the project's own lines first, the whole of it below, folded.

Tracebacks come from workers of any kind; one that does not look like Python's is shown as it is.
"""

from __future__ import annotations

import re
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.admin.job_cells import text_block
from gearjobs.records.failures.fingerprint import FOREIGN_CODE

#: Own frames shown: the innermost.
FRAMES_SHOWN: Final = 8
#: Characters of a traceback that are looked through: its end tells what was raised.
_LOOKED_THROUGH: Final = 100_000

_FRAME: Final = re.compile(
    r'^ *File "(?P<path>[^"\n]+)", line (?P<line>\d+), in (?P<name>[^\n]+)\n(?: {4,}(?P<code>[^\n]+)\n)?', re.MULTILINE
)


def traceback_block(traceback: str, *, identity: str) -> SafeString | str:
    """Return the own frames, innermost first, and the whole text.

    Args:
        traceback: as the worker sent it.
        identity: tells the folded part from others of the page, so that it stays open when the page is refreshed.
    """
    own = [frame for frame in _FRAME.finditer(traceback[-_LOOKED_THROUGH:]) if not FOREIGN_CODE.search(frame["path"])]
    if not own:
        return text_block(traceback)
    lines = format_html_join(
        "",
        '<li><code><bdi>{}</bdi>:{}</code> <span class="quiet">{}</span> <code><bdi>{}</bdi></code>{}</li>',
        (
            (frame["path"], frame["line"], _("in"), frame["name"], _code(frame["code"]))
            for frame in own[: -FRAMES_SHOWN - 1 : -1]
        ),
    )
    return format_html(
        '<ol class="gearjobs-frames">{}</ol><details id="{}"><summary>{}</summary>{}</details>',
        lines,
        f"traceback-{identity}",
        _("Whole traceback"),
        text_block(traceback),
    )


def _code(line: str | None) -> SafeString | str:
    return format_html("<pre>{}</pre>", line) if line else ""
