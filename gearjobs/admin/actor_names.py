"""Names of the users whose primary keys stand in rows as text; one query for a page.

A row outlives its user, and the user model may be any: what is no key of it is nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


def actor_names(keys: Iterable[str]) -> dict[str, str]:
    """Return what each user is called, by primary key; those who are gone are left out."""
    model = get_user_model()
    wanted = []
    for key in {key for key in keys if key}:
        try:
            wanted.append(model._meta.pk.to_python(key))
        except (ValidationError, ValueError):
            continue
    if not wanted:
        return {}
    return {str(user.pk): str(user) for user in model._default_manager.filter(pk__in=wanted)}
