"""`manage.py prepare_demo`: the two people of the demo.

`admin` may see everything, `demo` its own jobs only. Both have the same password, made at the first start and kept
in `demo_password` under the site's var directory; running the command again gives it to them anew.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from demo_site.kept_secrets import kept_secret


class Command(BaseCommand):
    """Makes the users `admin` and `demo`, or resets their password to the kept one."""

    help = __doc__.splitlines()[0]

    def handle(self, *_args: object, **_options: object) -> None:
        """Make the users."""
        password = kept_secret(settings.VAR_DIR / "demo_password", random_bytes=6)
        for username, is_admin in (("admin", True), ("demo", False)):
            user, is_new = User.objects.get_or_create(username=username)
            user.is_staff = user.is_superuser = is_admin
            if not user.check_password(password):
                user.set_password(password)
            user.save()
            self.stdout.write(f"user {username} {'made' if is_new else 'kept'}")
