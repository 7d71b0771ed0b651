"""The form that sets a function's limits: empty fields say nothing, or mean any number.

What limits can be is checked again by `actions/change_queue_limits`, which REST and the command use as well; here a
person is told beside the field.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from gearjobs.actions.change_queue_limits import QueueLimits
from gearjobs.core.terms import MAX_TERM_COUNT, MAX_TERM_S


def _count(label: Any, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=MAX_TERM_COUNT, help_text=help_text)


class QueueLimitsForm(forms.Form):
    """All limits of a function; each job server keeps them for itself."""

    max_high = _count(_("Most waiting, high"))
    max_normal = _count(_("Most waiting, normal"))
    max_low = _count(
        _("Most waiting, low"),
        _("More are refused, whoever submits them. Empty: as the servers say; 0: any number."),
    )
    concurrency = _count(_("At once"), _("Jobs that may run at the same time, at each server. Empty or 0: any number."))
    rate = _count(_("Rate"), _("Jobs that may start within the time below, at each server. Empty or 0: any number."))
    per_s = forms.FloatField(label=_("Within so many seconds"), required=False, min_value=0, max_value=MAX_TERM_S)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if bool(said.get("rate")) != bool(said.get("per_s")) and not self.errors:
            raise forms.ValidationError(_("A rate needs its time, and a time its rate: fill in both, or none."))
        return said

    def limits(self) -> QueueLimits:
        """Return what a valid form says."""
        said = self.cleaned_data
        return QueueLimits(
            max_high=said["max_high"],
            max_normal=said["max_normal"],
            max_low=said["max_low"],
            concurrency=said["concurrency"] or 0,
            rate=said["rate"] or 0,
            per_s=said["per_s"] or 0.0,
        )


def form_values(limits: QueueLimits) -> dict[str, Any]:
    """Return what the form shows of the limits that hold."""
    values: dict[str, Any] = {name: getattr(limits, name) for name in ("max_high", "max_normal", "max_low")}
    return values | {name: getattr(limits, name) or None for name in ("concurrency", "rate", "per_s")}
