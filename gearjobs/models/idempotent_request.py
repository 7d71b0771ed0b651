"""A request that was sent with an Idempotency-Key, and what it was answered: the same one again does nothing more.

The row is inserted before the request is carried out, so that of two at once one meets the constraint; the answer
follows when there is one. Written by the REST API, removed by retention after a day.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class IdempotentRequest(models.Model):
    """One request of one user."""

    #: Primary key of the user, as text.
    user = models.CharField(_("user"), max_length=255, blank=True)
    #: Digest of the header's value: databases compare text in their own ways.
    key = models.CharField(_("key"), max_length=64)
    #: Digest of method, path and body: the key must not be used for anything else.
    digest = models.CharField(_("digest"), max_length=64)
    #: Status code of the answer; null until there is one.
    status = models.SmallIntegerField(_("status"), null=True, blank=True)
    #: What the answer is made of.
    answer = models.JSONField(_("answer"), default=dict, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        default_permissions = ()
        indexes = [
            # Retention.
            models.Index(fields=["at"], name="gearjobs_idempotent_at"),
        ]
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="gearjobs_idempotent_once")]

    def __str__(self) -> str:
        return self.key
