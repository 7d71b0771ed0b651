"""Users by what they may do, and clients of theirs."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def make_user(db):
    """Make a user with permissions of the job table."""

    def make(name: str, *codenames: str, is_staff: bool = False, **fields) -> User:
        user = User.objects.create_user(name, password="secret", is_staff=is_staff, **fields)
        user.user_permissions.add(
            *Permission.objects.filter(content_type__app_label="gearjobs", codename__in=codenames)
        )
        return user

    return make


@pytest.fixture
def login():
    """Return a client in which the user is logged in."""

    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in
