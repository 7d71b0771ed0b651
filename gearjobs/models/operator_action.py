"""What operators did: who, when, to what, from where, and what came of it.

One row an action, however many jobs it was for, written by `records/audit` after the action and never changed;
retention removes old ones. It names things by text, not by keys: what it tells of may be gone.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class ActionOutcome(models.TextChoices):
    """What came of an action."""

    DONE = "done", pgettext_lazy("OperatorAction", "done")
    #: Some of what it was for could not be done.
    PARTLY = "partly", pgettext_lazy("OperatorAction", "partly done")
    REFUSED = "refused", pgettext_lazy("OperatorAction", "refused")
    FAILED = "failed", pgettext_lazy("OperatorAction", "failed")


class OperatorAction(models.Model):
    """One thing that one operator did."""

    at = models.DateTimeField(_("at"), default=timezone.now)
    #: Primary key, as text, of the user; empty for a command.
    actor = models.CharField(_("actor"), max_length=255, blank=True)
    #: What the user was called then; the system's user for a command.
    actor_name = models.CharField(_("actor's name"), max_length=255, blank=True)
    #: What was done: `cancel`, `retry`, `pause` ...
    verb = models.CharField(_("verb"), max_length=64)
    #: To what kind of thing: `job`, `queue`, `worker`, `schedule`, `failure` ...
    target_kind = models.CharField(_("kind of target"), max_length=32, blank=True)
    #: Its id; empty where it was for several.
    target = models.CharField(_("target"), max_length=500, blank=True)
    #: Which of them, where it was for several, and what else was said.
    details = models.JSONField(_("details"), default=dict, blank=True)
    #: How many it was done to.
    count = models.BigIntegerField(_("count"), default=1)
    #: Address that the request came from; empty for a command.
    address = models.CharField(_("address"), max_length=64, blank=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=ActionOutcome, default=ActionOutcome.DONE)

    class Meta:
        verbose_name = _("operator's action")
        verbose_name_plural = _("operators' actions")
        default_permissions = ("view",)
        indexes = [
            # The latest first; retention.
            models.Index(fields=["at"], name="gearjobs_action_at"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.target_kind} {self.target}".strip()
