"""Small pieces of HTML that the screens share: badges, progress bars, durations, bodies.

Everything that came from a job passes `format_html`, and stands in `<bdi>` where its writing direction could disturb
the text around it. No style or script is inline, so that any Content-Security-Policy holds; the classes are in
`static/gearjobs/screens.css`.
"""

from __future__ import annotations

import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.models import Job, JobOutput, JobStatus
from gearjobs.records.readable_body import show_body

#: Bytes of a payload or result that a page shows; more is for the API.
SHOWN_BYTES: Final = 65_536
#: Bytes shown of one streamed piece.
SHOWN_PIECE_BYTES: Final = 2_000

#: What a cell shows that has nothing to show.
EMPTY: Final = "–"

_BADGES: Final[dict[str, str]] = {
    JobStatus.READY: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCESSFUL: "good",
    JobStatus.FAILED: "bad",
}


def badge(label: str, kind: str) -> SafeString:
    """Return a label in a coloured frame; `kind` is `waiting`, `running`, `good`, `bad` or `warning`."""
    return format_html('<span class="gearjobs-badge gearjobs-{}">{}</span>', kind, label)


def status_badge(job: Job) -> SafeString:
    """Return what the job is at, in the colour of its status."""
    return badge(str(job.present_detail.label), _BADGES[job.status])


def peer_text(text: str) -> SafeString | str:
    """Return text that a peer chose, kept from rearranging the page."""
    return format_html("<bdi>{}</bdi>", text) if text else EMPTY


def code(text: str) -> SafeString | str:
    """Return a name for machines."""
    return format_html('<code class="gearjobs-code"><bdi>{}</bdi></code>', text) if text else EMPTY


def progress_bar(job: Job) -> SafeString | str:
    """Return how far the job is, as its worker told it."""
    percent, message = job.progress_percent, job.progress_message
    if percent is None:
        return peer_text(message) if message else EMPTY
    return format_html(
        '<span class="gearjobs-progress"><progress max="100" value="{}" aria-label="{}">{}</progress>'
        " <span>{} %</span></span>{}",
        f"{percent:.1f}",
        _("Progress"),
        f"{percent:.0f} %",
        f"{percent:.0f}",
        format_html(' <bdi class="quiet">{}</bdi>', message) if message else "",
    )


def duration_text(duration: datetime.timedelta | None) -> str:
    """Return a duration for people, in at most two units."""
    if duration is None:
        return EMPTY
    seconds = max(0.0, duration.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{number_format(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def exact_time(when: datetime.datetime) -> str:
    """Return a point in time to the millisecond, in the project's or the user's time zone."""
    local = timezone.localtime(when) if timezone.is_aware(when) else when
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def age(when: datetime.datetime) -> SafeString:
    """Return how long ago something was, with the exact time for the mouse and for machines."""
    return format_html(
        '<time class="gearjobs-age" datetime="{}" title="{}">{}</time>',
        when.isoformat(),
        exact_time(when),
        _("%(time)s ago") % {"time": _rough_text(timezone.now() - when)},
    )


def age_text(moment: datetime.datetime | None) -> str:
    """Return how long ago something was."""
    return EMPTY if moment is None else duration_text(timezone.now() - moment)


def _rough_text(duration: datetime.timedelta) -> str:
    """Return a duration in one unit, short enough for a narrow column."""
    seconds = max(0, round(duration.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def body_block(body: bytes | memoryview | None) -> SafeString | str:
    """Return a payload or result: indented JSON, text, or a hex dump."""
    if body is None:
        return EMPTY
    if not body:
        return format_html('<span class="quiet">{}</span>', _("empty"))
    size = _("%(count)s bytes") % {"count": number_format(len(body), force_grouping=True)}
    return format_html(
        '<pre class="gearjobs-body" tabindex="0">{}</pre><span class="quiet">{}</span>',
        show_body(bytes(body), SHOWN_BYTES),
        size,
    )


def text_block(text: str) -> SafeString | str:
    """Return text of several lines."""
    return format_html('<pre class="gearjobs-body" tabindex="0">{}</pre>', text) if text else EMPTY


def output_line(output: JobOutput) -> SafeString:
    """Return one streamed piece."""
    return format_html(
        '<li class="{}"><span class="quiet">{}</span> <pre>{}</pre></li>',
        "gearjobs-warning-line" if output.is_warning else "",
        timezone.localtime(output.streamed_at).strftime("%H:%M:%S") if timezone.is_aware(output.streamed_at) else "",
        show_body(bytes(output.body), SHOWN_PIECE_BYTES),
    )
