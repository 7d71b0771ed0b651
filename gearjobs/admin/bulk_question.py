"""What is asked before something is done to many jobs: it names what, and to how many.

The words are whole sentences for each verb, so that they can be translated; the page is `gearjobs/confirm.html`.
"""

from __future__ import annotations

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from gearjobs.models import BulkVerb
from gearjobs.records.job_pages import BoundedCount


def count_words(count: BoundedCount) -> str:
    """Return a number for people, with a plus where it was not counted to the end."""
    return number_format(count.count, force_grouping=True) + ("+" if count.is_more else "")


def bulk_question(verb: BulkVerb, number: str, *, what: str = "") -> dict[str, Any]:
    """Return title, question, consequence and button, as `gearjobs/confirm.html` shows them.

    Args:
        verb: what is asked for.
        number: of the jobs, as `count_words` says it.
        what: which jobs; empty where the page says so.
    """
    words = {"number": number, "what": what}
    if verb is BulkVerb.RETRY:
        return {
            "title": _("Retry jobs"),
            "question": (
                _("Retry failed jobs of %(what)s: %(number)s?") if what else _("Retry failed jobs: %(number)s?")
            )
            % words,
            "consequence": _("Each runs again as a new job. The old ones stay as they are."),
            "button": _("Retry %(number)s") % words,
            "is_danger": False,
        }
    if verb is BulkVerb.CANCEL:
        return {
            "title": _("Cancel jobs"),
            "question": (
                _("Cancel unfinished jobs of %(what)s: %(number)s?")
                if what
                else _("Cancel unfinished jobs: %(number)s?")
            )
            % words,
            "consequence": _("Those that wait end at once; those that run are told to stop."),
            "button": _("Cancel %(number)s") % words,
            "is_danger": True,
        }
    return {
        "title": _("Delete jobs"),
        "question": (_("Delete ended jobs of %(what)s: %(number)s?") if what else _("Delete ended jobs: %(number)s?"))
        % words,
        "consequence": _("They are gone for good, with their results, tracebacks and output."),
        "button": _("Delete %(number)s") % words,
        "is_danger": True,
    }
