"""The book of what operators did: written after each action, one row however many jobs it was for.

Whoever carries an action out writes it, wherever it was asked for: the admin, the REST API, a command. That the row
cannot be written undoes nothing; it is logged. Receivers of `gearjobs.signals.operator_action` hear of every row.
"""

from __future__ import annotations

import getpass
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import Error, transaction
from django.db.models import QuerySet

from gearjobs.models import ActionOutcome, OperatorAction
from gearjobs.records.rows.column_values import fit_text, plain_json
from gearjobs.settings import gearjobs_settings
from gearjobs.signals import operator_action

logger = logging.getLogger("gearjobs.records")

#: Where the request came from that is being answered; the middleware sets it.
request_address: Final[ContextVar[str]] = ContextVar("gearjobs_request_address", default="")

_LIMITS: Final = {
    field.name: field.max_length or 0
    for field in OperatorAction._meta.concrete_fields
    if field.name in {"actor", "actor_name", "verb", "target_kind", "target", "address"}
}


def note_action(  # noqa: PLR0913 - one argument a column
    verb: str,
    *,
    actor: AbstractBaseUser | AnonymousUser | None,
    target_kind: str = "",
    target: str = "",
    count: int = 1,
    details: Mapping[str, object] | None = None,
    outcome: ActionOutcome = ActionOutcome.DONE,
) -> None:
    """Write down what was done; text that is too long is cut.

    Args:
        verb: what was done: `cancel`, `retry`, `pause` ...
        actor: by whom; None for a command.
        target_kind: to what kind of thing: `job`, `queue`, `worker` ...
        target: its id; empty where it was done to several.
        count: how many it was done to.
        details: which of them, and what else was said; JSON-ready values.
        outcome: what came of it.
    """
    texts = {
        "actor": "" if actor is None else str(actor.pk or ""),
        "actor_name": _system_user() if actor is None else str(actor),
        "verb": verb,
        "target_kind": target_kind,
        "target": target,
        "address": request_address.get(),
    }
    fitting = {name: fit_text(text, _LIMITS[name]) for name, text in texts.items()}
    action = OperatorAction(**fitting, count=count, details=plain_json(dict(details or {})), outcome=outcome)
    alias = gearjobs_settings().database
    try:
        # Of its own, so that a refused one leaves the caller's transaction as it was.
        with transaction.atomic(using=alias):
            action.save(using=alias)
    except Error as error:
        logger.error("cannot write down verb=%s by=%s error=%s", verb, texts["actor_name"], error)
    operator_action.send_robust(sender=None, action=action)


def all_actions(*, using: str | None = None) -> QuerySet[OperatorAction]:
    """Return what operators did, the latest first."""
    return OperatorAction.objects.using(using or gearjobs_settings().database).order_by("-at", "-pk")


@contextmanager
def acting_from(address: str) -> Iterator[None]:
    """Let what is done within the block be written down with this address."""
    token = request_address.set(address)
    try:
        yield
    finally:
        request_address.reset(token)


def address_of(request_meta: Mapping[str, Any]) -> str:
    """Return where a request came from, as the web server says: a header that anybody can send is not believed."""
    return str(request_meta.get("REMOTE_ADDR") or "")


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A process whose user the system does not know.
        return ""
